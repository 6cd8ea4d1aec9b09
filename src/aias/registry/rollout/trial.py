"""A version beside the live one of an endpoint, as a frozen value."""

import re
from dataclasses import asdict, dataclass, field
from datetime import datetime
from hashlib import blake2b
from typing import Any, Final, Literal

from aias.core.errors import UserError
from aias.core.names import Ref
from aias.registry.rollout.evidence import Comparison, Evidence

Role = Literal["canary", "shadow"]
"""A canary answers its share of callers; a shadow answers nobody and is compared."""

WHOLE: Final = 10_000
"""Shares are parts of it: 5 % is 500."""

BY_KEY: Final = "key"
BY_REQUEST: Final = "request"
_HEADER: Final = re.compile(r"[a-z0-9-]{1,64}")


class BadTrial(UserError):
    """The version cannot be put on trial as asked, or it is not clear which trial is meant."""

    code = "registry.bad-trial"


@dataclass(frozen=True, slots=True)
class Guard:
    """When a canary is taken away by itself, and when it becomes the live version by itself.

    `error_share`: of its answers that may fail. `slower`: 1.5 lets its p95 be half as long again as the live one's.
    `false_alarms`: how probable it is, over all its life, that one is taken away that is not worse. `promote_after`:
    answers, 0 for never. `seconds_max`: what 95 % of its answers may take, whatever the live one's do; 0 for no bound.
    """

    error_share: float = 0.01
    slower: float = 1.5
    false_alarms: float = 0.01
    promote_after: int = 0
    seconds_max: float = 0.0

    def __post_init__(self) -> None:
        if not 0.0001 <= self.error_share <= 0.5:
            raise BadTrial(f"an error share of {self.error_share:.2%}; it can be 0.01 % to 50 %")
        if not 1.0 <= self.slower <= 100.0:
            raise BadTrial(f"{self.slower:g} times as slow; it can be 1 to 100 times")
        if not 1e-9 <= self.false_alarms <= 0.5:
            raise BadTrial(f"false alarms with a probability of {self.false_alarms:g}; it can be 1e-9 to 0.5")
        if self.seconds_max and not 1e-5 <= self.seconds_max <= 3_600:
            raise BadTrial(f"a latency of {self.seconds_max:g} s; it can be 10 µs to an hour", hint="for example 50ms")
        if self.promote_after < 0:
            raise BadTrial(f"promotion after {self.promote_after} answers; 0 is never, others are more")


def named_latency(seconds: float) -> float:
    """A guard's `seconds_max` that somebody has named. Raises `BadTrial` for 0, which would be no bound at all."""
    if not seconds:
        raise BadTrial("a latency of 0 s; it can be 10 µs to an hour", hint="leave it out where there is no bound")
    return seconds


@dataclass(frozen=True, slots=True)
class Trial:
    """`share`: in parts of ten thousand, of a canary's callers or of the requests that a shadow sees. `sticky`: what
    callers are told apart by: `key`, `request` for not at all, or the name of a header in lower case. `digest` is empty
    when the version is gone."""

    id: int
    endpoint: str
    model: str
    number: int
    digest: str
    role: Role
    share: int
    sticky: str
    guard: Guard
    started_at: datetime
    evidence: Evidence = field(default_factory=Evidence, compare=False)
    ended_at: datetime | None = None
    outcome: str = ""
    why: str = ""

    @property
    def ref(self) -> Ref:
        return Ref(self.model, self.number)

    @property
    def part(self) -> str:
        """`5 %`."""
        return f"{100 * self.share / WHOLE:g} %"


def point(endpoint: str, revision: int, who: bytes) -> int:
    """Where `who` stands among ten thousand: the same in every process, and elsewhere once the endpoint moves, so that
    it is not always the same who go first. A canary of 5 % answers those who stand below 500."""
    digest = blake2b(b"%b\0%d\0%b" % (endpoint.encode(), revision, who), digest_size=8).digest()
    return int.from_bytes(digest, "big") % WHOLE


def told(trial: Trial) -> dict[str, Any]:
    """A trial as JSON has it, over HTTP and on the command line."""
    seen, guard = trial.evidence, trial.guard
    facts: dict[str, Any] = {
        "endpoint": trial.endpoint, "version": str(trial.ref), "role": trial.role, "share": trial.share / WHOLE,
        "since": trial.started_at.isoformat(),
    }  # fmt: skip
    if trial.ended_at is not None:
        facts |= {"until": trial.ended_at.isoformat(), "outcome": trial.outcome, "why": trial.why}
    if trial.role == "shadow":
        return facts | {"compared": asdict(seen.mirrored)}
    counts = ("asked", "bad", "live_asked", "live_bad", "wealth")
    return facts | {
        "sticky": trial.sticky,
        "guard": asdict(guard),
        "errors": {name: getattr(seen.errors, name) for name in counts},
        "slow": {name: getattr(seen.slow, name) for name in counts},
        "alone": _alone(seen.alone),
        "late": _alone(seen.late),
    }


def _alone(seen: Comparison) -> dict[str, float]:
    return {"asked": seen.asked, "bad": seen.bad, "wealth": seen.wealth_alone}


def check_share(share: float) -> int:
    """A share of 1 in parts of ten thousand. Raises `BadTrial`."""
    parts = round(share * WHOLE)
    if not 1 <= parts <= WHOLE:
        raise BadTrial(f"a share of {100 * share:g} %; it can be 0.01 % to 100 %", hint="5% or 0.05, for example")
    return parts


def beside(
    canary: float | None, shadow: float | None, *, sticky: str = BY_KEY, guarded: bool = False
) -> tuple[Role, float] | None:
    """The role and share of a version that is asked for as a canary or a shadow; None where it is to answer everybody.

    `guarded`: whether bounds for a canary are given. Raises `BadTrial` where these do not go together.
    """
    if canary is not None and shadow is not None:
        raise BadTrial("canary or shadow: one of them", hint="a shadow answers nobody")
    if guarded and canary is None:
        raise BadTrial(
            "only a canary is watched over and promoted",
            hint="`--canary 5%`, or `canary=0.05`, gives it a share of the callers",
        )
    if canary is not None:
        return "canary", canary
    if shadow is not None:
        return "shadow", shadow
    if sticky != BY_KEY:
        raise BadTrial("`sticky` parts the callers of a canary or shadow", hint="give it a share as one of these")
    return None


def check_sticky(sticky: str) -> str:
    """`key`, `request` or a header's name, in lower case. Raises `BadTrial`."""
    found = sticky.lower()
    if not _HEADER.fullmatch(found):
        raise BadTrial(
            f"{sticky[:100]!r} is nothing to tell callers apart by", hint="`key`, `request`, or the name of a header"
        )
    return found
