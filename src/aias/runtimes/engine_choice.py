"""Which engine answers for a graph on this host: measured once at load, kept, and never at the price of other answers.

ONNX Runtime is what a model was proved with, and what answers unless another engine is installed, the graph takes more
than a millisecond a row, the other engine's answers are the same, and it is faster. Whatever goes wrong with the other
engine, at load or later, ONNX Runtime answers, and an event says why.
"""

import time
from collections.abc import Callable, Mapping
from dataclasses import asdict, dataclass
from functools import partial
from pathlib import Path
from typing import Any, Final

import msgspec
import numpy as np

from aias.artifact.manifest import Manifest
from aias.core.atomic_files import read_cached, write_cached
from aias.core.catalog import member, members
from aias.core.events import Event, Watch, nobody
from aias.core.host import host
from aias.core.names import digest_of
from aias.encoders.rows import Encoded
from aias.runtimes.onnxruntime import OnnxRuntime, Session, sealed_graph

OURS: Final = "onnxruntime"
CACHE: Final = "cache/engines"
"""In the home."""

SMALL_SECONDS: Final = 0.001
"""Of one row: below it ONNX Runtime is always the faster one, since a call into others costs ten times as much."""

SIZES: Final = (1, 8)
"""Rows of a call: one by itself, and what a batch usually has."""

SECONDS_MAX: Final = 0.4
"""For measuring all sizes; what is slower is still asked twice by each engine and size."""

MEASURED: Final = "other rows in each pair of calls"
"""How; what was kept of another way is measured again."""

FASTER_MIN: Final = 1.1
"""Less is not worth a second copy of the weights in memory."""

DIFFERENCE_MAX: Final = {"": 1e-5, "bfloat16": 0.03}
"""Of scores, by the precision that a version was certified with; the first is that of every proof."""

Run = Callable[..., Any]
Rows = list[dict[str, object]]
Rivals = Mapping[str, tuple[Any, str]]
"""Engines that are installed, and their versions, by name."""


@dataclass(frozen=True, slots=True)
class Choice:
    """`speed`: how many times as fast as ONNX Runtime, by its calls' medians over all sizes."""

    engine: str
    reason: str
    speed: float = 1.0
    lost: bool = False
    """To a fault of the other engine, which may be gone next time."""


def choose(runtime: OnnxRuntime, model: Callable[[], bytes], *, cache: Path | None, watch: Watch) -> Choice:
    """Have the fastest engine answer for a runtime from now on. `model`: the bytes of its graph, already verified;
    `cache`: the folder where what was measured is kept."""
    rivals = _rivals(watch)
    if not rivals:
        return Choice(OURS, "no other engine is installed")
    if runtime.session.two_ways:
        return Choice(OURS, "its rows go two ways, and which way one at the border goes hangs on last digits")
    if runtime.session.rounded:
        return Choice(OURS, "its numbers are rounded on the way, and which way one half-way goes hangs on last digits")
    rows = example_rows(runtime.manifest)
    once = _least_seconds(runtime.session, runtime.encoder.rows(rows[:1]))
    if once <= SMALL_SECONDS:
        return Choice(OURS, f"a row takes {1e6 * once:.0f} µs")
    place = None if cache is None else cache / f"{_key(runtime.manifest, rivals)}.json"
    found = _first_faster(runtime, model, rivals, rows, read_cached(place, Choice), watch)
    if not found.lost:
        write_cached(place, found)
    facts: dict[str, object] = {"model": runtime.manifest.name, **asdict(found)}
    watch(Event("runtime.chosen", f"{found.engine} answers for `{runtime.manifest.name}`: {found.reason}", facts=facts))
    return found


def choose_at(home: Path, runtime: OnnxRuntime, folder: Path, manifest: Manifest, *, watch: Watch) -> Choice:
    """The same of a version as it is sealed in a folder; what was measured is kept in the home."""
    return choose(runtime, partial(sealed_graph, folder, manifest), cache=home / CACHE, watch=watch)


def _first_faster(
    runtime: OnnxRuntime, model: Callable[[], bytes], rivals: Rivals, rows: Rows, kept: Choice | None, watch: Watch
) -> Choice:
    """The first rival that is faster; what was kept says which one to try, or none."""
    if kept is not None and kept.engine not in rivals:
        return kept
    said = Choice(OURS, "no other engine is faster")
    for name in rivals if kept is None else (kept.engine,):
        try:
            said = _tried(runtime, name, rivals[name][0], model(), rows, kept, watch)
        except Exception as fault:  # noqa: BLE001  another's library may raise anything; the model is served all the same
            said = Choice(OURS, f"{name} cannot answer for it: {_last_line(fault)}", lost=True)
        if said.lost:
            watch(Event("runtime.lost", said.reason, "warning", {"engine": name}))
        if said.engine == name:
            break
    return said


def chosen(manifest: Manifest, cache: Path) -> Choice | None:
    """What was measured on this host before, if anything was."""
    rivals = _rivals(nobody)
    return read_cached(cache / f"{_key(manifest, rivals)}.json", Choice) if rivals else None


def installed() -> dict[str, str]:
    """The engines beside ONNX Runtime: their versions by name."""
    return _versions(_rivals(nobody))


def example_rows(manifest: Manifest) -> Rows:
    """As many as the largest call has: the artifact's example; in each its texts end elsewhere, the last has none."""
    count = max(SIZES)
    rows = []
    for place in range(count):
        row: dict[str, object] = {}
        for each in manifest.inputs:
            value = each.example
            if each.kind == "text":
                text = str(value or "some text")
                value = text[: len(text) * (count - place) // count] or text
            row[each.name] = value
        rows.append(row)
    return [*rows[:-1], {}]


def precision_of(manifest: Manifest) -> str:
    """What a version was certified to be computed in: `bfloat16`, or empty for what its graph says."""
    return str(manifest.lineage.settings.get("precision", ""))


def _rivals(watch: Watch) -> Rivals:
    found = {name: _installed(name, watch) for name in members("runtimes") if name != OURS}
    return {name: each for name, each in found.items() if each}


def _installed(name: str, watch: Watch) -> tuple[Any, str] | None:
    """The engine and its version; of an installation that is broken `watch` is told."""
    try:
        engine = member("runtimes", name)
        version = engine.version()
    except Exception as fault:  # noqa: BLE001  another's library may raise anything; the model is served all the same
        watch(Event("runtime.lost", f"{name} is broken: {_last_line(fault)}", "warning", {"engine": name}))
        return None
    return (engine, version) if version else None


def _tried(
    runtime: OnnxRuntime, name: str, engine: Any, model: bytes, rows: Rows, found: Choice | None,
    watch: Watch,
) -> Choice:  # fmt: skip
    """Measured, or as it was measured before; what it answers is compared in any case."""
    manifest, ours = runtime.manifest, runtime.session
    made = engine(model, output=ours.output, precision=precision_of(manifest))
    theirs = ours.behind(made.run, name=name)
    encoded = runtime.encoder.rows(rows)
    difference = _difference(manifest, ours, theirs, encoded)
    bound = DIFFERENCE_MAX[precision_of(manifest)]
    if not difference <= bound:
        reason = f"{name} answers otherwise: scores differ by {difference:.2g}, more than {bound:g}"
        return Choice(OURS, reason, lost=True)
    if found is None:
        speed = _speed(ours, theirs, encoded)
        if speed < FASTER_MIN:
            return Choice(OURS, f"{name} is {speed:.2f}× as fast", speed)
        found = Choice(name, f"{name} is {speed:.2f}× as fast as ONNX Runtime", speed)
    runtime.answer_by(ours.behind(_guarded(made.run, ours, watch, name), name=name))
    return found


def _guarded(run: Run, ours: Session, watch: Watch, name: str) -> Run:
    """What fails once is never asked again."""
    broken: list[bool] = []

    def guarded(outputs: Any, feeds: Mapping[str, Any], options: None = None) -> Any:
        if not broken:
            try:
                return run(outputs, feeds, options)
            except Exception as fault:  # noqa: BLE001  see above
                broken.append(True)
                message = f"{name} failed, ONNX Runtime answers from now on: {type(fault).__name__}: {str(fault)[:200]}"
                watch(Event("runtime.lost", message, "warning", {"engine": name}))
        return ours.engine_run(outputs, feeds, options)

    return guarded


def _difference(manifest: Manifest, ours: Session, theirs: Session, encoded: Encoded) -> float:
    """The largest between scores, in a batch and of the first row alone; infinite where a label is another one."""
    expected = np.asarray(ours.run(encoded), np.float64)
    first = encoded.take(np.arange(1))
    pairs = ((expected, theirs.run(encoded)), (expected[:1], theirs.run(first)))
    sizes = np.abs(expected[np.isfinite(expected)])
    if not len(sizes):
        return float("inf")  # nothing is compared where nothing is answered
    scale = 1.0 if manifest.task.classes else max(1.0, float(sizes.max()))
    worst = 0.0
    for wanted, answered in pairs:
        if np.shape(answered) != wanted.shape:
            return float("inf")
        got = np.asarray(answered, np.float64)
        with np.errstate(invalid="ignore"):
            # No answer is the same as none: a network that takes no missing values gives none to a row without any.
            same = (np.isnan(wanted) & np.isnan(got)) | (wanted == got)
            apart = np.where(same, 0.0, np.abs(got - wanted) / scale)
        worst = max(worst, float(np.nan_to_num(apart, nan=np.inf).max(initial=0.0)))
        if manifest.task.classes and _others(manifest, wanted, got, apart=worst):
            return float("inf")
    return worst


def _others(manifest: Manifest, wanted: Any, got: Any, *, apart: float) -> bool:
    """Whether a label is another one, although its lead is larger than what scores differ by."""
    weights = np.array(manifest.label_weights or 1.0, np.float32)
    wanted, got = wanted * weights, got * weights
    lead = wanted.max(axis=1) - np.take_along_axis(wanted, got.argmax(axis=1)[:, None], axis=1)[:, 0]
    return bool((lead > 2 * apart * np.max(weights)).any())


def _speed(ours: Session, theirs: Session, encoded: Encoded) -> float:
    """Times as fast: the geometric mean over all sizes, engines turn about, A B B A.

    Each pair of calls has other rows. A batch of texts hardly ever has the lengths of the one before, and what an
    engine prepares for each anew is part of what its call costs.
    """
    ratios, chance = [], np.random.default_rng(0)
    for size in SIZES:
        spent: tuple[list[float], list[float]] = ([], [])
        ends_at = time.perf_counter() + SECONDS_MAX / len(SIZES)
        for session in (ours, theirs):
            session.run(encoded.take(np.arange(size)))
        while len(spent[0]) < 2 or time.perf_counter() < ends_at:
            for pair in ((0, 1), (1, 0)):
                rows = encoded.take(chance.integers(0, encoded.rows, size))
                for place in pair:
                    began = time.perf_counter()
                    (ours, theirs)[place].run(rows)
                    spent[place].append(time.perf_counter() - began)
        ratios.append(np.log(np.median(spent[0]) / np.median(spent[1])))
    return float(np.exp(np.mean(ratios)))


def _least_seconds(session: Session, encoded: Encoded) -> float:
    spent = []
    for _ in range(4):
        began = time.perf_counter()
        session.run(encoded)
        spent.append(time.perf_counter() - began)
    return min(spent)


def _key(manifest: Manifest, rivals: Rivals) -> str:
    """The artifact, this host with its libraries, the versions of the engines, and how it is measured."""
    known = [asdict(host()), _versions(rivals), MEASURED]
    return digest_of([manifest.digest.encode(), msgspec.json.encode(known)])[-32:]


def _versions(rivals: Rivals) -> dict[str, str]:
    return {name: version for name, (_, version) in rivals.items()}


def _last_line(fault: Exception) -> str:
    """Libraries written in C++ tell of their own files first and of the fault last."""
    lines = [line.strip() for line in str(fault).splitlines() if line.strip()]
    return f"{type(fault).__name__}: {lines[-1][:200]}" if lines else type(fault).__name__
