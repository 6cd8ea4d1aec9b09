"""Workers die, hang and are replaced under load: every request is answered, once and rightly, but those that did it."""

import errno
import json
import os
import signal
import socket
import threading
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest
from mortal_server import PATIENCE, Server, load, more, serving
from mortal_worker import ASLEEP, AT_ACCEPT, AT_START, DEADLY, ENDLESS, GREEDY, NEVER_LOADED

from aias.serving.survival import heartbeat
from aias.serving.survival.adoption import Transfer, send
from aias.serving.survival.keeper import can_keep
from live_server import eventually
from open_files import room_for

pytestmark = pytest.mark.skipif(not can_keep(), reason="this machine cannot keep connections")


@pytest.fixture(scope="module")
def server() -> Iterator[Server]:
    with serving(loop_seconds=5.0) as running:
        yield running


def test_workers_are_killed_under_load_and_no_caller_notices(server: Server) -> None:
    with load(server, good=3, slow=2) as clients:
        for at in range(3):
            more(clients)
            eventually(server.whole, PATIENCE)
            os.kill(server.supervisor.pids[at % 2], signal.SIGKILL)
            eventually(lambda at=at: server.told("serve.worker-died") == at + 1, PATIENCE)
        eventually(server.whole, PATIENCE)

    assert server.told("serve.quarantined") == 0


def test_workers_are_killed_amid_a_long_pipeline_and_each_of_its_requests_is_answered_in_its_turn(
    server: Server,
) -> None:
    eventually(server.whole, PATIENCE)
    head = b"POST /predict/good HTTP/1.1\r\nHost: localhost\r\nAuthorization: Bearer all-key\r\n"
    asked = [head + b'X-Request-Id: %d\r\nContent-Length: 13\r\n\r\n[{"age": 50}]' % at for at in range(2_000)]
    with socket.create_connection(("127.0.0.1", server.port), timeout=PATIENCE) as client:
        sender = threading.Thread(target=client.sendall, args=(b"".join(asked),))
        sender.start()
        told, deaths = b"", [400, 1_200]
        while told.count(b"}}]") < len(asked):
            piece = client.recv(1 << 16)
            assert piece, f"closed after {told.count(b'}}]')} answers"
            told += piece
            if deaths and told.count(b"}}]") >= deaths[0]:
                deaths.pop(0)
                for pid in server.supervisor.pids:
                    os.kill(pid, signal.SIGKILL)
        sender.join()

    assert [int(each.partition(b"\r\n")[0]) for each in told.split(b"x-request-id: ")[1:]] == [*range(len(asked))]


def test_a_connection_whose_worker_dies_before_it_has_noted_it_is_answered_by_another(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv(AT_ACCEPT, str(tmp_path / "told"))
    with serving(workers=2) as server:
        eventually(server.whole, PATIENCE)
        for _ in range(2):
            (tmp_path / "told").touch()
            assert server.call("good", 50)[0] == 200

        eventually(lambda: server.told("serve.worker-died") == 2, PATIENCE)


def test_workers_are_renewed_under_load_and_no_connection_is_closed(server: Server) -> None:
    died, before = server.told("serve.worker-died"), set(server.supervisor.pids)
    with load(server, good=2, slow=2) as clients:
        more(clients)
        server.supervisor.renew()
        eventually(lambda: server.whole() and not before & set(server.supervisor.pids), PATIENCE)

    assert server.told("serve.worker-died") == died


def test_a_model_that_ends_its_process_is_tried_again_then_runs_apart_and_then_no_more(server: Server) -> None:
    with load(server, good=2, slow=1):
        eventually(server.whole, PATIENCE)
        first = server.call("bad", DEADLY)
        eventually(lambda: server.told("serve.apart"), PATIENCE)
        died = server.told("serve.worker-died")
        alone = server.call("bad", 50, 20)
        second = server.call("bad", DEADLY)
        eventually(lambda: server.told("serve.quarantined"), PATIENCE)
        eventually(lambda: server.call("bad", 50)[0] == 503, PATIENCE)
        third = server.call("bad", 50)

    assert (first[0], first[1]["error"]["code"]) == (500, "serving.run-ended")
    assert (alone[0], [answer["prediction"] for answer in alone[1]]) == (200, ["yes", "no"])
    assert (second[0], second[1]["error"]["code"]) == (500, "serving.run-ended")
    assert (third[0], third[1]["error"]["code"]) == (503, "serving.quarantined")
    assert server.told("serve.worker-died") == died
    assert b'aias_held{how="quarantined",version="bad@1"} 1.0' in server.send("GET", "/metrics")[1]
    index, names = indexed(server)
    assert (index["bad"], index["good"], names) == ("UNAVAILABLE", "READY", sorted(index.keys() - {"bad"}))

    # Somebody vouches for it: one step back each time.
    assert released(server) == {"bad@1": "apart"}
    assert indexed(server)[0]["bad"] == "READY"
    eventually(lambda: server.call("bad", 50)[0] == 200, PATIENCE)
    assert b'aias_held{how="apart",version="bad@1"} 1.0' in server.send("GET", "/metrics")[1]
    assert released(server) == {}
    assert server.call("bad", 50)[0] == 200
    status, body = server.send("POST", "/endpoints/bad/release")
    assert (status, json.loads(body)["error"]["code"]) == (404, "serving.not-held")


def indexed(server: Server) -> tuple[dict[str, str], list[str]]:
    """What the repository says of each endpoint, and which can answer."""
    index = json.loads(server.send("POST", "/v2/repository/index")[1])
    return {each["name"]: each["state"] for each in index}, json.loads(server.send("GET", "/v2/models")[1])["models"]


def released(server: Server) -> object:
    status, body = server.send("POST", "/endpoints/bad/release")
    assert status == 200, body
    return json.loads(body)["held"]


def test_a_run_that_does_not_end_is_ended_with_its_process(server: Server) -> None:
    with load(server, good=2):
        status, answer = server.call("hung", ENDLESS)

    assert (status, answer["error"]["code"]) == (504, "serving.too-late")
    assert server.told("serve.run-stuck") == 1


def test_a_run_in_a_thread_that_does_not_end_is_ended_long_before_the_last_moment_of_its_answer() -> None:
    """Its place is one of few: meanwhile all other models in threads would have to wait."""
    with serving(workers=1, loop_seconds=1.0, answer_seconds=PATIENCE) as server:
        assert server.call("slow", ENDLESS)[0] == 504
        assert server.call("slow", 50)[0] == 200
        assert server.told("serve.run-stuck") == 1


def test_a_worker_that_is_told_to_end_by_anybody_leaves_its_connections_to_others(server: Server) -> None:
    eventually(server.whole, PATIENCE)
    died = server.told("serve.worker-died")
    with load(server, good=3, slow=1) as clients:
        for at in range(2):
            more(clients)
            eventually(server.whole, PATIENCE)
            os.kill(server.supervisor.pids[at % 2], signal.SIGTERM)
            eventually(lambda at=at: server.told("serve.worker-died") == died + at + 1, PATIENCE)
        eventually(server.whole, PATIENCE)


def test_a_worker_that_is_stopped_is_replaced_and_its_callers_are_answered(server: Server) -> None:
    eventually(server.whole, PATIENCE)
    died = server.told("serve.worker-died")
    with load(server, good=3, slow=1) as clients:
        more(clients)
        os.kill(server.supervisor.pids[0], signal.SIGSTOP)
        eventually(lambda: server.told("serve.worker-hung"), PATIENCE)
        eventually(lambda: server.told("serve.worker-died") == died + 1 and server.whole(), PATIENCE)


def test_what_the_system_refuses_its_supervisor_is_told_and_ends_nobody(server: Server) -> None:
    def refused() -> None:
        raise OSError(errno.EMFILE, "Too many open files")

    server.supervisor._later(refused)
    eventually(lambda: server.told("serve.supervisor-fault") or not server.thread.is_alive(), PATIENCE)

    assert server.call("good", 50)[0] == 200
    assert server.told("serve.supervisor-fault") == 1


def test_a_worker_that_cannot_be_started_for_now_is_started_later_and_the_others_answer(server: Server) -> None:
    eventually(server.whole, PATIENCE)
    before, (killed, other) = server.told("serve.worker-not-started"), server.supervisor.pids
    with room_for(0):
        os.kill(killed, signal.SIGKILL)
        eventually(lambda: server.told("serve.worker-not-started") > before or not server.thread.is_alive(), PATIENCE)
    assert server.thread.is_alive()
    eventually(server.whole, PATIENCE)

    assert other in server.supervisor.pids
    assert server.call("good", 50)[0] == 200


def test_a_worker_hears_late_of_what_runs_apart_where_it_had_no_room_to_hear(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(heartbeat, "STOPPED_SECONDS_MAX", PATIENCE)
    with serving(workers=1) as server:
        [process] = server.supervisor._ready()
        assert process.channel is not None
        process.signal(signal.SIGSTOP)
        eventually(lambda: heartbeat.threads_of(process.popen.pid)[0] == {"T"}, PATIENCE)
        while send(process.channel.ours, Transfer(), []):
            pass
        server.supervisor._later(server.supervisor._policy.move, "good@1", "to see")
        eventually(lambda: server.told("serve.apart"), PATIENCE)
        process.signal(signal.SIGCONT)

        eventually(
            lambda: b'aias_held{how="apart",version="good@1"} 1.0' in server.send("GET", "/metrics")[1], PATIENCE
        )


@pytest.fixture
def next_start(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Callable[[str], object]:
    """What the worker does that is started next."""
    monkeypatch.setenv(AT_START, str(tmp_path / "told"))
    return (tmp_path / "told").write_text


def test_a_worker_that_is_stopped_while_it_starts_is_ended_and_who_waits_is_answered(
    next_start: Callable[[str], object],
) -> None:
    with serving(workers=1) as server, load(server, good=1) as clients:
        more(clients)
        next_start("stop")
        os.kill(server.supervisor.pids[0], signal.SIGKILL)
        eventually(lambda: server.told("serve.worker-hung"), PATIENCE)
        more(clients)

        assert server.told("serve.worker-died") == 2


@pytest.mark.parametrize("how", ["exit", "stop"])
def test_a_worker_is_renewed_though_its_first_successor_never_answers(
    server: Server, next_start: Callable[[str], object], how: str
) -> None:
    eventually(server.whole, PATIENCE)
    died, before = server.told("serve.worker-died"), set(server.supervisor.pids)
    with load(server, good=2) as clients:
        more(clients)
        next_start(how)
        server.supervisor.renew()
        eventually(lambda: server.told("serve.worker-died") == died + 1, PATIENCE)
        eventually(lambda: server.whole() and before.isdisjoint(server.supervisor.pids), PATIENCE)

    said = next(event.message for event in reversed(server.events) if event.name == "serve.worker-died")
    assert said.startswith("the successor of worker 0 ended")


def keeper_of(server: Server, worker: int) -> int:
    process = server.supervisor._workers[worker].process
    assert process is not None
    assert process.keeper is not None
    return process.keeper


def test_a_worker_whose_keeper_is_stopped_dies_heard_and_its_callers_are_answered(server: Server) -> None:
    eventually(server.whole, PATIENCE)
    died = server.told("serve.worker-died")
    with load(server, good=3, slow=1) as clients:
        more(clients)
        os.kill(keeper_of(server, 0), signal.SIGSTOP)
        first = server.supervisor._workers[0].process
        assert first is not None
        os.kill(first.popen.pid, signal.SIGKILL)
        eventually(lambda: server.told("serve.worker-died") == died + 1 and server.whole(), PATIENCE)


def test_a_worker_that_loses_its_keeper_is_replaced_once(server: Server) -> None:
    eventually(server.whole, PATIENCE)
    died, process = server.told("serve.worker-died"), server.supervisor._workers[0].process
    assert process is not None
    process.started_at -= 100.0
    os.kill(keeper_of(server, 0), signal.SIGKILL)
    eventually(lambda: process.popen.pid not in server.supervisor.pids and server.whole(), PATIENCE)

    assert server.call("good", 50)[0] == 200
    assert (server.told("serve.keeper-ended"), server.told("serve.worker-died")) == (1, died)


def test_what_came_in_pieces_and_in_a_row_is_answered_in_order_after_a_kill() -> None:
    body = json.dumps([{"age": 50}]).encode()
    whole = (
        b"POST /predict/good HTTP/1.1\r\nHost: localhost\r\nAuthorization: Bearer all-key\r\n"
        b"Content-Type: application/json\r\nX-Request-Id: %b\r\nContent-Length: %d\r\n\r\n%b"
    )
    with serving(workers=1) as server, socket.create_connection(("127.0.0.1", server.port), PATIENCE) as client:
        client.sendall(whole % (b"a", len(body), body) + (whole % (b"b", len(body), body))[:-5])
        came = client.makefile("rb")
        assert one_answer(came) == b"a"
        os.kill(server.supervisor.pids[0], signal.SIGKILL)
        client.sendall(body[-5:] + whole % (b"c", len(body), body))

        assert [one_answer(came), one_answer(came)] == [b"b", b"c"]


def one_answer(came: object) -> bytes:
    """Read one answer, which must be good; whose it is."""
    assert came.readline() == b"HTTP/1.1 200 OK\r\n"
    headers = dict(line.rstrip().lower().split(b": ", 1) for line in iter(came.readline, b"\r\n"))
    assert json.loads(came.read(int(headers[b"content-length"])))[0]["prediction"] == "yes"
    return headers[b"x-request-id"]


def test_a_model_that_holds_the_interpreter_gets_a_process_of_its_own_before_anything_dies(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setenv(GREEDY, "1")
    with serving(workers=1) as server:
        eventually(lambda: server.told("serve.apart"), PATIENCE)
        why = next(event.facts["why"] for event in server.events if event.name == "serve.apart")
        answered = server.call("greedy", 50, 20)
        shown = server.send("GET", "/metrics")[1]

    assert "holds the interpreter" in str(why)
    assert (answered[0], [each["prediction"] for each in answered[1]]) == (200, ["yes", "no"])
    assert b'aias_held{how="apart",version="greedy@1"} 1.0' in shown
    assert shown.count(b"aias_held{") == 1
    assert server.told("serve.worker-died") == 0


def test_a_version_whose_loading_does_not_end_is_quarantined_and_its_neighbours_answer(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setenv(NEVER_LOADED, "1")
    with serving(workers=1, loading_seconds=1.5) as server:
        eventually(lambda: server.told("serve.quarantined"), PATIENCE)
        good, never = server.call("good", 50), server.call("never", 50)

    assert good[0] == 200
    assert (never[0], never[1]["error"]["code"]) == (503, "serving.not-ready")
    assert server.told("serve.run-stuck") == 2


def test_where_nobody_else_answers_a_version_whose_loading_does_not_end_is_not_waited_for(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setenv(NEVER_LOADED, "1")
    with serving(workers=1, loading_seconds=PATIENCE, first_loads_seconds=0.5, answer_seconds=5.0) as server:
        good, never = server.call("good", 50), server.call("never", 50)
        # Its successor has time: this one answers.
        server.supervisor.renew()
        eventually(lambda: len(server.supervisor.pids) == 2, PATIENCE)
        bounds = Path(f"/proc/{server.supervisor.pids[1]}/cmdline").read_bytes()

    assert good[0] == 200
    assert (never[0], never[1]["error"]["code"]) == (503, "serving.not-ready")
    assert never[1]["error"]["message"] == "endpoint `never` is still being loaded"
    assert b'"first_loads_seconds":600' in bounds
    assert server.told("serve.worker-died") == 0


def test_nobody_waits_for_a_version_in_whose_run_the_worker_has_ended_to_be_loaded_again(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv(ASLEEP, str(tmp_path / "told"))
    with serving(workers=1, loop_seconds=1.0, loading_seconds=PATIENCE) as server:
        (tmp_path / "told").touch()
        assert server.call("asleep", 50)[0] == 504
        assert server.call("good", 50)[0] == 200
        assert server.told("serve.worker-died") == 1
        (tmp_path / "told").unlink()
