"""`aias bench` against a real server: what it finds, what it refuses, and what it leaves behind."""

import json
import os
import signal
from collections.abc import Iterator
from datetime import UTC, datetime, timedelta
from pathlib import Path

import pytest

from aias.access.keys import Keys
from aias.cli.bench_text import bars, percentile, took
from aias.client.load.latencies import Latencies
from aias.client.load.schedule import poisson
from aias.client.load.workload import borrowed_key
from aias.serving.processes.background import Background
from shell import Run

SHORT = ("--time", "0.3s", "--warm-up", "0.1s", "--objective", "60s", "--timeout", "60s")


def test_how_many_are_slower_is_told_where_they_are_few() -> None:
    found = Latencies()
    for each in [0.001] * 990 + [0.5] * 10:
        found.add(each)

    assert percentile(found, 0.99).endswith(" (10 slower)")
    assert percentile(found, 0.5) == took(found.at(0.5))


@pytest.fixture
def deployed(home: Path) -> Path:
    from aias.client.model import load

    load("churn@2").deploy()
    return home


@pytest.fixture(autouse=True)
def no_key(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delenv("AIAS_KEY", raising=False)


def keys_of(home: Path) -> list[str]:
    """The name of each key, also of revoked ones."""
    keys = Keys.open(home)
    try:
        return [key.name for key in keys.list()]
    finally:
        keys.close()


def test_with_no_server_there_one_is_started_and_a_key_made_and_both_are_gone_afterwards(
    run: Run, deployed: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("aias.cli.bench.URL", "http://127.0.0.1:9")  # nobody listens at `discard`

    done = run("bench", "churn", *SHORT, "--plot", tmp_path / "load.svg")

    assert done.status == 0, done.err
    assert "churn@2 at /predict/churn, 1 row a request" in done.out
    assert {"p50", "p95", "p99", "p99.9"} <= {line.split()[0] for line in done.out.splitlines() if line.split()}
    assert "a server for the time being" in done.err
    assert (tmp_path / "load.svg").read_bytes().startswith(b"<svg")
    assert keys_of(deployed) == []


def test_a_running_server_is_asked_for_rows_of_a_file_at_a_rate(run: Run, deployed: Path, churn: Path) -> None:
    with Background(deployed) as server:
        done = run("bench", "churn", "--url", server.url, "--rate", 40, "--data", churn, "--rows", 7, *SHORT, "--json")

    told = json.loads(done.out)
    (load,) = told["loads"]
    assert (told["version"], told["rows_per_request"], told["bodies"]) == ("churn@2", 7, 43)
    assert (load["loop"], load["rate"]) == ("open", 40)
    assert load["answered"] == load["sent"] == load["latency_ms"]["count"] > 0
    assert load["failures"] == {}
    assert keys_of(deployed) == ["first"]


def test_any_body_goes_to_any_path_and_the_peak_is_looked_for(run: Run, deployed: Path, tmp_path: Path) -> None:
    body = {"inputs": [{"name": "age", "shape": [1], "datatype": "FP64", "data": [40]}]}
    (tmp_path / "body.json").write_text(json.dumps(body))
    short = ("--time", "0.1s", "--warm-up", "0s", "--objective", "1us")
    with Background(deployed) as server:
        done = run(
            "bench", "churn", "--url", server.url, "--body", tmp_path / "body.json", "--path",
            "/v2/models/churn/infer", "--peak", "--plot", tmp_path / "peak.svg", *short, "--json",
        )  # fmt: skip

    told = json.loads(done.out)
    assert told["path"] == "/v2/models/churn/infer"
    assert told["peak"]["peak_rate"] is None  # nobody answers in a microsecond
    assert told["peak"]["steps"][0]["answered"] > 0
    assert (tmp_path / "peak.svg").read_bytes().startswith(b"<svg")


@pytest.mark.parametrize(
    ("plot", "said"), [("load.png", "try load.svg"), ("none/load.svg", "no folder"), ("", "is a folder")]
)
def test_a_plot_that_could_not_be_what_it_is_called_is_refused_before_the_load(
    run: Run, tmp_path: Path, plot: str, said: str
) -> None:
    done = run("bench", "churn", *SHORT, "--plot", tmp_path / plot)

    assert done.status == 2
    assert said in done.err
    assert list(tmp_path.glob("**/load.*")) == []


def test_an_interruption_gives_the_result_so_far(run: Run, deployed: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    def interrupted(*asked: float, **more: int) -> Iterator[float]:
        for number, at in enumerate(poisson(*asked, **more)):
            if number == 50:
                os.kill(os.getpid(), signal.SIGINT)
            yield at

    monkeypatch.setattr("aias.client.load.generator.poisson", interrupted)
    with Background(deployed) as server:
        done = run("bench", "churn", "--url", server.url, "--rate", 50, "--time", "10m", "--warm-up", "0s", "--json")

    assert done.status == 130
    (load,) = json.loads(done.out)["loads"]
    assert load["interrupted"]
    assert load["seconds"] < 600
    assert keys_of(deployed) == ["first"]


def test_what_stands_in_the_way_is_told_with_what_to_do(
    run: Run, deployed: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def refused(*arguments: object) -> tuple[int, str]:
        done = run("bench", *SHORT, *arguments, "--json")
        return done.status, json.loads(done.err.splitlines()[-1])["error"]["code"]

    (tmp_path / "other.csv").write_text("colour\nred\n")
    (tmp_path / "bad.json").write_text('[{"age": "old"}]')
    assert refused("churn", "--url", "http://127.0.0.1:9") == (2, "load.no-server")
    assert refused("churn", "--url", "https://127.0.0.1") == (2, "aias.bad-input")
    assert refused("churn", "--url", "http://192.0.2.1:9999x") == (2, "aias.bad-input")
    with Background(deployed) as server:
        at = ("--url", server.url)
        assert refused("ch run", *at) == (3, "load.no-such-endpoint")
        assert "did you mean `churn`?" in run("bench", *SHORT, "chrun", *at).err
        assert refused("churn", *at, "--data", tmp_path / "other.csv") == (2, "aias.bad-input")
        assert refused("churn", *at, "--data", tmp_path / "none.csv") == (3, "data.no-such-file")
        assert refused("churn", *at, "--body", tmp_path / "bad.json") == (2, "load.request-refused")
        assert refused("churn", *at, "--time", "soon") == (2, "aias.bad-input")
        monkeypatch.setenv("AIAS_KEY", "aias_wrong")
        assert refused("churn", *at) == (4, "load.key-refused")


@pytest.mark.parametrize(
    "more",
    [
        ("--rate", "5", "--peak"), ("--body", "b", "--data", "d"), ("--rate", "0"), ("--rate", "nan"), ("--seed", "-1"),
        # What would be passed over in silence.
        ("--path", "/v2/models/churn/infer"), ("--type", "text/csv"), ("--body", "b", "--rows", "1"),
        ("--url", "http://127.0.0.1:9", "--workers", "2"),
    ],
)  # fmt: skip
def test_what_contradicts_itself_is_refused(run: Run, more: tuple[str, ...]) -> None:
    done = run("bench", "churn", *more)

    assert done.status == 2
    assert "Usage: aias bench" in done.err


def test_nothing_heavy_is_loaded_and_no_server_asked_for_help(run: Run) -> None:
    done = run("bench", "--help")

    assert done.status == 0
    assert "Examples:" in done.out
    assert "aias bench churn --peak --objective 20ms" in done.out


@pytest.mark.parametrize(
    ("seconds", "text"),
    [(0.0, "0 µs"), (9.99e-8, "0.0999 µs"), (3.1e-5, "31 µs"), (0.0009996, "1 ms"), (0.1234, "123 ms"), (61.0, "61 s"),
     (float("nan"), "")],
)  # fmt: skip
def test_times_have_three_digits_and_a_unit(seconds: float, text: str) -> None:
    assert took(seconds) == text


def test_every_request_is_in_one_bar_and_the_longest_is_the_commonest() -> None:
    latencies = Latencies()
    for seconds, count in ((0.0004, 10), (0.003, 80), (0.009, 9), (2.0, 1)):
        for _ in range(count):
            latencies.add(seconds)

    drawn = bars(latencies)

    assert sum(int(line.split()[-1]) for line in drawn) == 100
    assert [line.split()[1] for line in drawn if "█" * 40 in line] == ["5"]
    assert drawn[0].split()[:3] == ["≤", "500", "µs"]


def test_keys_of_loads_that_were_killed_are_removed_by_the_next(tmp_path: Path) -> None:
    keys = Keys.open(tmp_path, clock=lambda: datetime.now(UTC) - timedelta(days=3))
    keys.create("aias-bench", ["predict"])
    keys.create("shop", ["predict"])
    keys.close()

    with borrowed_key(tmp_path):
        meanwhile = keys_of(tmp_path)

    assert meanwhile == ["shop", "aias-bench"]
    assert keys_of(tmp_path) == ["shop"]
