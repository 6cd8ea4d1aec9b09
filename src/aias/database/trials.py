"""What is asked of the table of trials: versions beside the live one. Rows are plain tuples."""

from datetime import datetime
from typing import Any

from sqlalchemy import Connection, Select, func, insert, select, update

from aias.database.engine import changed
from aias.database.tables import trials, versions

TrialRow = tuple[
    int, str, str, int, str | None, str, int, str, str, datetime, str, datetime | None, str | None, str | None
]
"""id, endpoint, model, number, digest (None when the version is gone), role, share, sticky, guard, started_at,
evidence, ended_at, outcome, why"""


def add(
    connection: Connection, *, endpoint: str, version: tuple[str, int], role: str, share: int, sticky: str, guard: str,
    evidence: str, at: datetime,
) -> int:  # fmt: skip
    """Its id."""
    model, number = version
    row = {
        "endpoint": endpoint, "model": model, "number": number, "role": role, "share": share, "sticky": sticky,
        "guard": guard, "started_at": at, "evidence": evidence,
    }  # fmt: skip
    found = connection.execute(insert(trials).values(row).returning(trials.c.id)).scalar_one()
    changed(connection)
    return int(found)


def active(connection: Connection, endpoint: str | None = None) -> list[TrialRow]:
    """All that go on, or those of one endpoint, the oldest first."""
    query = _rows().where(trials.c.ended_at.is_(None))
    if endpoint is not None:
        query = query.where(trials.c.endpoint == endpoint)
    return [tuple(row) for row in connection.execute(query)]


def of_endpoint(connection: Connection, endpoint: str) -> list[TrialRow]:
    """Also those that have ended, the oldest first."""
    return [tuple(row) for row in connection.execute(_rows().where(trials.c.endpoint == endpoint))]


def found(connection: Connection, trial: int) -> TrialRow | None:
    row = connection.execute(_rows().where(trials.c.id == trial)).one_or_none()
    return None if row is None else tuple(row)


def outcomes(connection: Connection) -> list[tuple[str, str, int]]:
    """How many trials of each endpoint have ended how."""
    query = select(trials.c.endpoint, trials.c.outcome, func.count()).where(trials.c.ended_at.is_not(None))
    rows = connection.execute(query.group_by(trials.c.endpoint, trials.c.outcome))
    return [(endpoint, outcome, count) for endpoint, outcome, count in rows]


def note(connection: Connection, trial: int, evidence: str) -> None:
    """Keep what is known by now. Nobody is told: it changes nothing of who answers."""
    connection.execute(update(trials).where(trials.c.id == trial).values(evidence=evidence))


def end(connection: Connection, trial: int, *, outcome: str, why: str, at: datetime) -> None:
    """A second end does not move the first."""
    ended = {"ended_at": at, "outcome": outcome, "why": why}
    connection.execute(update(trials).where(trials.c.id == trial, trials.c.ended_at.is_(None)).values(ended))
    changed(connection)


def _rows() -> "Select[Any]":
    own = trials.c
    return (
        select(
            own.id, own.endpoint, own.model, own.number, versions.c.digest, own.role, own.share, own.sticky, own.guard,
            own.started_at, own.evidence, own.ended_at, own.outcome, own.why,
        )
        .join_from(trials, versions, (versions.c.name == own.model) & (versions.c.number == own.number), isouter=True)
        .order_by(own.id)
    )  # fmt: skip
