"""A smaller model trained directly."""

from types import SimpleNamespace

import numpy as np
import pytest

from aias.compress.fewer_terms import telling
from aias.compress.techniques.contract import NotApplicable
from aias.compress.techniques.smaller_model import smaller_model
from aias.core.task import Task
from aias.encoders.rows import Encoded, Layout
from aias.training.selection.configuration import Configuration

BOUGHT = SimpleNamespace(configuration=SimpleNamespace(learner="imported"))
LINEAR = SimpleNamespace(name="linear", configuration=Configuration("linear", "linear"))
WORDS = SimpleNamespace(name="words", configuration=Configuration("words", "linear", features=("terms",)))


def proposed(*, width: int, terms: int, members: tuple[SimpleNamespace, ...] = (BOUGHT,), embedding: object = None):
    layout = Layout(width, tuple(range(width)), (), (), terms, int(width == 0))
    context = SimpleNamespace(
        encoder=SimpleNamespace(layout=layout), members=members, prepared=SimpleNamespace(embedding=embedding)
    )
    return list(smaller_model(context))


def names(**known) -> list[str]:
    return [each.name for each in proposed(**known)]


def test_a_classifier_of_tokens_alone_has_nothing_that_a_smaller_model_could_read():
    with pytest.raises(NotApplicable, match="tokens of its own encoder"):
        names(width=0, terms=0)


def test_columns_and_words_are_read_by_smaller_models():
    assert names(width=0, terms=40) == ["linear, direct"]
    assert names(width=2, terms=0)[0] == "linear, direct" and len(names(width=2, terms=0)) == 4


def test_beside_a_linear_model_of_words_smaller_ones_of_the_same_kind_compete():
    found = names(width=0, terms=4_000, members=(LINEAR,))
    assert found == ["linear, 400 terms, direct", "linear, 120 terms, direct"]
    assert names(width=0, terms=1_500, members=(LINEAR, BOUGHT)) == ["linear, 150 terms, direct"]
    assert names(width=1, terms=1_500, members=(LINEAR,))[0] == "linear, 150 terms, direct"


def test_who_has_nothing_smaller_to_try_says_why():
    with pytest.raises(NotApplicable, match="a linear model of 900 terms"):
        names(width=0, terms=900, members=(LINEAR,))
    with pytest.raises(NotApplicable, match="`drop_members` tries that"):
        names(width=0, terms=4_000, members=(LINEAR, WORDS), embedding=object())


def test_who_has_few_rounds_is_not_left_out_for_what_hundreds_of_them_take():
    """Of a parent whose trees took a minute a fold."""
    settings = Configuration("boosted_trees", "boosted_trees", {"rounds": 800})
    trees = SimpleNamespace(configuration=settings, refit=SimpleNamespace(configuration=settings))
    cost = {each.name: each.cost for each in proposed(width=2, terms=0, members=(trees,))}
    assert cost["20 trees of 8 leaves, direct"] == pytest.approx(0.125)
    assert cost["100 trees of 8 leaves, direct"] == pytest.approx(0.225)
    assert max(cost.values()) < 1
    assert next(name for name in cost if "trees" in name) == "20 trees of 8 leaves, direct"


def test_terms_that_tell_answers_apart_best_are_those_that_stay():
    """Of three terms one is always there, one by chance, and one where the answer is the second."""
    segments = [(0, 0), (0, 2), (1, 0), (2, 0), (2, 1), (2, 2), (3, 0), (3, 1)]
    encoded = Encoded(
        np.empty((4, 0)), np.array([term for _, term in segments]), np.array([[row] for row, _ in segments]), 1
    )
    y = {"classes": np.array([1, 0, 1, 0]), "amounts": np.array([5.0, 1.0, 5.5, 0.5])}
    for kind, answers in y.items():
        classes = ("no", "yes") if kind == "classes" else ()
        context = SimpleNamespace(
            inside=lambda _fold: np.arange(4), encoded=lambda _rows: encoded, answers=lambda _rows, y=answers: y,
            task=Task("y", "binary" if classes else "regression", "accuracy" if classes else "rmse", classes=classes),
            encoder=SimpleNamespace(layout=SimpleNamespace(terms=3)),
        )  # fmt: skip
        assert telling(context, 0)[2] > max(telling(context, 0)[:2])
