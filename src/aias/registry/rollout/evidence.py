"""Is a version worse than the live one? A test that may be looked at after every answer, for as long as one likes.

Two things are tested, each at two fifths of the false alarms that are allowed: failed answers, and slow ones (longer
than the guard allows beyond what 95 % of the live version's answers of that size take, or too late for who asked). A
version is *worse* when it is certain of one of them that

    above:   more of its answers are so than the bound says (1 % failed; 5 % slow), and
    beside:  more of its answers are so than of the live version's.

The second keeps it from being blamed for what befalls both, such as a busy machine. Both are wealth processes: the
likelihood of what was seen under "so many times worse", against that under "not worse", averaged over a grid of times.
While it is not worse that average is a nonnegative supermartingale that begins at 1, and by Ville's inequality ever
reaches 1/α with a probability of at most α, whenever and however often it is looked at (Robbins 1970; Howard, Ramdas,
McAuliffe and Sekhon 2021, "Time-uniform, nonparametric, nonasymptotic confidence sequences"). `beside` conditions on
how many answers were bad in a *cell*, a short stretch in which both versions were asked: where they are alike, any of
its answers may have been those (Lindon and Malek 2022, "Anytime-valid inference for multinomial count data", and the
canary test of Lindon, Sanden and Shirikian 2022, "Rapid regression detection in software deployments through
sequential testing"). The exact law is hypergeometric; the binomial that stands here for it spreads wider, so the
average stays a supermartingale (Hoeffding 1963, theorem 4). Thus rates may drift, shares may be uneven, and workers'
logarithms simply add up.

Where the live version answers nobody there is no beside. Then `above` alone decides: of failures, by the bound that is
stated. So does it of answers beyond a latency, where one is stated; each at a tenth of the false alarms.
"""

import math
from dataclasses import dataclass, field
from typing import Final

TIMES: Final = (1.25, 1.5, 2.0, 3.0, 5.0, 10.0, 30.0, 100.0, 1000.0)
"""How many times worse (in the odds of an answer being bad): the alternatives, all of one weight."""

BESIDE_PART: Final = 0.4
"""Of the false alarms: what each of the two tests beside the live version has."""

ALONE_PART: Final = 0.1
"""What each of the two has that need no other version."""

SLOW_SHARE: Final = 0.05
"""Slower than 95 % of the live version's, that is."""


def _nothing() -> list[float]:
    return [0.0] * len(TIMES)


@dataclass(slots=True)
class Comparison:
    """Answers of a trial and of the live version, how many of each were bad, and logarithms of wealth, by times."""

    asked: int = 0
    bad: int = 0
    live_asked: int = 0
    live_bad: int = 0
    above: list[float] = field(default_factory=_nothing)
    beside: list[float] = field(default_factory=_nothing)

    def see(self, *, asked: int, bad: int, live_asked: int, live_bad: int, bound: float) -> None:
        """Learn from one cell; `bound` is the share that may be bad."""
        self.asked, self.bad = self.asked + asked, self.bad + bad
        self.live_asked, self.live_bad = self.live_asked + live_asked, self.live_bad + live_bad
        for at, times in enumerate(TIMES):
            share = times * bound / (1 - bound + times * bound)
            self.above[at] += _gain(asked, bad, share, bound)
            if asked and live_asked and (both := bad + live_bad):
                q, alike = times * asked / (times * asked + live_asked), asked / (asked + live_asked)
                self.beside[at] += _gain(both, bad, q, alike)

    def add(self, more: "Comparison") -> None:
        self.asked, self.bad = self.asked + more.asked, self.bad + more.bad
        self.live_asked, self.live_bad = self.live_asked + more.live_asked, self.live_bad + more.live_bad
        self.above = [a + b for a, b in zip(self.above, more.above, strict=True)]
        self.beside = [a + b for a, b in zip(self.beside, more.beside, strict=True)]

    @property
    def wealth(self) -> float:
        """The logarithm of the evidence that it is worse; it is certain at `log(1/α)`."""
        return min(self.wealth_alone, _average(self.beside))

    @property
    def wealth_alone(self) -> float:
        """The same, that more are bad than the bound says."""
        return _average(self.above)


@dataclass(slots=True)
class Mirrored:
    """What a shadow was asked, beside the live version asked the same again: counts, and seconds of each altogether.

    `alike`: rows with the same label, or a number within a thousandth; `difference`: of scores, added up over rows.
    """

    requests: int = 0
    rows: int = 0
    alike: int = 0
    difference: float = 0.0
    difference_max: float = 0.0
    failed: int = 0
    live_failed: int = 0
    seconds: float = 0.0
    live_seconds: float = 0.0
    dropped: int = 0
    too_large: int = 0

    def said(self) -> str:
        """In words: how alike the answers are, and how fast they came."""
        if not self.requests:
            return f"nothing compared yet; {self.dropped + self.too_large:,} skipped"
        parts = [f"{self.failed} failed (live {self.live_failed})"]
        if self.rows:
            parts.append(f"{self.alike / self.rows:.2%} of {self.rows:,} rows agree")
            parts.append(f"scores {self.difference / self.rows:.3g} apart")
        if self.seconds and self.live_seconds:
            parts.append(f"{self.seconds / self.live_seconds:.2f} times as long")
        return ", ".join(parts) + f"; {self.dropped + self.too_large:,} skipped"

    def add(self, more: "Mirrored") -> None:
        largest = max(self.difference_max, more.difference_max)
        for name in self.__slots__:
            setattr(self, name, getattr(self, name) + getattr(more, name))
        self.difference_max = largest


@dataclass(slots=True)
class Evidence:
    """All that is known of a trial; adding up is all that workers do with each other's.

    `alone`: failures where the live version answered nobody; `late`: answers beyond the latency that was stated."""

    errors: Comparison = field(default_factory=Comparison)
    slow: Comparison = field(default_factory=Comparison)
    alone: Comparison = field(default_factory=Comparison)
    late: Comparison = field(default_factory=Comparison)
    mirrored: Mirrored = field(default_factory=Mirrored)

    def add(self, more: "Evidence") -> None:
        self.errors.add(more.errors)
        self.slow.add(more.slow)
        self.alone.add(more.alone)
        self.late.add(more.late)
        self.mirrored.add(more.mirrored)

    @property
    def good(self) -> int:
        """Its answers that did not fail."""
        return self.errors.asked - self.errors.bad + self.alone.asked - self.alone.bad

    def worse(self, *, error_share: float, slower: float, false_alarms: float, seconds_max: float = 0.0) -> str:
        """Why it is certainly worse; empty while it is not."""
        certain, alone = certain_at(false_alarms), certain_at(false_alarms, alone=True)
        if self.errors.wealth >= certain:
            return f"{_of(self.errors, 'answers failed')}: certainly more, and than {100 * error_share:g} %"
        if self.slow.wealth >= certain:
            what = f"answers took over {slower:g} times the live p95, or came too late"
            return f"{_of(self.slow, what)}: certainly more, and than 5 %"
        if self.alone.wealth_alone >= alone:
            return (
                f"{_alone(self.alone, 'answers failed')}, with none of the live version beside them: certainly more "
                f"than {100 * error_share:g} %"
            )
        if self.late.wealth_alone >= alone:
            return f"{_alone(self.late, f'answers took over {1000 * seconds_max:g} ms')}: certainly more than 5 %"
        return ""


def certain_at(false_alarms: float, *, alone: bool = False) -> float:
    """The logarithm of evidence that is enough for one of the tests."""
    return -math.log((ALONE_PART if alone else BESIDE_PART) * false_alarms)


def _alone(seen: Comparison, what: str) -> str:
    return f"{seen.bad} of {seen.asked:,} {what}"


def _of(seen: Comparison, what: str) -> str:
    return f"{seen.bad} of {seen.asked:,} {what}, of the live version {seen.live_bad} of {seen.live_asked:,}"


def _gain(n: int, k: int, share: float, instead_of: float) -> float:
    """The logarithm of a likelihood ratio: k of n under one share, instead of under the other."""
    return k * math.log(share / instead_of) + (n - k) * math.log((1 - share) / (1 - instead_of))


def _average(logs: list[float]) -> float:
    largest = max(logs)
    return largest + math.log(sum(math.exp(each - largest) for each in logs) / len(logs))
