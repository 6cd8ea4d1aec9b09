"""`compress/job.py`: how a compression begins."""

from types import SimpleNamespace
from typing import Any

import pytest

from aias.compress import job
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
