"""What came of a load: counted while it runs, and as it is told afterwards."""

import math
from collections import Counter
from dataclasses import dataclass, field
from typing import Final

from aias.client.load.latencies import Latencies

SHARES: Final = {"p50": 0.5, "p90": 0.9, "p95": 0.95, "p99": 0.99, "p99.9": 0.999}

_LATE_SECONDS: Final = 0.001
_LATE_SHARE: Final = 0.1
_BUSY_SHARE: Final = 0.95


@dataclass(frozen=True, slots=True)
class Plan:
    """`rate` in requests a second, at random times, whatever the server does; without it `connections` ask again as
    soon as they are answered. `objective`: an answer is good that comes within so many seconds. What is meant to go out
    in the seconds of `warm_up` is not counted."""

    seconds: float
    rate: float | None = None
    connections: int = 32
    warm_up: float = 1.0
    objective: float = 0.1
    timeout: float = 10.0
    seed: int = 0

    def __post_init__(self) -> None:
        assert self.seconds > 0
        assert self.rate is None or self.rate > 0
        assert self.connections >= 1


@dataclass(slots=True)
class Result:
    """`answered`: latencies of successes, from the moment that a request was meant for; `refused`: of other statuses.

    `late`: how much after that moment the generator came to it, by its own fault. `waited`: requests that found every
    connection taken. `busy`: the share of the time that the generator itself computed.
    """

    plan: Plan
    seconds: float = 0.0
    sent: int = 0
    good: int = 0
    answered: Latencies = field(default_factory=Latencies)
    refused: Latencies = field(default_factory=Latencies)
    failures: Counter[str] = field(default_factory=Counter)
    late: Latencies = field(default_factory=Latencies)
    waited: int = 0
    connections: int = 0
    busy: float = 0.0
    interrupted: bool = False

    @property
    def throughput(self) -> float:
        """Successes a second."""
        return self.answered.count / self.seconds if self.seconds else 0.0

    @property
    def goodput(self) -> float:
        """Successes a second that came within the objective."""
        return self.good / self.seconds if self.seconds else 0.0

    @property
    def good_share(self) -> float:
        return self.good / self.sent if self.sent else 0.0

    @property
    def failed(self) -> int:
        return sum(self.failures.values())

    @property
    def lags(self) -> bool:
        """Whether the generator did not keep its own schedule: then latencies are its fault, too."""
        return self.late.count > 0 and self.late.at(0.99) > max(_LATE_SECONDS, _LATE_SHARE * self._typical)

    @property
    def saturated(self) -> bool:
        """Whether the generator had no time left: a server might have answered more."""
        return self.busy > _BUSY_SHARE

    @property
    def _typical(self) -> float:
        found = self.answered.at(0.99)
        return 0.0 if math.isnan(found) else found

    def as_dict(self) -> dict[str, object]:
        plan = self.plan
        return {
            "loop": "closed" if plan.rate is None else "open",
            "rate": plan.rate,
            "connections": self.connections,
            "seconds": round(self.seconds, 6),
            "sent": self.sent,
            "answered": self.answered.count,
            "throughput": round(self.throughput, 3),
            "objective_ms": 1e3 * plan.objective,
            "good": self.good,
            "goodput": round(self.goodput, 3),
            "latency_ms": _latencies(self.answered),
            "refused_ms": _latencies(self.refused),
            "failures": dict(self.failures.most_common()),
            "generator": {
                "late_ms": _latencies(self.late),
                "waited_for_connection": self.waited,
                "busy_share": round(self.busy, 4),
                "kept_schedule": not self.lags,
            },
            "interrupted": self.interrupted,
        }


def _latencies(found: Latencies) -> dict[str, object] | None:
    if not found.count:
        return None
    shares = {
        name: {"ms": round(1e3 * found.at(share), 6), "beyond": found.beyond(share)} for name, share in SHARES.items()
    }
    return {
        "count": found.count,
        "mean": round(1e3 * found.mean, 6),
        "min": round(1e3 * found.lowest, 6),
        **shares,
        "max": round(1e3 * found.highest, 6),
    }
