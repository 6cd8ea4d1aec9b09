"""CatBoost's own JSON of a model → symmetric trees.

CatBoost tells by `float32(x) > border`. The trees compare x in float64 with the largest value that float32 rounds to
the border or below: equal for every x, infinite ones too, since what is beyond float32 counts as its end.
"""

import json
import tempfile
from collections.abc import Iterable, Iterator, Mapping
from pathlib import Path
from typing import Any

import numpy as np

from aias.core.arrays import Floats, Ints
from aias.core.forest import FLOAT32_MAX
from aias.core.symmetric import SymmetricTrees

Split = tuple[int, int, Mapping[str, Any]]
"""Its level, its tree, and what it asks."""

Places = dict[int, tuple[int, float]]
"""The column and the border of the splits that read categories, by their number."""


def description(model: Any) -> dict[str, Any]:
    """The model as CatBoost writes it down, which it does to files only."""
    with tempfile.TemporaryDirectory() as folder:
        path = Path(folder) / "model.json"
        model.save_model(str(path), format="json")
        return dict(json.loads(path.read_text(encoding="utf-8")))


def splits_of(found: Mapping[str, Any]) -> Iterator[Split]:
    for place, tree in enumerate(found["oblivious_trees"]):
        yield from ((level, place, split) for level, split in enumerate(tree["splits"] or ()))


def trees_of(
    found: Mapping[str, Any], numbers: Ints, *, unit: Floats, places: Places, tables: tuple[Ints, Ints, Floats]
) -> SymmetricTrees:
    """`numbers`: the column of x of each of CatBoost's own numbers; `unit`: what is added to the sums, and before it
    their factor; `places`, `tables`: of the splits that read categories."""
    trees, (scale, base), (shift, spread) = found["oblivious_trees"], found["scale_and_bias"], unit
    splits = list(splits_of(found))
    shape = max((level + 1 for level, _, _ in splits), default=1), len(trees)
    feature, border = np.zeros(shape, np.int64), np.full(shape, np.inf)
    for level, place, split in splits:
        if split["split_type"] == "FloatFeature":
            feature[level, place] = numbers[split["float_feature_index"]]
            border[level, place] = widest(split["border"])
        else:
            feature[level, place], border[level, place] = places[split["split_index"]]
    leaves = np.zeros((len(trees), 2 ** shape[0], len(base)))
    for place, tree in enumerate(trees):
        values = np.array(tree["leaf_values"]).reshape(-1, len(base))
        leaves[place, : len(values)] = values * (scale * spread)
    return SymmetricTrees(feature, border, leaves, np.array(base) * spread + shift, *tables)


def tables_of(
    info: Mapping[str, Any], splits: Iterable[Split], leaf: Any, *, categories: Ints, sizes: Ints, width: int
) -> tuple[Places, tuple[Ints, Ints, Floats]]:
    """What the splits that read categories answer to each code: a table for each number that a category becomes.

    `leaf`: CatBoost's own leaves, (codes, trees), of rows whose categories all hold the code, as far as they go;
    `categories`, `sizes`: the columns of x that hold codes, and how many each has; `width`: of x.

    Gives the columns and borders of these splits; and the tables' sources, starts and values.
    """
    asked = {each[2]["split_index"]: each for each in splits if each[2]["split_type"] != "FloatFeature"}
    ends = _ctr_ends(info)
    groups: dict[tuple[int, int], list[tuple[int, Floats]]] = {}
    for index, (level, tree, split) in sorted(asked.items(), key=lambda each: each[0]):
        key, reads = -1 - index, split
        if split["split_type"] == "OnlineCtr":
            key = int(np.searchsorted(ends, index, side="right"))
            (reads,) = info["ctrs"][key]["elements"]
        category = int(reads["cat_feature_index"])
        passed = leaf[: sizes[category], tree] >> level & 1
        groups.setdefault((category, key), []).append((index, passed.astype(np.float64)))
    # Within a group borders rise: who passes one has passed all before.
    places = {
        index: (width + column, before + 0.5)
        for column, group in enumerate(groups.values())
        for before, (index, _) in enumerate(group)
    }
    values = [np.sum([passed for _, passed in group], axis=0) for group in groups.values()]
    lengths = np.array([len(each) for each in values], np.int64)
    sources = categories[np.array([category for category, _ in groups], np.int64)]
    return places, (sources, np.cumsum(lengths) - lengths, np.concatenate([np.zeros(0), *values]))


def _ctr_ends(info: Mapping[str, Any]) -> Ints:
    """Where the splits of each number made of a category end: CatBoost counts splits over all features."""
    numbers, categories = info.get("float_features", ()), info.get("categorical_features", ())
    first = sum(len(each["borders"]) for each in numbers) + sum(len(each.get("values", ())) for each in categories)
    return first + np.cumsum([len(each["borders"]) for each in info.get("ctrs", ())], dtype=np.int64)


def widest(border: float) -> float:
    """The largest float64 that float32 rounds to the border or below."""
    exact = np.float32(border)
    assert np.isfinite(exact), "borders lie between values that are finite"
    if exact == np.float32(FLOAT32_MAX):
        return np.inf
    middle = (float(exact) + float(np.nextafter(exact, np.float32(np.inf)))) / 2
    return middle if np.float32(middle) <= exact else float(np.nextafter(middle, -np.inf))
