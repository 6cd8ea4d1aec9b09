"""`compress/sensitivity.py`: which layers are worth their float32."""

from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest

pytest.importorskip("tokenizers", reason="the extra `text` is not installed")
pytest.importorskip("safetensors", reason="the extra `text` is not installed")

from aias.compress import sensitivity
from aias.compress.sensitivity import by_worth
from aias.core.schema import Field
from aias.encoders.rows import Encoded, RowEncoder
from aias.graph.activation_ranges import ActivationRange, activation_ranges
from aias.graph.int8 import Int8
from aias.graph.sentences import SentenceEncoder, Texts
from tiny_encoder import encoder_into

NOTES = ["a b c", "d e f g", "h a", "b b b c d", "e", "f g h a b c"]


@pytest.fixture
def encoder(tmp_path: Path) -> SentenceEncoder:
    encoder_into(tmp_path, "bert")
    return SentenceEncoder.read(str(tmp_path), texts=1)


def encoded(encoder: SentenceEncoder) -> Encoded:
    fitted = RowEncoder.fit([Field("note", "text")], {"note": NOTES}).with_subwords(encoder.subwords)
    return fitted.columns({"note": NOTES}, len(NOTES))


def reach_of(encoder: SentenceEncoder) -> list[ActivationRange]:
    return activation_ranges(encoder.whole, encoded(encoder))


def test_layers_in_float32_bring_back_what_int8_lost(encoder: SentenceEncoder):
    texts, reach = Texts.of(encoded(encoder)), reach_of(encoder)
    exact = encoder.vectors(texts)

    def off(*places: int) -> float:
        form = replace(encoder, transformer=Int8(encoder.whole, reach, frozenset(places)))
        return float(np.abs(form.vectors(texts) - exact).mean())

    assert off(0, 1) < min(off(0), off(1))
    assert max(off(0), off(1)) < 1.5 * off()


def test_the_layer_that_regains_most_for_a_microsecond_comes_first(
    encoder: SentenceEncoder, monkeypatch: pytest.MonkeyPatch
):
    """The second regains three times as much and costs as much: it comes first, unless it costs ten times as much."""
    lost = {frozenset(): 1.0, frozenset({0}): 0.9, frozenset({1}): 0.7}
    us = {frozenset(): 100.0, frozenset({0}): 110.0, frozenset({1}): 110.0}

    def read(form: SentenceEncoder, *_: Any) -> tuple[float, float]:
        transformer: Any = form.transformer
        return lost[transformer.exact], us[transformer.exact]

    monkeypatch.setattr(sensitivity, "_read", read)
    assert by_worth(encoder, encoded(encoder), reach_of(encoder)) == [1, 0]
    us[frozenset({1})] = 200.0
    assert by_worth(encoder, encoded(encoder), reach_of(encoder)) == [0, 1]


def test_what_was_measured_is_an_order_of_all_layers(encoder: SentenceEncoder):
    assert sorted(by_worth(encoder, encoded(encoder), reach_of(encoder))) == [0, 1]


def test_products_of_a_graph_are_ranked_by_the_same_rule(monkeypatch: pytest.MonkeyPatch):
    lost = {"": 1.0, "conv": 0.2, "gemm": 0.9}

    def timed(form: str, _exact: Any) -> tuple[float, float]:
        return lost[form], 100.0 + 10.0 * bool(form)

    monkeypatch.setattr(sensitivity, "_timed", timed)
    forms: Any = lambda spared: next(iter(spared), "")  # noqa: E731  the name stands for what would answer
    assert sensitivity.parts_by_worth(["gemm", "conv"], forms, None) == ["conv", "gemm"]
