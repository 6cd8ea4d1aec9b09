"""Alembic's way in. The caller has opened the transaction; it becomes one with the migration's."""

from alembic import context

from aias.database.tables import metadata

context.configure(connection=context.config.attributes["connection"], target_metadata=metadata)
context.run_migrations()
