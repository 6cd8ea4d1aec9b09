"""What a compression came to: every candidate with its proof or the reason why it fell; `frontier.json`."""

from collections.abc import Iterator
from dataclasses import dataclass
from typing import Final

import msgspec

from aias.compress.gate.changes import Flips
from aias.compress.gate.evidence import Loss
from aias.compress.latency import Between, Pace
from aias.core.errors import Damaged
from aias.core.host import Host

FRONTIER: Final = "frontier.json"
PUBLISHED, CERTIFIED, FELL, PARENT = "published", "certified", "fell", "parent"


@dataclass(frozen=True, slots=True)
class Point:
    """`searched`: the loss on rows by which candidates are chosen; `certified`: on those that decide, with limits that
    hold for all nominated together. `speed`: times as fast as the parent, `smaller`: times as small."""

    name: str
    technique: str
    state: str
    reason: str = ""
    searched: Loss | None = None
    certified: Loss | None = None
    pace: Pace | None = None
    speed: Between | None = None
    size_bytes: int = 0
    smaller: float = 0.0
    flips: Flips | None = None
    calibration_gap: float | None = None
    """Between probabilities and what came true, on the rows that decide."""

    @property
    def loss(self) -> Loss | None:
        return self.certified or self.searched


@dataclass(frozen=True, slots=True)
class Frontier:
    """`verdict`: the last word, a sentence. Latencies are of single rows, from a dict to the answer, on this `host`."""

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

    def as_bytes(self) -> bytes:
        return msgspec.json.encode(msgspec.to_builtins(self), order="sorted")

    def markdown(self) -> str:
        """The table and the words around it."""
        lines = [HEAD, ["---", "---", "---:", "---:", "---:", "---:", "---:", "---"], *map(cells, self.ordered())]
        table = "\n".join(f"| {' | '.join(_plain(each) for each in line)} |" for line in lines)
        said = (
            f"{self.verdict}\n\nA loss of at most {100 * self.max_loss:.3g} % of `{self.metric}` was accepted, a margin"
            f" of {self.margin:.2g}. Chosen on {self.searched_rows:,} rows, certified once on {self.certified_rows:,} "
            f"others: {self.power}.\n\nµs of one row on {_plain(self.host.processor)}, {self.host.cores} cores."
        )
        return f"{said}\n\n{table}\n"

    def ordered(self) -> Iterator[Point]:
        """The parent, then what stands, then what fell; the fastest first."""
        rank = {PARENT: 0, PUBLISHED: 1, CERTIFIED: 2, FELL: 3}
        return iter(sorted(self.points, key=lambda each: (rank[each.state], -(each.speed.value if each.speed else 0))))


HEAD: Final = ["candidate", "by", "loss (limits)", "p50 µs", "p95 µs", "faster", "smaller", "verdict"]


def cells(point: Point) -> list[str]:
    """A point as a line of a table under `HEAD`."""
    loss, pace, speed = point.loss, point.pace, point.speed
    return [
        point.name, point.technique,
        f"{loss.value:+.2g} ({loss.low:+.2g} to {loss.high:+.2g})" if loss else "",
        f"{pace.p50.value:,.0f}" if pace else "", f"{pace.p95.value:,.0f}" if pace else "",
        f"{speed.value:.3g}× ({speed.low:.3g} to {speed.high:.3g})" if speed else "",
        f"{point.smaller:.3g}×" if point.smaller else "",
        f"{point.state}: {point.reason}" if point.reason else point.state,
    ]  # fmt: skip


def read_frontier(raw: bytes) -> Frontier:
    """Parse and check `frontier.json`. Raises `Damaged`."""
    try:
        return msgspec.json.decode(raw, type=Frontier, strict=True)
    except (msgspec.MsgspecError, ValueError, RecursionError) as fault:
        raise Damaged(f"{FRONTIER} is not a frontier: {fault}") from None


def _plain(text: str) -> str:
    return " ".join(text.split()).replace("|", "¦")
