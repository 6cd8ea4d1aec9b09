"""`training/held_out.py`: rows of a test that were learned from certify nothing."""

from typing import Any

import numpy as np
import polars as pl

from aias.core.events import Event, nobody
from aias.data.read import read
from aias.training.held_out import hold_out, unseen
from aias.training.prepare import Prepared, prepare


def prepared(test: pl.DataFrame, learned: pl.DataFrame, how: str = "random", folds: int = 4) -> Prepared:
    rows = read(learned, target="y")
    return prepare(
        rows, target="y", metric=None, how=how, test=None, given=read(test, schema=rows.schema), seconds=10,
        folds=folds, seed=0, watch=nobody,
    )  # fmt: skip


def frame(seed: int, rows: int) -> pl.DataFrame:
    rng = np.random.default_rng(seed)
    return pl.DataFrame({"a": rng.normal(size=rows), "y": rng.choice(["n", "y"], rows)})


def test_rows_of_the_test_that_were_learned_from_certify_nothing() -> None:
    told: list[Event] = []
    learned, fresh = frame(0, 200), frame(1, 60)
    whole = prepared(pl.concat([learned[:40], fresh, learned[40:50]]), learned)

    found = unseen(whole, "compress", told.append, alone=True)

    assert found.test.values("a").tolist() == fresh["a"].to_list()
    assert found.test_y.tolist() == (fresh["y"] == "y").cast(int).to_list()
    assert [(each.name, each.level, each.facts) for each in told] == [
        ("compress.seen-rows", "warning", {"rows": 50, "of": 110})
    ]


def test_where_too_few_are_left_of_the_test_reserved_folds_certify() -> None:
    learned, fresh = frame(0, 200), frame(1, 19)
    found = unseen(prepared(pl.concat([learned, fresh]), learned), "compress", nobody, alone=True)

    assert found.test.rows == len(found.test_y) == 0
    assert hold_out(found, seed=0, share=0.5, last=True).held.sum() == 100


def test_rows_of_a_holdout_certify_too_where_too_few_are_left_of_the_test() -> None:
    learned = frame(0, 400)
    for fresh in (0, 5):
        whole = prepared(pl.concat([learned[:50], frame(1, fresh)]), learned, folds=1)
        assert hold_out(unseen(whole, "optimize", nobody, alone=True), seed=1).held.sum() == 20
    both = hold_out(unseen(whole, "compress", nobody, alone=False), seed=1, beside_test=True)
    assert (both.prepared.test.rows, both.held.sum()) == (5, 20)


def test_copies_within_the_test_stay_together() -> None:
    learned, fresh = frame(0, 200), frame(1, 60)
    found = unseen(prepared(pl.concat([learned[:40], fresh, fresh]), learned), "compress", nobody, alone=True)
    clusters: Any = found.test_clusters
    assert found.test.rows == len(clusters) == 120 and np.array_equal(clusters[:60], clusters[60:])


def test_a_test_of_rows_that_nobody_has_seen_stays_whole() -> None:
    whole = prepared(frame(1, 60), frame(0, 200))
    assert unseen(whole, "compress", nobody, alone=True) is whole
    alike = pl.DataFrame({"a": ["x", "z"] * 60, "y": ["n", "y"] * 60})
    whole = prepared(alike, alike)  # rows that are alike by chance are no copies
    assert unseen(whole, "compress", nobody, alone=True) is whole
