"""Members are found by file name."""

from pathlib import Path

import pytest

import aias
from aias.core.catalog import member, members
from aias.core.errors import NotFound
from aias.core.schema import KINDS
from aias.core.suggestions import ELSEWHERE, nearest
from aias.core.task import METRICS


def test_members_are_the_files_of_a_folder_without_its_machinery() -> None:
    assert members("encoders") == tuple(sorted([*KINDS, "subwords"]))


def test_a_new_file_is_a_new_member(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    (tmp_path / "tides").mkdir()
    (tmp_path / "tides" / "__init__.py").touch()
    (tmp_path / "tides" / "contract.py").touch()
    (tmp_path / "tides" / "spring.py").write_text("__all__ = ['Spring']\nclass Spring: ...\n")
    monkeypatch.setattr(aias, "__path__", [*aias.__path__, str(tmp_path)])

    assert members("tides") == ("spring",)
    assert member("tides", "spring").__name__ == "Spring"


@pytest.mark.parametrize("name", ["vision", "contract", "rows", "../core", "", "Number"])
def test_what_is_no_member_is_not_found_and_the_members_are_named(name: str) -> None:
    with pytest.raises(NotFound) as missing:
        member("encoders", name)

    assert "number" in missing.value.hint


def test_what_is_called_otherwise_elsewhere_is_named_as_it_is_called_here() -> None:
    with pytest.raises(NotFound) as missing:
        member("learners", "LightGBM")

    assert missing.value.hint.startswith("did you mean `boosted_trees`? choose from: boosted_trees, ")


@pytest.mark.parametrize(
    ("typed", "meant"), [("auc_roc", "roc_auc"), ("f1_score", "f1"), ("neg_mean_squared_error", "rmse"), ("R2", "r2")]
)
def test_a_metric_of_scikit_learn_is_named_as_it_is_called_here_misspelt_or_not(typed: str, meant: str) -> None:
    assert nearest(typed, METRICS) == meant


def test_a_misspelt_learner_of_another_library_is_understood() -> None:
    assert nearest("lightgmb", members("learners")) == "boosted_trees"


def test_every_name_from_elsewhere_means_a_metric_or_a_learner_that_is_there() -> None:
    assert set(ELSEWHERE.values()) <= {*METRICS, *members("learners")}
    assert not ELSEWHERE.keys() & {*METRICS, *members("learners")}
