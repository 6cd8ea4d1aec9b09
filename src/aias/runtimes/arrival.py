"""A compressed version that was proved on one host and is loaded on another: its speed is measured again beside what it
was made from, before it is served. For that any library is another host; for its answers only what computes them is.

Its golden rows are asked at every load (`golden.py`), and other answers refuse it. A speed that is gone is told: the
answers are as good, only the reason for them is not. What was found is kept for this host.
"""

from collections.abc import Callable
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Final

import msgspec

from aias.artifact.manifest import Manifest
from aias.core.atomic_files import read_cached, write_cached
from aias.core.events import Event, Watch
from aias.core.host import Host, host
from aias.core.names import digest_of
from aias.runtimes.golden import read_golden
from aias.runtimes.latency import Estimate, paired_latency
from aias.runtimes.onnxruntime import OnnxRuntime

CACHE: Final = "cache/hosts"
"""In the home."""

SECONDS: Final = 1.0
"""For measuring the speed again."""

SLOWER: Final = 1.0
"""Times as fast as what it was made from, at most, for the speed to be gone for certain."""

Above = Callable[[], tuple[str, OnnxRuntime] | None]
"""What a version was made from, and how people call that; None where it is not here."""


@dataclass(frozen=True, slots=True)
class Arrival:
    """`rows`: golden ones that are answered as they were; `speed`: times as fast as `parent`, None where that is not
    here."""

    proved_on: str
    rows: int
    speed: Estimate | None = None
    parent: str = ""

    def __str__(self) -> str:
        same = f"here it answers {self.rows} golden rows the same" if self.rows else "it has no golden rows to compare"
        if self.speed is None:
            return f"proved on {self.proved_on}; {same}, and its speed is what was measured there"
        fast = f"{self.speed.value:.3g}× ({self.speed.low:.3g} to {self.speed.high:.3g}) as fast as {self.parent}"
        return f"proved on {self.proved_on}; {same} and is {fast}"


def moved(manifest: Manifest) -> bool:
    """Whether a version was proved where scores may come out otherwise than here in their last bits."""
    proved = proved_on(manifest)
    return proved is not None and not proved.computes_like(host())


def arrive(
    runtime: OnnxRuntime, recorded: bytes | None, *, above: Above, cache: Path | None, watch: Watch
) -> Arrival | None:
    """Of a version that was proved elsewhere, and whose golden rows, `recorded`, were answered as they should; None
    where it was proved here, or never was. What it was made from is loaded only when it has to be timed."""
    manifest = runtime.manifest
    proved = proved_on(manifest)
    if proved is None or proved == host():
        return None
    place = None if cache is None else cache / f"{_key(manifest)}.json"
    if (before := read_cached(place, Arrival)) is not None:
        return before
    found = _measured(runtime, recorded, proved, above)
    write_cached(place, found)
    gone = found.speed is not None and found.speed.high <= SLOWER
    facts: dict[str, object] = {"model": manifest.name, **asdict(found)}
    watch(Event("runtime.arrived", f"`{manifest.name}`: {found}", "warning" if gone else "info", facts))
    return found


def known(manifest: Manifest, cache: Path) -> Arrival | None:
    """What was found on this host before, if anything was."""
    return read_cached(cache / f"{_key(manifest)}.json", Arrival)


def proved_on(manifest: Manifest) -> Host | None:
    """Where a compressed version was proved and timed."""
    proof = manifest.lineage.settings.get("proof")
    try:
        return msgspec.convert(proof["host"], Host) if isinstance(proof, dict) else None
    except (KeyError, msgspec.ValidationError):
        return None


def _measured(runtime: OnnxRuntime, recorded: bytes | None, proved: Host, above: Above) -> Arrival:
    rows = read_golden(recorded).rows if recorded is not None else []
    # Where rows go two ways, golden ones do not tell how many do, and so not what a row takes on average.
    before = above() if rows and not runtime.session.two_ways else None
    if before is None:
        return Arrival(proved.processor, len(rows))
    ref, other = before
    raced = paired_latency(other, runtime, [row for row in rows if row] or rows, seconds=SECONDS, seed=0)
    return Arrival(proved.processor, len(rows), raced.speed, ref)


def _key(manifest: Manifest) -> str:
    """The artifact, and this host with its libraries."""
    return digest_of([manifest.digest.encode(), msgspec.json.encode(asdict(host()))])[-32:]
