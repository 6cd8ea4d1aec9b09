"""A worker as the supervisor starts them, with models that end their process, or do not end when they should."""

import os
import signal
import socket
import sys
import threading
import time
from collections.abc import Sequence
from contextlib import suppress
from dataclasses import replace
from pathlib import Path
from typing import Any, ClassVar

import msgspec

from aias.serving.processes.orders import Orders
from aias.serving.processes.worker import keep

DEADLY, ENDLESS = 13, 14
"""The ages at which they do."""

BROKEN = 15
"""The age at which a run fails, and no more."""

LONG, LONG_SECONDS = 16, 1.0
"""The age at which it takes so long."""

GREEDY, NUMBERS = "MORTAL_GREEDY", 4_000_000
"""In the environment: there is a model that holds the interpreter for some 50 ms of each run."""

NEVER_LOADED = "MORTAL_NEVER_LOADED"
"""In the environment: there is a model whose loading does not end."""

ASLEEP = "MORTAL_ASLEEP"
"""In the environment: a file; while there is one, no run of the model `asleep` ends, also where it is loaded."""

AT_START = "MORTAL_AT_START"
"""In the environment: a file, where there is one, says what the next worker does instead of becoming ready."""


ON_TRIAL = "MORTAL_ON_TRIAL"
"""In the environment: the model `hung` is on trial beside `good`, and answers all of its callers."""

SEEN = "test.seen"
"""The event that tells what a worker has seen of the trial: how many answers, and how many of them bad."""

AT_ACCEPT = "MORTAL_AT_ACCEPT"
"""In the environment: a file, where there is one, ends who accepts the next connection, before that is noted."""


def models() -> dict[str, object]:
    """By endpoint."""
    from aias.encoders.rows import Encoded
    from aias.runtimes.contract import Answers, Row
    from live_server import Joined, Rule

    def live_dangerously(ages: Sequence[object]) -> None:
        if DEADLY in ages:
            os.abort()
        if ENDLESS in ages:
            time.sleep(1_000)
        if LONG in ages:
            time.sleep(LONG_SECONDS)
        if BROKEN in ages:
            raise ValueError("the graph broke")

    class Mortal(Rule):
        def predict(self, rows: Sequence[Row]) -> Answers:
            live_dangerously([row.get("age") for row in rows])
            return super().predict(rows)

    class Slow(Joined):
        """So slow that it runs in threads."""

        def predict(self, rows: Sequence[Row]) -> Answers:
            time.sleep(0.002)
            live_dangerously([row.get("age") for row in rows])
            return super().predict(rows)

        def answer(self, encoded: Encoded) -> Answers:
            live_dangerously(encoded.columns[:, 0].tolist())
            return super().answer(encoded)

    class Greedy(Rule):
        """Adds up numbers without letting anybody else have the interpreter."""

        def predict(self, rows: Sequence[Row]) -> Answers:
            sum(range(NUMBERS))
            return super().predict(rows)

    class Leaky(Rule):
        kept: ClassVar[list[bytes]] = []

        def predict(self, rows: Sequence[Row]) -> Answers:
            self.kept.append(os.urandom(1 << 20))
            return super().predict(rows)

    class NeverLoaded(Rule):
        def predict(self, rows: Sequence[Row]) -> Answers:
            time.sleep(1_000)
            return super().predict(rows)

    class Asleep(Rule):
        def predict(self, rows: Sequence[Row]) -> Answers:
            if Path(os.environ[ASLEEP]).exists():
                time.sleep(1_000)
            return super().predict(rows)

    if ASLEEP in os.environ:
        return {"asleep": Asleep(), "good": Rule()}
    if NEVER_LOADED in os.environ:
        return {"never": NeverLoaded(), "good": Rule()}
    if GREEDY in os.environ:
        return {"greedy": Greedy(), "good": Rule()}
    return {"good": Rule(), "bad": Mortal(), "hung": Mortal(), "slow": Slow(), "leaky": Leaky()}


class Trials:
    """A store that tells what is reported to it."""

    def __init__(self, trial: object) -> None:
        self.trial = trial

    def active(self) -> list[object]:
        return [self.trial]

    def outcomes(self) -> list[tuple[str, str, int]]:
        return []

    def report(self, _trial: int, more: Any) -> Any:
        from aias.core.events import Event
        from aias.serving.processes.background import tell

        facts = {"asked": more.alone.asked, "bad": more.alone.bad}
        tell(Event(SEEN, "it was asked", "warning", facts))
        return self.trial


def on_trial(shelf: Any) -> Trials:
    from aias.registry.rollout.trial import BY_KEY, WHOLE, Guard, Trial
    from live_server import AT

    trial = Trial(1, "good", "hung", 1, "hung-1", "canary", WHOLE, BY_KEY, Guard(), AT)
    shelf.pointers["good"] = replace(shelf.pointers["good"], trials=(trial,))
    return Trials(trial)


def fail_to_start() -> None:
    with suppress(KeyError, FileNotFoundError):
        told = Path(os.environ[AT_START])
        how = told.read_text()
        told.unlink()
        if how == "stop":
            # And who keeps its connections, too.
            os.killpg(0, signal.SIGSTOP)
        elif how == "exit":
            sys.exit(3)


def die_at_accept() -> None:
    from aias.serving.survival.journal import Journal

    take = Journal.take

    def taken(self: Journal) -> object:
        with suppress(KeyError, FileNotFoundError):
            Path(os.environ[AT_ACCEPT]).unlink()
            os.kill(os.getpid(), signal.SIGKILL)
        return take(self)

    Journal.take = taken  # type: ignore[assignment]


def main(orders: Orders) -> None:
    kept, keeper = keep(orders)
    fail_to_start()
    die_at_accept()

    from aias.core.events import Event
    from aias.serving.bounds import Bounds
    from aias.serving.gateway import Gateway
    from aias.serving.observability.summed_metrics import SummedMetrics
    from aias.serving.processes.background import stop_with_parent, tell
    from live_server import FakeKeyRing, Shelf, no_ledger

    threading.Thread(target=stop_with_parent, daemon=True).start()
    shelf = Shelf()
    for name, runtime in models().items():
        shelf.deploy(name, 1, runtime, model=name)
    bounds = msgspec.convert(orders.bounds, Bounds, strict=False)
    sums = SummedMetrics(Path(orders.folder), orders.counts) if orders.folder else None
    gateway = Gateway(
        shelf, shelf.load, FakeKeyRing, bounds=bounds, watch=tell, sums=sums, places=orders.places, kept=kept,
        ledger=no_ledger, second=orders.second, program=lambda version: (__file__, "apart", version.partition("@")[0]),
        rollouts=on_trial(shelf) if ON_TRIAL in os.environ else None,
    )  # fmt: skip
    ready = Event("serve.worker-ready", "it answers", facts={"keeper": keeper})
    gateway.run(*(socket.socket(fileno=each) for each in orders.descriptors), when_ready=lambda: tell(ready))


def apart(name: str) -> None:
    from aias.serving.survival.isolated_process import answer_for

    answer_for(models()[name])


if __name__ == "__main__":
    if sys.argv[1] == "apart":
        apart(sys.argv[2])
    else:
        main(msgspec.json.decode(sys.argv[1], type=Orders))
