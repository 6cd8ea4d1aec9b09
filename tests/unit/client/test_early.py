"""The first model, published while training goes on: once, however often it is gone on with."""

from functools import partial
from pathlib import Path
from typing import Any

import pytest

import aias
from aias.core.events import Event

ROWS = {"x": [i % 17 for i in range(120)], "y": ["high" if i % 17 > 8 else "low" for i in range(120)]}
TRAIN: dict[str, Any] = {
    "target": "y", "name": "m", "time": 100, "learners": {"linear": {}, "boosted_trees": {"rounds": 60}},
    "search": False, "inline": True, "early": True,
}  # fmt: skip


class BrokenOff(BaseException):
    """As if the process were killed."""


def break_off(event: Event, *, form: str = "first") -> None:
    if event.name == "train.published" and event.facts["form"] == form:
        raise BrokenOff


def forms(home: Path) -> list[str]:
    return [aias.load(str(each), home=home).manifest.form for each in aias.models(home=home)]


def test_a_first_model_that_stands_is_not_published_again_when_training_goes_on(tmp_path: Path) -> None:
    with pytest.raises(BrokenOff):
        aias.train(ROWS, home=tmp_path, watch=break_off, **TRAIN)
    assert forms(tmp_path) == ["first"]
    told: list[Event] = []
    aias.train(ROWS, home=tmp_path, resume=True, watch=told.append, **TRAIN)
    assert forms(tmp_path) == ["first", "quality", "serving"]
    assert [each.facts["version"] for each in told if each.name == "train.stands"] == ["m@1"]
    other = {**ROWS, "x": [2 * each for each in ROWS["x"]]}
    with pytest.raises(BrokenOff):
        aias.train(other, home=tmp_path, watch=break_off, **TRAIN)
    aias.train(ROWS, home=tmp_path, resume=True, **TRAIN)
    assert forms(tmp_path)[3:] == ["first", "first", "quality", "serving"], "the first one was of other rows"


def test_a_first_model_stands_too_where_the_quality_form_followed_it(tmp_path: Path) -> None:
    with pytest.raises(BrokenOff):
        aias.train(ROWS, home=tmp_path, watch=partial(break_off, form="quality"), **TRAIN)
    assert forms(tmp_path) == ["first", "quality"]
    aias.train(ROWS, home=tmp_path, resume=True, **TRAIN)
    assert forms(tmp_path) == ["first", "quality", "quality", "serving"]
