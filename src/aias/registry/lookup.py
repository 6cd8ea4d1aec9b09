"""Find a version or an endpoint inside a transaction, or say what there is instead."""

from aias.core.errors import Conflict, NotFound
from aias.core.names import Ref
from aias.core.suggestions import did_you_mean
from aias.database import endpoints, versions
from aias.database.engine import Transaction
from aias.registry.values import Endpoint, Version


class UnknownVersion(NotFound):
    """No model of this name, or no such version of it."""

    code = "registry.unknown-version"


class UnknownEndpoint(NotFound):
    """No endpoint of this name."""

    code = "registry.unknown-endpoint"


class EndpointMoved(Conflict):
    """The endpoint was moved by somebody else since it was looked at."""

    code = "registry.endpoint-moved"


class VersionInUse(Conflict):
    """The version cannot be removed: an endpoint uses it."""

    code = "registry.version-in-use"


def version_in(transaction: Transaction, ref: Ref) -> Version:
    row = versions.found(transaction, ref.name, ref.number)
    if row is not None:
        return Version(*row)
    numbers = [number for _, number, *_ in versions.listed(transaction, ref.name)]
    if numbers:
        raise UnknownVersion(f"there is no version {ref}", hint=f"`{ref.name}` has {_numbers(numbers)}")
    known = versions.model_names(transaction)
    hint = _near(ref.name, known, first="aias train FILE --target COLUMN")
    raise UnknownVersion(f"there is no model `{ref.name}`", hint=hint)


def endpoint_in(transaction: Transaction, name: str) -> Endpoint:
    row = endpoints.found(transaction, name)
    if row is not None:
        return Endpoint(*row)
    known = [each for each, *_ in endpoints.listed(transaction)]
    raise UnknownEndpoint(f"there is no endpoint `{name}`", hint=_near(name, known, first="aias deploy MODEL"))


def quoted(names: list[str]) -> str:
    return ", ".join(f"`{name}`" for name in names)


def _near(name: str, known: list[str], *, first: str) -> str:
    if not known:
        return f"there is none yet: `{first}` makes the first"
    if near := did_you_mean(name, known):
        return near
    more = "" if len(known) <= 5 else f" and {len(known) - 5} more"
    return f"there are {quoted(sorted(known)[:5])}{more}"


def _numbers(numbers: list[int]) -> str:
    return f"{len(numbers)} versions; the newest is {numbers[-1]}" if len(numbers) > 1 else f"version {numbers[0]}"
