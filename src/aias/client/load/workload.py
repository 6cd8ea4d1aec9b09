"""The workload: the requests of a load, made from an endpoint's example, the rows of a file, or a body as it is."""

import math
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager, suppress
from dataclasses import dataclass
from datetime import timedelta
from itertools import cycle, islice
from pathlib import Path
from typing import Any, Final
from urllib.parse import quote

import msgspec

from aias.client.load.errors import KeyRefused, NoSuchEndpoint, RequestRefused
from aias.client.load.target import Address, Target
from aias.core.errors import UserError

ROWS_MAX: Final = 10_000
"""From a file: enough that no cache holds them all."""

BODY_BYTES_MAX: Final = 256 << 20
"""All bodies together; they are made before the first is sent."""

_KEY: Final = "aias-bench"
_LEFT_BEHIND: Final = timedelta(days=2)
"""No bench takes so long, so an older key is left over from one that was killed. A key that expires would cost a
digest at each request, which would be measured too."""


@dataclass(frozen=True, slots=True)
class Workload:
    """`version`: as the server calls it; empty where a body is sent as it is."""

    target: Target
    path: str
    version: str
    rows: int


def from_rows(address: Address, endpoint: str, key: str, *, rows: int = 1, file: Path | None = None) -> Workload:
    """`rows` in a request, of a file or else the version's example. Raises `NoServer`, `KeyRefused`, `UserError`."""
    path = f"/predict/{endpoint}"
    described = describe(address, endpoint, key)
    found = described["example"] if file is None else rows_of(file, described["inputs"])
    bodies = list(_bodies(found, rows))
    return _tried(address, path, key, bodies, "application/json", version=described["version"], rows=rows)


def from_body(address: Address, path: str, key: str, file: Path, media_type: str) -> Workload:
    """A file's bytes, as they are, to any path. Raises `NoServer`, `KeyRefused`, `UserError`."""
    if not path.startswith("/") or not path.isascii() or not path.isprintable() or " " in path:
        raise UserError(f"{path[:100]!r} is no path", hint="write it as it is sent: /v2/models/NAME/infer")
    if not media_type.isascii() or not media_type.isprintable():
        raise UserError(f"{media_type[:100]!r} is no media type", hint="write one such as application/json")
    try:
        body = file.read_bytes()
    except OSError as fault:
        raise UserError(f"cannot read {file}: {fault.strerror}") from None
    return _tried(address, path, key, [body], media_type, version="", rows=0)


def describe(address: Address, endpoint: str, key: str) -> Any:
    """What the server says of an endpoint. Raises `NoServer`, `KeyRefused`, `NoSuchEndpoint`, `RequestRefused`."""
    status, body = address.ask("GET", f"/predict/{quote(endpoint, safe='')}", headers=_authorized(key))
    if status == 404:
        raise NoSuchEndpoint(
            f"{address.name} has no endpoint `{endpoint}`", hint=_hint_in(body) or "`aias ls` lists them"
        )
    granted, found = _granted(address, status, body), None
    with suppress(msgspec.MsgspecError, ValueError):
        found = msgspec.json.decode(granted)
    if not isinstance(found, dict) or not {"example", "inputs", "version"} <= found.keys():
        raise RequestRefused(
            f"{address.name} does not say what `{endpoint}` wants: it is no server of Aias",
            hint="say what to send, and where: --body FILE --path /its/path",
        )
    return found


def rows_of(file: Path, inputs: Sequence[Mapping[str, Any]]) -> list[dict[str, object]]:
    """Those columns of a table that the endpoint wants, as its fields want them. Raises `UserError`."""
    from aias.data.read import read_file
    from aias.data.readers.contract import Options

    frame = read_file(file, Options(known=frozenset(each["name"] for each in inputs))).frame.head(ROWS_MAX)
    shapes = {each["name"]: _shape(each["kind"]) for each in inputs if each["name"] in frame.columns}
    if not shapes or not len(frame):
        wanted = ", ".join(f"`{each['name']}`" for each in inputs[:5])
        raise UserError(
            f"{file} has no rows with the fields of the endpoint" if len(frame) else f"{file} has no rows",
            hint=f"its header must name {wanted}" + (", …" if len(inputs) > 5 else "") if not shapes else "",
        )
    return [
        {name: None if row[name] is None else shape(row[name]) for name, shape in shapes.items()}
        for row in frame.select(list(shapes)).to_dicts()
    ]


@contextmanager
def borrowed_key(home: Path) -> Iterator[str]:
    """A key of its own for so long; no trace of it is left."""
    from aias.access.keys import Keys, utc_now

    keys = Keys.open(home)
    try:
        for each in keys.list():
            if each.name == _KEY and utc_now() - each.created_at > _LEFT_BEHIND:
                keys.forget(each.id)
        key, secret = keys.create(_KEY, ["predict"])
        try:
            yield secret
        finally:
            keys.forget(key.id)
    finally:
        keys.close()


def _shape(kind: str) -> Callable[[Any], object]:
    if kind == "number":
        return _number
    return (lambda value: value.isoformat() if hasattr(value, "isoformat") else str(value)) if kind == "time" else str


def _number(value: object) -> object:
    """What is no number stays as it is, for the server to say what is wrong with it."""
    try:
        found = float(value)  # type: ignore[arg-type]
    except (TypeError, ValueError):
        return str(value)
    return found if math.isfinite(found) else None


def _bodies(rows: Sequence[Mapping[str, object]], size: int) -> Iterator[bytes]:
    """Bodies of `size` rows each, so many that every row is in one."""
    total, turning = 0, cycle(rows)
    for _ in range(math.ceil(len(rows) / size)):
        body = msgspec.json.encode(list(islice(turning, size)))
        total += len(body)
        if total > BODY_BYTES_MAX:
            return
        yield body


def _tried(
    address: Address, path: str, key: str, bodies: list[bytes], media_type: str, *, version: str, rows: int
) -> Workload:
    """The workload, once the server has answered the first body."""
    # What is measured is the model, not how soon an answer that was given before is found again.
    headers = _authorized(key) | {"Content-Type": media_type, "Cache-Control": "no-store"}
    status, answer = address.ask("POST", path, bodies[0], headers)
    if status == 404:
        # In the server's own words: it may be the path that is not there, or the model that the body names.
        raise NoSuchEndpoint(
            f"{address.name} answers 404 at {path}: {_words(answer)}", hint="`aias ls` lists endpoints"
        )
    _granted(address, status, answer)
    return Workload(Target.of(address, path, bodies, headers), path, version, rows)


def _authorized(key: str) -> dict[str, str]:
    if not key.isascii() or not key.isprintable():
        raise UserError("the key holds characters that no header may", hint="AIAS_KEY is one line: aias_…")
    return {"Authorization": f"Bearer {key}"} if key else {}


def _hint_in(body: bytes) -> str | None:
    """The hint of a refusal, if a server of Aias wrote it."""
    with suppress(msgspec.MsgspecError, UnicodeDecodeError, TypeError, KeyError):
        return str(msgspec.json.decode(body)["error"]["hint"])
    return None


def _granted(address: Address, status: int, body: bytes) -> bytes:
    if status in (401, 403):
        raise KeyRefused(
            f"{address.name} does not take the key ({status})",
            hint="`export AIAS_KEY=$(aias keys create bench)` with the server's AIAS_HOME",
        )
    if not 200 <= status < 300:
        raise RequestRefused(f"{address.name} answers {status}: {_words(body)}")
    return body


def _words(body: bytes) -> str:
    """The beginning of an answer, as it may stand in a line."""
    text = body[:300].decode("utf-8", "replace")
    return "".join(each if each.isprintable() else " " for each in text)
