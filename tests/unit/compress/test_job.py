"""`compress/job.py`: how a compression begins."""

from types import SimpleNamespace
from typing import Any

import numpy as np
import pytest

from aias.compress import job
from aias.compress.techniques.contract import Candidate
from aias.compress.trial import Trial
from aias.core.deadline import Deadline
from aias.core.load import Load, family


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
    )  # fmt: skip

    def needed(**how: Any) -> float:
        trial = Trial(Candidate("", lambda _: None, **how), "")  # type: ignore[arg-type, return-value]
        trial.alone, trial.known = SimpleNamespace(first=each, second=each), {4: np.zeros(1)}  # type: ignore[assignment]
        return job.Job._needed(one, trial)

    assert needed() == 4 * 10 + 3
    assert needed(alike=lambda fold: fold // 2) == 3 * 10 + 3
