"""Requests that the loop finds in one turn: run as one, and answered as if each had come alone."""

import asyncio
import json
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from dataclasses import replace
from functools import partial
from pathlib import Path
from typing import Any

from uvicorn.config import Config
from uvicorn.server import ServerState

from aias.access.ledger import Ledger
from aias.access.quotas import Quota
from aias.serving.batching.together import ALONE, REQUESTS_MAX
from aias.serving.connections.connection import Connection
from aias.serving.gateway import Gateway
from live_server import BOUNDS, FakeKeyRing, Joined, Shelf, no_ledger


def asked(age: int | None, key: str = "all-key") -> bytes:
    """A row; none where there is no age."""
    body = json.dumps([] if age is None else [{"age": age}]).encode()
    lines = ["POST /predict/churn HTTP/1.1", "Host: localhost", f"Authorization: Bearer {key}"]
    lines += ["Content-Type: application/json", f"Content-Length: {len(body)}", "", ""]
    return "\r\n".join(lines).encode() + body


class Wire:
    """A transport that keeps what is written."""

    def __init__(self) -> None:
        self.said, self.closing = b"", False

    def write(self, data: bytes) -> None:
        assert not self.closing
        self.said += data

    def is_closing(self) -> bool:
        return self.closing

    def close(self) -> None:
        self.closing = True

    def abort(self) -> None:
        self.closing = True

    def resume_reading(self) -> None: ...

    def pause_reading(self) -> None: ...

    def get_write_buffer_size(self) -> int:
        return 0

    def get_extra_info(self, _name: str, default: object = None) -> object:
        return default

    @property
    def status(self) -> int:
        return int(self.said.split()[1])

    @property
    def body(self) -> Any:
        return json.loads(self.said.partition(b"\r\n\r\n")[2])


class Turns:
    """A server whose loop moves only by `turn`, and connections to it."""

    def __init__(self, gateway: Gateway, models: Mapping[str, Joined]) -> None:
        self.gateway, self.models, self.state = gateway, models, ServerState()
        self.model = models["churn"]
        self.loop = asyncio.new_event_loop()
        self.config: Config = gateway._config()
        self.config.load()

    def open(self) -> "Caller":
        made = self.gateway._connection(config=self.config, server_state=self.state, app_state={}, _loop=self.loop)
        caller = Caller(made, Wire())
        made.connection_made(caller.wire)  # type: ignore[arg-type]
        return caller

    def known(self, *requests: bytes) -> None:
        """Have the heads of these remembered."""
        for each in requests:
            self.turn(partial(self.open().ask, each))
        for model in self.models.values():
            model.runs.clear()

    def turn(self, *calls: Callable[[], object]) -> None:
        """All of it in one turn of the loop, and the end of that."""

        async def one() -> None:
            for each in calls:
                each()
            for _ in range(3):
                await asyncio.sleep(0)

        self.loop.run_until_complete(one())


class Caller:
    def __init__(self, connection: Connection, wire: Wire) -> None:
        self.connection, self.wire = connection, wire
        self.ask = connection.data_received


@contextmanager
def server(*, ledger: Callable[[], Ledger] = no_ledger, **quotas: tuple[Quota, ...]) -> Iterator[Turns]:
    shelf, models = Shelf(), {"churn": Joined(), "other": Joined(0.9)}
    for name, model in models.items():
        shelf.deploy(name, 1, model, model=name)
    gateway = Gateway(shelf, shelf.load, lambda: FakeKeyRing({"limited": quotas["quotas"]} if quotas else None),
                      ledger=ledger, bounds=replace(BOUNDS, busy_poll_seconds=0.0))  # fmt: skip
    gateway.router.refresh()
    for name in models:
        # Tiny, whatever the machine was at when they were measured.
        object.__setattr__(gateway.router.find(name), "row_seconds", 1e-6)
    turns = Turns(gateway, models)
    try:
        yield turns
    finally:
        gateway.application.close()
        turns.loop.close()


def test_what_comes_in_one_turn_is_one_run_and_everybody_gets_the_answer_to_their_own_row() -> None:
    ages = [20, 50, 39, 40, 77]
    with server() as turns:
        turns.known(asked(50))
        callers = [turns.open() for _ in ages]
        turns.turn(*(partial(each.ask, asked(age)) for each, age in zip(callers, ages, strict=True)))

        assert turns.model.runs == [5]
        told = [each.wire.body[0]["prediction"] for each in callers]
        assert told == ["no", "yes", "no", "yes", "yes"]
        assert len({each.wire.said.partition(b"x-request-id: ")[2][:20] for each in callers}) == 5


def test_a_run_of_several_is_counted_as_one_of_all_their_rows() -> None:
    with server() as turns:
        turns.known(asked(50))
        callers = [turns.open() for _ in range(5)]
        turns.turn(*(partial(each.ask, asked(50)) for each in callers))
        (found,) = turns.gateway.metrics.statistics.of([("churn", "churn@1")])
        runs = turns.gateway.metrics.batches["churn", "churn@1"]

    assert (found["inference_count"], found["execution_count"]) == (6, 2)
    assert [each["batch_size"] for each in found["batch_stats"]] == [1, 5]  # type: ignore[attr-defined]
    assert (sum(runs.counts), runs.sum) == (2, 6)


def test_nobody_is_answered_before_the_turn_is_over_or_waits_beyond_it() -> None:
    with server() as turns:
        turns.known(asked(50))
        first, second = turns.open(), turns.open()
        seen = []
        turns.turn(
            partial(first.ask, asked(50)), lambda: seen.append(first.wire.said), partial(second.ask, asked(51)),
            lambda: seen.append(first.connection.is_answering),
        )  # fmt: skip

        assert seen == [b"", True]
        assert (first.wire.status, second.wire.status) == (200, 200)
        assert first.connection.at_rest


def test_who_comes_alone_is_answered_at_once_from_then_on_and_company_is_looked_for_again() -> None:
    with server() as turns:
        turns.known(asked(50))
        caller = turns.open()
        turns.turn(partial(caller.ask, asked(50)))
        for _ in range(ALONE):
            caller.wire.said = b""
            caller.ask(asked(50))  # no loop runs
            assert caller.wire.status == 200
        callers = [turns.open() for _ in range(3)]
        turns.turn(*(partial(each.ask, asked(50)) for each in callers))

        assert turns.model.runs == [1, 3]  # of those at once the whole runtime was asked


def test_no_run_has_more_than_the_bound() -> None:
    with server() as turns:
        turns.known(asked(50))
        callers = [turns.open() for _ in range(2 * REQUESTS_MAX + 3)]
        turns.turn(*(partial(each.ask, asked(50)) for each in callers))

        assert turns.model.runs == [REQUESTS_MAX, REQUESTS_MAX, 3]
        assert {each.wire.status for each in callers} == {200}


def test_a_run_is_not_longer_than_one_slow_row_may_be() -> None:
    with server() as turns:
        turns.known(asked(50))
        object.__setattr__(turns.gateway.router.find("churn"), "row_seconds", 0.0004)
        callers = [turns.open() for _ in range(5)]
        turns.turn(*(partial(each.ask, asked(50)) for each in callers))

        assert turns.model.runs == [2, 2, 1]


def test_rows_of_two_models_are_never_in_one_run() -> None:
    with server() as turns:
        requests = [asked(50), asked(50).replace(b"/predict/churn", b"/predict/other")]
        turns.known(*requests)
        callers = [turns.open() for _ in range(6)]
        turns.turn(*(partial(each.ask, requests[at % 2]) for at, each in enumerate(callers)))

        versions = [each.wire.said.partition(b"x-aias-version: ")[2].split()[0] for each in callers]
        assert versions == [b"churn@1", b"other@1"] * 3
        assert turns.models["churn"].runs == turns.models["other"].runs == [3]


def test_a_row_for_which_the_run_fails_fails_alone() -> None:
    with server() as turns:
        turns.known(asked(50))
        turns.model.breaks.add(66.0)
        callers = [turns.open() for _ in range(3)]
        turns.turn(*(partial(each.ask, asked(age)) for each, age in zip(callers, (50, 66, 20), strict=True)))

        assert [each.wire.status for each in callers] == [200, 500, 200]


def test_a_bad_row_and_a_bad_key_are_refused_and_their_neighbours_answered() -> None:
    with server() as turns:
        bad = asked(50).replace(b'"age"', b'"aeg"')
        mistyped = asked(50, key="bad-key")
        turns.known(asked(50), bad, mistyped)
        callers = [turns.open() for _ in range(4)]
        sent = (asked(50), bad, mistyped, asked(20))
        turns.turn(*(partial(each.ask, what) for each, what in zip(callers, sent, strict=True)))

        assert [each.wire.status for each in callers] == [200, 422, 401, 200]
        assert turns.model.runs == [2]


def test_quotas_are_exact_within_a_turn(tmp_path: Path) -> None:
    quotas = (Quota(5, "rows", "day"),)
    with server(ledger=partial(Ledger.open, tmp_path), quotas=quotas) as turns:
        turns.known(asked(50, key="limited"))
        callers = [turns.open() for _ in range(6)]
        turns.turn(*(partial(each.ask, asked(50, key="limited")) for each in callers))

        assert [each.wire.status for each in callers] == [200] * 4 + [429] * 2
        assert turns.model.runs == [4]
        assert callers[5].wire.body["error"]["code"] == "serving.quota-spent"
        assert b'ratelimit: "rows-day";r=0;' in callers[5].wire.said


def test_who_asks_for_no_rows_pays_before_the_answer_as_others_do(tmp_path: Path) -> None:
    quotas = (Quota(5, "requests", "day"),)
    with server(ledger=partial(Ledger.open, tmp_path), quotas=quotas) as turns:
        turns.known(asked(50, key="limited"), asked(None, key="limited"))
        callers = [turns.open() for _ in range(6)]
        turns.turn(*(partial(each.ask, asked(None, key="limited")) for each in callers))

        assert [each.wire.status for each in callers] == [200] * 3 + [429] * 3
        assert b'ratelimit: "requests-day";r=0;' in callers[5].wire.said


def test_all_is_counted_as_if_each_had_come_alone() -> None:
    with server() as turns:
        turns.known(asked(50))
        before = turns.gateway.metrics.work["churn", "churn@1"].rows
        callers = [turns.open() for _ in range(7)]
        turns.turn(*(partial(each.ask, asked(50)) for each in callers))

        metrics = turns.gateway.metrics
        work = metrics.work["churn", "churn@1"]
        assert work.rows - before == 7
        assert metrics.requests["churn", "churn@1", 200] == work.rows == sum(work.whole.counts)
        run, queue = work.phases[1], work.phases[3]
        assert sum(run.counts) == work.rows
        assert sum(queue.counts) == 7
        assert work.whole.sum >= sum(phase.sum for phase in work.phases)


def test_more_from_a_caller_who_waits_is_answered_in_its_order() -> None:
    with server() as turns:
        turns.known(asked(50))
        caller = turns.open()
        turns.turn(partial(caller.ask, asked(50)), partial(caller.ask, asked(20)))

        assert [b'"prediction":"yes"' in part for part in caller.wire.said.split(b"HTTP/1.1 200")[1:]] == [True, False]


def test_who_has_gone_before_the_end_of_the_turn_harms_nobody() -> None:
    with server() as turns:
        turns.known(asked(50))
        gone, stays = turns.open(), turns.open()
        turns.turn(partial(gone.ask, asked(50)), gone.wire.abort, partial(stays.ask, asked(50)))

        assert (gone.wire.said, stays.wire.status) == (b"", 200)


def test_a_server_that_stops_answers_who_waits() -> None:
    with server() as turns:
        turns.known(asked(50))
        caller = turns.open()
        turns.turn(partial(caller.ask, asked(50)), caller.connection.shutdown)

        assert caller.wire.status == 200
