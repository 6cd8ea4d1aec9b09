"""`compress/subgroups.py`: a subgroup that is sacrificed is found, whichever column tells it."""

from pathlib import Path
from types import SimpleNamespace
from typing import Any

import numpy as np
import polars as pl

import aias
from aias.compress.certification import Certification
from aias.compress.subgroups import subgroup_columns, unevenness
from aias.compress.techniques.contract import Candidate
from aias.compress.trial import Judged, Trial
from compression_contexts import opened

COLUMNS = ["one", "two", "three", "four", "five"]


def towns(rows: int = 3_000) -> pl.DataFrame:
    rng = np.random.default_rng(0)
    columns = {name: rng.choice(list("qrstuvxy"), rows) for name in COLUMNS}
    amount = rng.normal(size=rows).round(4)
    return pl.DataFrame(
        columns | {"amount": amount, "sold": np.where(amount + rng.normal(size=rows) / 3 > 0, "a", "b")}
    )


def test_a_part_that_is_sacrificed_is_found_in_the_last_of_many_columns(tmp_path: Path) -> None:
    frame = towns()
    aias.train(
        frame, target="sold", metric="accuracy", name="m", time="600s", folds=4, learners=("linear",), search=False,
        inline=True, home=tmp_path,
    )  # fmt: skip
    context = opened(aias.load("m@1", home=tmp_path), frame, tmp_path)
    judges = context.prepared.table.judged
    judged = Judged(context, np.isin(context.prepared.table.folds[judges], [0, 1]), 0)
    scores = judged.parent.scores.copy()
    lost = frame["five"].to_numpy()[judges] == "x"
    scores[lost] = scores[lost][:, ::-1]
    trial = Trial(Candidate("worse", lambda _: None, scores), "")  # type: ignore[arg-type, return-value]
    finished: Any = SimpleNamespace(trial=trial, trained=SimpleNamespace(manifest=SimpleNamespace(label_weights=())))

    ((verdict, _),) = Certification(judged).judge([finished], margin=0.13)

    assert subgroup_columns(judged, trial)[0] == "five"
    assert verdict.p < 0.04 and verdict.loss.value < 0.13  # all rows together would certify it
    assert not verdict.certified and "`five` is x" in verdict.reason


def test_what_lies_apart_by_chance_alone_is_hardly_uneven() -> None:
    rng = np.random.default_rng(1)
    apart, values = rng.random(600), rng.choice(list("abc"), 600).astype(object)

    assert unevenness(apart, values) < 5 < 50 < unevenness(apart + (values == "b"), values)
    assert unevenness(apart, np.full(600, "a", object)) == 0
    assert unevenness(np.zeros(600), values) == 0
