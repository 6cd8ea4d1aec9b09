"""Techniques that have nothing to try on a version say why, each in its own words."""

from types import SimpleNamespace
from typing import Any

import pytest

from aias.compress.techniques.contract import NotApplicable
from aias.compress.techniques.fewer_rounds import fewer_rounds
from aias.compress.techniques.vocabulary import vocabulary
from aias.training.selection.configuration import Configuration


def member(learner: str, **settings: Any) -> Any:
    configuration = Configuration(learner, learner, settings)
    return SimpleNamespace(
        name=learner, configuration=configuration, refit=SimpleNamespace(configuration=configuration)
    )


@pytest.mark.parametrize(
    ("settings", "count"),
    [({"rounds": 20, "learning_rate": 0.3}, 0), ({"rounds": 300, "learning_rate": 0.3}, 0),
     ({"rounds": 20, "learning_rate": 0.05}, 0), ({"rounds": 60, "learning_rate": 0.1}, 1), ({"rounds": 300}, 2)],
    ids=str,
)  # fmt: skip
def test_rounds_that_are_few_or_large_already_are_not_made_fewer(settings: dict[str, Any], count: int) -> None:
    context: Any = SimpleNamespace(members=[member("boosted_trees", **settings)])
    if count:
        assert len(list(fewer_rounds(context))) == count
        return
    with pytest.raises(NotApplicable, match="boosted_trees a third of the rounds would be fewer than 10, or at"):
        list(fewer_rounds(context))


def test_a_tenth_of_the_rounds_is_not_left_out_for_what_all_of_them_take() -> None:
    context: Any = SimpleNamespace(members=[member("boosted_trees", rounds=800)])
    assert [each.harshest.cost for each in fewer_rounds(context)] == pytest.approx([0.4325, 0.2])


@pytest.mark.parametrize(("terms", "count"), [(300, 0), (400, 1), (10_000, 4)])
def test_of_few_terms_none_are_forgotten(terms: int, count: int) -> None:
    encoder = SimpleNamespace(layout=SimpleNamespace(terms=terms))
    context: Any = SimpleNamespace(
        encoder=encoder, members=[member("linear")], prepared=SimpleNamespace(embedding=None)
    )
    if count:
        assert len(list(vocabulary(context))) == count
        return
    with pytest.raises(NotApplicable, match="of its 300 terms fewer than 100 would be left"):
        list(vocabulary(context))
