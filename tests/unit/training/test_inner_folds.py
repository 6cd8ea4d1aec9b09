"""What is derived from answers out of fold, and what is chosen: rows that belong together are together there too."""

from dataclasses import replace
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import numpy as np
import polars as pl
import pytest

from aias.core.deadline import Deadline
from aias.core.events import nobody
from aias.data.read import read
from aias.learners.contract import Examples, Fit, halves
from aias.training.blocks import fit_block
from aias.training.held_out import hold_out
from aias.training.ledger import Ledger
from aias.training.pipeline import Features
from aias.training.prepare import prepare
from aias.training.scoring.cross_fitting import parted
from aias.training.selection.configuration import ALL, Configuration, Unit
from aias.training.table import Table
from aias.training.unit import UnitFitter

GROUPS, EACH = 40, 8


def grouped(how: str) -> Table:
    """Words and a category of each group's own, whose rows all have one label; copies are groups too."""
    rng = np.random.default_rng(0)
    group = np.repeat(np.arange(GROUPS), EACH)
    label = rng.permutation(GROUPS) % 2
    own = np.array([f"{''.join(rng.choice(list('bcdfgklmnp'), 6))}a" for _ in range(GROUPS)])
    columns = {
        "g": [f"g{each}" for each in group],
        "t": [f"{own[each]} of the {own[each]} in it" for each in group],
        "c": [f"v{each}" for each in group],
        "y": np.where(label[group] == 1, "yes", "no"),
    }
    if how == "random":
        del columns["g"]
    else:
        columns["x"] = rng.normal(size=len(group))
    dataset = read(pl.DataFrame(columns), target="y")
    return prepare(
        dataset, target="y", metric=None, how=how, test=0.0, given=None, seconds=10, folds=3, seed=0, watch=nobody
    ).table


@pytest.mark.parametrize("how", ["group:g", "random"])
@pytest.mark.parametrize("name", ["text_sums", "target_means"])
@pytest.mark.parametrize("fold", [0, ALL])
def test_what_only_a_group_or_copies_know_is_not_known_out_of_fold(name: str, how: str, fold: int) -> None:
    """It was from the other rows of the group, and trees trusted what new groups do not have."""
    table = grouped(how)
    rows = table.inside(fold)
    task = Fit(table.task, 1, Deadline.after(600), 1, nobody)

    made = fit_block(name, table, rows, task, Features(table.encoder, table.whole.encoded))

    if made is not None:
        y = table.whole.y[rows] * 2.0 - 1
        column = made[1][:, 0] - made[1][:, 0].mean()
        assert column @ y / max(1e-9, np.linalg.norm(column) * np.linalg.norm(y)) < 0.5


def copied() -> tuple[Table, np.ndarray]:
    """Labels by chance; a third of the different rows stand in two groups each. And the number of each row's copies."""
    rng = np.random.default_rng(0)
    row = np.concatenate([np.arange(300), np.arange(100)])
    own = np.array([f"{''.join(rng.choice(list('bcdfgklmnp'), 6))}a" for _ in range(300)])
    columns = {
        "g": [f"g{(each + 7 * (place >= 300)) % GROUPS}" for place, each in enumerate(row)],
        "t": [f"{own[each]} of the {own[each]} in it" for each in row],
        "c": [f"v{each if each < 100 else each % 10}" for each in row],
        "x": rng.normal(size=300)[row],
        "y": rng.choice(["no", "yes"], 300)[row],
    }
    dataset = read(pl.DataFrame(columns), target="y")
    table = prepare(
        dataset, target="y", metric=None, how="group:g", test=0.0, given=None, seconds=10, folds=3, seed=0, watch=nobody
    ).table
    return table, row


@pytest.mark.parametrize("name", ["text_sums", "target_means"])
@pytest.mark.parametrize("fold", [0, ALL])
def test_what_only_copies_in_other_groups_know_is_not_known_out_of_fold(name: str, fold: int) -> None:
    """They kept the groups together, and a row's copy in another group told its label."""
    table, row = copied()
    rows = table.inside(fold)
    task = Fit(table.task, 1, Deadline.after(600), 1, nobody)

    made = fit_block(name, table, rows, task, Features(table.encoder, table.whole.encoded))

    twice = np.bincount(row[rows])[row[rows]] > 1
    assert twice.sum() > 30
    if made is not None:
        y = table.whole.y[rows][twice] * 2.0 - 1
        column = made[1][twice, 0] - made[1][twice, 0].mean()
        assert column @ y / max(1e-9, np.linalg.norm(column) * np.linalg.norm(y)) < 0.5


def multiplied(times: int, *, partners: int, rows: int = 200) -> tuple[Table, np.ndarray]:
    """Labels by chance; each different row so many times, in groups drawn from so many. And the number of each row's
    copies."""
    rng = np.random.default_rng(0)
    row = np.tile(np.arange(rows), times)
    columns = {
        "g": [f"g{each % (GROUPS // partners) * partners + rng.integers(partners)}" for each in row],
        "c": [f"v{each}" for each in row],
        "x": rng.normal(size=rows)[row],
        "y": rng.choice(["no", "yes"], rows)[row],
    }
    table = prepare(
        read(pl.DataFrame(columns), target="y"), target="y", metric=None, how="random", test=0.0, given=None,
        seconds=10, folds=3, seed=0, watch=nobody,
    ).table  # fmt: skip
    groups = np.unique(columns["g"], return_inverse=True)[1]
    return replace(table, clusters=groups, copies=row), row


@pytest.mark.parametrize("times", [9, 30])
@pytest.mark.parametrize("partners", [4, GROUPS])
def test_however_many_copies_of_a_row_stand_in_other_groups_none_tells_another(times: int, partners: int) -> None:
    """Of nine in groups by chance too few others were left to tell anything, so all of them did."""
    table, row = multiplied(times, partners=partners)
    rows = table.inside(ALL)
    task = Fit(table.task, 1, Deadline.after(600), 1, nobody)

    made = fit_block("target_means", table, rows, task, Features(table.encoder, table.whole.encoded))

    folds = table.inner_folds(rows, count=4, seed=1)
    assert set(folds) == {0, 1, 2, 3}
    assert (folds == folds[:200][row]).all()
    of_groups = [len(set(folds[table.clusters == each])) for each in range(GROUPS)]
    assert max(of_groups) == 1 or partners == GROUPS, "groups that have no copies elsewhere are together, too"
    if made is not None:
        y = table.whole.y[rows] * 2.0 - 1
        column = made[1][:, 0] - made[1][:, 0].mean()
        assert column @ y / max(1e-9, np.linalg.norm(column) * np.linalg.norm(y)) < 0.5


def test_no_copy_in_another_group_is_in_the_other_half_of_the_rows_that_judge_nor_in_another_part() -> None:
    table, row = multiplied(3, partners=4)
    table = replace(table, folds=np.zeros(table.rows, np.int16))

    rows = table.judging(0)

    first, second = (half.x for half in halves(Examples(rows, table.whole.y[rows])))
    assert len({*row[first]} & {*row[second]}) <= 20  # of the groups in the middle, which have one in ten
    parts = parted(table.folds, table.kin(table.judged))
    assert set(parts) == {0, 1, 2, 3, 4} and (parts == parts[:200][row]).all()


def test_no_copy_of_a_row_that_a_holdout_reserves_is_searched_by() -> None:
    """Only whole groups were reserved, and the search knew most of their rows from other groups."""
    table, row = multiplied(3, partners=4)
    table = replace(table, folds=np.zeros(table.rows, np.int16))
    prepared: Any = SimpleNamespace(table=table, test=SimpleNamespace(rows=0), test_clusters=None)

    held = hold_out(prepared, seed=0).held

    assert 0 < held.sum() < table.rows / 2
    assert {*row[held]}.isdisjoint(row[~held])


def test_rows_without_clusters_are_drawn_each_for_itself() -> None:
    table, rows = replace(grouped("group:g"), clusters=None), np.arange(100)
    expected = np.random.default_rng(3).permutation(100) % 4
    assert table.inner_folds(rows, count=4, seed=3).tolist() == expected.tolist()


@pytest.mark.parametrize("sizes", [[1, 1], [5, 1, 4], [1] * 50 + [40], [7] * 9])
def test_inner_folds_part_clusters_of_any_sizes(sizes: list[int]) -> None:
    clusters = np.repeat(np.arange(len(sizes)), sizes)
    table = replace(grouped("group:g"), clusters=clusters)
    for seed in range(20):
        folds = table.inner_folds(np.arange(len(clusters)), count=4, seed=seed)
        assert all(len(set(folds[clusters == each])) == 1 for each in range(len(sizes)))
        assert set(folds) == set(range(folds.max() + 1)) and 1 <= folds.max() < 4


def test_of_one_large_cluster_rows_are_drawn() -> None:
    table = replace(grouped("group:g"), clusters=np.append(np.zeros(30, int), 1))
    assert set(table.inner_folds(np.arange(31), count=4, seed=0)) == {0, 1, 2, 3}


def test_clusters_are_stored(tmp_path: Path) -> None:
    table = grouped("group:g")
    table.save(tmp_path)
    assert Table.load(tmp_path).clusters.tolist() == table.clusters.tolist()
    assert replace(table, clusters=None).digest != table.digest
    assert table.copies is None
    other = replace(table, copies=np.arange(table.rows) % 7)
    other.save(tmp_path)
    assert Table.load(tmp_path).copies.tolist() == other.copies.tolist() and other.digest != table.digest


@pytest.mark.parametrize("how", ["group:g", "random"])
def test_what_chooses_for_one_half_of_the_rows_that_judge_has_no_group_in_common_with_it(how: str) -> None:
    """But one, which lies on the middle; learners part them by every second row."""
    table = grouped(how)
    for fold in range(3):
        rows = table.judging(fold)
        assert sorted(rows) == table.outside(fold).tolist()
        first, second = (set(table.clusters[half.x]) for half in halves(Examples(rows, table.whole.y[rows])))
        assert len(first & second) <= 1 and min(len(first), len(second)) >= 5


def test_rows_that_judge_without_clusters_stay_in_their_order() -> None:
    table = replace(grouped("group:g"), clusters=None)
    assert table.judging(0).tolist() == table.outside(0).tolist()


@pytest.mark.parametrize("learner", ["linear", "boosted_trees"])
def test_scores_are_those_of_the_rows_in_their_order(learner: str, tmp_path: Path) -> None:
    table = grouped("group:g")
    fitter = UnitFitter(table, Ledger(tmp_path))
    unit = Unit(Configuration("one", learner, {"C": 1.0} if learner == "linear" else {"rounds": 1}), 0, 0)
    entry = fitter.fit(unit, deadline=Deadline.after(600), threads=1, watch=nobody)
    expected = fitter.pipeline(unit).scores(table.whole.encoded.take(table.outside(0)))
    np.testing.assert_allclose(entry.scores.reshape(expected.shape), expected, rtol=1e-6)
