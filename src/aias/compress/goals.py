"""What is asked of a compression."""

import math
import sys
from dataclasses import dataclass
from numbers import Integral

from aias.compress.gate.power import Power
from aias.core.errors import UserError
from aias.runtimes.latency import CALLERS, CALLERS_MAX


@dataclass(frozen=True, slots=True)
class Goals:
    """`max_loss`: a share of the parent's own value of the metric; `latency_us`, of one caller, and `size_bytes` bound
    what may be nominated; `callers`: how many ask at once where several do."""

    max_loss: float = 0.005
    latency_us: float | None = None
    size_bytes: int | None = None
    callers: int = CALLERS

    def __post_init__(self) -> None:
        if not 0 < self.max_loss <= 1:
            raise UserError(
                f"a loss of {100 * self.max_loss:g} % cannot be accepted",
                hint="it is a share of the metric, more than 0 % and at most 100 %: for example 0.5%",
            )
        if self.latency_us is not None and not self.latency_us > 0:
            raise UserError(f"a latency of {self.latency_us:g} µs cannot be had", hint="for example 150us or 2ms")
        if self.size_bytes is not None and not self.size_bytes > 0:
            raise UserError(f"a size of {self.size_bytes:,} bytes cannot be had", hint="for example 300kB or 5MB")
        if not (isinstance(self.callers, Integral) and 1 < self.callers <= CALLERS_MAX):
            raise UserError(
                f"{self.callers!r} callers cannot ask at once: a whole number, at least 2 and at most {CALLERS_MAX}",
                hint="how many requests an endpoint usually has in flight; one caller is timed in any case",
            )

    def margin(self, metric: str, value: float, *, rows: int) -> float:
        """What may be lost where the parent's own value is this. Raises `UserError` where that is none."""
        if not math.isfinite(value) or not value:
            said = "is 0, of which no share can be lost," if value == 0 else "cannot be measured"
            raise UserError(
                f"{metric} {said} on the {rows:,} rows to search by",
                hint="train, or import, by another metric (`--metric`, or `metric=`)",
            )
        return max(self.max_loss * abs(value), sys.float_info.epsilon)

    def told(self, power: Power) -> str:
        """What the rows can tell, and what would be enough where that is not."""
        needed = self.max_loss * power.resolved / power.margin
        if power.enough or not needed <= 1:
            return str(power)
        share = f"{math.ceil(1_000 * needed) / 10:g}%"
        return f'{power}, and so would `--max-loss {share}` (`max_loss="{share}"`)'

    def missed(self, row_us: float, size_bytes: int, *, meant: str = "") -> str:
        """What was asked for and is not kept; `meant`: what the time of a row is."""
        if self.latency_us is not None and row_us > self.latency_us:
            return f"a row takes {row_us:,.1f} µs{meant}, more than the {self.latency_us:,.10g} that were asked for"
        if self.size_bytes is not None and size_bytes > self.size_bytes:
            return f"{size_bytes:,} bytes are more than the {self.size_bytes:,} that were asked for"
        return ""

    def beyond(self, row_us: float, size_bytes: int) -> float:
        """How many times as much as was asked for: the product of both, neither of which counts below 1."""
        slow = row_us / self.latency_us if self.latency_us else 1.0
        large = size_bytes / self.size_bytes if self.size_bytes else 1.0
        return max(slow, 1.0) * max(large, 1.0)
