"""What is asked of the tables of endpoints and their moves. Rows are plain tuples."""

from datetime import datetime

from sqlalchemy import Connection, delete, func, insert, select

from aias.database.engine import changed
from aias.database.tables import endpoints, moves, trials, versions

EndpointRow = tuple[str, str, int, str, int, datetime]
"""name, model, number, digest, revision, since"""

MoveRow = tuple[str, int, str | None, int | None, datetime, str]
"""endpoint, revision, model, number, at, how"""

_ROWS = select(
    endpoints.c.name,
    endpoints.c.model,
    endpoints.c.number,
    versions.c.digest,
    endpoints.c.revision,
    endpoints.c.since,
).join_from(endpoints, versions, (versions.c.name == endpoints.c.model) & (versions.c.number == endpoints.c.number))


def listed(connection: Connection) -> list[EndpointRow]:
    """All endpoints by name."""
    return [tuple(row) for row in connection.execute(_ROWS.order_by(endpoints.c.name))]


def found(connection: Connection, name: str) -> EndpointRow | None:
    row = connection.execute(_ROWS.where(endpoints.c.name == name)).one_or_none()
    return None if row is None else tuple(row)


def pointing_at(connection: Connection, model: str, number: int) -> list[str]:
    """The names of the endpoints that answer with this version, or have it beside the one that does."""
    query = select(endpoints.c.name).where(endpoints.c.model == model, endpoints.c.number == number)
    tried = select(trials.c.endpoint).where(
        trials.c.model == model, trials.c.number == number, trials.c.ended_at.is_(None)
    )
    return sorted({*connection.execute(query).scalars(), *connection.execute(tried).scalars()})


def move(connection: Connection, name: str, to: tuple[str, int] | None, at: datetime, how: str = "deployed") -> int:
    """Point an endpoint at a version, or with None at nothing; the history's next revision."""
    last = connection.execute(select(func.max(moves.c.revision)).where(moves.c.endpoint == name)).scalar_one()
    revision = (last or 0) + 1
    model, number = to or (None, None)
    row = {"endpoint": name, "revision": revision, "model": model, "number": number, "at": at, "how": how}
    connection.execute(insert(moves).values(row))
    connection.execute(delete(endpoints).where(endpoints.c.name == name))
    if to is not None:
        row = {"name": name, "model": model, "number": number, "revision": revision, "since": at}
        connection.execute(insert(endpoints).values(row))
    changed(connection)
    return revision


def history(connection: Connection, name: str) -> list[MoveRow]:
    """Every move of an endpoint, the oldest first."""
    query = select(moves.c.endpoint, moves.c.revision, moves.c.model, moves.c.number, moves.c.at, moves.c.how)
    rows = connection.execute(query.where(moves.c.endpoint == name).order_by(moves.c.revision))
    return [tuple(row) for row in rows]
