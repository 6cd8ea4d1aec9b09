"""`cli/demo.py`: the story goes on where a step cannot be taken, and the last version is what is deployed."""

from dataclasses import dataclass
from types import SimpleNamespace
from typing import Any

import pytest

from aias.cli.demo import Story, _tried
from aias.core.errors import UserError


@dataclass
class Found:
    model: Any
    better: bool


def test_a_step_gives_what_it_made_to_the_next_and_nothing_where_it_made_nothing() -> None:
    before, after = SimpleNamespace(ref="m@1"), SimpleNamespace(ref="m@3")

    assert _tried(before, lambda _watch: Found(after, better=True)) is after
    assert _tried(before, lambda _watch: Found(after, better=False)) is before


def test_a_step_that_cannot_be_taken_says_why_and_leaves_the_model(capsys: pytest.CaptureFixture[str]) -> None:
    model = SimpleNamespace(ref="m@1")

    def refuses(_watch: Any) -> Found:
        raise UserError("there was no time")

    assert _tried(model, refuses) is model
    assert "there was no time" in capsys.readouterr().err


def test_the_last_version_is_the_one_that_is_deployed() -> None:
    first, last = SimpleNamespace(ref="m@1"), SimpleNamespace(ref="m@5")
    assert Story(SimpleNamespace(), {"train": first, "compress": last}, "m@1").model is last
