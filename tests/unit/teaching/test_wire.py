"""`teaching/wire.py`: bounds on a call, and where a key may go."""

import socket
import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager

import pytest

from aias.teaching.teachers.contract import BadTeacher, Busy, TeacherRefused, Unanswered
from aias.teaching.wire import KEY, Wire
from chat_service import serving

SECRET = "sk-never-told-4711"


@contextmanager
def speaking(say: Callable[[socket.socket], object]) -> Iterator[str]:
    """A server that answers each connection by saying something of its own."""
    listener = socket.create_server(("127.0.0.1", 0))

    def serve() -> None:
        while True:
            try:
                connection, _ = listener.accept()
            except OSError:
                return
            with connection:
                connection.settimeout(60)
                try:
                    connection.recv(1 << 16)
                    say(connection)
                except OSError:
                    continue

    thread = threading.Thread(target=serve, daemon=True)
    thread.start()
    try:
        yield f"http://127.0.0.1:{listener.getsockname()[1]}/v1"
    finally:
        listener.shutdown(socket.SHUT_RDWR)
        listener.close()
        thread.join(60)


def quick(url: str, *, seconds: float = 0.3, bytes_max: int = 1_000) -> Wire:
    return Wire(Wire.to(url).url, None, seconds, bytes_max)


def trickle(connection: socket.socket) -> None:
    connection.sendall(b"HTTP/1.1 200 OK\r\n")
    for _ in range(100):
        connection.sendall(b"x")
        threading.Event().wait(0.05)


@pytest.mark.parametrize(
    "say",
    [
        lambda connection: threading.Event().wait(1), trickle, lambda connection: None,
        lambda connection: connection.sendall(b"\x00\x01\x02 not http\r\n\r\n"),
        lambda connection: connection.sendall(b"HTTP/1.1 200 OK\r\nContent-Length: 100\r\n\r\n{"),
        lambda connection: connection.sendall(b"HTTP/1.1 200 OK\r\n" + b"a: b\r\n" * 500 + b"\r\n"),
    ],
    ids=["hangs", "trickles", "closes", "is no HTTP", "breaks off", "endless headers"],
)  # fmt: skip
def test_a_server_that_does_not_answer_is_left_in_time(say: Callable[[socket.socket], object]) -> None:
    with speaking(say) as url, pytest.raises(Busy):
        quick(url).post("/v1", {})


def test_nobody_who_is_not_there_is_waited_for() -> None:
    with socket.create_server(("127.0.0.1", 0)) as taken:
        port = taken.getsockname()[1]

    with pytest.raises(Busy, match="broke off"):
        quick(f"http://127.0.0.1:{port}/v1").get("/v1")


def test_an_answer_that_is_too_large_is_not_read() -> None:
    def say(connection: socket.socket) -> None:
        connection.sendall(b"HTTP/1.1 200 OK\r\nContent-Length: 2000\r\n\r\n" + b" " * 2_000)

    with speaking(say) as url, pytest.raises(Unanswered, match="more than 1,000 bytes"):
        quick(url, seconds=60).post("/v1", {})


@pytest.mark.parametrize(
    ("status", "kind"),
    [(429, Busy), (503, Busy), (401, TeacherRefused), (404, TeacherRefused), (302, TeacherRefused), (400, Unanswered)],
)
def test_a_status_says_whether_to_come_again(status: int, kind: type[Exception]) -> None:
    headers = {"Retry-After": "3", "Location": "http://127.0.0.1:9/"}
    with (
        serving(lambda _: "", first=[(status, headers, b"because")]) as service,
        pytest.raises(kind, match="because") as fault,
    ):
        Wire.to(service.url).post("/v1/chat/completions", {"messages": [{"content": ""}]})

    if isinstance(fault.value, Busy):
        assert fault.value.seconds == 3


def test_the_key_comes_from_the_environment_and_is_repeated_nowhere(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv(KEY, SECRET)
    with serving(lambda _: "", first=[(400, {}, f"bad key {SECRET}".encode())]) as service:
        wire = Wire.to(service.url)
        with pytest.raises(Unanswered) as fault:
            wire.post("/v1/chat/completions", {"messages": [{"content": ""}]})

    assert service.keys == [f"Bearer {SECRET}"]
    assert SECRET not in fault.value.message and "bad key ***" in fault.value.message
    assert SECRET not in wire.place


@pytest.mark.parametrize(
    "source",
    ["https://user:secret@host/v1", "https://host/v1?key=secret", "https://host/v1#secret", "ftp://host/v1",
     "https:///v1", "https://host:port/v1", "http://[::1/v1"],
)  # fmt: skip
def test_an_address_holds_a_place_and_nothing_else(source: str) -> None:
    with pytest.raises(BadTeacher) as fault:
        Wire.to(source)

    assert "secret" not in fault.value.message + fault.value.hint


def test_a_key_goes_nowhere_unencrypted(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv(KEY, SECRET)

    assert Wire.to("https://host/v1").key == SECRET
    assert Wire.to("http://localhost:8000/v1").key == SECRET
    with pytest.raises(BadTeacher, match="unencrypted"):
        Wire.to("http://host/v1")


@pytest.mark.parametrize("key", ["a\r\nX-Evil: 1", "with space", "ключ"])
def test_a_key_that_would_break_a_header_is_refused_untold(key: str, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv(KEY, key)

    with pytest.raises(BadTeacher) as fault:
        Wire.to("https://host/v1")

    assert key not in fault.value.message
