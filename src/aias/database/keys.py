"""What is asked of the table of keys. Rows are plain tuples; a secret is never in one, only its digest."""

from datetime import datetime

from sqlalchemy import Connection, delete, exists, func, insert, select, update

from aias.database.engine import changed
from aias.database.tables import keys, tenants

KeyRow = tuple[str, str, str, str, str, datetime, datetime | None, datetime | None, str, str, str]
"""id, name, scopes, digest, last4, created_at, expires_at, revoked_at, quotas, tenant, the tenant's quotas"""

_ROWS = select(
    keys.c.id,
    keys.c.name,
    keys.c.scopes,
    keys.c.digest,
    keys.c.last4,
    keys.c.created_at,
    keys.c.expires_at,
    keys.c.revoked_at,
    keys.c.quotas,
    keys.c.tenant,
    func.coalesce(tenants.c.quotas, ""),
).outerjoin(tenants, tenants.c.name == keys.c.tenant)


def add(connection: Connection, row: KeyRow) -> None:
    connection.execute(insert(keys).values(row[:-1]))
    changed(connection)


def listed(connection: Connection) -> list[KeyRow]:
    """All keys, also revoked ones, the oldest first."""
    return [tuple(row) for row in connection.execute(_ROWS.order_by(keys.c.created_at, keys.c.id))]


def found(connection: Connection, key: str) -> KeyRow | None:
    row = connection.execute(_ROWS.where(keys.c.id == key)).one_or_none()
    return None if row is None else tuple(row)


def any_good(connection: Connection) -> bool:
    """Whether there is a key that has not been revoked."""
    return bool(connection.execute(select(exists(select(keys.c.id).where(keys.c.revoked_at.is_(None))))).scalar_one())


def revoke(connection: Connection, key: str, at: datetime) -> None:
    """A second revocation does not move the time of the first."""
    connection.execute(update(keys).where(keys.c.id == key, keys.c.revoked_at.is_(None)).values(revoked_at=at))
    changed(connection)


def remove(connection: Connection, key: str) -> None:
    connection.execute(delete(keys).where(keys.c.id == key))
    changed(connection)


def set_quotas(connection: Connection, key: str, quotas: str) -> None:
    connection.execute(update(keys).where(keys.c.id == key).values(quotas=quotas))
    changed(connection)
