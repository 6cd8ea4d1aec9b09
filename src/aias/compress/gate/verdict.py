"""Who passes: a loss within the margin, proved on rows that nobody has looked at yet, and no part of them sacrificed.

Several candidates are judged in an order that is fixed before the rows are opened, the safest first. Each passes on the
risk at which it passed to the one behind it, which adds its own share (the fallback procedure, Wiens 2003,
Pharmaceutical Statistics 2, 211-215). Nearly all is the first one's: where the safest pass, the boldest pays next to
nothing for not being alone (Holm's method, 1979, would have asked three for a third of the risk each). Where one does
not pass, what is 2.9 standard errors within the margin still does. The rows are opened once; who has seen the verdict
has used them.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Final, Generic, TypeVar

import numpy as np

from aias.compress.gate.evidence import RISK, SPENT, Evidence, Loss, digits, loss_of
from aias.compress.gate.power import ROWS_MAX, Power

Rows = TypeVar("Rows")

OWN_SHARE: Final = 0.05
"""Of the risk, which each behind the first has of itself: its limit is then 2.9 standard errors away, else 1.8. The
first always keeps half."""


class Sealed(Generic[Rows]):
    """Rows set aside for certification; they can be had once."""

    def __init__(self, rows: Rows) -> None:
        self._held: list[Rows] = [rows]

    def open(self) -> Rows:
        assert self._held, "rows certify once: what was chosen by them proves nothing afterwards"
        return self._held.pop()


@dataclass(frozen=True, slots=True)
class Claim:
    """That a candidate is no worse; `parts`: the evidence of parts of the rows, by their names."""

    name: str
    evidence: Evidence
    parts: Mapping[str, Evidence] = field(default_factory=dict)


@dataclass(frozen=True, slots=True)
class Verdict:
    """`p`: the chance of such rows if it, or any other that was judged, were worse by the margin; `rows_needed`: how
    many would be enough to certify it, if it loses what it seems to, as its reason says; 0 where that says none."""

    name: str
    certified: bool
    loss: Loss
    p: float
    reason: str
    rows_needed: int = 0


def judge(
    claims: Sequence[Claim], *, metric: str, margin: float, part_margin: float, risk: float = SPENT
) -> list[Verdict]:
    """A claim is certified when a loss of the margin is ruled out at the risk that is left for it, and no part of the
    rows is certain to lose more than its margin. Limits of a loss are its own, of 95 %. Raises `ValueError` for a risk
    that is none.
    """
    if not 0 < risk < 1:
        raise ValueError(f"a risk is between 0 and 1, not {risk:g}")
    alone = [1 - each.evidence.confidence(margin) for each in claims]
    harmed = _harmed(claims, part_margin, risk)
    verdicts: list[Verdict] = []
    first: Claim | None = None
    for claim, own, p, part in zip(claims, alone, fallback(alone), harmed, strict=True):
        loss, needed = loss_of(metric, claim.evidence, risk=RISK), 0
        if first and own < risk <= p:
            reason = f"not sure enough behind {first.name}, which promised to be safer and did not pass: {loss}"
        elif not p < risk:
            asked = f" with {100 * (1 - risk):.0f} % confidence" if own < RISK else ""
            reason = f"a loss of {digits(margin)} cannot be ruled out{asked}: {loss}"
            if needed := _enough(metric, margin, claim.evidence):
                reason += f"; if that is what it loses, {needed:,} rows that certify would be enough"
            first = first or claim
        elif part:
            reason = f"where {part} it is certain to lose more than {digits(part_margin)}"
        else:
            reason = ""
        verdicts.append(Verdict(claim.name, not reason, loss, p, reason, needed))
    return verdicts


def _enough(metric: str, margin: float, found: Evidence) -> int:
    """How many rows would be likely to certify what loses something, and less than the margin, if that is the truth; 0
    where that is not so, or takes more than anybody has."""
    left = margin - found.value
    if not (found.value > 0 and left > 0 and 0 < found.spread < np.inf):
        return 0
    needed = Power(metric, left, found.spread, found.rows).seen(found).rows_needed
    return needed if found.rows < needed <= ROWS_MAX else 0


def fallback(p: Sequence[float]) -> list[float]:
    """p values of claims, corrected for one another, in their order; one that is not known counts as 1.

    Each is the least risk r at which a claim passes: from some claim on all up to it do, each with a p value below r
    times the shares of those from there on."""
    known = np.nan_to_num(np.asarray(p, np.float64), nan=1.0)
    behind = max(len(known) - 1, 1)
    shares = np.full(len(known), min(OWN_SHARE, 0.5 / behind))
    shares[:1] = 1 - shares[1:].sum()
    asked = np.full((len(known), len(known)), np.inf)
    for begin in range(len(known)):
        asked[begin, begin:] = np.maximum.accumulate(known[begin:] / np.cumsum(shares[begin:]))
    return [float(each) for each in np.minimum(asked.min(axis=0, initial=1.0), 1.0)]


def holm(p: Sequence[float]) -> list[float]:
    """p values corrected for their number; one that is not known counts as 1."""
    known = np.nan_to_num(np.asarray(p, np.float64), nan=1.0)
    order = np.argsort(known, kind="stable")
    raised = np.maximum.accumulate(known[order] * np.arange(len(known), 0, -1))
    found = np.empty(len(known))
    found[order] = np.minimum(raised, 1.0)
    return [float(each) for each in found]


def _harmed(claims: Sequence[Claim], margin: float, risk: float) -> list[str]:
    """For each claim a part that is certain to lose more than the margin, of all parts of all claims; else empty."""
    named = [(place, name) for place, claim in enumerate(claims) for name in claim.parts]
    p = holm([claims[place].parts[name].confidence(margin) for place, name in named])
    found = [""] * len(claims)
    for (place, name), each in zip(named, p, strict=True):
        if each < risk and not found[place]:
            found[place] = name
    return found
