"""What a model is called that nobody gave a name."""

from pathlib import Path

import pytest

import aias
from aias.core.events import Event


@pytest.mark.parametrize(("file", "said"), [("感想.csv", ["model"]), ("my data.csv", []), ("model.csv", [])])
def test_a_file_of_whose_name_nothing_can_stay_is_told_what_its_model_is_called(
    tmp_path: Path, file: str, said: list[str]
) -> None:
    (tmp_path / file).write_text("x,y\n" + "1,a\n2,b\n" * 20)
    told: list[Event] = []
    with pytest.raises(aias.core.errors.UserError, match="no metric"):  # and no time is spent on fitting
        aias.train(tmp_path / file, target="y", metric="nope", inline=True, home=tmp_path / "home", watch=told.append)
    assert [each.facts["name"] for each in told if each.name == "train.named"] == said


def test_the_folder_where_one_is_gives_its_name(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    (tmp_path / "reviews").mkdir()
    monkeypatch.chdir(tmp_path / "reviews")
    told: list[Event] = []
    with pytest.raises(aias.core.errors.UserError, match="no metric"):
        aias.train(".", target="y", metric="nope", inline=True, home=tmp_path / "home", watch=told.append)
    assert not told
