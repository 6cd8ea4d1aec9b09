"""What a compression came to: every candidate with its proof or the reason why it fell; `frontier.json`."""

import re
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass
from typing import Final

import msgspec

from aias.compress.footprint import Footprint
from aias.compress.gate.changes import Flips
from aias.compress.gate.evidence import Loss, chance_of_one, digits, signed
from aias.core.errors import Damaged
from aias.core.host import Host
from aias.core.quantities import size
from aias.runtimes.latency import P99_CALLS_MIN, Estimate, LatencySummary

FRONTIER: Final = "frontier.json"
PUBLISHED, CERTIFIED, FELL, PARENT = "published", "certified", "fell", "parent"

_UNTESTED: Final = re.compile(
    "there was no time|one that promises more|others were nominated|[0-9,]+ (others promised more|rows would certify)"
)
"""Why somebody was left behind of whom nothing bad is known."""


@dataclass(frozen=True, slots=True)
class Asked:
    """By several callers at once: µs of one row, and how many times as fast as the parent."""

    pace: LatencySummary
    speed: Estimate | None = None


@dataclass(frozen=True, slots=True)
class Point:
    """`searched`: the loss on rows by which candidates are chosen; `certified`: on those that decide. Limits are of
    95 % each. `pace`: of one caller; `speed`: times as fast as the parent, `smaller`: times as small. `sent`: of
    rows to search by, the share that goes a longer way through it; `average`: then times as fast by the means."""

    name: str
    technique: str
    state: str
    reason: str = ""
    searched: Loss | None = None
    certified: Loss | None = None
    pace: LatencySummary | None = None
    speed: Estimate | None = None
    size_bytes: int = 0
    smaller: float = 0.0
    flips: Flips | None = None
    calibration_gap: float | None = None
    """Between probabilities and what came true, on the rows that decide."""
    together: Asked | None = None
    footprint: Footprint | None = None
    sent: float = 0.0
    average: Estimate | None = None
    engine: str = ""
    """With which it was timed, where that is not ONNX Runtime."""

    @property
    def loss(self) -> Loss | None:
        return self.certified or self.searched

    @property
    def verdict(self) -> str:
        """The state as it is shown."""
        if self.state != FELL:
            return self.state
        return "not tested" if not self.certified and _UNTESTED.match(self.reason) else "rejected"

    @property
    def changed(self) -> str:
        """What the metric can hide, on the rows that certify; of amounts nothing."""
        if self.flips is None:
            return ""
        every, lost = self.flips.all, self.flips.lost
        said = f"{every.rows:,} of {every.of:,} answers have changed (at most {100 * every.high:.2g} %)"
        said += f", {lost.rows:,} of them were right before (at most {100 * lost.high:.2g} %)"
        gap = self.calibration_gap
        return said if gap is None else f"{said}; probabilities are off by {digits(gap)} on average"

    @property
    def measured(self) -> bool:
        """Whether it stands, or fell after it was judged or timed."""
        return bool(self.state != FELL or self.speed or self.loss)


@dataclass(frozen=True, slots=True)
class Total:
    """Where the parent is compressed already: what is lost against the version that was trained, `of`, by both steps
    together, on the rows that certify. Nothing is promised of it; the margin is of the last step."""

    of: str
    loss: Loss

    def __str__(self) -> str:
        return f"against {self.of}, which was trained first, it loses {self.loss} in all"


@dataclass(frozen=True, slots=True, repr=False)
class Frontier:
    """`verdict`: the last word, a sentence. Latencies are of single rows, from a dict to the answer, on this `host`;
    `callers`: how many asked at once where several did; `runs`: how many the rows that certify have judged, with this
    one, and 0 where nobody was ready for them."""

    ref: str
    metric: str
    max_loss: float
    margin: float
    power: str
    verdict: str
    points: tuple[Point, ...]
    host: Host
    searched_rows: int
    certified_rows: int
    callers: int = 1
    total: Total | None = None
    runs: int = 0

    def __repr__(self) -> str:
        return f"<Frontier of {self.ref} by {self.metric}, {len(self.points)} candidates: {self.verdict}>"

    def as_bytes(self) -> bytes:
        return msgspec.json.encode(msgspec.to_builtins(self), order="sorted")

    def says_less(self, before: "Frontier") -> bool:
        """Than one of the same version: fewer candidates were measured, and none is the first to be published. (Who is
        published brings this frontier along.)"""
        if self.publishes and not before.publishes:
            return False
        return sum(each.measured for each in self.points) < sum(each.measured for each in before.points)

    @property
    def publishes(self) -> bool:
        return any(each.state == PUBLISHED for each in self.points)

    def markdown(self) -> str:
        """The last word, the table of those that were measured, and the others with their reasons."""
        points = list(self.ordered())
        measured = [each for each in points if each.measured]
        table = _table(self.head(), map(cells, measured), right=self.head()[3:])
        unable = [[each.name, each.technique, each.reason] for each in points if not each.measured]
        others = f"Not measured:\n\n{_table(['candidate', 'by', 'why'], unable)}" if unable else ""
        said = (
            f"{self.verdict}\n\nA loss of at most {100 * self.max_loss:.3g} % of `{self.metric}` was accepted, a margin"
            f" of {digits(self.margin)}. Chosen on {self.searched_rows:,} rows, {self.opened}: "
            f"{self.power}.{f' In all: {self.total}.' if self.total else ''}\n\n"
            f"{self.timed()}{self.too_few()}"
        )
        changed = "\n".join(f"- {each.name}: {each.changed}" for each in measured if each.changed)
        return "\n\n".join(filter(None, [said, table, changed, others])) + "\n"

    @property
    def opened(self) -> str:
        """Which rows certified, and for how many runs."""
        if not self.runs:
            return f"{self.certified_rows:,} others were kept to certify, and not opened"
        if self.runs == 1:
            return f"certified once on {self.certified_rows:,} others"
        return (
            f"certified on {self.certified_rows:,} others, which have judged {self.runs} runs (in one of so many "
            f"something that is worse by the margin passes {chance_of_one(self.runs)})"
        )

    def timed(self) -> str:
        """How the latencies were measured, and which of them decides."""
        if not any(each.pace for each in self.points):
            return "Nothing was timed."
        said = (
            f"µs of one row, from a dict to the answer, on {_plain(self.host.processor)}, {self.host.cores} cores: "
            "each candidate in turns with the parent (A B B A). `aias ls` shows what the parent took when published."
        )
        if self.callers > 1:
            said += (
                f" The time with one caller decides; with {self.callers} at once, waits included, a candidate must not "
                "be slower."
            )
        if any(each.sent for each in self.points):
            said += (
                " Where some rows go on to a larger model, the time that a row takes on average decides: the median "
                "is that of the others."
            )
        said += self._by_others()
        return said + " Memory and loading: of a fresh process, beyond an empty one."

    def too_few(self) -> str:
        """Why a p99 is missing, where one is."""
        paces = [each.pace for each in self.points] + [each.together.pace for each in self.points if each.together]
        if all(each is None or each.p99 for each in paces):
            return ""
        return f" A p99 is given from {P99_CALLS_MIN:,} calls on (else –): of fewer, less than ten lie beyond it."

    def _by_others(self) -> str:
        """Which were not timed with ONNX Runtime."""
        named: dict[str, list[str]] = {}
        for each in self.ordered():
            if each.engine:
                named.setdefault(each.engine, []).append(_plain(each.name))
        if not named:
            return ""
        told = "".join(f" With {engine}: {'; '.join(names)}." for engine, names in named.items())
        return f" Each was answered by the engine that would serve it here.{told} All others: with ONNX Runtime."

    def head(self, *, limits: bool = True) -> list[str]:
        """The names of the columns of `cells`."""
        pace = f"p50{' (limits)' if limits else ''} · p95 · p99 µs"
        return [
            "candidate", "by", "verdict", "loss (limits)", pace, "faster", f"{pace}, {self.callers} at once",
            f"faster, {self.callers} at once", "smaller", "memory", "loaded in",
        ]  # fmt: skip

    def ordered(self) -> Iterator[Point]:
        """The parent, then what stands, then what fell; the fastest first."""
        rank = {PARENT: 0, PUBLISHED: 1, CERTIFIED: 2, FELL: 3}
        speed = {id(each): (each.average or each.speed) for each in self.points}
        value = {key: each.value if each else 0.0 for key, each in speed.items()}
        return iter(sorted(self.points, key=lambda each: (rank[each.state], -value[id(each)])))


def cells(point: Point, *, limits: bool = True) -> list[str]:
    """A point as a line of a table under `Frontier.head`. `limits`: of the medians, too, for which a terminal has no
    room."""
    loss, together, held = point.loss, point.together, point.footprint
    return [
        point.name, point.technique, f"{point.verdict}: {point.reason}" if point.reason else point.verdict,
        f"{signed(loss.value)} ({loss.limits})" if loss else "",
        _paced(point.pace, limits=limits), _times(point.speed) + _mixed(point),
        _paced(together.pace if together else None, limits=limits), _times(together.speed if together else None),
        f"{times(point.smaller)} ({size(point.size_bytes)})" if point.smaller else "",
        f"{held.memory_bytes / 1e6:,.1f} MB" if held else "", f"{held.load_ms:,.1f} ms" if held else "",
    ]  # fmt: skip


def _paced(pace: LatencySummary | None, *, limits: bool) -> str:
    if pace is None:
        return ""
    p50, p95, p99 = ("–" if each is None else f"{each.value:,.0f}" for each in (pace.p50, pace.p95, pace.p99))
    about = f" ({pace.p50.low:,.0f} to {pace.p50.high:,.0f})" if limits else ""
    return f"{p50}{about} · {p95} · {p99}"


def times(value: float) -> str:
    return f"{digits(value, 3)}×"


def sized(smaller: float) -> str:
    """`smaller`: times as small as the parent."""
    return f"{times(1 / smaller)} as large" if 0 < smaller < 0.9995 else f"{times(smaller)} as small"


def _times(speed: Estimate | None) -> str:
    return f"{times(speed.value)} ({digits(speed.low, 3)} to {digits(speed.high, 3)})" if speed else ""


def _mixed(point: Point) -> str:
    """What a median does not tell."""
    if not (point.sent and point.average):
        return ""
    return f"; on average {_times(point.average)}, {100 * point.sent:.0f} % go on"


def read_frontier(raw: bytes) -> Frontier:
    """Parse and check `frontier.json`. Raises `Damaged`."""
    try:
        return msgspec.json.decode(raw, type=Frontier, strict=True)
    except (msgspec.MsgspecError, ValueError, RecursionError) as fault:
        raise Damaged(f"{FRONTIER} is not a frontier: {fault}") from None


def _table(head: Sequence[str], rows: Iterable[Sequence[str]], *, right: Sequence[str] = ()) -> str:
    lines = [head, ["---:" if each in right else "---" for each in head], *rows]
    return "\n".join(f"| {' | '.join(_plain(each) for each in line)} |" for line in lines)


def _plain(text: str) -> str:
    return " ".join(text.split()).replace("|", "¦")
