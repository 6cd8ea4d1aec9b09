"""`compress/trial.py`: who answers as the parent does loses nothing, and gains nothing."""

from dataclasses import replace
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import numpy as np
import polars as pl
import pytest

import aias
from aias.compress.certification import Certification
from aias.compress.techniques.contract import Candidate, Made
from aias.compress.trial import ALL, Judged, Trial
from aias.core.task import Task
from aias.runtimes.latency import Estimate, PairedLatency
from compression_contexts import opened, taught


def test_what_is_made_for_each_fold_gains_nothing_by_where_the_fold_stopped_it(tmp_path: Path) -> None:
    """Boosted trees are stopped by the rows of their fold, and half by half they are judged by where the other half
    would have stopped them: the parent's own trees, found again, so seemed to be better than the parent."""
    x = np.random.default_rng(0).normal(size=(400, 4))
    noisy = x[:, 0] * x[:, 1] + np.random.default_rng(1).normal(size=400) > 0
    frame = pl.DataFrame({f"x{i}": x[:, i] for i in range(4)} | {"y": np.where(noisy, "p", "q")})
    aias.train(
        frame, target="y", metric="log_loss", name="m", time="600s", folds=4,
        learners={"boosted_trees": {"learning_rate": 0.1}}, search=False, inline=True, home=tmp_path,
    )  # fmt: skip
    context = opened(aias.load("m@1", home=tmp_path), frame, tmp_path)
    folds = context.prepared.table.folds[context.prepared.table.judged]
    judged = Judged(context, np.isin(folds, [0, 1]), 0)
    trial = Trial(Candidate("itself", lambda fold: Made(context.whole(fold), context.encoder)), "")
    finished: Any = SimpleNamespace(trial=trial, trained=SimpleNamespace(manifest=SimpleNamespace(label_weights=())))

    ((verdict, _),) = Certification(judged).judge([finished], margin=0.01)

    assert Certification(judged).stopped_it(trial)  # its card says so
    assert not Certification(judged).stopped_it(
        Trial(Candidate("known", trial.candidate.make, judged.parent.scores), "")
    )
    assert verdict.loss.value == pytest.approx(0, abs=1e-9)
    rows = judged.searched
    assert not np.allclose(trial.scores(judged, rows), judged.before(rows, by_fold=False).scores)
    assert judged.loss(rows, judged.before(rows, by_fold=True), by_fold=True).value == 0


def test_in_which_precision_a_parent_is_computed_is_said_of_no_candidate_that_reads_otherwise(tmp_path: Path) -> None:
    """Else what has no sentence encoder any more would be let off with differences of bfloat16 on another host."""
    frame = pl.DataFrame({"x": np.arange(200.0), "y": ["p", "q"] * 100})
    aias.train(frame, target="y", name="m", learners=["linear"], folds=2, search=False, inline=True, home=tmp_path)
    context = opened(aias.load("m@1", home=tmp_path), frame, tmp_path)
    parent, trial = context.parent.manifest, Trial(Candidate("itself", lambda _: made), "")
    parent = replace(parent, lineage=replace(parent.lineage, settings={"precision": "bfloat16", "seed": 1}))
    made = Made(context.whole(ALL), context.encoder)

    assert trial.draft(parent, made).lineage.settings == {"seed": 1}
    own = replace(made, precision="bfloat16")
    assert trial.draft(parent, own).lineage.settings == {"precision": "bfloat16", "seed": 1}


@pytest.mark.parametrize("tested", [None, np.array([0, 0, 1])])
@pytest.mark.parametrize("judged", [None, np.array([0, 0, 1, 1, 2])])
def test_rows_that_certify_are_of_their_groups_or_stand_alone(tested: Any, judged: Any) -> None:
    """Copies may be many of the test's rows and few of the others, or the other way round."""
    prepared = SimpleNamespace(test=SimpleNamespace(rows=3), test_y=np.zeros(3), test_clusters=tested)
    held = np.array([False, True, True, True, True])
    rows: Any = SimpleNamespace(context=SimpleNamespace(prepared=prepared), held=held, y=np.zeros(5), groups=judged)

    found = Certification(rows).groups

    if tested is None and judged is None:
        assert found is None
    else:
        assert len(np.unique(found[:3])) == (3 if tested is None else 2)
        assert len(np.unique(found[3:])) == (4 if judged is None else 3)
        assert set(found[:3]).isdisjoint(found[3:])


def test_labels_lean_to_the_classes_that_count_more_as_those_of_the_parent_do(tmp_path: Path) -> None:
    x = np.random.default_rng(0).normal(size=(600, 2))
    rare = x[:, 0] + np.random.default_rng(1).normal(size=600) > 1.9
    frame = pl.DataFrame({"a": x[:, 0], "b": x[:, 1], "y": np.where(rare, "rare", "usual")})
    aias.train(
        frame, target="y", class_weights="balanced", name="m", time="600s", folds=4, learners=("linear",),
        search=False, inline=True, home=tmp_path,
    )  # fmt: skip
    context = opened(aias.load("m@1", home=tmp_path), frame, tmp_path)
    judged = Judged(context, np.zeros(600, bool), 0)

    found, answered = judged.answering(judged.searched, context.parent_scores())

    assert context.parent.manifest.label_weights
    assert found.label_weights == pytest.approx(context.parent.manifest.label_weights)
    assert (answered.labels == judged.parent.labels).mean() > 0.95


def test_what_answers_a_fold_in_time_is_told_by_earlier_ones_alone() -> None:
    rng, folds = np.random.default_rng(0), np.repeat([0, 1, 2], 600)
    sure = rng.uniform(0.02, 0.98, 1_800)
    scores = np.column_stack([1 - sure, sure])
    y, other = (rng.random((2, 1_800)) < 0.5 + 0.3 * (sure - 0.5)).astype(np.int64)
    table = SimpleNamespace(
        class_costs=None, blocks=np.repeat([1, 2, 3], 600).astype(np.int16), judged=np.arange(1_800),
        kin=lambda _: None,
    )  # fmt: skip
    context = SimpleNamespace(
        prepared=SimpleNamespace(answers_of="", table=table), keeps_labels=False,
        task=Task("y", "binary", "log_loss", ("no", "yes")),
    )  # fmt: skip

    def second(y: np.ndarray) -> np.ndarray:
        judged: Any = SimpleNamespace(
            context=context, parent=SimpleNamespace(label_weights=None), folds=folds, groups=None, seed=0, y=y
        )
        found, answered = Judged.answering(judged, np.arange(1_800), scores)
        assert found.calibration is not None
        return answered.scores[folds == 1]

    assert np.array_equal(second(y), second(np.where(folds == 2, other, y)))


def test_no_copy_in_another_group_helps_to_calibrate_what_answers_a_row_of_a_holdout() -> None:
    rng, groups = np.random.default_rng(0), np.repeat(np.arange(180), 10)
    sure = rng.uniform(0.02, 0.98, 1_800)
    scores = np.column_stack([1 - sure, sure])
    y = (rng.random(1_800) < 0.5 + 0.3 * (sure - 0.5)).astype(np.int64)
    together, first = groups // 2, 7  # of every two groups, each of which has copies in the other
    table = SimpleNamespace(
        class_costs=None, blocks=None, judged=np.arange(first, first + 1_800), kin=lambda rows: together[rows - first]
    )
    context = SimpleNamespace(
        prepared=SimpleNamespace(answers_of="", table=table), keeps_labels=False,
        task=Task("y", "binary", "log_loss", ("no", "yes")),
    )  # fmt: skip
    rows, own = np.arange(100, 1_800), together == 20

    def answered(y: np.ndarray) -> np.ndarray:
        judged: Any = SimpleNamespace(
            context=context, parent=SimpleNamespace(label_weights=None), folds=np.zeros(1_800, int), groups=groups,
            seed=0, y=y,
        )  # fmt: skip
        found, honest = Judged.answering(judged, rows, scores[rows])
        assert found.calibration is not None
        return honest.scores[own[rows]]

    assert np.array_equal(answered(y), answered(np.where(own, 1 - y, y)))


def test_a_threshold_that_was_imported_is_that_of_what_is_made_smaller(tmp_path: Path) -> None:
    """By an order, as AUC judges it, all thresholds are as good; whoever set one meant it."""
    catboost = pytest.importorskip("catboost", reason="the extra `catboost` is not installed")
    x = np.random.default_rng(0).normal(size=(400, 2))
    y = np.where(x[:, 0] + np.random.default_rng(1).normal(size=400) > 0, "sick", "sound")
    own = catboost.CatBoostClassifier(iterations=20, depth=3, thread_count=1, verbose=0, allow_writing_files=False)
    own.fit(x, y)
    own.get_metadata()["binclass_probability_threshold"] = "0.9"
    own.save_model(str(tmp_path / "m.cbm"))
    frame = pl.DataFrame({"a": x[:, 0], "b": x[:, 1], "y": y})
    model = aias.import_model(tmp_path / "m.cbm", like=frame, target="y", home=tmp_path)
    context = taught(model, frame, tmp_path)
    judged = Judged(context, np.zeros(400, bool), 0)

    found, answered = judged.answering(judged.searched, judged.parent.scores)

    assert model.manifest.label_weights and model.task.metric == "roc_auc"
    assert found.label_weights == pytest.approx(model.manifest.label_weights)
    assert found.calibration is None  # it is a threshold of these very probabilities
    assert (answered.labels == judged.parent.labels).all()
    assert (judged.parent.scores.argmax(axis=1) != judged.parent.labels).mean() > 0.1


@pytest.mark.parametrize(
    ("sent", "average", "said"),
    [
        (0.5, Estimate(1.783, 0.568, 4.74), "1.78× as fast on average (but may be 0.568×), 1.2× with 4 callers,"),
        (0.5, Estimate(0.99, 0.97, 1.01), "0.99× as fast on average, 1.2× with 4 callers,"),
        (0.0, Estimate(1.783, 0.568, 4.74), "1.02× as fast, 1.1× with 4 callers,"),
    ],
)
def test_who_is_not_certain_to_be_faster_is_told_so_by_what_decides(sent: float, average: Estimate, said: str) -> None:
    """Of a cascade the mean decides, with several callers too, and of others the median."""
    pace: Any = None
    trial = Trial(Candidate("small first", lambda _: Made(pace, pace), sent=sent), "cascade", smaller=0.95)
    trial.alone = PairedLatency(pace, pace, Estimate(1.02, 1.0, 1.04), average=average)
    trial.together = PairedLatency(pace, pace, Estimate(1.1, 1.0, 1.2), callers=4, average=Estimate(1.2, 1.0, 1.4))

    assert not trial.helps
    told = trial.unworthy(meant=" on average" if sent else "")
    assert told == f"{said} and 1.05× as large is not worth it"
    trial.smaller = 0.01  # of which there is no doubt
    assert "may be" not in trial.unworthy(meant="")
