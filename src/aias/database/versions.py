"""What is asked of the tables of models, versions and lineage. Rows are plain tuples."""

from collections.abc import Iterable
from datetime import datetime

from sqlalchemy import Connection, delete, func, insert, select, update

from aias.database.tables import lineage, models, versions

VersionRow = tuple[str, int, str, datetime, int]
"""name, number, digest, created_at, size_bytes"""

_ROW = (versions.c.name, versions.c.number, versions.c.digest, versions.c.created_at, versions.c.size_bytes)


def add(connection: Connection, *, name: str, digest: str, created_at: datetime, size_bytes: int) -> VersionRow:
    """Give the next number of the model to an artifact."""
    counted = update(models).where(models.c.name == name).values(last_number=models.c.last_number + 1)
    number = connection.execute(counted.returning(models.c.last_number)).scalar_one_or_none()
    if number is None:
        number = 1
        connection.execute(insert(models).values(name=name, last_number=number))
    row = {"name": name, "number": number, "digest": digest, "created_at": created_at, "size_bytes": size_bytes}
    connection.execute(insert(versions).values(row))
    return name, number, digest, created_at, size_bytes


def listed(connection: Connection, name: str | None = None) -> list[VersionRow]:
    """All versions, or those of one model, by name and number."""
    query = select(*_ROW).order_by(versions.c.name, versions.c.number)
    if name is not None:
        query = query.where(versions.c.name == name)
    return [tuple(row) for row in connection.execute(query)]


def found(connection: Connection, name: str, number: int | None) -> VersionRow | None:
    """One version; the newest when no number is given."""
    query = select(*_ROW).where(versions.c.name == name)
    if number is not None:
        query = query.where(versions.c.number == number)
    row = connection.execute(query.order_by(versions.c.number.desc()).limit(1)).one_or_none()
    return None if row is None else tuple(row)


def with_digests(connection: Connection, digests: Iterable[str]) -> list[VersionRow]:
    """The versions that are one of these artifacts."""
    query = select(*_ROW).where(versions.c.digest.in_(sorted(digests))).order_by(versions.c.name, versions.c.number)
    return [tuple(row) for row in connection.execute(query)]


def model_names(connection: Connection) -> list[str]:
    """The models that have a version."""
    return list(connection.execute(select(versions.c.name).distinct()).scalars())


def published(connection: Connection) -> int:
    """How many versions were ever published, also those that have been removed."""
    return int(connection.execute(select(func.coalesce(func.sum(models.c.last_number), 0))).scalar_one())


def digests(connection: Connection) -> set[str]:
    """The artifacts that some version is."""
    return set(connection.execute(select(versions.c.digest).distinct()).scalars())


def remove(connection: Connection, name: str, number: int) -> None:
    """Forget one version, not its number."""
    connection.execute(delete(versions).where(versions.c.name == name, versions.c.number == number))


def add_parents(connection: Connection, child: str, parents: Iterable[str]) -> None:
    """Write down what an artifact was made from; once is enough."""
    known = set(connection.execute(select(lineage.c.parent).where(lineage.c.child == child)).scalars())
    for parent in dict.fromkeys(parents):
        if parent not in known:
            connection.execute(insert(lineage).values(child=child, parent=parent))


def ancestors(connection: Connection, digest: str) -> list[tuple[str, int]]:
    """The digests that an artifact descends from and how many steps back the nearest way is, nearest first."""
    seen = {digest}
    found_so_far: list[tuple[str, int]] = []
    generation, steps = {digest}, 0
    while generation:
        steps += 1
        query = select(lineage.c.parent).where(lineage.c.child.in_(sorted(generation))).distinct()
        generation = set(connection.execute(query).scalars()) - seen
        seen |= generation
        found_so_far += [(parent, steps) for parent in sorted(generation)]
    return found_so_far
