"""What `benchmarks/compress_sentences.py` says of its figures: what was not certified reaches no goal."""

import importlib
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pytest

from aias.compress.frontier import CERTIFIED, FELL, PUBLISHED

REPOSITORY = Path(__file__).resolve().parents[2]


def timed(state: str, speed: float) -> Any:
    return SimpleNamespace(name=f"{state} form", state=state, speed=SimpleNamespace(value=speed), sent=0.0, pace=pace)


pace = SimpleNamespace(p50=SimpleNamespace(value=9.0), mean=None)


@pytest.mark.parametrize(
    ("forms", "good", "said"),
    [
        ([(FELL, 90.0)], False, "90.0 × ONNX Runtime float32  goal ≥ 50  MISS  (fell form, not certified)"),
        ([(FELL, 90.0), (CERTIFIED, 60.0)], True, "60.0 × ONNX Runtime float32  goal ≥ 50  ok  (certified form, certi"),
        ([(FELL, 90.0), (PUBLISHED, 40.0)], False, "40.0 × ONNX Runtime float32  goal ≥ 50  MISS  (published form, ce"),
        ([], False, "0.0 × ONNX Runtime float32  goal ≥ 50  MISS  (none)"),
    ],
)
def test_only_what_was_certified_reaches_a_goal(
    forms: list[tuple[str, float]], good: bool, said: str,
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str],
) -> None:  # fmt: skip
    monkeypatch.syspath_prepend(REPOSITORY / "benchmarks")
    judged = importlib.import_module("compress_sentences").judged

    assert judged("sst2/distilled", [timed(*each) for each in forms], 50.0) is good
    assert said in capsys.readouterr().out
