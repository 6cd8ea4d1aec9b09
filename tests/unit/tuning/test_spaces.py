"""`tuning/spaces.py`: usual values lie in their spaces, and learners take what is drawn from them."""

import importlib.util

import numpy as np
import pytest
from scipy import sparse

from aias.core.catalog import member
from aias.core.deadline import Deadline
from aias.core.events import nobody
from aias.core.task import Task
from aias.learners.contract import Examples, Fit
from aias.tuning.spaces import SPACES


@pytest.mark.parametrize("name", sorted(SPACES))
def test_usual_values_lie_in_the_space(name):
    searched = SPACES[name]
    outside = [key for key, value in searched.usual.items() if not searched.space[key].holds(value)]
    assert outside == []
    assert set(searched.categorical) <= set(searched.space)


@pytest.mark.parametrize("name", sorted(set(SPACES) - {"linear"}))  # which reads another matrix
def test_a_learner_takes_what_is_drawn_from_its_space(name):
    learner = member("learners", name)
    for module in learner.needs:
        if importlib.util.find_spec(module) is None:
            pytest.skip(f"{module} is not installed")
    searched = SPACES[name]
    small = {"width": 64, "layers": 1, "epochs": 2, "trees": 5, "rounds": 5}
    settings = {**member("tuning", "random").start(searched.space, seed=0).ask(), **searched.always}
    settings |= {key: small[key] for key in _short(name)}
    rng = np.random.default_rng(0)
    columns = np.column_stack([rng.normal(size=120), rng.integers(0, 4, 120)])
    x = sparse.csr_matrix(columns) if learner.sparse else columns
    task = Task("y", "binary", "roc_auc", ("a", "b"))
    how = Fit(task, 0, Deadline.after(600), 1, nobody, settings, categories=(1,), category_sizes=(4,))
    fitted = learner.fit(Examples(x, (columns[:, 0] > 0).astype(np.int64)), None, how)
    assert fitted.scores(x).shape == (120, 2)


def _short(name):
    network = ("width", "layers", "epochs")
    return {"mlp": network, "text_mlp": network, "extra_trees": ("trees",)}.get(name, ("rounds",))
