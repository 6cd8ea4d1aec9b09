"""What is tried, in which order and from where."""

from aias.core.task import Task
from aias.encoders.rows import Layout
from aias.training.selection.portfolio import WIDE_LINEAR_SHARE, Shape, fold_count, hindrance, portfolio

LABELS = Task("y", "binary", "accuracy", ("a", "b"))
AMOUNTS = Task("y", "regression", "rmse")
TEXTS = Layout(0, (), (), (), 100, 1)
NUMBERS = Layout(1, (0,), (), (), 0, 0)


def firsts(shape: Shape) -> dict[str, object]:
    return {each.name: each.settings.get("first") for each in portfolio(shape, only={"linear": {}})}


def test_linear_models_of_texts_begin_at_what_is_usual_for_texts() -> None:
    assert firsts(Shape(LABELS, 1_000, TEXTS)) == {"linear": 10.0, "linear nb": 3.0}


def test_without_an_encoder_ratios_come_first_unless_there_are_few_examples() -> None:
    assert list(firsts(Shape(LABELS, 1_000, TEXTS))) == ["linear nb", "linear"]
    assert list(firsts(Shape(LABELS, 31, TEXTS))) == ["linear", "linear nb"]


def test_vectors_beside_words_hold_as_much_back_at_a_smaller_c() -> None:
    found = firsts(Shape(LABELS, 1_000, TEXTS, sentences=True))
    assert found["linear nb sentences"] == found["linear sentences"] == 3.0
    assert found["linear"] == 10.0


def test_numbers_and_amounts_begin_as_ever() -> None:
    assert set(firsts(Shape(LABELS, 1_000, NUMBERS)).values()) == {None}
    assert set(firsts(Shape(AMOUNTS, 1_000, TEXTS)).values()) == {None}


def test_by_ratios_learners_of_logarithms_read_what_words_say_of_logarithms() -> None:
    mixed = Layout(1, (0,), (), (), 100, 1)
    for metric, sums in (("rmsle", "log_text_sums"), ("mae", "text_sums")):
        found = list(portfolio(Shape(Task("y", "regression", metric), 1_000, mixed, skewed=True)))
        trees = {each.name: each for each in found if each.learner == "boosted_trees"}
        assert trees["boosted_trees log"].derived == (sums,) and trees["boosted_trees"].derived == ("text_sums",)
        assert trees["boosted_trees log"].sums_texts


def test_with_few_examples_of_each_label_no_ratios_outweigh_what_vectors_say() -> None:
    labels = Task("y", "multiclass", "log_loss", tuple(map(str, range(50))))
    few = list(firsts(Shape(labels, 400, TEXTS, sentences=True)))
    assert few[0] == "linear sentences" and "linear nb sentences" not in few
    assert next(iter(firsts(Shape(labels, 1_600, TEXTS, sentences=True)))) == "linear nb sentences"


def test_a_tree_of_few_columns_sees_all_of_them() -> None:
    """What two columns tell together, trees that are each grown on one of them never learn."""
    for width, name in ((2, "feature_fraction_bynode"), (40, "feature_fraction")):
        shape = Shape(LABELS, 1_000, Layout(width, tuple(range(width)), (), (), 0, 0))
        found = [each.settings for each in portfolio(shape, only={"boosted_trees": {}})]
        shares = [key for settings in found for key in settings if key.startswith("feature_fraction")]
        assert shares and set(shares) == {name}


def test_trees_of_very_many_columns_are_grown_on_some_each_and_of_few_rows_small_ones_come_first() -> None:
    """Of 1,600 numbers there was time for 60 rounds, AUC .826 for .859 in as many seconds."""
    for width, share in ((1_600, 0.25), (400, None)):
        shape = Shape(LABELS, 3_750, Layout(width, tuple(range(width)), (), (), 0, 0))
        found = [each for each in portfolio(shape) if each.learner == "boosted_trees"]
        assert share is None or all(each.settings["feature_fraction"] == share for each in found)
        names = [each.name.removeprefix("boosted_trees").strip() for each in found]
        assert (names[:3] == ["extra", "shallow", ""]) == (share is not None) and len(names) == len(set(names))
        assert share or "feature_fraction" not in found[0].settings
        by_tree = {"xgboost": "colsample_bytree", "catboost": "rsm"}
        others = {
            each.learner: each.settings.get(by_tree[each.learner])
            for each in portfolio(shape)
            if each.learner in by_tree
        }
        assert others and set(others.values()) == {share}


def test_of_very_many_numbers_linear_models_leave_time_to_trees() -> None:
    """Of 3,072 pixels they took a quarter of a minute."""

    def shares(layout: Layout, **only: dict[str, object]) -> set[float]:
        found = portfolio(Shape(LABELS, 2_400, layout), only=only)
        return {each.share for each in found if each.learner == "linear"}

    wide = Layout(3_072, tuple(range(3_072)), (), (), 0, 0)
    assert shares(wide) == {WIDE_LINEAR_SHARE} and shares(wide, linear={}) == shares(NUMBERS) == shares(TEXTS) == {1.0}
    assert {each.share for each in portfolio(Shape(LABELS, 2_400, wide)) if each.learner != "linear"} == {1.0}


def test_of_many_rows_large_trees_come_first_unless_each_round_has_one_for_each_class() -> None:
    def place(task: Task, rows: int) -> int:
        names = [each.name for each in portfolio(Shape(task, rows, NUMBERS))]
        return names.index("boosted_trees deep") - names.index("boosted_trees random")

    classes = Task("y", "multiclass", "log_loss", ("a", "b", "c"))
    assert place(LABELS, 20_000) < 0 and place(AMOUNTS, 20_000) < 0
    assert place(classes, 20_000) > 0 and place(LABELS, 2_000) > 0


def test_categories_are_told_apart_finely_where_there_are_many_rows() -> None:
    categories, numbers = Layout(3, (0,), (1, 2), (4, 9), 0, 0), Layout(3, (0, 1, 2), (), (), 0, 0)
    for rows, layout, there in ((20_000, categories, True), (20_000, numbers, False), (2_000, categories, False)):
        assert there == ("boosted_trees fine" in [each.name for each in portfolio(Shape(LABELS, rows, layout))])


def test_of_very_many_rows_the_first_trees_know_what_each_of_many_values_answered() -> None:
    def derived(rows: int, codes: int) -> tuple[str, ...]:
        shape = Shape(AMOUNTS, rows, Layout(2, (0,), (1,), (codes,), 0, 0))
        return next(each for each in portfolio(shape) if each.name == "boosted_trees").derived

    assert derived(500_000, 800) == ("target_means",)
    assert derived(90_000, 800) == derived(500_000, 40) == derived(500_000, 40_000) == ()


def test_where_categories_are_large_what_their_values_answered_comes_early_and_drawn_trees_have_sets() -> None:
    def tried(codes: int) -> tuple[list[str], dict[str, object]]:
        found = list(portfolio(Shape(LABELS, 60_000, Layout(2, (0,), (1,), (codes,), 0, 0))))
        settings = next(dict(each.settings) for each in found if each.name == "boosted_trees extra")
        return [each.name.removeprefix("boosted_trees ") for each in found if each.learner == "boosted_trees"], settings

    names, extra = tried(800)
    assert names.index("crossed") < names.index("fine") and extra["codes_max"] == 1_024
    names, extra = tried(40)
    assert names.index("fine") < names.index("crossed") and "codes_max" not in extra and "sets" not in names


def test_of_several_classes_trees_of_drawn_thresholds_come_first_only_where_rows_are_few() -> None:
    classes = Task("y", "multiclass", "log_loss", ("a", "b", "c"))
    for rows, first in ((2_000, True), (20_000, False)):
        names = [each.name for each in portfolio(Shape(classes, rows, NUMBERS))]
        assert first == (names.index("boosted_trees extra") < names.index("boosted_trees"))


def test_where_a_round_of_boosting_takes_long_what_learns_all_classes_at_once_comes_right_behind_it() -> None:
    """A minute was over before the trees of 100 classes of 30,000 rows knew anything, and networks had no turn."""
    classes = Task("y", "multiclass", "log_loss", tuple(map(str, range(10))))
    for width, first in ((120, True), (4, False)):
        shape = Shape(classes, 40_000, Layout(width, tuple(range(width)), (), (), 0, 0))
        names = [each.name for each in portfolio(shape)]
        assert first == (names.index("mlp wide") == names.index("boosted_trees") + 1)
        assert len(names) == len(set(names))


def test_folds_are_of_rows_and_time_and_many_rows_have_a_holdout_however_much_time_there_is() -> None:
    def count(rows: int, seconds: float) -> int:
        return fold_count(Shape(LABELS, rows, NUMBERS), seconds=seconds, workers=2)

    assert [count(rows, 1e6) for rows in (20_000, 20_001, 50_000, 50_001)] == [8, 5, 5, 1]
    assert [count(20_000, seconds) for seconds in (1e6, 10, 5, 1)] == [8, 5, 3, 1]


def test_of_more_columns_than_half_the_rows_a_linear_model_may_leave_out_most() -> None:
    wide = Layout(600, (), (), (), 0, 0)
    assert "linear lasso" in firsts(Shape(AMOUNTS, 1_000, wide))
    assert "linear lasso" not in firsts(Shape(AMOUNTS, 1_300, wide))


def test_boosters_whose_folds_would_be_judged_by_a_row_take_no_part() -> None:
    few, more = ({each.learner for each in portfolio(Shape(LABELS, rows, NUMBERS))} for rows in (4, 24))
    assert more - few >= {"boosted_trees"} and "linear" in few
    assert hindrance("boosted_trees", Shape(LABELS, 4, NUMBERS)) == "it takes 24 rows or more, and these are 4"
