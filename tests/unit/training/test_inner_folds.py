"""What is derived from answers out of fold: rows that belong together are together there too."""

from dataclasses import replace
from pathlib import Path

import numpy as np
import polars as pl
import pytest

from aias.core.deadline import Deadline
from aias.core.events import nobody
from aias.data.read import read
from aias.learners.contract import Fit
from aias.training.pipeline import Features, fit_block
from aias.training.prepare import prepare
from aias.training.selection.configuration import ALL
from aias.training.table import Table

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
