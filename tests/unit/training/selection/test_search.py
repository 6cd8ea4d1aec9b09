"""`training/selection/search.py`: which family is searched, around what, and what it is told."""

from dataclasses import dataclass, field
from itertools import islice
from types import SimpleNamespace

import numpy as np
import pytest

from aias.core.errors import NotFound
from aias.core.task import Task
from aias.training.selection.configuration import Configuration
from aias.training.selection.search import searched
from aias.tuning.contract import fits
from aias.tuning.spaces import SPACES

ENCODER = SimpleNamespace(layout=SimpleNamespace(categories=()))
TASK = Task("y", "binary", "roc_auc", ("a", "b"))


@dataclass
class Board:
    """What a search sees of a board."""

    members: list = field(default_factory=list)
    aucs: list[float] = field(default_factory=list)
    task: Task = TASK
    table: object = field(default_factory=lambda: SimpleNamespace(encoder=ENCODER))

    @property
    def weights(self):
        return np.array([0.0 if each.name == "boosted_trees deep" else 0.2 for each in self.members])

    def add(self, configuration, value):
        self.members.append(SimpleNamespace(configuration=configuration, name=configuration.name))
        self.aucs.append(value)

    def worths(self):
        return np.array(self.aucs)


def board():
    made = Board()
    made.add(Configuration("linear", "linear"), 0.7)
    made.add(Configuration("boosted_trees", "boosted_trees", {"learning_rate": 0.05}, ("text_sums",)), 0.9)
    made.add(Configuration("boosted_trees deep", "boosted_trees", {"num_leaves": 96, "extra": 1}), 0.8)
    made.add(Configuration("extra_trees", "extra_trees"), 0.85)
    made.add(Configuration("nearest", "nearest"), 0.95)
    return made


def run(made, count, value):
    asked = []
    for configuration in islice(searched(made, seed=1, searcher="random"), count):
        made.add(configuration, value(configuration))
        asked.append(configuration)
    return asked


def test_the_best_family_that_can_be_searched_is_first():
    asked = [each.learner for each in run(board(), 3, lambda _: 0.1)]
    assert asked == ["boosted_trees", "extra_trees", "boosted_trees"]


def test_what_a_linear_model_found_on_its_path_is_not_searched_again_unless_asked_for():
    made = Board()
    made.add(Configuration("linear", "linear"), 0.7)
    assert run(made, 2, lambda _: 0.1) == []
    finer = searched(made, seed=1, searcher="random", of=lambda name: name == "C")
    assert [next(finer).learner for _ in range(2)] == ["linear", "linear"]


def test_a_family_that_gains_is_asked_more_often():
    made, best = board(), iter(range(100))
    asked = run(made, 20, lambda each: 0.9 + next(best) / 1000 if each.learner == "extra_trees" else 0.1)
    counts = [sum(each.learner == name for each in asked) for name in ("extra_trees", "boosted_trees")]
    assert counts[0] > 2 * counts[1] > 0


def test_a_proposal_is_the_best_of_its_family_with_other_settings():
    first = run(board(), 1, lambda _: 0.1)[0]
    space = SPACES["boosted_trees"].over(categories=False)
    assert first.name == "boosted_trees #1"
    assert first.derived == ("text_sums",)
    assert first.settings["bagging_freq"] == 1
    assert "cat_smooth" not in first.settings
    assert fits(space, {name: first.settings[name] for name in space})


def test_of_very_many_columns_shares_are_searched_around_the_best():
    made = Board()
    made.add(Configuration("boosted_trees", "boosted_trees", {"feature_fraction": 0.13}), 0.9)
    shares = [each.settings["feature_fraction"] for each in run(made, 9, lambda _: 0.1)]
    assert min(shares) >= 0.065 and max(shares) <= 0.26 and len(set(shares)) > 1


def test_the_same_board_and_seed_propose_the_same():
    assert run(board(), 7, lambda _: 0.1) == run(board(), 7, lambda _: 0.1)


def test_proposals_that_came_to_nothing_are_survived():
    assert len(list(islice(searched(board(), seed=0), 8))) == 8


def test_what_cannot_be_searched_proposes_nothing():
    made = Board()
    made.add(Configuration("nearest", "nearest"), 0.9)
    assert list(searched(made, seed=0)) == []


def test_an_unknown_searcher_is_refused_with_those_that_are():
    with pytest.raises(NotFound, match="no searcher `magic`"):
        next(searched(board(), seed=0, searcher="magic"))


def test_a_proposal_is_not_called_as_a_member_that_an_earlier_search_has_left():
    made = board()
    made.add(Configuration("boosted_trees #1", "boosted_trees", {"num_leaves": 5}), 0.5)
    made.add(Configuration("boosted_trees #3", "boosted_trees", {"num_leaves": 7}), 0.5)
    asked = [each.name for each in run(made, 5, lambda _: 0.1) if each.learner == "boosted_trees"]
    assert asked == ["boosted_trees #2", "boosted_trees #4", "boosted_trees #5"]
