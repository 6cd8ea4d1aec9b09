"""`compress/job.py`: how a compression begins."""

from functools import partial
from types import SimpleNamespace
from typing import Any

import numpy as np
import pytest

from aias.compress import job
from aias.compress.techniques.contract import Candidate
from aias.compress.trial import Trial
from aias.core.deadline import Deadline
from aias.core.load import Load, family
from aias.graph.parity import ParityBroken
from aias.training.parent import NoTime


def test_fits_feel_what_else_the_machine_does(monkeypatch: pytest.MonkeyPatch) -> None:
    """Without that a library that loads slowly beside other work is given up after three seconds."""
    asked: list[Load] = []

    class Stopped(Exception):
        pass

    def plan(*_: Any, load: Load, **__: Any) -> None:
        asked.append(load)
        raise Stopped

    monkeypatch.setattr(job, "Plan", plan)
    one: Any = SimpleNamespace(
        held=SimpleNamespace(prepared=SimpleNamespace(table=SimpleNamespace(digest="d"))), ledger=None, trained=None,
        parent=SimpleNamespace(recipe=SimpleNamespace(seed=0)), deadline=Deadline.after(9), _hear=None,
    )  # fmt: skip
    monkeypatch.setattr(job, "UnitFitter", lambda *_: SimpleNamespace())
    with pytest.raises(Stopped):
        job.Job.run(one, inline=True)
    assert asked[0].pids is family


def test_folds_that_are_judged_by_one_fit_take_the_time_of_one() -> None:
    each = SimpleNamespace(p50=SimpleNamespace(value=500_000.0))
    one: Any = SimpleNamespace(
        held=SimpleNamespace(prepared=SimpleNamespace(test=SimpleNamespace(rows=3)), held=np.arange(8) >= 2),
        judged=SimpleNamespace(folds=np.array([0, 1, 2, 3, 4, 5, 5, 2])), make_seconds={"": 10.0},
        context=SimpleNamespace(refit_seconds=lambda members: 7.0 * len(members)),
    )  # fmt: skip

    def needed(asked: tuple[str, ...] = (), engine_seconds: float = 0.0, **how: Any) -> float:
        trial = Trial(Candidate("", lambda _: None, **how), "")  # type: ignore[arg-type, return-value]
        trial.alone, trial.known = SimpleNamespace(first=each, second=each), {4: np.zeros(1)}  # type: ignore[assignment]
        trial.asked, trial.engine_seconds = dict.fromkeys(asked), engine_seconds  # type: ignore[assignment]
        return job.Job._needed(one, trial)

    assert needed() == 4 * 10 + 3
    assert needed(alike=lambda fold: fold // 2) == 3 * 10 + 3
    assert needed(asked=("a", "b")) == 4 * 10 + 3 + 2 * 7
    assert needed(engine_seconds=2.5) == 4 * 10 + 3 + 2.5


def test_what_takes_minutes_is_tried_when_all_else_was_on_all_its_rows() -> None:
    tried = _tried("fine_tune", "int8", "fewer_layers")
    assert tried[-2:] == [("fine_tune", 2), ("fine_tune", 8)]
    assert sorted(tried[:-2]) == sorted((name, rows) for name in ("int8", "fewer_layers") for rows in (2, 8))


def test_an_encoder_in_int8_is_tried_first() -> None:
    """Of all forms it takes least and loses least: with little time nothing else may take that."""
    first, second, *_ = _tried("bfloat16", "encoder_vocabulary", "fewer_layers", "int8", "static_windows")
    assert (first, second) == (("int8", 2), ("static_windows", 2))


def _tried(*techniques: str) -> list[tuple[str, int]]:
    """Their names, each with how many rows, in the order in which they are tried."""
    tried: list[tuple[str, int]] = []
    one: Any = SimpleNamespace(
        techniques=techniques, parent=SimpleNamespace(imported=False), chain=(),
        _proposals=lambda name: [Candidate(name, lambda _: None)],  # type: ignore[arg-type, return-value]
        _fitted=lambda *_: (), judged=SimpleNamespace(samples=lambda: [np.arange(2), np.arange(8)]),
        kept=SimpleNamespace(restore=lambda _: False), deadline=Deadline.after(9), _over=False, make_seconds={},
        _direct=SimpleNamespace(turn=lambda *_: []),
        assurance=SimpleNamespace(promise=lambda _: 1.0, likely=lambda _: True),
        _tried=lambda trial, rows: tried.append((trial.name, len(rows))),
    )  # fmt: skip
    one._tried_whole = partial(job.Job._tried_whole, one)

    job.Job._search(one, SimpleNamespace())  # type: ignore[arg-type]
    return tried


def test_what_takes_least_is_finished_first_and_all_are_judged_in_their_order(monkeypatch: pytest.MonkeyPatch) -> None:
    """Whoever is left no time to be certified then takes it from nobody."""
    needed, left = {"slow": 90.0, "quick": 5.0, "usual": 20.0}, [100.0]

    def finish(trial: Trial, *_: Any, **__: Any) -> Any:
        left[0] -= needed[trial.name]
        return SimpleNamespace(trial=trial, alone=None, together=None, size_bytes=1)

    monkeypatch.setattr(job, "finish", finish)
    one: Any = SimpleNamespace(
        deadline=SimpleNamespace(seconds=100.0), judged=None, rows=(), wanted=SimpleNamespace(callers=1), scales=None,
        _hear=None, parent_bytes=1, _ask_before_last=lambda _: None, _unwanted=lambda _: "",
        _needed=lambda trial: needed[trial.name],
        _late=lambda trial: "there was no time left" if needed[trial.name] > left[0] else "",
    )  # fmt: skip
    trials = [Trial(Candidate(name, lambda _: None), "") for name in needed]  # type: ignore[arg-type, return-value]

    ready = job.Job._finished(one, trials)

    assert [each.trial.name for each in ready] == ["quick", "usual"]
    assert trials[0].reason == "there was no time left"
    left[0] = 200.0
    assert [each.trial.name for each in job.Job._finished(one, trials)] == list(needed)


def test_a_library_that_fails_while_a_candidate_is_finished_loses_that_one_alone(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    """Fits of all rows may fail where those of a fold did not, and the search was for nothing then."""
    faults: dict[str, Exception] = {
        "odd": ValueError("too many leaves"), "cut": NoTime("there was no time"),
        "unlike": ParityBroken("a row differs"),
    }  # fmt: skip

    def finish(trial: Trial, *_: Any, **__: Any) -> Any:
        if trial.name in faults:
            raise faults[trial.name]
        return SimpleNamespace(trial=trial, alone=None, together=None, size_bytes=1)

    monkeypatch.setattr(job, "finish", finish)
    one: Any = SimpleNamespace(
        deadline=SimpleNamespace(seconds=100.0), judged=None, rows=(), wanted=SimpleNamespace(callers=1), scales=None,
        _hear=None, parent_bytes=1, _ask_before_last=lambda _: None, _unwanted=lambda _: "", _needed=lambda _: 1.0,
        _late=lambda _: "",
    )  # fmt: skip
    trials = [Trial(Candidate(name, lambda _: None), "") for name in (*faults, "sound")]  # type: ignore[arg-type, return-value]

    ready = job.Job._finished(one, trials)

    assert [each.trial.name for each in ready] == ["sound"]
    assert [each.reason for each in trials[:3]] == [
        "it could not be made: ValueError: too many leaves", "there was no time",
        "its graph is not what was fitted: a row differs",
    ]  # fmt: skip
