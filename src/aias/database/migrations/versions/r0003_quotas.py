"""What each key may ask."""

import sqlalchemy as sa
from alembic import op

revision = "0003"
down_revision = "0002"


def upgrade() -> None:
    op.add_column("keys", sa.Column("quotas", sa.String(), nullable=False, server_default=""))
