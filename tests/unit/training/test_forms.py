"""What the two forms are made of."""

import threading
from dataclasses import replace
from itertools import chain, repeat
from types import SimpleNamespace

import numpy as np
import pytest

from aias.artifact.report import read_report
from aias.core.deadline import Deadline
from aias.core.events import Event
from aias.data.read import read
from aias.training import finish
from aias.training.forms import NEAR_ENOUGH, STRETCHED, Forms
from aias.training.train import Recipe, train

LEARNERS = {"boosted_trees": {"rounds": 60}, "extra_trees": {"trees": 30}}
RECIPE = Recipe(
    target="y", name="m", seconds=600, learners=tuple(LEARNERS), learner_settings=LEARNERS, search=False, folds=3,
    latency_us=None,
)  # fmt: skip


def rows(count: int = 300) -> dict[str, list[object]]:
    chance = np.random.default_rng(0)
    a, b = chance.normal(size=(2, count))
    steps, curves = np.floor(a) + np.floor(b), np.sin(3 * a) * b  # each for another learner
    y = steps + curves + chance.normal(size=count) / 2
    return {"a": a.tolist(), "b": b.tolist(), "y": y.tolist()}


@pytest.mark.parametrize(("folds", "all_rows"), [(3, 2 / 3), (5, 1 / 2)])
def test_the_quality_form_holds_what_folds_left_and_for_half_of_it_or_more_what_has_seen_all_rows(
    monkeypatch, folds: int, all_rows: float
) -> None:
    made: dict[str, dict[str, list[float]]] = {"quality": {}, "serving": {}}
    fits = Forms._fits

    def noted(self, member, count, weight, refitted):
        parts = fits(self, member, count, weight, refitted)
        if refitted:
            form = "quality" if not made["serving"] and member.name not in made["quality"] else "serving"
            made[form][member.name] = [part.weight / weight for part in parts]
        return parts

    monkeypatch.setattr(Forms, "_fits", noted)
    train(read(rows(), target="y"), replace(RECIPE, latency_us=1e6, folds=folds), inline=True)
    boosted = [shares for name, shares in made["quality"].items() if name.startswith("boosted_trees")]
    random = [shares for name, shares in made["quality"].items() if name.startswith("extra_trees")]
    left = (1 - all_rows) / (folds - 1)
    assert boosted and all(shares == pytest.approx([all_rows] + [left] * (folds - 1)) for shares in boosted)
    assert all(shares == [1.0] for shares in random), "a mean of parts has seen all rows where one fit has"


@pytest.mark.parametrize(("learner", "proofs"), [("extra_trees", 1), ("boosted_trees", 2)])
def test_a_graph_that_is_the_other_form_s_to_the_byte_is_proved_once(monkeypatch, learner: str, proofs: int) -> None:
    proved: list[int] = []
    prove = finish._prove

    def noted(*given, **named):
        proved.append(1)
        return prove(*given, **named)

    monkeypatch.setattr(finish, "_prove", noted)
    recipe = replace(RECIPE, learners=(learner,), latency_us=1e6)
    found = train(read(rows(), target="y"), recipe, inline=True)
    quality, serving = found.quality, found.serving
    assert len(proved) == proofs
    assert (quality.files["model.onnx"] == serving.files["model.onnx"]) == (proofs == 1)
    assert quality.manifest.parity.rows == serving.manifest.parity.rows > 0


@pytest.mark.parametrize(("asked", "over", "kept"), [(None, 1.5, True), (None, 4.0, False), (150.0, 1.5, False)])
def test_no_member_is_left_out_for_a_little_time_that_nobody_asked_for(monkeypatch, asked, over, kept) -> None:
    assert NEAR_ENOUGH < 1.5 < STRETCHED < 4.0
    form, timed = Forms._form, Forms.timed
    sizes: list[int] = []
    # However slow the machine is, there is room for both.
    monkeypatch.setattr(Forms, "timed", lambda self, member: replace(timed(self, member), row_us=30.0))

    def slow(self, name, parts, board, weights, honest, late=()):
        trained, answers = form(self, name, parts, board, weights, honest, late)
        if name == "serving":
            sizes.append(int(np.count_nonzero(weights)))
            row_us = board.limit_us * (over if sizes[-1] > 1 else 1.0)
            trained = replace(trained, manifest=replace(trained.manifest, row_us=row_us))
        return trained, answers

    monkeypatch.setattr(Forms, "_form", slow)
    told: list[Event] = []
    train(read(rows(), target="y"), replace(RECIPE, latency_us=asked), inline=True, watch=told.append)
    assert sizes[0] > 1, "there is somebody to leave out"
    assert (sizes[-1] > 1) is kept
    assert kept is bool([event for event in told if "would cost quality" in event.message])


@pytest.mark.parametrize("processors", [1, 2])
def test_both_forms_are_reported_on_one_after_the_other_or_beside_each_other(monkeypatch, processors: int) -> None:
    monkeypatch.setattr("aias.training.forms.cpus", lambda: processors)
    # However busy the machine is.
    monkeypatch.setattr("aias.training.scoring.report.IMPORTANCE_SECONDS_MAX", RECIPE.seconds)
    threads: list[bool] = []
    reported = Forms.reported

    def noted(self, trained, *rest):
        if trained.manifest.form == "quality":
            threads.append(threading.current_thread() is threading.main_thread())
        return reported(self, trained, *rest)

    monkeypatch.setattr(Forms, "reported", noted)
    found = train(read(rows(), target="y"), RECIPE, inline=True)
    assert threads == [processors == 1]
    for each in (found.quality, found.serving):
        assert {"report.json", "plots/importance.svg"} <= each.files.keys()


def test_a_version_whose_time_is_over_has_its_report_and_plots_but_for_the_importance_and_says_why(monkeypatch) -> None:
    reported = Forms.reported
    monkeypatch.setattr(Forms, "reported", lambda *given: reported(*given[:-1], Deadline.after(-1.0)))

    found = train(read(rows(), target="y"), RECIPE, inline=True)

    for each in (found.quality, found.serving):
        report = read_report(each.files["report.json"])
        assert report.slices and not report.importance
        assert {"plots/predicted_actual.svg", "plots/residuals.svg"} <= each.files.keys()
        assert each.manifest.notes[-1] == "feature importance is left out: the time budget was used up"
        assert b"the time budget was used up" in each.files["card.md"]


def test_a_version_whose_importance_would_take_longer_than_there_is_says_so_once(monkeypatch) -> None:
    """Only where the time was over already did its card."""
    monkeypatch.setattr("aias.training.scoring.report.IMPORTANCE_SECONDS_MAX", 0.0)

    found = train(read(rows(), target="y"), RECIPE, inline=True)

    said = "feature importance is left out: 2 fields would take longer than there is"
    for each in (found.quality, found.serving):
        assert not read_report(each.files["report.json"]).importance
        assert [note for note in each.manifest.notes if "importance" in note] == [said]
        assert each.files["card.md"].count(said.encode()) == 1


def test_the_libraries_of_the_members_are_among_those_of_a_version() -> None:
    pytest.importorskip("xgboost")
    recipe = replace(RECIPE, learners=("xgboost", "linear"), learner_settings={"xgboost": {"rounds": 3}}, folds=1)

    made = train(read(rows(100), target="y"), recipe, inline=True).serving.manifest

    used = {line.learner for line in made.leaderboard if line.chosen}
    assert ("xgboost" in made.lineage.libraries) == ("xgboost" in used)
    assert {"aias", "onnxruntime", "python"} < made.lineage.libraries.keys()


@pytest.mark.parametrize(("seconds", "load"), [([0.2] * 3, 1.0), ([0.2] * 1_000, 10.0), ([0.02] * 3, 1.0)])
def test_a_load_that_a_few_rows_tell_of_is_believed_where_others_tell_of_it_too(
    monkeypatch: pytest.MonkeyPatch, seconds: list[float], load: float
) -> None:
    now, taken = [0.0], chain(seconds, repeat(0.02))

    def embedded(row: object) -> None:
        now[0] += next(taken)

    forms = SimpleNamespace(
        prepared=SimpleNamespace(
            encoder=SimpleNamespace(one=lambda row: row),
            embedding=SimpleNamespace(sentences=SimpleNamespace(embedded=embedded)),
        ),
        _known_rows=SimpleNamespace(row_us=20_000.0), _rows=[{}] * 100, _load=1.0,
    )  # fmt: skip
    monkeypatch.setattr("aias.training.embedding.time", SimpleNamespace(perf_counter=lambda: now[0]))
    Forms.feel_load(forms)  # type: ignore[arg-type]
    assert forms._load == pytest.approx(load)
    assert now[0] < 2.5
