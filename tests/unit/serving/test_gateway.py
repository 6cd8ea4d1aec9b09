"""The server as `aias serve` runs it: a real home, real keys, a real model, a process of its own."""

import http.client
import json
import os
import signal
import socket
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path
from shutil import copytree

import pytest

from aias.access.keys import Keys
from aias.core.errors import UserError
from aias.core.events import Event
from aias.core.names import BadName, Ref
from aias.registry.registry import Registry
from aias.serving.processes.background import Background, DidNotStart
from aias.serving.processes.ports import PortInUse, listen
from aias.serving.serve import OpenToAll, serve
from live_server import PATIENCE, eventually


@pytest.fixture(scope="module")
def unserved(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A home with two versions of a small model that says whether a text is glad; to be copied."""
    import polars as pl

    from aias.client.train import train

    home = tmp_path_factory.mktemp("home")
    words = {"glad": ("lovely", "great", "fine"), "sad": ("awful", "poor", "bad")}
    rows = [
        {"note": f"{word} number {at}", "size": at % 7, "mood": mood}
        for at in range(60)
        for mood, each in words.items()
        for word in each
    ]
    for _ in range(2):
        train(
            pl.DataFrame(rows), target="mood", name="moods", learners=("linear",), search=False, time=600, home=home,
            inline=True,
        )  # fmt: skip
    with Registry.open(home) as registry:
        registry.deploy("moods", Ref("moods", 1))
    return home


@pytest.fixture(scope="module")
def trained(unserved: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The same home, with the keys that tests make in it."""
    return copytree(unserved, tmp_path_factory.mktemp("trained"), dirs_exist_ok=True)


@pytest.fixture
def server(trained: Path) -> Iterator[Background]:
    with Background(trained) as running:
        yield running


def ask(url: str, secret: str, path: str = "/predict/moods", body: object = None) -> tuple[int, str, object]:
    host = url.removeprefix("http://")
    connection = http.client.HTTPConnection(host, timeout=PATIENCE)
    sent = None if body is None else json.dumps(body)
    connection.request("GET" if body is None else "POST", path, sent, {"Authorization": f"Bearer {secret}"})
    response = connection.getresponse()
    found = response.status, response.headers.get("X-Aias-Version", ""), json.loads(response.read())
    connection.close()
    return found


def make_key(home: Path) -> tuple[str, str]:
    keys = Keys.open(home)
    key, secret = keys.create("test", ["predict", "read"])
    keys.close()
    return key.id, secret


def test_the_first_server_of_a_home_tells_its_first_key_once(unserved: Path, tmp_path: Path) -> None:
    home = copytree(unserved, tmp_path / "home")
    with Background(home) as first:
        secret = first.first_key
        assert secret is not None
        status, version, answers = ask(first.url, secret, body=[{"note": "lovely number 3", "size": 1}])
    with Background(home) as second:
        assert second.first_key is None
        assert ask(second.url, secret, body=[])[0] == 200

    assert (status, version) == (200, "moods@1")
    assert isinstance(answers, list)
    assert answers[0]["prediction"] == "glad"
    assert sum(answers[0]["probabilities"].values()) == pytest.approx(1, abs=1e-5)


def test_a_deployment_and_a_key_of_another_process_are_noticed(trained: Path, server: Background) -> None:
    key_id, secret = make_key(trained)
    eventually(lambda: ask(server.url, secret)[0] == 200)

    with Registry.open(trained) as registry:
        registry.deploy("moods", Ref("moods", 2))
    eventually(lambda: ask(server.url, secret)[1] == "moods@2")

    keys = Keys.open(trained)
    keys.revoke(key_id)
    keys.close()
    eventually(lambda: ask(server.url, secret)[0] == 401)


@pytest.mark.parametrize(("soft", "hard", "connections"), [(300, 500, 436), (300, 9_999, 2_048), (10, 10, 1)])
def test_connections_stay_below_what_the_process_may_open(soft: int, hard: int, connections: int) -> None:
    code = f"""
import resource
from aias.serving.bounds import Bounds, within_descriptors
resource.setrlimit(resource.RLIMIT_NOFILE, ({soft}, {hard}))
print(within_descriptors(Bounds(connections=2_048)).connections)
"""
    told = subprocess.run([sys.executable, "-c", code], capture_output=True, check=True)

    assert int(told.stdout) == connections


def test_get_gives_rows_that_the_model_takes(trained: Path, server: Background) -> None:
    _, secret = make_key(trained)
    eventually(lambda: ask(server.url, secret)[0] == 200)

    _, _, described = ask(server.url, secret)

    assert isinstance(described, dict)
    assert ask(server.url, secret, body=described["example"])[0] == 200


def test_a_server_that_is_told_to_stop_ends_well(trained: Path) -> None:
    for told in (signal.SIGTERM, signal.SIGINT):
        with Background(trained) as running:
            os.kill(running.pid, told)
            running.exit_status = running._process.wait(PATIENCE)
        assert running.exit_status == 0


def test_a_server_whose_parent_is_gone_stops(trained: Path) -> None:
    with Background(trained) as running:
        assert running._process.stdin is not None
        running._process.stdin.close()
        running.exit_status = running._process.wait(PATIENCE)

    assert running.exit_status == 0


def test_a_taken_port_is_told_before_anything_is_loaded(tmp_path: Path) -> None:
    with listen("127.0.0.1", 0) as taken:
        port = taken.getsockname()[1]
        with pytest.raises(PortInUse, match=str(port)):
            serve(tmp_path, port=port)
        with pytest.raises(DidNotStart, match=str(port)), Background(tmp_path, port=port):
            pass


def test_an_endpoint_for_requests_that_name_none_is_looked_for_at_the_start(trained: Path) -> None:
    told: list[Event] = []

    def stop(event: Event) -> None:
        told.append(event)
        if event.name == "serve.unnamed":
            raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        serve(trained, port=0, unnamed="mood", announce=stop)
    assert told[-1].level == "warning"
    assert told[-1].message == "there is no endpoint `mood` yet for /invocations to ask: did you mean `moods`?"
    with pytest.raises(BadName, match="cannot be a name"):
        serve(trained, port=0, unnamed="No Such")


def test_a_second_port_answers_the_same_over_grpc(trained: Path) -> None:
    grpc = pytest.importorskip("grpc", reason="needs the extra `grpc`")
    code = "import sys; from aias.serving.serve import serve; from aias.serving.processes.background import tell"
    run = f"{code}; from pathlib import Path; serve(Path(sys.argv[1]), port=0, grpc_port=0, announce=tell)"
    _, secret = make_key(trained)

    with subprocess.Popen([sys.executable, "-c", run, str(trained)], stdout=subprocess.PIPE) as server:
        assert server.stdout is not None
        ready = next(event for event in map(json.loads, server.stdout) if event["name"] == "serve.ready")
        with grpc.insecure_channel(ready["facts"]["grpc"]) as channel:
            ask = channel.unary_unary("/inference.GRPCInferenceService/ModelReady")
            assert (
                ask(b"\x0a\x05moods", metadata=(("authorization", f"Bearer {secret}"),), timeout=PATIENCE)
                == b"\x08\x01"
            )
        server.terminate()
        assert server.wait(PATIENCE) == 0


def test_grpc_that_is_not_installed_is_asked_for(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    for name in [name for name in sys.modules if name.startswith("aias.serving.grpc")]:
        monkeypatch.delitem(sys.modules, name)
    monkeypatch.setitem(sys.modules, "grpc", None)

    with pytest.raises(UserError, match="needs `grpc`") as missing:
        serve(tmp_path, port=0, grpc_port=0)
    assert missing.value.hint == "pip install 'aias[grpc]'"


def test_a_taken_second_port_is_told_before_anything_is_loaded(tmp_path: Path) -> None:
    pytest.importorskip("grpc", reason="needs the extra `grpc`")
    with listen("127.0.0.1", 0) as taken, pytest.raises(PortInUse, match=str(taken.getsockname()[1])):
        serve(tmp_path, port=0, grpc_port=taken.getsockname()[1])


@pytest.mark.parametrize("supervised", [True, False])
def test_grpc_needs_a_port_of_its_own(tmp_path: Path, supervised: bool) -> None:
    pytest.importorskip("grpc", reason="needs the extra `grpc`")
    with listen("127.0.0.1", 0) as free:
        port = free.getsockname()[1]
    with pytest.raises(PortInUse, match=f"{port}: HTTP and gRPC need a port each"):
        serve(tmp_path, port=port, grpc_port=port, supervised=supervised)


@pytest.mark.parametrize("host", ["0.0.0.0", "::", "192.0.2.1"])
def test_a_door_to_the_world_must_be_asked_for(tmp_path: Path, host: str) -> None:
    with pytest.raises(OpenToAll, match="can be reached from other machines"):
        serve(tmp_path, host=host)

    assert not list(tmp_path.iterdir())


def test_the_access_log_has_a_line_for_each_request_and_no_secret() -> None:
    done = subprocess.run(
        [sys.executable, "-c", ACCESS_LOG.replace("PATH", repr([entry for entry in sys.path if entry]))],
        capture_output=True,
        text=True,
        check=True,
    )

    lines = [json.loads(line) for line in done.stderr.splitlines()]
    assert [(line["method"], line["path"], line["status"], line["rows"]) for line in lines] == [
        ("POST", "/predict/churn", 200, 1),
        ("GET", "/none", 404, 0),
    ]
    assert "all-key" not in done.stderr
    assert 'pro"' not in done.stderr


ACCESS_LOG = """
import sys
sys.path[:0] = PATH
from live_server import live_server
from aias.serving.observability.logs import log_accesses
log_accesses()
with live_server() as server:
    server.call("POST", "/predict/churn", [{"age": 50, "plan": "pro"}])
    server.call("GET", "/none")
"""


def test_an_address_of_version_six_is_served() -> None:
    try:
        with listen("::1", 0) as listener:
            assert listener.family == socket.AF_INET6
    except PortInUse:
        pytest.skip("this machine has no IPv6")
