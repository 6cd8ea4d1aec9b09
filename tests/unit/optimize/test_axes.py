"""The axes: what each proposes around which members."""

from dataclasses import dataclass, field, replace
from itertools import islice
from types import SimpleNamespace

import numpy as np
import pytest

from aias.core.task import Task
from aias.optimize.context import STEP, STEPS_MAX, SearchContext
from aias.optimize.parameters import parameters
from aias.optimize.strategy import strategy
from aias.optimize.structure import structure
from aias.training.selection.configuration import Configuration
from aias.training.selection.portfolio import Shape

TASK = Task("y", "binary", "roc_auc", ("a", "b"))


@dataclass
class Board:
    members: list = field(default_factory=list)
    aucs: list[float] = field(default_factory=list)
    task: Task = TASK

    @property
    def weights(self):
        return np.ones(len(self.members))

    @property
    def table(self):
        return SimpleNamespace(encoder=SimpleNamespace(layout=SimpleNamespace(categories=())))

    def add(self, configuration, value, **came_to):
        settings = {**configuration.settings, **came_to}
        refit = SimpleNamespace(configuration=Configuration("", "", settings))
        told = {"name": configuration.name, "refit": refit, "came_to": settings}
        self.members.append(SimpleNamespace(configuration=configuration, **told))
        self.aucs.append(value)

    def worths(self):
        return np.array(self.aucs)


@pytest.fixture
def context():
    board = Board()
    board.add(Configuration("boosted_trees", "boosted_trees", {"learning_rate": 0.06}), 0.9, rounds=100)
    board.add(Configuration("mlp", "mlp"), 0.8, batch_rows=64, average_epochs=1.0)
    board.add(Configuration("linear", "linear"), 0.7, C=1.0)
    return SearchContext(board, Shape(TASK, 1_000, _layout(3)), 0, "random", (), lambda: np.array([0.6, 0.39, 0.01]))


def _layout(width):
    return SimpleNamespace(width=width, categories=(), terms=0, texts=(), category_sizes=(), times=())


def test_parameters_start_from_the_parent_move_otherwise_and_prune(context):
    found = {each.name: each.settings for each in parameters(context)}
    start = {"asked": {"learning_rate": 0.06}, "refit": {"learning_rate": 0.06, "rounds": 100}}
    assert found["boosted_trees, continued"] == {"learning_rate": pytest.approx(0.018), "start": start}
    assert found["boosted_trees, without 1 column"]["hidden"] == [2]
    assert found["boosted_trees, fewer trees"]["rounds"] == 70
    assert found["mlp, schedule free"]["update"] == "schedule_free"
    assert found["mlp, continued"]["start"]["refit"]["batch_rows"] == 64
    assert not any(name.startswith("linear") for name in found)


@pytest.mark.parametrize("learner", ["boosted_trees", "xgboost", "catboost"])
def test_boosters_that_can_go_on_do_so_until_nothing_helps(context, learner):
    board = Board()
    board.add(Configuration("a", learner, {"rounds": 50, "max_depth": 3}), 0.9, rounds=50)
    found = {each.name: each.settings for each in parameters(replace(context, board=board))}["a, continued"]
    assert "rounds" not in found
    assert found["start"]["asked"]["rounds"] == 50
    usual = {"boosted_trees": 0.05, "xgboost": 0.04, "catboost": 0.08}[learner]
    assert found["learning_rate"] == pytest.approx(0.3 * usual)


def test_columns_are_left_out_once(context):
    context.board.add(Configuration("boosted_trees, without 1 column", "boosted_trees", {"hidden": [2]}), 0.99)
    assert not any(each.name.count("without") > 1 for each in parameters(context))


def test_structure_grows_prunes_and_takes_in_new_families(context):
    names = [each.name for each in islice(structure(context), 12)]
    assert names[0] not in {"boosted_trees", "mlp", "linear"}
    assert "boosted_trees, grown to num_leaves 62" in names
    assert "boosted_trees, pruned to num_leaves 16" in names
    assert "boosted_trees structure #1" in names


@pytest.mark.parametrize(
    ("learner", "asked", "came_to", "grown"),
    [
        ("boosted_trees", {"rounds": 50}, 48, 100),
        ("boosted_trees", {"rounds": 50}, 40, None),
        ("boosted_trees", {}, 2_990, 6_000),
        ("boosted_trees", {}, 400, None),
        ("xgboost", {}, 3_000, 6_000),
        ("catboost", {}, 5_000, 10_000),
        ("catboost", {}, 2_000, None),
    ],
)
def test_rounds_grow_where_training_ended_at_its_limit_of_them(context, learner, asked, came_to, grown):
    board = Board()
    board.add(Configuration("a", learner, asked), 0.9, rounds=came_to)
    found = [each for each in islice(structure(replace(context, board=board)), 60) if "grown to rounds" in each.name]
    assert [each.settings["rounds"] for each in found] == ([] if grown is None else [grown])


def test_rounds_that_were_taken_away_are_not_grown_again(context):
    board = Board()
    board.add(Configuration("a, fewer trees", "boosted_trees", {"rounds": 70}), 0.9, rounds=70)
    assert not [each for each in islice(structure(replace(context, board=board)), 60) if "to rounds" in each.name]


def test_strategy_changes_rates_samples_seeds_and_averages(context):
    found = {each.name: each.settings for each in islice(strategy(context), 30)}
    assert found["boosted_trees, seed 1"]["seed_shift"] == 1
    assert found["boosted_trees, half the rate"]["learning_rate"] == pytest.approx(0.03)
    assert found["mlp, batches of 32"]["batch_rows"] == 32
    assert found["mlp, averaged over 4 epochs"]["average_epochs"] == 4
    searched = found["boosted_trees strategy #1"]
    assert "num_leaves" not in searched
    assert "learning_rate" in searched


def test_what_averages_all_steps_is_not_averaged_over_more(context):
    context.board.add(Configuration("mlp free", "mlp", {"update": "schedule_free"}), 0.99)
    names = [each.name for each in islice(strategy(context), 40)]
    assert any(name.startswith("mlp free, schedule") for name in names)
    assert not any(name.startswith("mlp free, averaged") for name in names)


def test_what_became_best_is_varied_next(context):
    varied = parameters(context)
    first = next(varied)
    context.board.add(Configuration("extra_trees", "extra_trees"), 0.99)
    names = [each.name for each in varied]
    assert first.name == "boosted_trees, continued"
    assert "extra_trees, without 1 column" in names
    assert not any(name.startswith("mlp") for name in names)


def test_variations_of_variations_end(context):
    context.board.add(
        Configuration("boosted_trees, a, b, c", "boosted_trees", {"learning_rate": 0.01}), 0.99, rounds=10
    )
    assert not any(each.name.startswith("boosted_trees") for each in parameters(context))


def test_what_goes_on_from_a_fit_is_not_fitted_without_columns_that_its_first_trees_ask_for(context):
    settings = {"learning_rate": 0.018, "start": {"asked": {}, "refit": {}}}
    context.board.add(Configuration("boosted_trees, continued", "boosted_trees", settings), 0.99, rounds=10)
    assert not any(each.name.startswith("boosted_trees, continued, without") for each in parameters(context))


@pytest.mark.parametrize("axis", [parameters, structure, strategy])
def test_only_models_of_the_learners_that_were_named_are_proposed(context, axis):
    named = replace(context, learners=("mlp",))
    found = {each.learner for each in islice(axis(named), 40)}
    assert found == {"mlp"}
    assert {each.learner for each in islice(axis(context), 40)} != found


def test_where_no_member_is_of_the_learner_that_was_named_nothing_is_varied(context):
    assert not list(islice(strategy(replace(context, learners=("catboost",))), 40))


def test_the_strength_of_a_linear_model_which_each_fit_searches_is_not_searched_again(context):
    context.board.members, context.board.aucs = context.board.members[2:], context.board.aucs[2:]
    assert not [each for each in islice(strategy(context), 40) if "C" in each.settings]


def test_what_was_merged_is_not_merged_on_and_on(context):
    board = context.board
    board.add(Configuration("boosted_trees 2", "boosted_trees", {"learning_rate": 0.02}), 0.95, rounds=10)
    for _ in range(12):
        merged = [each for each in islice(structure(context), 60) if "merged" in each.name.rsplit(STEP, 1)[-1]]
        fresh = [each for each in merged if each.name not in {member.name for member in board.members}]
        if not fresh:
            break
        board.add(fresh[0], 0.96 + len(board.members) / 1_000)
    assert max(member.name.count(STEP) for member in board.members) <= STEPS_MAX
    assert any("merged" in member.name for member in board.members)
