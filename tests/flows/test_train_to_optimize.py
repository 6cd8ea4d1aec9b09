"""A version is made better where that is certain, and left alone where it is not."""

import threading
from pathlib import Path

import numpy as np
import polars as pl
import pytest

import aias
from aias.core.errors import NotFound
from aias.core.events import Event
from aias.data.errors import NoSuchFile
from aias.training.parent import OtherRows

LINEAR = {"target": "y", "time": "600s", "learners": ("linear",), "folds": 4, "inline": True}


class Until:
    """Ends a search by what it has found, the same on every machine: so many `candidates`, of which the parent's are
    told first, and together so good. `told`: all that was said."""

    def __init__(self, candidates: int, *, good: float = 0.0) -> None:
        self.candidates, self.good, self.told = candidates, good, list[Event]()
        self.stop = threading.Event()

    def watch(self, event: Event) -> None:
        self.told.append(event)
        found = [each.facts["ensemble"] for each in self.told if each.name == "train.candidate"]
        if len(found) >= self.candidates and found[-1] >= self.good:
            self.stop.set()


def xor(rows: int = 400) -> pl.DataFrame:
    """What no linear model can tell."""
    a, b = np.random.default_rng(0).uniform(-1, 1, (2, rows))
    return pl.DataFrame({"a": a, "b": b, "y": np.where(a * b > 0, "same", "other")})


def test_what_was_bad_becomes_better_and_says_how(tmp_path: Path) -> None:
    file = tmp_path / "xor.csv"
    xor().write_csv(file)
    model = aias.train(str(file), name="xor", home=tmp_path, **LINEAR)

    until = Until(8, good=0.95)
    found = model.optimize(time="600s", inline=True, stop=until.stop, watch=until.watch)

    begun = [event.facts["configuration"] for event in until.told if event.name == "train.unit"]
    assert begun
    assert "linear" not in begun  # what training left is not fitted again
    assert found.better
    assert found.gain.low > 0.1
    manifest = found.model.manifest
    assert (manifest.form, manifest.lineage.verb) == ("serving", "optimize")
    assert found.model.quality.manifest.lineage.parents == (model.version.digest,)
    assert found.model.ref == "xor@4"
    assert {each.axis for each in found.axes} == {"parameters", "structure", "strategy"}
    assert any(each.kept for each in found.axes)
    assert "better than `xor@2`" in (found.model.folder / "card.md").read_text(encoding="utf-8")
    right = xor(100)
    assert (found.model.predict(right.drop("y")) == right["y"].to_numpy()).mean() > 0.8


def test_skewed_amounts_are_tried_as_logarithms(tmp_path: Path) -> None:
    """As in training, of which a short one may not have come so far."""
    rng = np.random.default_rng(0)
    x = rng.normal(size=200)
    frame = pl.DataFrame({"x": x, "y": np.exp(2 * x + rng.normal(size=200) / 4)})
    model = aias.train(frame, name="skewed", home=tmp_path, **LINEAR)

    until = Until(4)
    how = {"axes": ("structure",), "learners": ("boosted_trees",), "inline": True}
    model.optimize(time="600s", data=frame, stop=until.stop, watch=until.watch, **how)

    tried = [event.facts["configuration"] for event in until.told if event.name == "train.candidate"]
    assert "boosted_trees log" in tried


def test_noise_is_not_made_better_and_other_rows_are_refused(tmp_path: Path) -> None:
    rng = np.random.default_rng(3)
    frame = pl.DataFrame({"a": rng.normal(size=300), "b": rng.normal(size=300), "y": rng.choice(["n", "y"], 300)})
    model = aias.train(frame, name="noise", home=tmp_path, **LINEAR)

    until = Until(6)
    found = model.optimize(time="600s", data=frame, inline=True, stop=until.stop, watch=until.watch)

    assert not found.better
    assert found.model is model
    assert found.gain.low <= 0
    assert [version.number for version in aias.models(home=tmp_path)] == [1, 2]
    with pytest.raises(NotFound, match="no axis `time`"):
        model.optimize(data=frame, axes="time")
    with pytest.raises(OtherRows, match="not the 300"):
        model.optimize(time="5s", data=frame.head(200))


def test_a_second_run_on_the_same_rows_says_what_that_does_to_the_risk(tmp_path: Path) -> None:
    """As a compression does: whoever asks until something is called better is told so once in twenty times."""
    rng = np.random.default_rng(3)
    frame = pl.DataFrame({"a": rng.normal(size=300), "b": rng.normal(size=300), "y": rng.choice(["n", "y"], 300)})
    model = aias.train(frame, name="noise", home=tmp_path, **LINEAR)

    for before in range(2):
        until = Until(3)
        model.optimize(time="600s", data=frame, inline=True, stop=until.stop, watch=until.watch)
        again = [each for each in until.told if each.name == "optimize.judged-again"]
        assert [each.facts for each in again] == [{"runs": 2}] * before
    assert "10 %" in again[0].message


def test_a_version_that_few_folds_judged_is_judged_by_the_same_ones(tmp_path: Path, monkeypatch) -> None:
    for share in ("WANTED_SHARE", "SPARE_SHARE"):  # as if time were short
        monkeypatch.setattr(f"aias.training.selection.screening.{share}", 0.0)
    learners = ("linear", "extra_trees")
    model = aias.train(
        xor(2_000), name="xor", home=tmp_path, target="y", time="600s", learners=learners, inline=True, search=False
    )  # fmt: skip
    manifest = model.quality.manifest
    assert (manifest.rows["folds"], manifest.rows["judging"]) == (8, 4)
    assert manifest.measurements[0].n == 1_000

    until = Until(4)
    found = model.optimize(time="600s", data=xor(2_000), inline=True, stop=until.stop, watch=until.watch)

    assert not any(event.facts["fold"] >= 4 for event in until.told if event.name == "train.unit")
    rows = found.model.quality.manifest.rows
    assert (rows["folds"], rows["judging"]) == (8, 4)


def test_what_there_is_no_time_for_is_told_from_what_cannot_be_tried(tmp_path: Path) -> None:
    model = aias.train(xor(), name="xor", home=tmp_path, search=False, **LINEAR)

    until = Until(1)  # the parent's
    stopped = model.optimize(time="600s", data=xor(), inline=True, stop=until.stop, watch=until.watch)
    ended = model.optimize(time="600s", data=xor(), inline=True, axes=["parameters"], learners=["nearest"])

    assert not any(each.tried for each in stopped.axes)
    assert not any("nothing to try" in each.message for each in until.told)
    assert not any(each.empty for each in stopped.axes)
    assert (
        until.told[-1].name == "optimize.gain" and until.told[-1].message == f"nothing was tried, so {model.ref} stays"
    )
    assert all(each.empty for each in ended.axes)


def test_a_file_that_has_moved_and_one_that_was_never_there_get_hints_of_their_own(tmp_path: Path) -> None:
    file = tmp_path / "xor.csv"
    xor(100).write_csv(file)
    model = aias.train(str(file), name="xor", home=tmp_path, search=False, **LINEAR)
    file.unlink()

    with pytest.raises(NoSuchFile) as moved:
        model.optimize(time="60s", inline=True)
    with pytest.raises(NoSuchFile) as mistyped:
        model.optimize(time="60s", inline=True, data=str(tmp_path / "xro.csv"))

    assert moved.value.hint == "xor@2 was trained from this path; say where the file is now: `--data FILE`, or `data=`"
    assert "trained" not in mistyped.value.hint


def test_rows_of_a_test_that_were_learned_from_certify_nothing(tmp_path: Path) -> None:
    rng = np.random.default_rng(3)
    frame = pl.DataFrame({"a": rng.normal(size=300), "b": rng.normal(size=300), "y": rng.choice(["n", "y"], 300)})
    fresh = pl.DataFrame({"a": rng.normal(size=60), "b": rng.normal(size=60), "y": rng.choice(["n", "y"], 60)})
    test = pl.concat([frame[:100], fresh])
    model = aias.train(frame, test=test, name="noise", home=tmp_path, **LINEAR)

    until = Until(3)
    found = model.optimize(time="600s", data=frame, test=test, inline=True, stop=until.stop, watch=until.watch)

    assert (found.better, found.gain.rows) == (False, 60)
    seen = [(each.level, each.facts) for each in until.told if each.name == "optimize.seen-rows"]
    assert seen == [("warning", {"rows": 100, "of": 160})]
