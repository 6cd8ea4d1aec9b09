"""The tables as they are now. A change here needs a migration beside it, and a new `HEAD`."""

from datetime import UTC, datetime, timedelta
from typing import Final

from sqlalchemy import (
    BigInteger,
    Column,
    ForeignKeyConstraint,
    Index,
    Integer,
    MetaData,
    String,
    Table,
    TypeDecorator,
)
from sqlalchemy.engine import Dialect

HEAD: Final = "0006"
"""The newest migration. Revisions are numbers of four digits, so that newer means greater."""

_EPOCH: Final = datetime(1970, 1, 1, tzinfo=UTC)


class Instant(TypeDecorator[datetime]):
    """A point in time, kept as microseconds since 1970: no database's own zones and roundings."""

    impl = BigInteger
    cache_ok = True

    def process_bind_param(self, value: datetime | None, _dialect: Dialect) -> int | None:
        return None if value is None else (value - _EPOCH) // timedelta(microseconds=1)

    def process_result_value(self, value: int | None, _dialect: Dialect) -> datetime | None:
        return None if value is None else _EPOCH + timedelta(microseconds=value)


metadata: Final = MetaData(
    naming_convention={
        "ix": "ix_%(table_name)s_%(column_0_N_name)s",
        "fk": "fk_%(table_name)s_%(referred_table_name)s",
        "pk": "pk_%(table_name)s",
    }
)

counters: Final = Table(
    "counters",
    metadata,
    Column("name", String, primary_key=True),
    Column("value", BigInteger, nullable=False),
)

models: Final = Table(
    "models",
    metadata,
    Column("name", String, primary_key=True),
    Column("last_number", Integer, nullable=False),
)
"""`last_number` only grows, so that the number of a removed version is never given again."""

versions: Final = Table(
    "versions",
    metadata,
    Column("name", String, primary_key=True),
    Column("number", Integer, primary_key=True, autoincrement=False),
    Column("digest", String, nullable=False),
    Column("size_bytes", BigInteger, nullable=False),
    Column("created_at", Instant, nullable=False),
    ForeignKeyConstraint(["name"], ["models.name"]),
    Index(None, "digest"),
)

lineage: Final = Table(
    "lineage",
    metadata,
    Column("child", String, primary_key=True),
    Column("parent", String, primary_key=True),
)
"""Digests; kept when a version is removed, since its children still came from it."""

endpoints: Final = Table(
    "endpoints",
    metadata,
    Column("name", String, primary_key=True),
    Column("model", String, nullable=False),
    Column("number", Integer, nullable=False),
    Column("revision", Integer, nullable=False),
    Column("since", Instant, nullable=False),
    ForeignKeyConstraint(["model", "number"], ["versions.name", "versions.number"]),
)

moves: Final = Table(
    "moves",
    metadata,
    Column("endpoint", String, primary_key=True),
    Column("revision", Integer, primary_key=True, autoincrement=False),
    Column("model", String),
    Column("number", Integer),
    Column("at", Instant, nullable=False),
    Column("how", String, nullable=False, server_default="deployed"),
)
"""The history of every endpoint; a move to no version is an undeployment. `how`: deployed, promoted, or rolled back."""

trials: Final = Table(
    "trials",
    metadata,
    Column("id", Integer, primary_key=True),
    Column("endpoint", String, nullable=False),
    Column("model", String, nullable=False),
    Column("number", Integer, nullable=False),
    Column("role", String, nullable=False),
    Column("share", Integer, nullable=False),
    Column("sticky", String, nullable=False),
    Column("guard", String, nullable=False),
    Column("started_at", Instant, nullable=False),
    Column("evidence", String, nullable=False),
    Column("ended_at", Instant),
    Column("outcome", String),
    Column("why", String),
    Index(None, "endpoint"),
)
"""Versions beside the live one of an endpoint, and those that were. `share`: in parts of ten thousand; `guard` and
`evidence` are JSON. A version of a trial that has ended may be removed, hence no reference."""

keys: Final = Table(
    "keys",
    metadata,
    Column("id", String, primary_key=True),
    Column("name", String, nullable=False),
    Column("scopes", String, nullable=False),
    Column("digest", String, nullable=False),
    Column("last4", String, nullable=False),
    Column("created_at", Instant, nullable=False),
    Column("expires_at", Instant),
    Column("revoked_at", Instant),
    Column("quotas", String, nullable=False, server_default=""),
    Column("tenant", String, nullable=False, server_default=""),
)

tenants: Final = Table(
    "tenants",
    metadata,
    Column("name", String, primary_key=True),
    Column("quotas", String, nullable=False),
    Column("created_at", Instant, nullable=False),
)
"""Nobody's keys have an empty one."""

once: Final = Table(
    "once",
    metadata,
    Column("who", String, primary_key=True),
    Column("name", String, primary_key=True),
    Column("asked", String, nullable=False),
    Column("made", String, nullable=False),
    Column("salt", String, nullable=False),
    Column("at", Instant, nullable=False),
    Index(None, "at"),
)
"""Requests that are done once: whose, their digests, and the name of what was made."""
