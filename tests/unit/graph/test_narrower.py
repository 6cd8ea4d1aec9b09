"""`graph/narrower.py`: of a layer's neurons those are left that others cannot stand for, and stand for them."""

from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest

pytest.importorskip("tokenizers", reason="the extra `text` is not installed")
pytest.importorskip("safetensors", reason="the extra `text` is not installed")

from aias.core.schema import Field
from aias.encoders.rows import Encoded, RowEncoder
from aias.graph.narrower import narrowed, neurons_of
from aias.graph.sentences import SentenceEncoder
from aias.graph.transformer import Affine, Layer
from tiny_encoder import encoder_into

TEXTS = [" ".join(np.random.default_rng(0).choice(list("abcdefgh"), 1 + at % 7)) for at in range(60)]


@pytest.fixture(scope="module")
def encoder(tmp_path_factory: pytest.TempPathFactory) -> SentenceEncoder:
    folder: Path = tmp_path_factory.mktemp("encoder")
    return SentenceEncoder.read(str(encoder_into(folder, "bert")), texts=1)


def encoded(encoder: SentenceEncoder) -> Encoded:
    fitted = RowEncoder.fit([Field("note", "text")], {"note": TEXTS}).with_subwords(encoder.subwords)
    return fitted.columns({"note": TEXTS}, len(TEXTS))


def doubled(layer: Layer) -> Layer:
    """Each neuron is there twice, and weighs a half: whoever leaves out one of each loses nothing."""
    wider = Affine(np.hstack([layer.wider.weight] * 2), np.hstack([layer.wider.bias] * 2))
    return replace(
        layer, wider=wider, narrower=replace(layer.narrower, weight=np.vstack([layer.narrower.weight / 2] * 2))
    )


def test_all_neurons_are_the_layer_as_it_was(encoder: SentenceEncoder) -> None:
    texts = encoded(encoder)
    same = narrowed(encoder.whole, neurons_of(encoder.whole, texts), 1.0)

    before, after = (replace(encoder, transformer=each).embedded(texts).vectors for each in (encoder.whole, same))
    assert np.abs(before - after).max() < 0.05  # a ridge of 1 %


def test_neurons_are_measured_of_tokens_and_not_of_padding(encoder: SentenceEncoder) -> None:
    texts = encoded(encoder)
    together = neurons_of(encoder.whole, texts)[0]
    assert texts.token_mask is not None
    alone = [neurons_of(encoder.whole, texts.take(np.array([row])))[0].mean for row in range(len(TEXTS))]

    mean = np.average(alone, axis=0, weights=texts.token_mask.sum(axis=1))
    np.testing.assert_allclose(together.mean, mean, atol=1e-4)
    assert (np.diag(together.gram) >= -1e-6).all()


def test_what_is_left_says_what_those_that_are_gone_said(
    encoder: SentenceEncoder, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Of each two that are alike one is left, and weighs as much as both."""
    monkeypatch.setattr("aias.graph.narrower.RIDGE", 1e-6)
    texts = encoded(encoder)
    twice = replace(encoder.whole, layers=tuple(map(doubled, encoder.whole.layers)))

    half = narrowed(twice, neurons_of(twice, texts), 0.5)

    first, second = (len(layer.narrower.weight) for layer in half.layers)
    assert first == 12 >= second  # some of the second layer never move
    before, after = (replace(encoder, transformer=each).embedded(texts).vectors for each in (twice, half))
    assert np.abs(before - after).max() < 0.02
    assert {*map(tuple, half.layers[0].wider.weight.T)} == {*map(tuple, encoder.whole.layers[0].wider.weight.T)}
