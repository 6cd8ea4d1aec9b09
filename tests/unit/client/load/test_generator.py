"""Loads upon a small server of raw sockets that does as each test says."""

import itertools
import math
import socket
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from types import SimpleNamespace

import pytest

from aias.client.load.generator import put_load
from aias.client.load.result import Plan, Result
from aias.client.load.schedule import poisson
from aias.client.load.target import Address, Target
from aias.core.errors import UserError

OK = b"HTTP/1.1 200 OK\r\ncontent-length: 2\r\n\r\n[]"
CLOSES = b"HTTP/1.1 200 OK\r\nconnection: close\r\ncontent-length: 2\r\n\r\n[]"
BUSY = b'HTTP/1.1 503 Busy\r\ncontent-length: 36\r\n\r\n{"error":{"code":"serving.too-busy"}}'
BODY = b'[{"n": 1}]'

Answering = Callable[[int], bytes]


@contextmanager
def server(answer: Answering) -> Iterator[Address]:
    """`answer` is told how many requests came before, and gives the bytes of its answer; empty hangs up."""
    listener = socket.create_server(("127.0.0.1", 0))
    count, lock = iter(range(10**9)), threading.Lock()

    def talk(client: socket.socket) -> None:
        with client:
            while read_request(client):
                with lock:
                    told = answer(next(count))
                if not told:
                    return
                client.sendall(told)
                if b"connection: close" in told:
                    return

    def accept() -> None:
        while True:
            try:
                client, _ = listener.accept()
            except OSError:
                return
            threading.Thread(target=talk, args=(client,), daemon=True).start()

    threading.Thread(target=accept, daemon=True).start()
    try:
        yield Address.parse(f"http://127.0.0.1:{listener.getsockname()[1]}")
    finally:
        listener.shutdown(socket.SHUT_RDWR)
        listener.close()


def read_request(client: socket.socket) -> bool:
    held = b""
    try:
        while b"\r\n\r\n" not in held:
            if not (data := client.recv(65536)):
                return False
            held += data
        head, _, body = held.partition(b"\r\n\r\n")
        left = int(head.rpartition(b"Content-Length: ")[2]) - len(body)
        while left > 0:
            left -= len(client.recv(65536))
    except OSError:
        return False
    return True


@pytest.fixture
def by_looks(monkeypatch: pytest.MonkeyPatch) -> None:
    """A clock that goes on by a millisecond with each look at it: a closed loop asks as often on any machine."""
    looks = itertools.count()
    clock = SimpleNamespace(perf_counter=lambda: 0.001 * next(looks), thread_time=time.thread_time)
    for module in ("generator", "connection"):
        monkeypatch.setattr(f"aias.client.load.{module}.time", clock)
    monkeypatch.setattr("aias.client.load.generator._PAUSE_SECONDS", 0.002)


def load(address: Address, plan: Plan, *, bodies: tuple[bytes, ...] = (BODY,), **more: object) -> Result:
    return put_load(Target.of(address, "/predict/m", bodies, {}), plan, **more)  # type: ignore[arg-type]


def test_every_arrival_is_asked_and_answered_once() -> None:
    plan = Plan(0.4, rate=200, warm_up=0.1, objective=60)

    with server(lambda _: OK) as address:
        result = load(address, plan)

    meant = [at for at in poisson(200, 0.5, seed=0) if at >= 0.1]
    assert result.sent == result.answered.count == result.good == len(meant) > 50
    assert result.late.count == len(meant)
    assert result.failures == {}
    assert result.seconds == pytest.approx(0.4)


def test_who_would_have_come_while_the_server_stood_still_has_waited() -> None:
    """An answer that takes 0.3 s, on the only connection: all who were meant to come meanwhile waited for its end."""
    stalled: list[float] = []

    def once(before: int) -> bytes:
        if before == 0:
            time.sleep(0.3)
            stalled.append(time.perf_counter())
        return OK

    with server(once) as address:
        result = load(address, Plan(0.5, rate=100, warm_up=0.0, objective=60), connections_max=1)

    times = list(poisson(100, 0.5, seed=0))
    waited = [at for at in times if at < times[0] + 0.15]
    assert len(waited) > 5
    assert result.answered.count == result.sent == len(times)
    assert sum(result.answered.within([0.149])[1:]) >= len(waited)
    assert result.waited >= len(waited) - 1


@pytest.mark.usefixtures("by_looks")
def test_callers_of_a_closed_loop_ask_again_once_they_are_answered() -> None:
    lock, now, most = threading.Lock(), [0], [0]

    def counted(_: int) -> bytes:
        with lock:
            now[0] += 1
            most[0] = max(most[0], now[0])
            now[0] -= 1
        return OK

    with server(counted) as address:
        result = load(address, Plan(0.3, connections=3, warm_up=0.05, objective=60))

    assert result.connections == 3
    assert result.answered.count == result.sent > 10
    assert result.failures == {}
    assert result.throughput == pytest.approx(result.sent / result.seconds)


def test_refusals_are_counted_by_status_and_code_and_apart_from_answers() -> None:
    with server(lambda before: BUSY if before % 2 else OK) as address:
        result = load(address, Plan(0.3, rate=100, warm_up=0.0, objective=60))

    assert result.failures == {"503 serving.too-busy": result.refused.count}
    assert result.answered.count + result.refused.count == result.sent
    assert abs(result.answered.count - result.refused.count) <= 1
    assert result.good == result.answered.count


OPEN, CLOSED = Plan(0.3, rate=60, warm_up=0.0), Plan(0.3, connections=2, warm_up=0.0)


@pytest.mark.parametrize("plan", [OPEN, CLOSED])
def test_a_server_that_ends_every_connection_is_called_anew(plan: Plan, request: pytest.FixtureRequest) -> None:
    if plan is CLOSED:
        request.getfixturevalue("by_looks")
    with server(lambda _: CLOSES) as address:
        result = load(address, plan)

    assert result.answered.count == result.sent > 5
    assert result.failures == {}


@pytest.mark.parametrize("plan", [OPEN, CLOSED])
def test_a_server_that_hangs_up_or_talks_nonsense_is_told_and_does_not_hold_it_up(
    plan: Plan, request: pytest.FixtureRequest
) -> None:
    if plan is CLOSED:
        request.getfixturevalue("by_looks")
    answers = {0: OK, 1: b"", 2: b"nonsense"}
    with server(lambda before: answers[before % 3]) as address:
        result = load(address, plan)

    assert result.answered.count + result.failed == result.sent > 3
    assert set(result.failures) <= {"closed", "reset", "no HTTP"}
    assert result.failed > 0


@pytest.mark.parametrize("plan", [Plan(0.2, rate=60, warm_up=0.0), Plan(0.2, connections=2, warm_up=0.0)])
def test_a_server_that_is_gone_is_not_asked_without_end(plan: Plan) -> None:
    with server(lambda _: OK) as address:
        target = Target.of(address, "/", [BODY], {})

    result = put_load(target, plan)

    assert result.failures["refused"] == result.sent > 0
    assert result.sent <= 40


def test_what_takes_too_long_is_given_up() -> None:
    release = threading.Event()

    def never(_: int) -> bytes:
        release.wait(600)
        return b""

    with server(never) as address:
        result = load(address, Plan(0.2, rate=50, warm_up=0.0, timeout=0.3), connections_max=2)
        release.set()

    assert result.failures == {"timeout": result.sent}


def test_what_comes_after_its_time_is_no_answer_however_seldom_it_is_looked_at() -> None:
    def late(_before: int) -> bytes:
        time.sleep(0.02)
        return OK

    with server(late) as address:
        result = load(address, Plan(0.2, rate=60, warm_up=0.0, timeout=0.01))

    assert result.answered.count == 0
    assert result.failures == {"timeout": result.sent}
    assert result.sent > 2


def test_a_large_body_goes_out_in_pieces_and_several_take_turns() -> None:
    bodies = tuple(b"%d" % at * 3_000_000 for at in range(3))
    with server(lambda _: OK) as address:
        result = load(address, Plan(0.2, connections=2, warm_up=0.0, objective=60), bodies=bodies)

    assert result.answered.count == result.sent > 0
    assert result.failures == {}


def test_told_to_stop_it_gives_what_it_has() -> None:
    stop = threading.Event()

    with server(lambda before: stop.set() or OK if before > 20 else OK) as address:
        result = load(address, Plan(600, rate=200, warm_up=0.0, objective=60), stop=stop)

    assert result.interrupted
    assert result.sent == result.answered.count > 10
    assert 0 < result.seconds < 600


def test_once_a_second_it_tells_how_far_it_is() -> None:
    told, heard = list[float](), threading.Event()

    def once_told(_: int) -> bytes:
        heard.wait(600)
        return OK

    def tick(_: Result, elapsed: float) -> None:
        told.append(elapsed)
        heard.set()

    with server(once_told) as address:
        load(address, Plan(1.3, rate=20, warm_up=0.0, timeout=600), tick=tick)

    assert told
    assert all(each >= 1 for each in told)


def test_a_generator_that_cannot_keep_its_times_says_so() -> None:
    result = Result(Plan(1, rate=100))
    result.answered.add(0.02)
    result.late.add(0.0001)
    assert not result.lags
    result.late.add(0.03)
    assert result.lags
    assert result.as_dict()["generator"]["kept_schedule"] is False  # type: ignore[index]


def test_of_nothing_no_figure_is_made_up() -> None:
    told = Result(Plan(1, rate=100)).as_dict()

    assert told["latency_ms"] is None
    assert (told["throughput"], told["goodput"]) == (0.0, 0.0)
    assert math.isnan(Result(Plan(1)).answered.at(0.5))


@pytest.mark.parametrize(
    "url", ["https://a", "ftp://a", "a:80", "http://", "http://u:p@h", "http://h:99999", "http://h/?q=1"]
)
def test_an_address_that_cannot_be_asked_is_refused(url: str) -> None:
    with pytest.raises(UserError):
        Address.parse(url)


def test_an_address_without_a_scheme_is_shown_with_one() -> None:
    with pytest.raises(UserError) as refused:
        Address.parse("10.0.0.7:8123")

    assert refused.value.hint == "write http://10.0.0.7:8123"


def test_an_address_may_lie_behind_a_prefix_or_in_brackets() -> None:
    assert Address.parse("http://h:81/aias/") == Address("h", 81, "h:81", "/aias")
    assert Address.parse("http://[::1]:8000").host == "::1"
