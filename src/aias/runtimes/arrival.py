"""A version that was proved on one host and is loaded on another: its answers are compared with those it gave there,
and its speed is measured again beside what it was made from, before it is served.

Answers that are others refuse the version. A speed that is gone is told: the answers are as good, only the reason for
them is not. What was found is kept for this host.
"""

import hashlib
import time
from collections.abc import Callable
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any, Final

import msgspec

from aias.artifact.manifest import Manifest
from aias.core.errors import AiasError, Damaged
from aias.core.events import Event, Watch
from aias.core.host import Host, host
from aias.core.names import digest_of
from aias.runtimes.golden import GOLDEN, bound, difference, read_golden
from aias.runtimes.latency import Between, race
from aias.runtimes.onnxruntime import OnnxRuntime

CACHE: Final = "cache/hosts"
"""In the home."""

SECONDS: Final = 1.0
"""For measuring the speed again."""

SLOWER: Final = 1.0
"""Times as fast as what it was made from, at most, for the speed to be gone for certain."""


class OtherAnswers(AiasError):
    """A version says something else on this host than where it was proved."""

    code = "runtimes.other-answers"


@dataclass(frozen=True, slots=True)
class Arrival:
    """`difference`: of scores, at most; None where no golden answers were recorded. `speed`: times as fast as `parent`;
    None where that is not here."""

    proved_on: str
    difference: float | None = None
    speed: Between | None = None
    parent: str = ""

    def __str__(self) -> str:
        same = "its golden answers were not recorded"
        if self.difference is not None:
            same = f"here it answers the same (scores apart by at most {self.difference:.1g})"
        if self.speed is None:
            return f"proved on {self.proved_on}; {same}, and its speed is what was measured there"
        fast = f"{self.speed.value:.3g}× ({self.speed.low:.3g} to {self.speed.high:.3g}) as fast as {self.parent}"
        return f"proved on {self.proved_on}; {same} and is {fast}"


def arrive(
    runtime: OnnxRuntime, folder: Path, *, parent: Callable[[], tuple[str, OnnxRuntime] | None], cache: Path | None,
    watch: Watch,
) -> Arrival | None:  # fmt: skip
    """Check a version that was proved elsewhere; None where it was proved here, or never was.

    `parent`: what it was made from, and how people call that, if it is here; it is loaded only when it has to be timed.
    Raises `OtherAnswers`.
    """
    manifest = runtime.manifest
    proved = proved_on(manifest)
    if proved is None or proved == host():
        return None
    place = None if cache is None else cache / f"{_key(manifest)}.json"
    if (kept := _kept(place)) is not None:
        return kept
    found = _measured(runtime, folder, proved, parent)
    _keep(place, found)
    gone = found.speed is not None and found.speed.high <= SLOWER
    facts: dict[str, object] = {"model": manifest.name, **asdict(found)}
    watch(Event("runtime.arrived", f"`{manifest.name}`: {found}", "warning" if gone else "info", facts))
    return found


def known(manifest: Manifest, cache: Path) -> Arrival | None:
    """What was found on this host before, if anything was."""
    return _kept(cache / f"{_key(manifest)}.json")


def proved_on(manifest: Manifest) -> Host | None:
    """Where a compressed version was proved and timed."""
    proof = manifest.lineage.settings.get("proof")
    try:
        return msgspec.convert(proof["host"], Host) if isinstance(proof, dict) else None
    except (KeyError, msgspec.ValidationError):
        return None


def _measured(
    runtime: OnnxRuntime, folder: Path, proved: Host, parent: Callable[[], tuple[str, OnnxRuntime] | None]
) -> Arrival:
    found = Arrival(proved.processor)
    entry = next((each for each in runtime.manifest.files if each.path == GOLDEN), None)
    rows: list[dict[str, Any]] = []
    if entry is not None:
        golden = read_golden(_sealed(folder, entry.sha256))
        rows, off = golden.rows, difference(runtime, golden)
        if not off <= bound(runtime):
            raise _other(runtime, proved, off)
        found = Arrival(proved.processor, off)
    before = parent() if rows else None
    if before is None:
        return found
    ref, other = before
    raced = race(other, runtime, [row for row in rows if row], seconds=SECONDS, seed=0)
    return Arrival(proved.processor, found.difference, raced.speed, ref)


def _other(runtime: OnnxRuntime, proved: Host, off: float) -> OtherAnswers:
    told = "another label" if off == float("inf") else f"scores that differ by {off:.2g}, more than {bound(runtime):g},"
    return OtherAnswers(
        f"`{runtime.manifest.name}` gives {told} on this host ({_named(host())}) for rows whose answers were recorded "
        f"where it was proved ({_named(proved)})",
        hint="deploy the version that it was made from, or compress that again on this host",
    )


def _named(where: Host) -> str:
    return f"{where.processor}, onnxruntime {where.libraries.get('onnxruntime', '?')}"


def _sealed(folder: Path, sha256: str) -> bytes:
    held = (folder / GOLDEN).read_bytes()
    if hashlib.sha256(held).hexdigest() != sha256:
        raise Damaged(f"{GOLDEN} is not what was sealed", hint="deploy another version, or compress again")
    return held


def _key(manifest: Manifest) -> str:
    """The artifact, and this host with its libraries."""
    return digest_of([manifest.digest.encode(), msgspec.json.encode(asdict(host()))])[-32:]


def _kept(path: Path | None) -> Arrival | None:
    try:
        return None if path is None else msgspec.json.decode(path.read_bytes(), type=Arrival)
    except (OSError, msgspec.MsgspecError):
        return None


def _keep(path: Path | None, found: Arrival) -> None:
    """A cache that cannot be written is none."""
    if path is None:
        return
    try:
        path.parent.mkdir(parents=True, exist_ok=True)
        fresh = path.with_suffix(f".{time.monotonic_ns()}")
        fresh.write_bytes(msgspec.json.encode(found))
        fresh.replace(path)
    except OSError:
        return
