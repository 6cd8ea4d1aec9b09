"""What `benchmarks/serving.py` says of its figures: every goal of the table is judged."""

import sys
from importlib import import_module
from pathlib import Path
from typing import Any

import pytest

REPOSITORY = Path(__file__).resolve().parents[2]


@pytest.fixture
def report(monkeypatch: pytest.MonkeyPatch) -> Any:
    monkeypatch.syspath_prepend(REPOSITORY / "benchmarks")
    for name in [each for each in sys.modules if each.partition(".")[0] == "serving"]:
        monkeypatch.delitem(sys.modules, name)
    return import_module("serving.report")


def judged(report: Any, tmp_path: Path, *runs: dict[str, Any]) -> str:
    results = import_module("serving.results").Results(tmp_path / "none.json")
    results.runs = list(runs)
    return str(report.markdown(results))


def row(system: str, per_s: float, p99_ms: float) -> dict[str, Any]:
    found = {"per_s": per_s, "p50_ms": 1.0, "p99_ms": p99_ms, "cpu_us": 20.0, "memory_mb": 100.0, "client_share": 0.5}
    return {"row": "row", "system": system, "turn": 0, "connections": 32, "found": found}


@pytest.mark.parametrize(("p99_ms", "verdict"), [(4.0, "ok"), (6.0, "MISS")])
def test_a_p99_above_that_of_who_is_beaten_by_its_requests_is_a_miss(
    report: Any, tmp_path: Path, p99_ms: float, verdict: str
) -> None:
    for other, times in (("fastapi", 5), ("mlserver", 13)):
        text = judged(report, tmp_path, row("aias", 1_000.0 * times, p99_ms), row(other, 1_000.0, 5.0))
        (line,) = [each for each in text.splitlines() if each.startswith("| × ")]
        assert line.endswith(f" {verdict} |")


@pytest.mark.parametrize(
    ("per_s", "idle", "verdict"), [(1.6, 1.01, "ok"), (1.4, 1.0, "MISS"), (1.6, 1.03, "MISS")]
)  # fmt: skip
def test_the_sentences_have_their_goal(report: Any, tmp_path: Path, per_s: float, idle: float, verdict: str) -> None:
    text = judged(
        report, tmp_path, {"row": "sentences", "found": {"times_per_s": per_s, "times_idle_p50": idle}}
    )  # fmt: skip

    assert text.splitlines()[-1].endswith(verdict)
