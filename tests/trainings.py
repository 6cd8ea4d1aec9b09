"""A table to train on, and how: what tests of training share."""

from dataclasses import replace

import numpy as np

from aias.training.train import Recipe


def table(rows: int = 300) -> dict[str, list[object]]:
    chance = np.random.default_rng(rows)
    words = ["free", "win", "home", "you", "later", "cash"]
    age = chance.normal(40, 10, rows)
    notes = [" ".join(chance.choice(words, 6)) for _ in range(rows)]
    y = [
        "spam" if ("free" in note) + (a > 45) + chance.random() > 1 else "ham"
        for note, a in zip(notes, age, strict=True)
    ]
    return {"age": age.tolist(), "job": chance.choice(["a", "b", "c"], rows).tolist(), "note": notes, "y": y}


LINEAR = Recipe(target="y", name="m", seconds=600, learners=("linear",), search=False)
BOTH = replace(
    LINEAR, learners=("linear", "boosted_trees"), learner_settings={"boosted_trees": {"rounds": 60}}, folds=3
)  # fmt: skip
