"""Where models are kept may be said as a path or as a text."""

from pathlib import Path

import pytest

import aias
from aias.core.errors import NotFound, UserError


@pytest.mark.parametrize("kind", [Path, str])
def test_a_home_is_a_path_or_a_text(tmp_path: Path, kind: type) -> None:
    home = kind(tmp_path / "home")
    with pytest.raises(UserError, match="no metric"):  # and no time is spent on fitting
        aias.train(
            {"x": [1, 2] * 20, "y": ["a", "b"] * 20}, target="y", name="m", metric="nope", inline=True, home=home
        )
    assert aias.models(home=home) == [] and aias.endpoints(home=home) == []
    with pytest.raises(NotFound):
        aias.load("m@1", home=home)
    assert (tmp_path / "home").is_dir()


def test_the_home_of_whoever_calls_is_found(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("HOME", str(tmp_path))
    assert aias.models(home="~/models") == [] and (tmp_path / "models").is_dir()
