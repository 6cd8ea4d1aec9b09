import threading
import weakref
from dataclasses import replace

import msgspec
import numpy as np
import pytest

from aias.artifact.manifest import read_manifest
from aias.core.errors import AiasError, NotFound, UserError
from aias.core.events import Event, nobody
from aias.data.errors import NoInputs
from aias.data.read import read
from aias.training.finish import Trained
from aias.training.forms import Forms
from aias.training.history import History
from aias.training.prepare import Prepared, prepare
from aias.training.processes.memory import NO_MEMORY
from aias.training.selection.configuration import ALL, Unit
from aias.training.train import NoModel, Recipe, _instead, train
from aias.training.unit import UnitFitter
from trainings import BOTH, LINEAR, table

HOLD_SECONDS = {"card.md", "plots/ensemble.svg", "plots/learning_curve.svg"}
"""Files that hold how long training took, or at what moments it was looked at."""


def test_training_gives_two_proved_and_measured_forms_and_tells_each_step() -> None:
    told: list[Event] = []

    results = train(read(table()), BOTH, watch=told.append)

    names = [event.name for event in told]
    for step in ("train.split", "train.candidate", "train.parity", "train.test"):
        assert step in names
    rounds = [event.facts for event in told if event.name == "train.round"]
    assert {"linear", "boosted_trees"} <= {facts["configuration"] for facts in rounds}
    assert all(facts["learner"] == facts["configuration"].split()[0] for facts in rounds), "not what it reads texts by"
    assert all(event.facts is not None and msgspec.json.encode(event.facts) for event in told)
    for form in (results.quality.manifest, results.serving.manifest):
        assert form.parity.label_differences == 0
        assert {candidate.learner for candidate in form.leaderboard} == {"linear", "boosted_trees"}
        assert sum(candidate.weight for candidate in form.leaderboard) == pytest.approx(1, abs=1e-3)
        assert [(one.metric, one.n) for one in form.measurements][:1] == [("roc_auc", 300)]
        assert form.judged == "out of fold"
        assert form.row_us > 0


def test_the_first_model_is_there_and_answers_before_the_others_are_fitted() -> None:
    told: list[Event] = []
    first: list[Trained] = []

    def take(trained: Trained) -> None:
        first.append(trained)
        told.append(Event("taken", ""))

    columns = {name: [*values, values[0]] for name, values in table().items()}
    results = train(read(columns), BOTH, inline=True, first=take, watch=told.append)

    (trained,) = first
    assert trained.manifest.form == "first" and trained.manifest.measurements[0].metric == "roc_auc"
    assert [note for note in trained.manifest.notes if "same inputs" in note], "what was noticed by then is on its card"
    assert trained.manifest.parity.rows > 0 and trained.manifest.parity.label_differences == 0
    assert trained.runtime.predict([{"age": 50.0, "job": "a", "note": "free cash"}]).predictions[0] in {"ham", "spam"}
    names = [event.name for event in told]
    assert names.index("taken") < len(names) - names[::-1].index("train.candidate") - 1, "one more member came later"
    assert len(results.quality.manifest.leaderboard) > len(trained.manifest.leaderboard) == 1


def test_the_same_seed_and_data_give_the_same_graph() -> None:
    columns = table()
    del columns["note"]  # how strongly its model is regularised is chosen in a share of the time
    # Whom the serving form has room for, and so what is fitted again, is measured.
    data, recipe = read(columns), replace(BOTH, latency_us=1e6)
    first, again = (train(data, recipe, inline=True).quality.files for _ in range(2))
    assert {path for path in first | again if first.get(path) != again.get(path)} <= HOLD_SECONDS


def test_folds_are_of_the_time_asked_for_however_long_reading_took() -> None:
    def folds(spent: float) -> int:
        return prepare(
            read(table(), target="y"), target="y", metric=None, how="random", test=None, given=None, seconds=30,
            spent=spent, folds=None, seed=0, watch=nobody,
        ).table.fold_count  # fmt: skip

    assert folds(0.0) == folds(29.9) == 8


def test_a_group_never_straddles_and_its_column_is_no_input() -> None:
    columns = table() | {"user": [f"u{i % 30}" for i in range(300)]}
    manifest = train(read(columns), replace(LINEAR, split="group:user"), inline=True).serving.manifest
    assert "user" not in [field.name for field in manifest.inputs]
    assert "groups the rows" in next(f.reason for f in manifest.ignored if f.name == "user")


def test_intervals_are_of_few_parts_where_rows_of_a_group_err_alike() -> None:
    chance = np.random.default_rng(0)
    user, a = np.arange(1_200) // 60, chance.normal(size=1_200)
    columns = {"user": [f"u{i}" for i in user], "a": a, "y": a + chance.normal(size=20)[user]}
    apart, together = (
        train(read(columns, target="y"), replace(LINEAR, split=split), inline=True).serving.manifest.intervals
        for split in ("random", "group:user")
    )
    assert len(apart["edges"]) > len(together["edges"]) == 0


def test_copies_of_rows_do_not_make_a_score_surer() -> None:
    chance = np.random.default_rng(1)
    a = chance.normal(size=200)
    columns = {"a": a, "b": chance.normal(size=200), "y": np.where(a + chance.normal(size=200) > 0, "p", "q")}
    fourfold = {name: np.repeat(each, 4) for name, each in columns.items()}
    widths = []
    for rows in (columns, fourfold):
        (auc, *_) = train(read(rows, target="y"), LINEAR, inline=True).serving.manifest.measurements
        widths.append(auc.high - auc.low)
    assert widths[1] > 0.8 * widths[0]


def test_under_time_folds_lead_forward_and_the_latest_fit_answers() -> None:
    columns = table() | {"day": list(range(300))}
    told: list[Event] = []
    results = train(read(columns), replace(BOTH, split="time:day", test=0.0), inline=True, watch=told.append)
    manifest = results.quality.manifest
    assert manifest.rows == {"train": 300, "folds": 3, "test": 0}
    assert (manifest.judged, manifest.measurements[0].n) == ("out of fold", 150)
    assert "each by what was fitted on earlier rows alone" in next(e.message for e in told if e.name == "train.split")
    assert np.isfinite([candidate.validation.value for candidate in manifest.leaderboard]).all()


@pytest.mark.parametrize(("test", "judged", "rows"), [(0.2, "test", 60), (0.0, "out of fold", 300)])
def test_scores_say_on_which_rows_they_were_measured(test: float, judged: str, rows: int) -> None:
    manifest = train(read(table()), replace(LINEAR, test=test), inline=True).serving.manifest
    assert (manifest.judged, manifest.measurements[0].n) == (judged, rows)


def test_rows_of_another_file_can_be_the_test() -> None:
    data, other = read(table(), target="y"), read(table(80), target="y")
    manifest = train(data, LINEAR, test=other, inline=True).serving.manifest
    assert (manifest.judged, manifest.measurements[0].n, manifest.rows["train"]) == ("test", 80, 300)


def test_labels_that_mean_nothing_are_scored_as_a_coin() -> None:
    chance = np.random.default_rng(0)
    columns = {"a": chance.normal(size=400), "b": chance.normal(size=400), "y": chance.choice(["p", "q"], 400)}
    manifest = train(read(columns, target="y"), BOTH, inline=True).quality.manifest
    auc = manifest.measurements[0]
    assert auc.low < 0.5 < auc.high


def test_a_threshold_found_in_noise_is_measured_where_it_was_not_found() -> None:
    chance = np.random.default_rng(0)
    columns = {"a": chance.normal(size=200), "b": chance.normal(size=200)}
    rare = chance.random(200) < 0.15
    data = read({**columns, "y": np.where(rare, "yes", "no")}, target="y")

    manifest = train(data, replace(LINEAR, metric="f1"), inline=True).serving.manifest

    always_yes = 2 * rare.mean() / (1 + rare.mean())
    assert manifest.label_weights
    assert manifest.measurements[0].value <= always_yes


def test_a_training_that_is_stopped_gives_what_it_has() -> None:
    stop = threading.Event()

    def watch(event: Event) -> None:
        if event.name == "train.candidate":
            stop.set()

    results = train(read(table()), BOTH, stop=stop, watch=watch)
    assert len(results.quality.manifest.leaderboard) == 1


@pytest.mark.parametrize("weights", ["balanced", {"yes": 30.0}])
def test_rows_of_a_rare_class_can_count_for_more(weights: str | dict[str, float]) -> None:
    chance = np.random.default_rng(0)
    x = chance.normal(size=600)
    y = np.where(x + chance.normal(size=600) > 2.6, "yes", "no")
    data = read({"x": x, "y": y}, target="y")
    recipe = replace(LINEAR, metric="log_loss")

    plain = train(data, recipe, inline=True).serving.runtime
    weighted = train(data, replace(recipe, class_weights=weights), inline=True).serving.runtime

    row = [{"x": 2.0}]  # the chance of `yes` is 27 %, whatever it counts
    assert plain.predict(row).predictions == ["no"] and weighted.predict(row).predictions == ["yes"]
    assert all(0.15 < runtime.predict(row).probabilities[0, 1] < 0.4 for runtime in (plain, weighted))


def test_a_rare_class_that_is_hardly_ever_answered_is_told_with_what_helps() -> None:
    chance = np.random.default_rng(0)
    x = chance.normal(size=600)
    y = np.where(x + 2 * chance.normal(size=600) > 4.2, "yes", "no")

    for metric, told in (("roc_auc", 1), ("f1", 0)):
        manifest = train(
            read({"x": x, "y": y}, target="y"), replace(LINEAR, metric=metric), inline=True
        ).serving.manifest
        assert len([note for note in manifest.notes if "`yes` is hardly ever answered" in note]) == told


def test_class_weights_must_fit_the_classes() -> None:
    with pytest.raises(UserError, match="is no class of"):
        train(read(table(60)), replace(LINEAR, class_weights={"nobody": 2.0}), inline=True)


@pytest.mark.parametrize(
    ("changes", "error", "says"),
    [
        ({"metric": "auc"}, UserError, "no metric `auc`"),
        ({"seed": -1}, UserError, "-1 cannot be a seed"),
        ({"seed": 2**31}, UserError, "cannot be a seed"),
        ({"seed": "a"}, UserError, "cannot be a seed"),
        ({"target": 3}, UserError, "`target` is a text, not 3"),
        ({"split": ("group", "y")}, UserError, "`split` is a text, not a value of type tuple"),
        ({"metric": "rmse"}, UserError, "judges numbers"),
        ({"seconds": 0.0}, UserError, "time budget"),
        ({"test": 0.95}, UserError, "cannot be the test"),
        ({"learners": ("magic",)}, NotFound, "no learner `magic`"),
        ({"split": "time:nothing"}, AiasError, "nothing"),
        ({"split": "time:day,group:user"}, AiasError, "names two"),
        ({"split": "group:y"}, AiasError, "which is predicted"),
        ({"target": "z"}, AiasError, "no column `z`"),
    ],
)
def test_what_cannot_be_done_is_said_before_any_work(changes, error, says) -> None:
    recipe = Recipe(**({"target": "y", "name": "m"} | changes))
    with pytest.raises(error, match=says) as caught:
        train(read(table(60)), recipe, inline=True)
    assert caught.value.hint


def test_a_table_without_usable_columns_is_refused() -> None:
    with pytest.raises(NoInputs, match=r"no column is left .* `same` \(the same value in every row\)"):
        train(read({"same": [1] * 40, "y": ["a", "b"] * 20}), Recipe(target="y", name="m"))


def test_where_memory_alone_is_wanting_more_time_is_not_advised() -> None:
    assert _instead({"linear": NO_MEMORY}) == "give more memory, or fewer rows or columns"
    assert (
        _instead({"linear": NO_MEMORY, "mlp": "it failed"})
        == _instead({})
        == "give more time, or fewer rows or columns"
    )


def test_a_table_of_the_target_alone_is_called_so() -> None:
    with pytest.raises(NoInputs, match="`y` is the only column"):
        train(read({"y": ["a", "b"] * 20}), Recipe(target="y", name="m"))


@pytest.mark.parametrize(
    ("columns", "split"),
    [
        ({"a": [1, 2, 3], "y": ["x", "z", "x"]}, "random"),
        ({"a": [1.5, 2.5, 3.5, 5.0], "y": [0.1, 0.7, 0.2, 0.4]}, "random"),
        ({"day": list(range(0, 90, 3)), "a": [1, 5, 2] * 10, "y": ["x", "z"] * 9 + ["z"] * 12}, "time:day"),
    ],
)
def test_rows_too_few_or_too_alike_for_the_metric_still_give_a_manifest_that_reads_back(columns, split) -> None:
    manifest = train(read(columns, target="y"), replace(BOTH, split=split), inline=True).serving.manifest

    assert read_manifest(manifest.as_bytes()).leaderboard == manifest.leaderboard


def test_linear_models_that_folds_left_are_not_fitted_again() -> None:
    told: list[Event] = []
    results = train(read(table(), target="y"), LINEAR, inline=True, watch=told.append)
    assert not [event for event in told if event.name == "train.unit" and event.facts["fold"] == ALL]
    assert results.serving.manifest.not_refitted == ()


def test_under_time_both_forms_have_seen_the_latest_rows() -> None:
    data = read(
        {"day": list(range(200)), "a": [0.0, 1.0, 2.0, 3.0] * 50, "y": [5.0 * i for i in range(200)]}, target="y"
    )
    both = train(data, replace(LINEAR, split="time:day"), inline=True)
    rows = [{"day": 250, "a": 1.0}]
    assert both.quality.runtime.predict(rows).predictions == both.serving.runtime.predict(rows).predictions


def test_a_refit_that_goes_wrong_is_not_hidden(monkeypatch: pytest.MonkeyPatch) -> None:
    def broken(*_: object) -> None:
        raise RuntimeError("broken refit")

    monkeypatch.setattr("aias.training.selection.plan.Plan.refit", broken)
    with pytest.raises(RuntimeError, match="broken refit"):
        train(read(table(), target="y"), LINEAR, inline=True)


def test_texts_that_share_no_word_are_told_as_such() -> None:
    rows = {"note": ["good words here", "bad things there"], "y": ["a", "b"]}
    with pytest.raises(UserError, match="no word stands in two of the 2 texts") as caught:
        train(read(rows, target="y"), LINEAR, inline=True)
    assert "--encoder" in str(caught.value.hint)


def test_where_no_learner_was_ready_it_is_said_what_became_of_each(monkeypatch: pytest.MonkeyPatch) -> None:
    def fit(*_: object) -> None:
        raise RuntimeError("no such luck")

    monkeypatch.setattr("aias.learners.linear.Linear.fit", fit)
    with pytest.raises(NoModel, match=r"no learner was ready within 600 s: linear nb, no such luck; linear"):
        train(read(table(), target="y"), LINEAR, inline=True)


def test_where_time_is_up_before_all_folds_are_through_a_model_is_made_of_those_that_are(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    fitted, stop, fit = [], threading.Event(), UnitFitter.fit

    def fitting(self: UnitFitter, unit: Unit, **how: object) -> object:
        fitted.append(unit.fold)
        if len(fitted) == 2:
            stop.set()
        return fit(self, unit, **how)

    monkeypatch.setattr(UnitFitter, "fit", fitting)
    told: list[Event] = []
    results = train(read(table(), target="y"), LINEAR, inline=True, stop=stop, watch=told.append)

    assert any("2 of 8 folds validate: the others were not through in time" in event.message for event in told)
    for form in (results.quality.manifest, results.serving.manifest):
        assert form.rows["judging"] == 2
        assert 60 < form.measurements[0].n < 90  # those of two folds
        assert form.parity.label_differences == 0


def test_with_a_test_the_other_rows_are_let_go_before_anything_is_fitted(monkeypatch: pytest.MonkeyPatch) -> None:
    rows: list[weakref.ref[object]] = []
    told: list[tuple[str, bool]] = []

    def noted(*args: object, **named: object) -> Prepared:
        prepared = prepare(*args, **named)
        rows.extend(weakref.ref(each) for each in (prepared.dataset, prepared.dataset.frame))
        return prepared

    def watch(event: Event) -> None:
        told.append((event.name, any(each() is not None for each in rows)))

    monkeypatch.setattr("aias.training.train.prepare", noted)
    manifest = train(read(table()), replace(LINEAR, test=0.2), watch=watch).serving.manifest
    assert not any(held for name, held in told if name in {"train.candidate", "train.parity", "train.test"})
    assert (manifest.rows["train"], manifest.rows["test"]) == (240, 60)

    kept = prepared_with(test=0.2)
    assert manifest.lineage.dataset == kept.dataset.digest
    forms = Forms(kept, UnitFitter(kept.table, None), LINEAR, watch=History(nobody))
    assert (forms.prepared.dataset.rows, forms.prepared.held_out.rows) == (0, 60)


def test_without_a_test_the_rows_are_kept_that_prove_and_measure() -> None:
    kept = prepared_with(test=0.0)
    assert Forms(kept, UnitFitter(kept.table, None), LINEAR, watch=History(nobody)).prepared.held_out.rows == 300


def prepared_with(*, test: float) -> Prepared:
    return prepare(
        read(table()), target="y", metric=None, how="random", test=test, given=None, seconds=10, folds=2, seed=0,
        watch=nobody,
    )  # fmt: skip
