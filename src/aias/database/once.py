"""What has been made for requests that have a name: the same asked again makes nothing, and is answered alike."""

from datetime import datetime

from sqlalchemy import Connection, delete, insert, select

from aias.database.tables import once

OnceRow = tuple[str, str, str, str, str, datetime]
"""who, name, asked, made, salt, at"""

_ROWS = select(once.c.who, once.c.name, once.c.asked, once.c.made, once.c.salt, once.c.at)


def add(connection: Connection, row: OnceRow) -> None:
    connection.execute(insert(once).values(row))


def found(connection: Connection, who: str, name: str) -> OnceRow | None:
    row = connection.execute(_ROWS.where(once.c.who == who, once.c.name == name)).one_or_none()
    return None if row is None else tuple(row)


def forget(connection: Connection, before: datetime) -> None:
    """What was made before that."""
    connection.execute(delete(once).where(once.c.at < before))
