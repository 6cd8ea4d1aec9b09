"""How an endpoint came to each version: deployed, promoted, or rolled back to."""

import sqlalchemy as sa
from alembic import op

revision = "0004"
down_revision = "0003"


def upgrade() -> None:
    op.add_column("moves", sa.Column("how", sa.String(), nullable=False, server_default="deployed"))
