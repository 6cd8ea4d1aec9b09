"""Endpoints that the command line names: looked for when the server starts, so that a slip is found out then."""

from aias.core.events import Event, Watch
from aias.core.names import check_name
from aias.database.engine import Database
from aias.registry.lookup import UnknownEndpoint, endpoint_in


def look_for(name: str | None, database: Database, announce: Watch, *, what: str = "for /invocations to ask") -> None:
    """Warn where one is named and is not there: it may be deployed later. Raises `BadName`."""
    if name is None:
        return
    try:
        with database.reading() as transaction:
            endpoint_in(transaction, check_name(name))
    except UnknownEndpoint as missing:
        message = f"{missing.message} yet {what}: {missing.hint}"
        announce(Event("serve.unnamed", message, "warning", {"endpoint": name}))
