"""What is asked of the table of tenants."""

from datetime import datetime

from sqlalchemy import Connection, insert, select, update

from aias.database.engine import changed
from aias.database.tables import keys, tenants

TenantRow = tuple[str, str, datetime]
"""name, quotas, created_at"""

_ROWS = select(tenants.c.name, tenants.c.quotas, tenants.c.created_at)


def add(connection: Connection, row: TenantRow) -> None:
    connection.execute(insert(tenants).values(row))
    changed(connection)


def listed(connection: Connection) -> list[TenantRow]:
    return [tuple(row) for row in connection.execute(_ROWS.order_by(tenants.c.name))]


def found(connection: Connection, name: str) -> TenantRow | None:
    row = connection.execute(_ROWS.where(tenants.c.name == name)).one_or_none()
    return None if row is None else tuple(row)


def set_quotas(connection: Connection, name: str, quotas: str) -> None:
    connection.execute(update(tenants).where(tenants.c.name == name).values(quotas=quotas))
    changed(connection)


def take(connection: Connection, name: str, key: str) -> None:
    connection.execute(update(keys).where(keys.c.id == key).values(tenant=name))
    changed(connection)
