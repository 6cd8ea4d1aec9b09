"""`training/soft_labels.py` and `training/own_answers.py`: what a teacher's doubts teach, and which rows judge it."""

import numpy as np
import polars as pl
import pytest

from aias.core.events import Event
from aias.core.task import Task
from aias.data.read import read
from aias.data.teacher_labels import TeacherLabels
from aias.encoders.rows import Encoded
from aias.learners.contract import Examples
from aias.training.own_answers import drawn, folds_of, test_of
from aias.training.prepare import prepare
from aias.training.soft_labels import LABELS_MAX, learned
from aias.training.table import Part, Table, beside

NONE = np.full(3, np.nan)
COLOURS = Task("y", "multiclass", "log_loss", ("red", "green", "blue"))
test_of.__test__ = False  # type: ignore[attr-defined]


def test_a_doubted_row_is_learned_once_for_each_label_as_heavy_as_that_is_likely() -> None:
    found = Examples(np.array([[1.0], [2.0], [3.0]]), np.array([0, 2, 1]))

    lesson = learned(COLOURS, found, np.array([[0.75, 0.25, 0.0], NONE, [0.0, 1.0, 0.0]]), costs=None)

    assert lesson.x[:, 0].tolist() == [1.0, 1.0, 2.0, 3.0] and lesson.y.tolist() == [0, 1, 2, 1]
    assert lesson.weight is not None
    assert lesson.weight == pytest.approx(np.array([0.75, 0.25, 1.0, 1.0]) / 0.75)


def test_classes_that_count_more_count_more_in_doubt_too() -> None:
    found = Examples(np.array([[1.0]]), np.array([0]))

    lesson = learned(COLOURS, found, np.array([[0.5, 0.5, 0.0]]), costs=np.array([1.0, 3.0, 1.0]))

    assert lesson.weight is not None and (lesson.weight[1] / lesson.weight[0]) == pytest.approx(3)


def test_who_holds_everything_possible_still_gives_few_rows() -> None:
    task = Task("y", "multiclass", "log_loss", tuple(map(str, range(100))))
    found = Examples(np.ones((5, 1)), np.zeros(5, np.int64))

    lesson = learned(task, found, np.full((5, 100), 0.01), costs=None)

    assert len(lesson.y) == 5 * LABELS_MAX


def test_of_amounts_what_the_teacher_says_stands_for_the_answer() -> None:
    found = Examples(np.ones((2, 1)), np.array([3.0, 4.0]))

    lesson = learned(Task("y", "regression", "rmse"), found, np.array([[2.5], [np.nan]]), costs=None)

    assert lesson.y.tolist() == [2.5, 4.0] and lesson.weight is None


def rows(count: int) -> tuple[pl.DataFrame, np.ndarray]:
    rng = np.random.default_rng(0)
    x = rng.normal(size=count)
    days = [f"2026-01-{1 + i * 28 // count:02d}" for i in range(count)]
    return pl.DataFrame({"x": x, "shop": [f"s{i % 9}" for i in range(count)], "day": days}), x > 0


@pytest.mark.parametrize("how", ["random", "group:shop", "time:day"])
def test_rows_that_a_teacher_answered_never_judge_and_leak_nothing(how: str) -> None:
    frame, y = rows(360)
    own = np.arange(360) % 3 == 0
    dataset, events = read(frame), list[Event]()
    shops, days = frame["shop"].to_numpy(), frame["day"].to_numpy()

    folded = folds_of(
        dataset, y.astype(np.int64), own, task=Task("y", "binary", "roc_auc", ("no", "yes")), seed=0, count=4, how=how,
        holdout=0.2, tested=False, watch=events.append,
    )  # fmt: skip
    table = Table(COLOURS, None, Part(None, y), folded.judges, folded.blocks)  # type: ignore[arg-type]

    assert own[table.judged].all() and len(table.judged) > 50
    for fold in range(table.fold_count):
        inside, outside = table.inside(fold), table.outside(fold)
        assert not np.isin(outside, inside).any()
        if how == "random":
            assert (~own)[inside].sum() == 240
        elif how == "group:shop":
            assert not set(shops[inside]) & set(shops[outside])
        else:
            assert days[inside].max() < days[outside].min()
    assert [each.name for each in events] == ["train.judges"]


def with_copies() -> tuple[pl.DataFrame, np.ndarray]:
    """Rows with answers of their own, and as many that a teacher answered, half of them copies of the former."""
    rng = np.random.default_rng(0)
    values = rng.normal(size=(360, 2))
    row = np.concatenate([np.arange(240), np.arange(120), np.arange(240, 360)])
    return pl.DataFrame({"x": values[row, 0], "z": values[row, 1]}), np.arange(480) < 240


@pytest.mark.parametrize("count", [1, 4])
def test_what_a_teacher_says_of_a_copy_is_not_known_where_the_row_judges(count: int) -> None:
    frame, own = with_copies()
    x = frame["x"].to_numpy()

    folded = folds_of(
        read(frame), (x > 0).astype(np.int64), own, task=Task("y", "binary", "roc_auc", ("no", "yes")), seed=0,
        count=count, how="random", holdout=0.2, tested=False, watch=lambda _: None,
    )  # fmt: skip
    table = Table(COLOURS, None, Part(None, x > 0), folded.judges, folded.blocks)  # type: ignore[arg-type]

    assert table.fold_count == count and own[table.judged].all()
    for fold in range(count):
        assert not set(x[table.inside(fold)]) & set(x[table.outside(fold)])
        assert (~own)[table.inside(fold)].sum() >= 200  # of 240, those whose copies judge elsewhere among them


def test_what_a_teacher_says_of_copies_of_the_test_is_left_out() -> None:
    own, copies = np.array([1, 1, 1, 0, 0, 0], bool), np.array([0, 1, 2, 2, 3, 0])
    kept, measuring = test_of(np.array([0, 1, 5]), np.array([2, 3, 4]), own, how="random", copies=copies)
    assert kept.tolist() == [0, 1, 4, 5] and measuring.tolist() == [2]


def test_a_row_that_stands_beside_a_fold_is_fitted_on_in_the_others() -> None:
    encoded = Encoded(np.zeros((4, 1)), np.zeros(0, np.int64), np.zeros((0, 1), np.int64), 0)
    folds = np.array([0, 1, beside(0), -1], np.int16)
    table = Table(COLOURS, None, Part(encoded, np.zeros(4)), folds)  # type: ignore[arg-type]

    assert table.inside(0).tolist() == [1, 3] and table.inside(1).tolist() == [0, 2, 3]
    assert table.narrowed(1).inside(0).tolist() == [1, 3]


@pytest.mark.parametrize(("own", "tested", "level"), [(30, False, "warning"), (100, True, "info")])
def test_too_few_own_answers_do_not_judge_alone(own: int, tested: bool, level: str) -> None:
    frame, y = rows(300)
    events: list[Event] = []

    folded = folds_of(
        read(frame), y.astype(np.int64), np.arange(300) < own, task=Task("y", "binary", "roc_auc", ("no", "yes")),
        seed=0, count=4, how="random", holdout=0.2, tested=tested, watch=events.append,
    )  # fmt: skip

    assert (folded.judges >= 0).all() and events[0].level == level


def test_where_a_teachers_answers_judge_they_are_drawn_as_likely_as_it_says() -> None:
    said = np.repeat([[0.8, 0.2], [np.nan, np.nan]], 2_000, axis=0)

    y = drawn(np.zeros(4_000, np.int64), said, np.arange(4_000) >= 1_000, seed=0)

    assert not y[:1_000].any() and not y[2_000:].any()
    assert 0.15 < y[1_000:2_000].mean() < 0.25


def test_a_share_that_is_set_aside_holds_own_answers_only() -> None:
    frame, y = rows(600)
    frame = frame.with_columns(y=pl.Series(np.where(y, "yes", "no")))
    own = np.arange(600) % 2 == 0
    said = TeacherLabels(own, ("no", "yes"), np.where(own[:, None], np.nan, np.array([[0.25, 0.75]])))

    found = prepare(
        read(frame, target="y"), target="y", metric=None, how="random", test=0.2, given=None, seconds=5.0, folds=3,
        teacher_labels=said, seed=0, watch=lambda _: None,
    )  # fmt: skip

    known = set(frame["x"].to_numpy()[own].tolist())
    assert set(found.test.frame["x"].to_list()) <= known and found.test.rows > 40
    assert found.table.rows + found.test.rows == 600
    told = np.isfinite(found.table.whole.said).all(axis=1)
    assert told.sum() == 300 and not told[found.table.judged].any()
    assert (
        found.table.digest
        != Table(
            found.task, found.encoder, Part(found.table.whole.encoded, found.table.whole.y), found.table.folds
        ).digest
    )


def test_opinions_come_back_from_their_file_as_they_were(tmp_path) -> None:
    said = TeacherLabels(np.array([True, False]), ("a", "b"), np.array([[np.nan, np.nan], [0.3, 0.7]]))

    back = TeacherLabels.load(said.keep(tmp_path))

    assert back.own.tolist() == [True, False] and back.labels == ("a", "b")
    assert np.array_equal(back.chances, said.chances, equal_nan=True)
    found = back.of(("b",))
    assert found is not None and np.array_equal(found, np.array([[np.nan], [1.0]]), equal_nan=True)
