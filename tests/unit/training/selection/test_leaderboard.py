"""The board: which members belong into which form, and what there is time for."""

import threading
from dataclasses import replace
from functools import partial
from types import SimpleNamespace

import numpy as np
import pytest

from aias.core.deadline import Deadline
from aias.core.events import Event
from aias.core.load import Load
from aias.core.schema import Field
from aias.core.task import Task
from aias.encoders.rows import RowEncoder
from aias.training.base_cost import BaseCost
from aias.training.finish import Timed
from aias.training.forms import Forms
from aias.training.scoring.answering import Answering
from aias.training.scoring.metrics import measure
from aias.training.selection.configuration import Configuration, Unit
from aias.training.selection.fits import BYTES_MAX
from aias.training.selection.leaderboard import Leaderboard
from aias.training.selection.members import Member
from aias.training.table import Part, Table

ROWS = 400
TRUTH = np.random.default_rng(0).integers(0, 2, ROWS)


def board(
    told: list[Event], *, seconds: float, finishing: dict[str, float], asked: bool = True, metric: str = "roc_auc"
) -> Leaderboard:
    """`finishing`: how long each member takes to compile, prove and time, by its name."""
    values = {"a": np.arange(ROWS, dtype=float)}
    encoder = RowEncoder.fit([Field("a", "number")], values)
    folds = (np.arange(ROWS) % 4).astype(np.int16)
    table = Table(
        Task("y", "binary", metric, ("no", "yes")), encoder, Part(encoder.columns(values, ROWS), TRUTH), folds
    )
    forms = SimpleNamespace(
        prepared=SimpleNamespace(table=table, encoder=encoder, test=SimpleNamespace(rows=0)), beside=False,
        base=BaseCost(encode_us=5.0, call_us=0.0),
        shared_seconds=0.0, feel_load=lambda: None,
        timed=lambda member: Timed(50.0, 1_000, finishing[member.name]), told_seconds=lambda *_: 0.1,
    )  # fmt: skip
    forms.counts = partial(Forms.counts, forms)
    forms.narrow = lambda count: setattr(forms.prepared, "table", table.narrowed(count))
    now = Deadline.after(seconds, lambda: 1_000.0)  # however busy the machine is
    return Leaderboard(
        forms, latency_us=150.0, latency_asked=asked, deadline=now, watch=told.append, stop=threading.Event()
    )  # fmt: skip


def member(name: str, *, noise: float, seconds: float = 1.0, seed: int = 0) -> Member:
    """Of a boosted tree whose answers are the truth under so much noise."""
    margin = 2.0 * TRUTH - 1 + noise * np.random.default_rng(seed).normal(size=ROWS)
    second = 1 / (1 + np.exp(-margin))
    configuration = Configuration(name, "boosted_trees")
    units = tuple(Unit(configuration, fold, 0) for fold in range(4))
    return Member(configuration, units, np.column_stack([1 - second, second]), units[0], seconds)


def test_what_errs_differently_answers_together() -> None:
    made = board([], seconds=600, finishing={"a": 0.01, "b": 0.01})
    assert made.add(member("a", noise=1.5, seed=1)) and made.add(member("b", noise=1.5, seed=3))
    assert (made.weights > 0.2).all() and set(made.serving()) == {0, 1}


@pytest.mark.parametrize("metric", ["log_loss", "f1"])
def test_after_class_weights_members_are_compared_as_they_are_without_them(metric: str) -> None:
    """What leans is worse than to give all rows the share of each class, so that the best member answered alone."""
    told: list[Event] = []
    made, rng = board(told, seconds=600, finishing={"a": 0.01, "b": 0.01}, metric=metric), np.random.default_rng(0)
    x = rng.normal(size=ROWS)
    rare = (rng.random(ROWS) < 1 / (1 + np.exp(4 - 3 * x))).astype(int)
    weight = np.where(rare, 50.0, 1.0)
    made._judge_by(replace(made.table, whole=replace(made.table.whole, y=rare, weight=weight / weight.mean())))
    for name in ("a", "b"):
        second = 1 / (1 + np.exp(3.6 - np.log(50) - 2.4 * (x + 0.4 * rng.normal(size=ROWS))))
        assert made.add(replace(member(name, noise=1.0), scores=np.column_stack([1 - second, second])))
    assert (made.weights > 0.2).all()
    values = [event.facts["validation"] for event in told if event.name == "train.candidate"]
    assert max(values) < 0.3 if metric == "log_loss" else min(values) > 0.5


def test_members_of_one_graph_pay_half_a_call_together() -> None:
    made = board([], seconds=600, finishing={"a": 0.01})
    made.add(member("a", noise=1.5))
    fits = []
    for call_us in (0.0, 60.0):
        made.forms.base = BaseCost(encode_us=5.0, call_us=call_us)
        made._choose_serving()
        fits.append(made.serving())
    assert fits == [{0: 3}, {0: 5}]  # of 50 µs each in 150, of which 5 and then 35 are paid once


def test_members_that_call_nothing_likely_are_told_apart_before_a_threshold_is_chosen() -> None:
    told: list[Event] = []
    made = board(told, seconds=600, finishing={"a": 0.01, "b": 0.01, "c": 0.01}, metric="f1")
    for name, noise, seed in (("a", 1.5, 1), ("b", 1.5, 3), ("c", 9.0, 5)):
        one = member(name, noise=noise, seed=seed)
        second = one.scores[:, 1] / 2.1
        assert made.add(replace(one, scores=np.column_stack([1 - second, second])))
    values = [event.facts["validation"] for event in told if event.name == "train.candidate"]
    assert min(values[:2]) > 0.8 > values[2] > 0
    assert made.weights[2] == 0


def test_where_a_search_sees_one_fold_alone_its_parts_judge_each_other() -> None:
    made = board([], seconds=600, finishing={"a": 0.01, "b": 0.01})
    last = made.table.folds == 3
    made._judge_by(replace(made.table, folds=np.where(last, 3, -1).astype(np.int16)))
    for name, seed in (("a", 1), ("b", 3)):
        whole = member(name, noise=8.0, seed=seed)
        made.add(replace(whole, scores=whole.scores[last]))
    scores = made.honest(serving=False)
    _, honest = Answering.fit(made.task, made.y, scores, made.folds, seed=0)
    plain, calibrated = (measure(made.task, made.y, each, metric="log_loss").value for each in (scores, honest.scores))
    assert calibrated < plain


def test_nothing_hangs_on_which_member_was_there_first() -> None:
    weights, honest = [], []
    for order in ("abcd", "dbca"):
        made = board([], seconds=600, finishing=dict.fromkeys(order, 0.01))
        for name in order:
            made.add(member(name, noise=1.5, seed=ord(name)))
        made.settle()
        weights.append({each.name: weight for each, weight in zip(made.members, made.weights, strict=True)})
        honest.append(made.honest(serving=False))
    assert list(weights[0]) == list(weights[1])
    assert weights[0] == weights[1]
    assert (honest[0] == honest[1]).all()


@pytest.mark.parametrize(("newest", "gone"), [(2.4, ["slow"]), (0.5, ["first", "second"])])
def test_what_cannot_be_finished_with_the_rest_goes_or_all_the_rest_does(newest: float, gone: list[str]) -> None:
    told: list[Event] = []
    made = board(told, seconds=30, finishing={"first": 1.0, "second": 1.0, "slow": 4.0})
    for name, seed in (("first", 1), ("second", 2)):
        made.add(member(name, noise=2.0, seed=seed))
    assert "train.late" not in [event.name for event in told]
    made.add(member("slow", noise=newest, seconds=24.0, seed=3))
    (late,) = [event for event in told if event.name == "train.late"]
    assert late.level == "warning" and late.facts["configurations"] == gone
    newest_told = next(each for each in told if each.facts.get("configuration") == "slow")
    assert newest_told.message.endswith("; not used") == ("slow" in gone)
    assert told.index(newest_told) < told.index(late)
    left = {each.name for each, weight in zip(made.members, made.weights, strict=True) if weight > 0}
    assert not left & set(gone) and left


def test_where_the_encoder_can_no_longer_be_finished_the_others_answer() -> None:
    told: list[Event] = []
    made = board(told, seconds=30, finishing={"words": 0.1, "sentences": 0.1})
    made.add(member("words", noise=1.5, seed=1))
    made.forms.timed = lambda _: Timed(20_000.0, 1_000, 0.1, shared_us=19_000.0)
    made.latency_us = 40_000.0
    made.add(member("sentences", noise=1.0, seed=2))
    made.keep_to_time()
    assert made.weights[1] > 0

    made.forms.shared_seconds = 40.0  # the machine has got other work
    made.keep_to_time()

    assert made.weights.tolist() == [1.0, 0.0] and set(made.serving()) == {0}
    assert told[-1].name == "train.late" and told[-1].facts["configurations"] == ["sentences"]


def test_where_others_would_be_as_late_the_encoder_stays() -> None:
    told: list[Event] = []
    made = board(told, seconds=30, finishing={"words": 0.1})
    made.load = Busy()
    made.add(member("words", noise=1.5, seed=1))
    made.forms.timed = lambda _: Timed(150.0, 1_000, 0.1, shared_us=100.0)
    made.latency_us = 40_000.0
    made.add(member("sentences", noise=1.0, seed=2))
    weights = made.weights.tolist()

    made.load.times = 40.0  # everything takes longer, not the encoder alone
    made.keep_to_time()

    assert made.weights.tolist() == weights and weights[1] > 0
    assert "train.late" not in [event.name for event in told]


def test_a_member_that_knows_next_to_nothing_has_no_weight() -> None:
    made = board([], seconds=600, finishing={"a": 0.01, "b": 0.01})
    made.add(member("a", noise=1.0, seed=1))
    made.add(member("b", noise=60.0, seed=2))
    assert made.weights.tolist() == [1.0, 0.0]


def test_where_fewer_folds_judge_members_are_weighed_on_their_rows_alone() -> None:
    made = board([], seconds=600, finishing={"a": 0.01, "b": 0.01})
    first, second = member("a", noise=1.5, seed=1), member("b", noise=1.5, seed=3)
    first = replace(first, found=tuple({"rounds": rounds} for rounds in (10, 20, 30, 900)))
    made.add(first)
    made.narrow(3)
    kept = np.arange(ROWS) % 4 < 3
    assert len(made.y) == kept.sum() and set(made.folds) == {0, 1, 2}
    assert len(made.members[0].units) == 3 and made.members[0].seconds == 0.75
    np.testing.assert_array_equal(made.members[0].scores, first.scores[kept])
    assert made.members[0].refit.configuration.settings == {"rounds": 20}
    assert made.scores[0].n == kept.sum()
    made.add(replace(second, units=second.units[:3], scores=second.scores[kept]))
    assert (made.weights > 0.2).all() and len(made.honest(serving=False)) == kept.sum()


def test_only_the_fits_that_the_quality_form_can_hold_are_reckoned_for_it() -> None:
    small, large = (board([], seconds=600, finishing={"a": 1.0}) for _ in range(2))
    large.forms.timed = lambda _: Timed(50.0, BYTES_MAX, 1.0)  # one of the four fits fills it
    for made in (small, large):
        made.add(member("a", noise=2.0, seed=1))
    assert small._used_seconds() == 4.0 and large._used_seconds() == 1.0
    assert large.forms_seconds() < small.forms_seconds()


@pytest.mark.parametrize(("asked", "serves", "limit_us"), [(True, {0}, 150.0), (False, {1}, 600.0)])
def test_a_latency_that_nobody_asked_for_gives_way_to_quality(asked: bool, serves: set[int], limit_us: float) -> None:
    made = board([], seconds=600, finishing={"fast": 0.01, "slow": 0.01}, asked=asked)
    made.add(member("fast", noise=4.0, seed=1))
    made.forms.timed = lambda _: Timed(400.0, 1_000, 0.01)
    made.add(member("slow", noise=0.5, seed=2))
    assert set(made.serving()) == serves and made.limit_us == limit_us


@pytest.mark.parametrize(("lost", "limit_us"), [(0.004, 150.0), (0.008, 300.0), (0.015, 600.0)])
def test_the_slower_the_more_it_has_to_cost(monkeypatch, lost: float, limit_us: float) -> None:
    made = board([], seconds=600, finishing={"fast": 0.01}, asked=False)
    made.add(member("fast", noise=2.0, seed=1))
    monkeypatch.setattr(made, "_mixed", lambda weights: 0.9 if weights is made.weights else 0.9 - lost * 0.1)
    made._choose_serving()
    assert made.limit_us == limit_us


@pytest.mark.parametrize(("metric", "truth"), [("log_loss", TRUTH), ("roc_auc", np.zeros(ROWS, np.int64))])
def test_where_nothing_is_known_beyond_chance_more_time_is_not_taken(metric: str, truth: np.ndarray) -> None:
    """Noise loses more than answering alike does; and of one class there is no AUC."""
    made = board([], seconds=600, finishing={"a": 0.01, "b": 0.01}, asked=False)
    made.task, made._direction = replace(made.task, metric=metric), -1.0 if metric == "log_loss" else 1.0
    made.y = truth
    for seed, name in enumerate("ab"):
        second = np.random.default_rng(seed).random(ROWS)
        made.add(replace(member(name, noise=1.0), scores=np.column_stack([1 - second, second])))
    assert made.limit_us == 150.0


class Busy(Load):
    """A machine on which everything takes so many times as long."""

    times: float = 1.0

    @property
    def stretch(self) -> float:
        return self.times


def test_where_others_have_the_processors_fitting_ends_sooner() -> None:
    made = board([], seconds=60, finishing={"a": 0.1})
    made.load = Busy()
    made.add(member("a", noise=1.5, seed=1))
    alone = made.deadline.ends_at - made.fit_ends_at()
    made.load.times = 3.0
    assert 2 * alone < made.deadline.ends_at - made.fit_ends_at() <= 30.0


def test_the_first_member_has_its_time_however_late_it_begins() -> None:
    made = board([], seconds=20, finishing={"a": 0.1})
    made.deadline = replace(made.deadline, ends_at=made.deadline.ends_at - 60.0)
    now = made.deadline.clock()
    assert made.fit_ends_at() > now + 5.0
    made.add(member("a", noise=1.5, seed=1))
    assert made.fit_ends_at() < now


def test_boosters_are_given_less_time_to_be_fitted_again_than_what_looks_for_nothing() -> None:
    ends = []
    for learner in ("xgboost", "catboost"):
        made = board([], seconds=600, finishing={"a": 0.01})
        one = member("a", noise=1.5, seconds=80.0)
        made.add(replace(one, configuration=Configuration("a", learner)))
        ends.append(made.fit_ends_at() - made.deadline.ends_at)
    assert 6.0 < ends[0] - ends[1] < 10.0


def test_before_members_are_fitted_again_there_is_time_to_take_in_the_last() -> None:
    ends = {}
    for seconds in (0.01, 0.5):
        made = board([], seconds=600, finishing={"a": seconds})
        made.add(member("a", noise=1.5, seconds=80.0))
        ends[seconds] = made.deadline.ends_at - made.fit_ends_at() - made._after_seconds()
    assert ends[0.5] - ends[0.01] == pytest.approx(0.49, abs=0.05)


def test_what_has_seen_nearly_all_rows_is_not_fitted_again() -> None:
    for judging, again in ((10, []), (100, [0])):
        made = board([], seconds=60, finishing={"a": 0.01})
        folds = np.where(np.arange(ROWS) < judging, 0, -1).astype(np.int16)
        made._judge_by(replace(made.table, folds=folds))
        one = member("a", noise=1.5, seconds=10.0)
        alone = replace(one, units=one.units[:1], scores=one.scores[:judging])
        made.add(alone)
        assert made.again() == again


def test_of_a_holdout_a_member_that_has_no_time_for_a_second_fit_is_used_all_the_same() -> None:
    """With folds, a fit on all rows is the one that answers, and others have to go for its sake."""
    for count, without in ((1, True), (4, False)):
        told: list[Event] = []
        made = board(told, seconds=60, finishing={"a": 0.01, "b": 0.01})
        folds = np.where(np.arange(ROWS) < 100, 0, -1).astype(np.int16) if count == 1 else made.table.folds
        made._judge_by(replace(made.table, folds=folds))
        for name, noise in (("a", 2.0), ("b", 1.0)):
            one, rows = member(name, noise=noise, seconds=400.0 if name == "b" else 1.0), 100 if count == 1 else ROWS
            made.add(replace(one, units=one.units[:count], scores=one.scores[:rows]))
        assert 1 in made.serving() and any(each.name == "train.late" for each in told) != without
        assert ("b" not in [each.name for each in made.refits(50.0)]) == without
        assert "b" in [each.name for each in made.refits(600.0)]


def test_a_holdout_is_parted_so_that_no_group_helps_to_weigh_its_own_answers():
    several, one = np.arange(ROWS) // 3, np.zeros(ROWS, np.int64)
    alone = board([], seconds=60, finishing={}).table
    alone = replace(alone, folds=np.zeros(ROWS, np.int16))
    for groups, together in ((several, several), (one, None), (None, None)):
        made = board([], seconds=60, finishing={})
        made._judge_by(replace(alone, clusters=groups))
        assert np.unique(made.folds).tolist() == [0, 1, 2, 3, 4]
        if together is not None:
            assert len(np.unique(np.column_stack([made.folds, together]), axis=0)) == len(np.unique(together))
