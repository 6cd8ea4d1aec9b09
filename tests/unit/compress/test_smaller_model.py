"""A smaller model trained directly."""

from types import SimpleNamespace

import pytest

from aias.compress.techniques.contract import NotApplicable
from aias.compress.techniques.smaller_model import smaller_model
from aias.encoders.rows import Layout

BOUGHT = SimpleNamespace(configuration=SimpleNamespace(learner="imported"))


def names(*, width: int, terms: int) -> list[str]:
    layout = Layout(width, tuple(range(width)), (), (), terms, int(width == 0))
    context = SimpleNamespace(
        encoder=SimpleNamespace(layout=layout), members=[BOUGHT], prepared=SimpleNamespace(embedding=None)
    )
    return [each.name for each in smaller_model(context)]


def test_a_classifier_of_tokens_alone_has_nothing_that_a_smaller_model_could_read():
    with pytest.raises(NotApplicable, match="tokens of its own encoder"):
        names(width=0, terms=0)


def test_columns_and_words_are_read_by_smaller_models():
    assert names(width=0, terms=40) == ["linear, direct"]
    assert names(width=2, terms=0)[0] == "linear, direct" and len(names(width=2, terms=0)) == 4
