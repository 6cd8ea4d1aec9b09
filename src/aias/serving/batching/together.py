"""What many callers ask of a tiny model in one turn of the event loop, run as one.

    bytes ─▶ key, columns ─┐
    bytes ─▶ key, columns ─┼─▶ quotas, once ─▶ graph, once ─▶ an answer for each, in the order in which they came
    bytes ─▶ key, columns ─┘

Nobody waits for company: what runs together is what the loop found when it last looked. A forest answers 32 rows of one
run in half the time of 32 runs, and is read into the processor's cache once and not between any two callers.
"""

import asyncio
import time
from collections.abc import Callable
from typing import TYPE_CHECKING, Final

import msgspec

from aias.encoders.rows import Encoded
from aias.runtimes.contract import Answers
from aias.serving.http.messages import Conversation, Request
from aias.serving.refusals import Refusal
from aias.serving.survival.journal import Runs
from aias.serving.versions.model import Model

if TYPE_CHECKING:
    from aias.serving.admission.quotas import Charge
    from aias.serving.connections.transport import Headers

REQUESTS_MAX: Final = 64
"""Of one run; from here on a row costs hardly less, and the first of them has waited long enough."""

SECONDS_MAX: Final = 0.001
"""Of one run, were its rows run alone: the bound for one row on the loop."""

ALONE: Final = 16
"""So many requests are answered one by one after one that had no company, since collecting would only cost them."""

Deliver = Callable[[bytes], None]


class Waiting(msgspec.Struct):
    """A request that has come to ask for one row; `deliver` takes its response, which has the headers `more` too."""

    request: Request
    conversation: Conversation
    encoded: Encoded
    started: float
    asked_at: float
    more: "Headers"
    deliver: Deliver


class Together:
    """`runs`: where it is written down what runs. `pay` says which requests, by place, may not run, and why, which
    `turn_away` is told. `took` is told the seconds of each run, one of its requests, and its rows if it had several;
    `finish` each request's answer, or why there is none, and the seconds of its run."""

    def __init__(
        self,
        runs: Runs | None,
        pay: Callable[[list["Charge | None"]], dict[int, Refusal]],
        turn_away: Callable[[Waiting, Refusal], None],
        *,
        took: Callable[[Request, Model, float, int], None],
        finish: Callable[[Waiting, Answers | Exception, float], None],
    ) -> None:
        self._runs, self._pay, self._turn_away, self._took, self._finish = runs, pay, turn_away, took, finish
        self._waiting: dict[int, list[Waiting]] = {}
        self._is_called = self._had_company = False
        self._alone = 0

    def wants(self, model: Model) -> bool:
        """Whether a request of this model should wait for others."""
        if self._alone:
            self._alone -= 1
            return False
        return model.joins is not None and 2 * model.row_seconds <= SECONDS_MAX

    def add(self, model: Model, waiting: Waiting) -> None:
        held = self._waiting.get(id(model))
        if held is None:
            held = self._waiting[id(model)] = []
        else:
            self._had_company = True
            if len(held) >= REQUESTS_MAX or (len(held) + 1) * model.row_seconds > SECONDS_MAX:
                full, held = held, []
                self._waiting[id(model)] = held
                self._run(full)
        held.append(waiting)
        if not self._is_called:
            self._is_called = True
            asyncio.get_running_loop().call_soon(self._end_turn)

    def run(self) -> None:
        """Answer now all that wait."""
        groups, self._waiting = self._waiting, {}
        for held in groups.values():
            self._run(held)

    def _end_turn(self) -> None:
        if not self._had_company:
            self._alone = ALONE
        self._is_called = self._had_company = False
        self.run()

    def _run(self, held: list[Waiting]) -> None:
        if refused := self._pay([each.request.charge for each in held]):
            for at, fault in refused.items():
                self._turn_away(held[at], fault)
            held = [each for at, each in enumerate(held) if at not in refused]
            if not held:
                return
        runs, model = self._runs, held[0].request.asked
        slots = [] if runs is None else [each.request.slot for each in held]
        if runs is not None:
            runs.begin_on_loop(model.version, *slots)
        started = time.perf_counter()
        found, as_one = answers_to(held)
        seconds = time.perf_counter() - started
        if runs is not None:
            runs.end_on_loop(*slots)
        rows = len(held) if as_one else 0
        self._took(held[0].request, model, seconds, rows)
        for waiting, answers in zip(held, found, strict=True):
            waiting.request.batch_rows = rows
            self._finish(waiting, answers, seconds)


def answers_to(held: list[Waiting]) -> tuple[list[Answers | Exception], bool]:
    """The answer of each, and whether one run gave all; where it fails, whose fault that is shows when each runs
    alone."""
    joins = held[0].request.asked.joins
    assert joins is not None
    if len(held) > 1:
        try:
            answers = joins.answer(Encoded.join([each.encoded for each in held]))
            if answers.rows == len(held):
                return [answers.part(at, at + 1) for at in range(len(held))], True
        except Exception:  # noqa: BLE001, S110  each is asked again
            pass
    found: list[Answers | Exception] = []
    for each in held:
        try:
            found.append(joins.answer(each.encoded))
        except Exception as fault:  # noqa: BLE001  it goes to the caller whose row it was
            found.append(fault)
    return found, False
