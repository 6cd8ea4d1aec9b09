"""A check is a function whose name is a sentence: it returns, or says what it expected and what came."""

from collections.abc import Callable, Iterable, Iterator
from dataclasses import dataclass
from typing import TYPE_CHECKING, Literal

if TYPE_CHECKING:
    from aias.testing.inference_v2.probe import Probe

Level = Literal["must", "should"]
Result = Literal["ok", "fail", "skip"]


class Failed(Exception):
    """The server does not do what the sentence says."""


class Unanswered(Exception):
    """The model does not answer the request from which all others are made, so that no check would say anything."""


class Skipped(Exception):
    """The sentence says nothing about this server or this model."""


@dataclass(frozen=True, slots=True)
class Check:
    """`should`: the specification leaves it open, and clients rely on it all the same."""

    section: str
    run: "Callable[[Probe], None]"
    level: Level = "must"
    extension: str = ""

    @property
    def sentence(self) -> str:
        return self.run.__name__.replace("_", " ")


@dataclass(frozen=True, slots=True)
class Outcome:
    check: Check
    result: Result
    why: str = ""

    @property
    def mark(self) -> str:
        """The result for readers: what only should be is a `note` when it is not."""
        return "note" if self.result == "fail" and self.check.level == "should" else self.result


class Section:
    """Collects the checks of one file in their order. `extension`: only servers that claim it are asked."""

    def __init__(self, name: str, *, extension: str = "") -> None:
        self._name, self._extension = name, extension
        self.checks: list[Check] = []

    def must(self, run: "Callable[[Probe], None]") -> "Callable[[Probe], None]":
        self.checks.append(Check(self._name, run, "must", self._extension))
        return run

    def should(self, run: "Callable[[Probe], None]") -> "Callable[[Probe], None]":
        self.checks.append(Check(self._name, run, "should", self._extension))
        return run


def run(checks: Iterable[Check], probe: "Probe") -> Iterator[Outcome]:
    """The outcomes in order, each as soon as it is known."""
    for check in checks:
        yield _outcome(check, probe)


def expect(condition: object, wanted: str, came: object) -> None:
    if not condition:
        raise Failed(f"expected {wanted}; came {_short(came)}")


def _outcome(check: Check, probe: "Probe") -> Outcome:
    if check.extension and check.extension not in probe.extensions:
        return Outcome(check, "skip", f"the server does not claim `{check.extension}`")
    try:
        check.run(probe)
    except Skipped as reason:
        return Outcome(check, "skip", str(reason))
    except Failed as fault:
        return Outcome(check, "fail", str(fault))
    except (KeyError, TypeError, ValueError, IndexError, AttributeError) as fault:
        # What a server sent was not in the form that the sentence presupposes.
        return Outcome(check, "fail", f"the answer has another form: {type(fault).__name__}: {_short(fault)}")
    return Outcome(check, "ok")


def _short(value: object) -> str:
    text = str(value) if isinstance(value, str | Exception) else repr(value)
    return text if len(text) <= 300 else f"{text[:297]}..."
