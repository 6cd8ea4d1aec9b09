"""Clients that take their time: each is cut off at its deadline, and nobody else waits for it."""

import contextlib
import select
import socket
import threading
import time
from collections.abc import Iterator
from contextlib import ExitStack
from dataclasses import replace
from functools import partial

import pytest

from aias.serving.bounds import within_descriptors
from aias.serving.connection import Connection
from serving_house import BOUNDS, PATIENCE, House, Joined, Rule, Shelf, eventually, house, read_all

BODY = b'[{"age": 50}]'
HEAD = b"POST /predict/churn HTTP/1.1\r\nHost: localhost\r\nAuthorization: Bearer all-key\r\n"


HASTY = replace(BOUNDS, body_idle_seconds=0.3, body_seconds=0.8, keep_alive_seconds=0.3, linger_seconds=0.2)


@pytest.fixture(scope="module")
def server() -> Iterator[House]:
    """It waits for headers, and for nothing else."""
    with house(bounds=HASTY) as running:
        yield running


@pytest.fixture(scope="module")
def hasty() -> Iterator[House]:
    with house(bounds=replace(HASTY, header_seconds=0.3)) as running:
        yield running


def drip(client: socket.socket, pieces: Iterator[bytes], *, every_seconds: float) -> bytes:
    """Send piece after piece until the server has had enough, and return what it said."""
    client.settimeout(every_seconds)
    said = b""
    for piece in pieces:
        with contextlib.suppress(OSError):
            client.sendall(piece)
        try:
            part = client.recv(65536)
        except TimeoutError:
            continue
        except ConnectionResetError:
            return said
        if not part:
            return said
        said += part
    pytest.fail("the server never cut this client off")


def test_a_silent_connection_is_cut(hasty: House) -> None:
    with hasty.socket() as client:
        assert read_all(client).startswith(b"HTTP/1.1 408 ")


def test_headers_that_trickle_are_cut(hasty: House) -> None:
    with hasty.socket() as client:
        client.sendall(b"GET /")
        said = drip(client, (b"a" for _ in range(200)), every_seconds=0.05)

    assert said.startswith(b"HTTP/1.1 408 ")


def test_header_after_header_is_cut(hasty: House) -> None:
    with hasty.socket() as client:
        client.sendall(HEAD)
        said = drip(client, (b"X-%d: 1\r\n" % at for at in range(200)), every_seconds=0.05)

    assert said.startswith(b"HTTP/1.1 408 ")


def test_a_half_sent_body_is_cut(server: House) -> None:
    with server.socket() as client:
        client.sendall(HEAD + b"Content-Length: 13\r\n\r\n" + BODY[:5])
        said = read_all(client)

    assert said.startswith(b"HTTP/1.1 408 ")
    assert b"serving.body-too-slow" in said


def test_a_body_that_trickles_steadily_is_cut_too(server: House) -> None:
    with server.socket() as client:
        client.sendall(HEAD + b"Content-Length: 10000\r\n\r\n")
        said = drip(client, (b" " for _ in range(200)), every_seconds=0.05)

    assert said.startswith(b"HTTP/1.1 408 ")


def test_chunks_that_never_end_are_cut(server: House) -> None:
    with server.socket() as client:
        client.sendall(HEAD + b"Transfer-Encoding: chunked\r\n\r\n")
        said = drip(client, (b"1\r\n \r\n" for _ in range(200)), every_seconds=0.05)

    assert said.startswith(b"HTTP/1.1 408 ")


def test_a_connection_that_asks_no_more_is_closed_without_a_word(server: House) -> None:
    with server.socket() as client:
        client.sendall(HEAD + b"Content-Length: 13\r\n\r\n" + BODY)
        said = read_all(client)

    assert said.count(b"HTTP/1.1 ") == 1
    assert said.startswith(b"HTTP/1.1 200 ")


def test_who_goes_on_sending_after_a_refusal_is_cut(server: House) -> None:
    with server.socket() as client:
        client.sendall(b"POST /predict/churn HTTP/1.1\r\nHost: localhost\r\nTransfer-Encoding: chunked\r\n\r\n")
        pieces = (b"1\r\n \r\n" for _ in range(200))
        client.settimeout(0.02)
        said, cut = b"", False
        for piece in pieces:
            try:
                client.sendall(piece)
            except OSError:
                cut = True
                break
            with contextlib.suppress(TimeoutError, ConnectionResetError):
                said += client.recv(65536)
            threading.Event().wait(0.02)

    assert said.startswith(b"HTTP/1.1 401 ")
    assert cut


def test_a_client_that_hangs_up_halfway_leaves_nothing_behind(server: House) -> None:
    for _ in range(20):
        with server.socket() as client:
            client.sendall(HEAD + b"Content-Length: 1000\r\n\r\n" + b" " * 500)
    eventually(lambda: "aias_open_connections 1.0" in server.call("GET", "/metrics").body.decode())


def test_five_hundred_idle_sockets_hold_up_nobody() -> None:
    with house() as server, contextlib.ExitStack() as sockets:
        for at in range(500):
            idle = sockets.enter_context(server.socket())
            idle.sendall((b"", b"POST /predict/churn HT", HEAD + b"Content-Length: 9\r\n\r\n[")[at % 3])
        statuses = {server.call("POST", "/predict/churn", [{"age": 50}]).status for _ in range(50)}

    assert statuses == {200}


def test_at_the_bound_the_longest_idle_connection_gives_way() -> None:
    with (
        house(bounds=replace(BOUNDS, connections=20, give_way_seconds=1e-6)) as server,
        contextlib.ExitStack() as sockets,
    ):
        idle = [sockets.enter_context(server.socket()) for _ in range(30)]
        statuses = {server.call("POST", "/predict/churn", [{"age": 50}]).status for _ in range(20)}
        first_said = read_all(idle[0])

    assert statuses == {200}
    assert first_said == b""


def test_who_was_answered_and_dawdles_over_the_next_head_gives_way_too() -> None:
    alive = b"GET /health/live HTTP/1.1\r\nHost: localhost\r\n\r\n"
    with (
        house(bounds=replace(BOUNDS, connections=3, give_way_seconds=1e-6)) as server,
        contextlib.ExitStack() as sockets,
    ):
        for _ in range(3):
            dawdling = sockets.enter_context(server.socket())
            dawdling.sendall(alive)
            assert dawdling.recv(1000).startswith(b"HTTP/1.1 200 ")
            dawdling.sendall(alive[:20])
        # Where there is no more room one of them may give way already.
        eventually(lambda: phases(server) in (["HEAD"] * 2, ["HEAD"] * 3))
        with server.socket() as late:
            late.sendall(alive)
            assert late.recv(1000).startswith(b"HTTP/1.1 200 ")


def test_who_was_refused_and_dawdles_over_its_body_gives_way_too() -> None:
    model, shelf = Joined(), Shelf()
    shelf.deploy("churn", 1, model)
    bounds = replace(BOUNDS, connections=3, give_way_seconds=1e-6, inline_row_seconds=1e-12)
    with house(shelf, bounds=bounds, places=1) as server, contextlib.ExitStack() as sockets:
        model.stall.clear()
        sockets.callback(model.stall.set)
        running = sockets.enter_context(server.socket())
        running.sendall(HEAD + b"Content-Length: 13\r\n\r\n" + BODY)
        eventually(lambda: server.gateway.executor.batcher.running == 1)
        for _ in range(2):
            refused = sockets.enter_context(server.socket())
            refused.sendall(HEAD + b"X-Deadline-Ms: 1\r\nContent-Length: 9999\r\n\r\n")
            assert refused.recv(1000).startswith(b"HTTP/1.1 503 ")
        assert phases(server) == ["ANSWER", "BODY", "BODY"]
        with server.socket() as late:
            late.sendall(b"GET /health/live HTTP/1.1\r\nHost: localhost\r\n\r\n")
            assert late.recv(1000).startswith(b"HTTP/1.1 200 ")
        model.stall.set()
        assert running.recv(1000).startswith(b"HTTP/1.1 200 ")


def phases(server: House) -> list[str]:
    """What each connection is at."""
    found = [*server.gateway._server.server_state.connections]
    return sorted(each._phase.name for each in found if isinstance(each, Connection))


def refused(server: House, asked: bytes) -> bytes:
    """The body of what one is told for whom there is no connection."""
    with server.socket() as late:
        late.sendall(asked)
        head, _, body = read_all(late).partition(b"\r\n\r\n")
    assert head.startswith(b"HTTP/1.1 503 ") and b"\r\nretry-after: 1\r\n" in head
    return body


def test_when_all_are_busy_the_next_is_told_so() -> None:
    with house(bounds=replace(BOUNDS, connections=3)) as server, contextlib.ExitStack() as sockets:
        for head in (HEAD, HEAD, HEAD.replace(b"all-key", b"predict-key")):
            busy = sockets.enter_context(server.socket())
            busy.sendall(head + b"Expect: 100-continue\r\nContent-Length: 13\r\n\r\n")
            assert busy.recv(100).startswith(b"HTTP/1.1 100 ")
        for path, error in ((b"/predict/churn", b'{"code":'), (b"/v2/models/churn/infer", b'"too many')):
            told = partial(refused, server, b"POST %b HTTP/1.1\r\nHost: localhost\r\n\r\n" % path)
            # Who is looked at before its request has come is told in the usual dialect.
            eventually(lambda told=told, error=error: told().startswith(b'{"error":' + error), PATIENCE)


def test_an_address_with_more_than_its_share_of_connections_gives_way_to_others() -> None:
    alive = b"GET /health/live HTTP/1.1\r\nHost: localhost\r\n\r\n"

    def ask(server: House, held: ExitStack, address: str) -> bytes:
        """On a connection that stays."""
        client = held.enter_context(socket.create_connection(("127.0.0.1", server.port), PATIENCE, (address, 0)))
        client.sendall(alive)
        return client.recv(1000)[:12]

    # Who was answered a moment ago gives way to nobody else.
    with house(bounds=replace(BOUNDS, connections=4, give_way_seconds=PATIENCE)) as server, ExitStack() as held:
        assert [ask(server, held, "127.0.0.2") for _ in range(4)] == [b"HTTP/1.1 200"] * 4
        eventually(lambda: phases(server) == ["IDLE"] * 4)
        assert ask(server, held, "127.0.0.2") == b"HTTP/1.1 503"
        assert ask(server, held, "127.0.0.1") == b"HTTP/1.1 200"
        # Three of four are its share.
        assert ask(server, held, "127.0.0.1") == b"HTTP/1.1 503"
        assert server.gateway.metrics.refusals["serving.gave-way", "", ""] == 1


def test_who_idles_gives_way_but_not_to_an_address_with_its_share() -> None:
    with house(bounds=replace(BOUNDS, connections=4, give_way_seconds=1e-6)) as server, ExitStack() as held:

        def come(address: str) -> socket.socket:
            return held.enter_context(socket.create_connection(("127.0.0.1", server.port), PATIENCE, (address, 0)))

        alone, crowd = come("127.0.0.1"), list[socket.socket]()
        for there in range(4):
            # One after the other: who is still on the way counts for no address.
            eventually(lambda there=there: len(phases(server)) == there + 1)
            crowd.append(come("127.0.0.2"))
        assert read_all(crowd[0]) == b""
        alone.sendall(b"GET /health/live HTTP/1.1\r\nHost: localhost\r\n\r\n")
        assert alone.recv(1000).startswith(b"HTTP/1.1 200 ")


def test_stopping_finishes_what_has_begun() -> None:
    gate = threading.Event()
    gate.set()
    slow, shelf = Rule(gate=gate), Shelf()
    shelf.deploy("churn", 1, slow)
    with house(shelf) as server, server.socket() as asking, server.socket() as sending, server.socket() as idle:
        for _ in range(5):
            assert slow.started.acquire(timeout=PATIENCE)  # the trials at loading
        idle.sendall(b"GET /health/ready HTTP/1.1\r\nHost: localhost\r\n\r\n")
        assert idle.recv(65536).startswith(b"HTTP/1.1 200 ")
        sending.sendall(HEAD + b"Expect: 100-continue\r\nContent-Length: 13\r\n\r\n")
        assert sending.recv(100).startswith(b"HTTP/1.1 100 ")
        gate.clear()
        csv = b"age\n50\n"
        asking.sendall(HEAD + b"Content-Type: text/csv\r\nContent-Length: %d\r\n\r\n" % len(csv) + csv)
        assert slow.started.acquire(timeout=PATIENCE)

        server.gateway.stop()
        assert not server.gateway.ready
        assert read_all(idle) == b""
        eventually(lambda: not accepts(server))
        assert server.thread.is_alive()
        gate.set()
        sending.sendall(BODY)

        assert read_all(asking).startswith(b"HTTP/1.1 200 ")
        assert read_all(sending).startswith(b"HTTP/1.1 200 ")
        server.thread.join(PATIENCE)
        assert not server.thread.is_alive()


def test_stopping_waits_for_the_rest_of_a_body_that_is_answered_as_soon_as_it_is_there() -> None:
    with house() as server, server.socket() as sending:
        sending.sendall(HEAD + b"Content-Type: application/json\r\nContent-Length: 13\r\n\r\n" + BODY[:3])
        eventually(lambda: any(each._held == BODY[:3] for each in connections(server)))

        server.gateway.stop()
        eventually(lambda: not accepts(server))
        sending.sendall(BODY[3:])

        assert read_all(sending).startswith(b"HTTP/1.1 200 ")
        server.thread.join(PATIENCE)
        assert not server.thread.is_alive()


@pytest.mark.parametrize(
    "asked",
    [
        HEAD + b"Content-Type: application/json\r\nContent-Length: 13\r\n\r\n" + BODY,
        HEAD.replace(b"all-key", b"no-key") + b"Content-Length: 13\r\n\r\n" + BODY,
        b"GET /health/live HTTP/1.1\r\nHost: localhost\r\n\r\n",
    ],
    ids=["a prediction", "a refusal", "a probe"],
)
def test_who_asks_again_while_the_server_stops_is_answered_and_told_that_it_was_the_last_time(asked: bytes) -> None:
    with house() as server, server.socket() as client:
        for _ in range(2):
            client.sendall(asked)
            first = client.recv(65536)
            assert b"connection: close" not in first
        (connection,) = connections(server)

        def stop() -> None:
            # Nothing else happens on the loop between the two.
            connection.shutdown()
            client.sendall(asked)

        connection.loop.call_soon_threadsafe(stop)
        last = read_all(client)

        assert last.split(b"\r\n")[0] == first.split(b"\r\n")[0]
        assert b"\r\nconnection: close\r\n" in last


def test_who_asks_no_more_while_the_server_stops_is_let_go() -> None:
    with house(bounds=HASTY) as server, server.socket() as client, server.socket() as silent:
        client.sendall(b"GET /health/live HTTP/1.1\r\nHost: localhost\r\n\r\n")
        assert client.recv(65536).startswith(b"HTTP/1.1 200 ")
        eventually(lambda: len(connections(server)) == 2)

        server.gateway.stop()

        assert read_all(client) == read_all(silent) == b""
        server.thread.join(PATIENCE)
        assert not server.thread.is_alive()


def connections(server: House) -> list[Connection]:
    return [each for each in list(server.gateway._server.server_state.connections) if isinstance(each, Connection)]


def test_who_does_not_finish_while_the_server_stops_is_cut() -> None:
    with house(bounds=replace(BOUNDS, drain_seconds=0.3)) as server, server.socket() as stuck:
        stuck.sendall(HEAD + b"Content-Length: 13\r\n\r\n[")
        eventually(lambda: "aias_open_connections 2.0" in server.call("GET", "/metrics").body.decode())
        server.gateway.stop()
        server.thread.join(PATIENCE)
        assert not server.thread.is_alive()


def accepts(server: House) -> bool:
    try:
        server.socket().close()
    except ConnectionRefusedError:
        return False
    return True


def test_beside_five_hundred_that_dawdle_everybody_else_is_answered() -> None:
    bounds = within_descriptors(replace(BOUNDS, connections=2 * 500 + 64))
    starts = (b"GET /", HEAD + b"Content-Length: 10000\r\n\r\n", b"")
    with house(bounds=bounds) as server, contextlib.ExitStack() as held:
        slow = [held.enter_context(server.socket()) for _ in range(500)]
        for at, client in enumerate(slow):
            client.sendall(starts[at % 3])

        statuses = []
        for at in range(50):
            for client in slow[at::50]:
                client.sendall(b"a")
            statuses.append(server.call("POST", "/predict/churn", [{"age": 50}]).status)

    assert statuses == [200] * 50


@contextlib.contextmanager
def busy() -> Iterator[tuple[House, Joined]]:
    """A server with one place, which is taken until `stall` is set."""
    shelf, model = Shelf(), Joined()
    shelf.deploy("churn", 1, model)
    with house(shelf, bounds=replace(BOUNDS, inline_row_seconds=1e-12), places=1) as server:
        model.stall.clear()
        try:
            yield server, model
        finally:
            model.stall.set()


WHOLE = HEAD + b"Content-Length: 13\r\n\r\n" + BODY


def final(said: bytes) -> bytes:
    """What was said, without the answers that are none yet."""
    return said.replace(b"HTTP/1.1 100 Continue\r\n\r\n", b"")


@pytest.mark.parametrize("http", [b"HTTP/1.1", b"HTTP/1.0"])
def test_who_sends_no_more_but_waits_is_answered(http: bytes) -> None:
    with busy() as (server, model), server.socket() as running, server.socket() as waiting:
        batcher = server.gateway.executor.batcher
        for each, full in ((running, lambda: batcher.running == 1), (waiting, lambda: batcher.waiting == 1)):
            each.sendall(WHOLE.replace(b"HTTP/1.1", http))
            eventually(full)
            each.shutdown(socket.SHUT_WR)
        threading.Event().wait(5 * BOUNDS.sweep_seconds)
        model.stall.set()

        for each in (running, waiting):
            said = read_all(each)
            assert final(said).startswith(b"HTTP/1.1 200 ")
            assert (said != final(said)) == (http == b"HTTP/1.1")


def test_all_that_was_asked_before_the_end_is_answered_and_what_is_not_whole_is_not() -> None:
    with busy() as (server, model), server.socket() as client:
        client.sendall(WHOLE + WHOLE + WHOLE[:-1])
        client.shutdown(socket.SHUT_WR)
        eventually(lambda: server.gateway.executor.batcher.running == 1)
        model.stall.set()

        assert final(read_all(client)).count(b"HTTP/1.1 200 ") == 2


def test_who_has_gone_altogether_leaves_the_queue() -> None:
    with busy() as (server, _), server.socket() as running:
        batcher = server.gateway.executor.batcher
        running.sendall(WHOLE)
        eventually(lambda: batcher.running == 1)
        with server.socket() as gone:
            gone.sendall(WHOLE)
            eventually(lambda: batcher.waiting == 1)

        eventually(lambda: batcher.waiting == 0)


def test_a_tiny_model_answers_who_sends_no_more(server: House) -> None:
    with server.socket() as client:
        client.sendall(WHOLE + WHOLE)
        client.shutdown(socket.SHUT_WR)

        assert read_all(client).count(b"HTTP/1.1 200 ") == 2


def test_a_refusal_that_does_not_wait_for_the_body_says_that_the_connection_ends(server: House) -> None:
    with server.socket() as client:
        client.sendall(b"POST /predict/nobody HTTP/1.1\r\nHost: localhost\r\nContent-Length: 1000\r\n\r\n[")
        said = read_all(client)

    assert said.startswith(b"HTTP/1.1 401 ")
    assert said.lower().count(b"\r\nconnection: close\r\n") == 1


IN_TIME = HEAD + b"X-Deadline-Ms: 20\r\nContent-Type: application/json\r\nContent-Length: 13\r\n"


def test_a_body_that_comes_after_its_deadline_is_not_answered() -> None:
    with house() as server, server.socket() as client:
        client.sendall(IN_TIME + b"\r\n" + BODY[:3])
        eventually(lambda: any(each._held == BODY[:3] for each in connections(server)))
        [waits] = connections(server)
        eventually(lambda: time.monotonic() > waits._began_at + 0.03)

        client.sendall(BODY[3:])

        answer = client.recv(65536)
        assert answer.startswith(b"HTTP/1.1 504 ")
        assert b"serving.too-late" in answer
        # The connection goes on.
        client.sendall(HEAD + b"Content-Type: application/json\r\nContent-Length: 13\r\n\r\n" + BODY)
        assert client.recv(65536).startswith(b"HTTP/1.1 200 ")


def test_a_body_that_does_not_come_is_not_waited_for_beyond_its_deadline() -> None:
    with house() as server, server.socket() as client:
        client.sendall(IN_TIME + b"Expect: 100-continue\r\n\r\n")

        answer = read_all(client)

        assert b"HTTP/1.1 504 " in answer
        assert b"connection: close" in answer


@pytest.mark.parametrize("how", [b"Content-Length: 13\r\n\r\n[", b"Transfer-Encoding: chunked\r\n\r\n1\r\n[\r\n"])
def test_bodies_of_one_key_that_do_not_come_take_no_more_than_its_share_of_connections(how: bytes) -> None:
    with house(bounds=replace(BOUNDS, connections=8, give_way_seconds=0.05)) as server, ExitStack() as sockets:
        slow = [sockets.enter_context(server.socket()) for _ in range(7)]
        for each in slow:
            each.sendall(HEAD + b"Content-Type: application/json\r\n" + how)

        ready = select.select(slow, [], [], PATIENCE)[0]

        [refused] = [read_all(each) for each in ready]
        assert refused.startswith(b"HTTP/1.1 429 ")
        assert b"retry-after: 1\r\n" in refused
        assert b"serving.too-many-at-once" in refused
        assert server.call("POST", "/predict/churn", BODY, key="predict-key").status == 200


def test_who_has_been_refused_and_lingers_gives_way() -> None:
    bounds = replace(BOUNDS, connections=1, give_way_seconds=0.05, linger_seconds=1e6)
    with house(bounds=bounds) as server, server.socket() as refused:
        refused.sendall(b"NONSENSE\r\n\r\n")
        assert refused.recv(65536).startswith(b"HTTP/1.1 400 ")

        eventually(lambda: server.call("GET", "/health/live").status == 200)
