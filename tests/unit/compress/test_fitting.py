"""`compress/fitting.py`: what training fits for a candidate, and when that is none."""

import threading
import time
from dataclasses import replace
from functools import partial
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import numpy as np
import polars as pl
import pytest

import aias
from aias.compress.context import FITTED_SHARE
from aias.compress.fitting import fitted, fitted_share
from aias.compress.job import Job
from aias.compress.techniques.contract import Candidate
from aias.training.ledger import Entry
from aias.training.parent import NoTime
from aias.training.selection.configuration import Configuration, Unit
from aias.training.unit import UnitFitter
from compression_contexts import opened


def test_what_is_fitted_as_in_training_has_a_small_share_only_beside_others() -> None:
    """Of 25 s three were for `--technique smaller_model`, and the others went by unused."""
    plain, other = Configuration("linear, direct", "linear"), Candidate("", lambda _: None)  # type: ignore[arg-type, return-value]
    assert fitted_share({"smaller_model": [plain], "distill": [other]}) == FITTED_SHARE
    assert fitted_share({"smaller_model": [plain], "distill": []}) > 0.5


def test_what_time_cut_on_one_fold_is_no_candidate(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """One tree instead of a hundred on a fold that certifies brought down all that were nominated."""
    x = np.random.default_rng(0).normal(size=(300, 2))
    frame = pl.DataFrame({"a": x[:, 0], "b": x[:, 1], "y": np.where(x[:, 0] > 0, "p", "q")})
    aias.train(frame, target="y", name="m", time="600s", folds=3, learners=("linear",), search=False, inline=True,
               home=tmp_path)  # fmt: skip
    context = opened(aias.load("m@1", home=tmp_path), frame, tmp_path)
    whole, cut = (Configuration(name, "boosted_trees", {"rounds": 3, "leaves": 4}) for name in ("whole", "cut"))
    cut = replace(cut, settings={**cut.settings, "rounds": 4})
    fit = UnitFitter.fit

    def cutting(self: UnitFitter, unit: Unit, **more: Any) -> Entry:
        entry, key = fit(self, unit, **more), unit.key(self.table.digest)
        if unit.configuration.name == "cut" and unit.fold == 1:
            entry = replace(entry, cut=True)
            self.ledger.drop(key)
            self.ledger.put(key, entry)
        return entry

    monkeypatch.setattr(UnitFitter, "fit", cutting)
    job: Any = SimpleNamespace(
        search_ends_at=time.monotonic() + 600, stop=threading.Event(), context=context, fallen=[], _skipped={},
        _milder=lambda _name: None, deadline=context.deadline, _enough={}, _tried_whole=None,
    )  # fmt: skip
    job._fell = partial(Job._fell, job)

    trials = list(Job._fitted(job, context.plan, {"fewer_rounds": [whole, cut]}))

    assert [(each.name, list(each.asked)) for each in trials] == [("whole", ["whole"])]
    assert [(each.name, each.reason) for each in job.fallen] == [("cut", "there was no time for it")]
    assert job._enough == {"cut": 0.0}  # nobody knows how much would have been enough
    with pytest.raises(NoTime, match="no time to fit cut"):
        fitted(context, cut)
