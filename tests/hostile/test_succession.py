"""A server takes the place of another under load: every call is answered, on the connections there were; and if the new
one dies at any step, the old one goes on."""

import os
import queue
import signal
import socket
import subprocess
import sys
import threading
from collections.abc import Iterator
from contextlib import ExitStack
from pathlib import Path

import pytest
from mortal_server import PATIENCE, Server, load, more, serving

from aias.core.errors import Conflict
from aias.serving.processes import control_socket as control_socket_module
from aias.serving.processes.control_socket import FOLDER, ControlSocket, Deaf, Question, ask, call, exchange, name_of
from aias.serving.processes.succession import Predecessor
from aias.serving.survival import heartbeat
from aias.serving.survival.journal import FORMAT
from aias.serving.survival.keeper import can_keep
from live_server import eventually

pytestmark = pytest.mark.skipif(not can_keep(), reason="this machine cannot keep connections")


@pytest.fixture
def old(tmp_path: Path) -> Iterator[Server]:
    with serving(workers=2, home=tmp_path) as running:
        yield running


@pytest.fixture
def patient(monkeypatch: pytest.MonkeyPatch) -> None:
    """Who is stopped stays so, however long a busy machine takes to start another server."""
    monkeypatch.setattr(heartbeat, "STOPPED_SECONDS_MAX", PATIENCE)


def successor(home: Path, server: Server) -> Predecessor:
    found = Predecessor.find(home, "127.0.0.1", server.port)
    assert found is not None
    return found


def test_a_server_with_fewer_workers_takes_the_place_of_another_and_no_caller_notices(
    tmp_path: Path, old: Server
) -> None:
    with ExitStack() as after_the_load, load(old, good=3, slow=2) as clients:
        more(clients)
        new = after_the_load.enter_context(serving(workers=1, home=tmp_path, takes=old.port))
        old.thread.join(PATIENCE)
        assert not old.thread.is_alive()
        more(clients)
        assert new.call("good", 50)[0] == 200
        eventually(lambda: new.told("serve.took-over"), PATIENCE)
        took_over = next(event for event in new.events if event.name == "serve.took-over")
        assert took_over.facts["connections"] == len(clients)
    assert not (tmp_path / FOLDER / name_of("127.0.0.1", old.port)).exists()


def test_no_counter_falls_whoever_takes_over_or_dies(tmp_path: Path, old: Server) -> None:
    for _ in range(5):
        assert old.call("good", 50)[0] == 200
    eventually(lambda: old.counted() == 5, PATIENCE)
    before = {*old.supervisor.pids}
    old.supervisor.renew()
    eventually(lambda: old.whole() and before.isdisjoint(old.supervisor.pids), PATIENCE)
    assert len(list(tmp_path.glob("*-gone.json"))) == 1
    assert old.counted() == 5

    with serving(workers=2, home=tmp_path, takes=old.port) as new:
        assert new.counted() >= 5
        old.thread.join(PATIENCE)
        assert new.call("good", 50)[0] == 200
        eventually(lambda: new.told("serve.took-over"), PATIENCE)
        # The other worker writes its counts down once a second.
        eventually(lambda: new.counted() == 6, PATIENCE)
        os.kill(new.supervisor.pids[0], signal.SIGTERM)
        eventually(lambda: new.told("serve.worker-died") and new.whole(), PATIENCE)
        assert new.counted() == 6


def test_one_that_dies_before_it_is_ready_has_changed_nothing(tmp_path: Path, old: Server) -> None:
    with load(old, good=2) as clients:
        first = successor(tmp_path, old)
        with pytest.raises(Conflict, match="taking over already"):
            successor(tmp_path, old)
        first.close()
        more(clients)
        # The next one may come.
        eventually(lambda: not _refused(tmp_path, old), PATIENCE)

    assert old.told("serve.leaving") == 0


def _refused(home: Path, server: Server) -> bool:
    try:
        successor(home, server).close()
    except Conflict:
        return True
    return False


def test_one_that_dies_after_it_was_ready_leaves_connections_and_port_to_the_old_one(
    tmp_path: Path, old: Server
) -> None:
    with load(old, good=2, slow=1) as clients:
        more(clients)
        new = successor(tmp_path, old)
        new.take()
        eventually(lambda: old.told("serve.leaving"), PATIENCE)
        new.close()
        eventually(lambda: old.told("serve.left-alone"), PATIENCE)
        more(clients)
        assert old.call("good", 50)[0] == 200
        eventually(old.whole, PATIENCE)
        assert ask(tmp_path / FOLDER / name_of("127.0.0.1", old.port), Question("isolated")) is not None


@pytest.mark.usefixtures("patient")
def test_one_that_is_replaced_while_the_one_before_still_leaves_stays_until_that_has_gone(tmp_path: Path) -> None:
    with serving(workers=1, home=tmp_path, drain_seconds=PATIENCE) as old:
        held_up = old.supervisor.pids
        for each in held_up:
            os.kill(each, signal.SIGSTOP)
        with serving(workers=1, home=tmp_path, takes=old.port) as new:
            eventually(lambda: old.told("serve.leaving"), PATIENCE)
            assert new.supervisor.handover.inherits
            last = successor(tmp_path, new)
            last.take()
            eventually(lambda: new.told("serve.leaving") and not new.supervisor.pids, PATIENCE)
            assert new.thread.is_alive()

            for each in held_up:
                os.kill(each, signal.SIGCONT)
            old.thread.join(PATIENCE)
            new.thread.join(PATIENCE)
            assert not old.thread.is_alive() and not new.thread.is_alive()
            assert new.supervisor.handover.leaving and not new.supervisor.handover.inherits
            last.close()
    assert old.told("serve.left-alone") == 0


@pytest.mark.usefixtures("patient")
def test_one_that_is_told_to_stop_while_it_leaves_does_not_come_back(tmp_path: Path) -> None:
    with serving(workers=1, home=tmp_path, drain_seconds=PATIENCE) as old:
        held_up = old.supervisor.pids
        for each in held_up:
            os.kill(each, signal.SIGSTOP)
        new = successor(tmp_path, old)
        new.take()
        eventually(lambda: old.told("serve.leaving"), PATIENCE)
        old.supervisor.stop()
        new.close()
        eventually(lambda: old.told("serve.left-alone"), PATIENCE)
        for each in held_up:
            os.kill(each, signal.SIGCONT)
        old.thread.join(PATIENCE)

    assert old.supervisor.pids == held_up


def test_one_that_cannot_read_its_journals_gets_the_port_and_the_old_one_answers_what_it_has(
    tmp_path: Path, old: Server
) -> None:
    assert old.call("good", 50)[0] == 200
    channel = call(tmp_path / FOLDER / name_of("127.0.0.1", old.port))
    assert channel is not None
    with channel:
        channel.send(b'{"verb":"succeed","format":%d}' % (FORMAT + 1))
        assert b"refused" not in channel.recv(1_000)
        _, descriptors, *_ = socket.recv_fds(channel, 100, 10)
        listeners = [socket.socket(fileno=each) for each in descriptors]
        assert len(listeners) == 2
        channel.send(b"take")
        old.thread.join(PATIENCE)
        assert not old.thread.is_alive()
        assert channel.recv(100) == b""
        # Whoever comes now waits for the new one, and is not refused.
        with socket.create_connection(("127.0.0.1", old.port), PATIENCE):
            for each in listeners:
                each.close()


def test_who_says_nonsense_or_nothing_at_the_ear_holds_nobody_up(tmp_path: Path) -> None:
    control_socket, path = ControlSocket(tmp_path, "127.0.0.1", 1), tmp_path / FOLDER / name_of("127.0.0.1", 1)
    control_socket.open()
    asked = queue.SimpleQueue[tuple[socket.socket, Question]]()
    hearing = threading.Thread(
        target=control_socket.hear, args=(lambda caller, said: asked.put((caller, said)),), daemon=True
    )
    hearing.start()
    slow, rude, quick = call(path), call(path), call(path)
    assert slow is not None and rude is not None and quick is not None
    with slow, rude, quick:
        rude.send(b"{" * 1_000)
        for caller in (quick, slow):
            # Who came first has not asked yet.
            caller.send(b'{"verb":"isolated"}')
            heard, said = asked.get(timeout=PATIENCE)
            assert said == Question("isolated")
            heard.send(b"told")
            assert caller.recv(100) == b"told"
            heard.close()
        assert rude.recv(100) == b""
    control_socket.close()


def test_who_says_nothing_at_the_control_socket_is_let_go(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(control_socket_module, "ANSWER_SECONDS_MAX", 0.1)
    control_socket = ControlSocket(tmp_path, "127.0.0.1", 1)
    control_socket.open()
    threading.Thread(target=control_socket.hear, args=(lambda caller, _: caller.close(),), daemon=True).start()
    silent = call(tmp_path / FOLDER / name_of("127.0.0.1", 1))
    assert silent is not None
    with silent:
        silent.settimeout(PATIENCE)
        assert silent.recv(100) == b""
    control_socket.close()


def test_a_server_that_ends_while_it_is_asked_is_said_to_have_closed_the_connection() -> None:
    ours, theirs = socket.socketpair(socket.AF_UNIX, socket.SOCK_SEQPACKET)
    with ours, theirs:
        theirs.shutdown(socket.SHUT_WR)
        with pytest.raises(Deaf) as caught:
            exchange(ours, Question("isolated"), Path("serve-here"))
    assert caught.value.message.endswith("does not answer: it has closed the connection")


def test_the_name_of_a_server_that_was_killed_is_deaf_and_taken_by_the_next(tmp_path: Path) -> None:
    path = tmp_path / FOLDER / name_of("127.0.0.1", 1)
    killed, next_one = ControlSocket(tmp_path, "127.0.0.1", 1), ControlSocket(tmp_path, "127.0.0.1", 1)
    killed.open()
    killed._listener.close()
    assert call(path) is None

    next_one.open()
    # The name is another's now: the one before does not take it along.
    killed.close()
    caller = call(path)
    assert caller is not None
    caller.close()
    next_one.close()
    assert not path.exists()


IMPOSTOR = """
import os, socket, sys
folder, name = os.path.split(sys.argv[1])
os.chdir(folder)  # a name of more than 107 bytes can be no address
os.setuid(65534)
listener = socket.socket(socket.AF_UNIX, socket.SOCK_SEQPACKET)
listener.bind(name)
listener.listen(5)
print(flush=True)
while True:
    with listener.accept()[0] as caller:
        if caller.recv(1000):
            caller.send(b'{"pid":1,"sockets":1}')
            socket.send_fds(caller, [b"sockets"], [listener.fileno()])
"""


@pytest.mark.skipif(os.geteuid() != 0, reason="only root can be somebody else")
def test_another_user_who_may_write_into_a_home_does_not_get_to_be_its_server(tmp_path: Path) -> None:
    for each in [tmp_path, *tmp_path.parents][:-1]:
        each.chmod(each.stat().st_mode | 0o011)
    run = tmp_path / FOLDER
    run.mkdir()
    run.chmod(0o777)
    path = run / name_of("127.0.0.1", 1)
    started = [sys.executable, "-c", IMPOSTOR, str(path)]
    with subprocess.Popen(started, stdout=subprocess.PIPE) as other:
        try:
            assert other.stdout is not None
            assert other.stdout.readline()
            with pytest.raises(Deaf, match="another user"):
                Predecessor.find(tmp_path, "127.0.0.1", 1)
            with pytest.raises(Deaf, match="another user"):
                ask(path, Question("isolated"))
        finally:
            other.kill()


def test_a_supervisor_that_does_not_answer_is_told_of(tmp_path: Path) -> None:
    control_socket = ControlSocket(tmp_path, "127.0.0.1", 1)
    control_socket.open()

    threading.Thread(target=control_socket.hear, args=(lambda caller, _: caller.close(),), daemon=True).start()
    with pytest.raises(Deaf, match="does not answer"):
        Predecessor.find(tmp_path, "127.0.0.1", 1)
    control_socket.close()


def test_one_that_stops_in_the_midst_of_giving_its_sockets_is_told_of(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(control_socket_module, "ANSWER_SECONDS_MAX", 0.2)
    control_socket, stalled = ControlSocket(tmp_path, "127.0.0.1", 1), list[socket.socket]()
    control_socket.open()

    def stall(caller: socket.socket, _asked: Question) -> None:
        stalled.append(caller)
        caller.send(b'{"pid":1,"sockets":2}')

    threading.Thread(target=control_socket.hear, args=(stall,), daemon=True).start()
    with pytest.raises(Deaf, match="timed out"):
        Predecessor.find(tmp_path, "127.0.0.1", 1)
    control_socket.close()
    for each in stalled:
        each.close()


def test_a_home_with_a_long_name_has_an_ear_too(tmp_path: Path) -> None:
    home = tmp_path / ("long" * 40)
    control_socket = ControlSocket(home, "::1", 8000)
    control_socket.open()
    caller = call(home / FOLDER / name_of("::1", 8000))
    assert caller is not None
    caller.close()
    control_socket.close()
