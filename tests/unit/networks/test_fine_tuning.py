"""`networks/fine_tuning.py`: layers of an encoder go on learning, and stay what the graph writes."""

from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest

pytest.importorskip("torch", reason="the extra `deep` is not installed")
pytest.importorskip("tokenizers", reason="the extra `text` is not installed")
pytest.importorskip("safetensors", reason="the extra `text` is not installed")

from aias.compress.windows import Examples, batches
from aias.core.deadline import Deadline
from aias.core.schema import Field
from aias.encoders.rows import Encoded, RowEncoder
from aias.graph.sentences import SentenceEncoder
from aias.graph.transformer import Transformer
from aias.networks import fine_tuning
from aias.networks.fine_tuning import FineTuned, fine_tuned
from tiny_encoder import CONFIGS, encoder_into

RNG = np.random.default_rng(0)
TEXTS = [" ".join(RNG.choice(list("abcdefgh"), 2 + at % 6)) for at in range(240)]
Y = np.array([text.index("a") < text.index("b") if "a" in text and "b" in text else "c" in text for text in TEXTS])


def encoder(folder: Path, kind: str = "bert") -> SentenceEncoder:
    found = SentenceEncoder.read(str(encoder_into(folder, kind)), texts=1)
    return replace(found, transformer=replace(found.whole, normalised=True))


def encoded(encoder: SentenceEncoder) -> Encoded:
    fitted = RowEncoder.fit([Field("note", "text")], {"note": TEXTS}).with_subwords(encoder.subwords)
    return fitted.columns({"note": TEXTS}, len(TEXTS))


def examples(encoder: SentenceEncoder, *, known: float = 0.0) -> Examples:
    texts = encoded(encoder)
    assert texts.tokens is not None and texts.token_mask is not None
    return Examples(texts.tokens, texts.token_mask, np.eye(2)[Y.astype(int)], known * np.eye(2)[Y.astype(int)])


def learned(
    encoder: SentenceEncoder, *, seed: int = 0, seconds: float = 600, epochs: int = 3, **more: float
) -> FineTuned:
    rows = examples(encoder, **more)
    return of(encoder, rows, list(batches(rows, epochs, np.random.default_rng(seed), rows=32)), seed, seconds)


def of(encoder: SentenceEncoder, rows: Examples, order: list[np.ndarray], seed: int, seconds: float) -> FineTuned:
    vectors = encoder.embedded(encoded(encoder)).vectors
    until = Deadline.after(seconds)
    return fine_tuned(
        encoder.whole, rows, vectors, order, classes=True, seed=seed, planned=until, deadline=until, steps_min=1,
        count=1,
    )  # fmt: skip


def said(encoder: SentenceEncoder, found: FineTuned) -> np.ndarray:
    """By the nodes of the graph."""
    vectors = replace(encoder, transformer=found.transformer).embedded(encoded(encoder)).vectors
    return np.asarray(vectors @ found.head + found.intercept)


def log_loss(scores: np.ndarray) -> float:
    return float((np.logaddexp.reduce(scores, axis=1) - scores[np.arange(len(Y)), Y.astype(int)]).mean())


@pytest.mark.parametrize("kind", list(CONFIGS))
@pytest.mark.parametrize("pooling", ["mean", "cls"])
def test_what_it_learns_with_is_what_the_graph_computes(tmp_path: Path, kind: str, pooling: str, monkeypatch) -> None:
    monkeypatch.setattr("aias.networks.fine_tuning.DROPPED", 0.0)
    tiny = encoder(tmp_path, kind)
    tiny = replace(tiny, transformer=replace(tiny.whole, pooling=pooling))
    heard: list[Any] = []
    written = fine_tuning._vectors
    monkeypatch.setattr(fine_tuning, "_vectors", lambda *args: heard.append(written(*args)) or heard[-1])
    of(tiny, examples(tiny), [np.arange(len(TEXTS))], 0, 600)

    expected = tiny.embedded(encoded(tiny)).vectors
    (found,) = (each.detach().numpy() for each in heard)
    assert np.abs(found - expected).max() < 1e-5


def test_a_row_of_two_texts_has_the_weights_of_both(tmp_path: Path) -> None:
    tiny = encoder(tmp_path)
    each = examples(tiny)
    half = len(TEXTS) // 2
    pairs = Examples(each.tokens, each.mask, each.targets[:half], each.known[:half])
    found = of(tiny, pairs, [np.arange(half)] * 3, 0, 600)
    assert found.head.shape == (2 * tiny.width, 2) and found.head[: tiny.width].any() and found.head[tiny.width :].any()


def test_it_learns_what_is_asked_of_the_texts(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """More than any head could make of what the vectors were."""
    for name, value in (("RATE", 1e-2), ("REACH", 10.0), ("LIKE", 0.0), ("DROPPED", 0.0)):
        monkeypatch.setattr(f"aias.networks.fine_tuning.{name}", value)
    tiny = encoder(tmp_path)
    assert log_loss(said(tiny, learned(tiny, epochs=40))) < 0.8 * _head_alone(tiny)


def _head_alone(tiny: SentenceEncoder) -> float:
    from sklearn.linear_model import LogisticRegression

    vectors = tiny.embedded(encoded(tiny)).vectors
    return log_loss(
        LogisticRegression(C=1e4, max_iter=5_000).fit(vectors, Y).decision_function(vectors)[:, None] * [-0.5, 0.5]
    )


def test_the_tables_stay_and_the_layers_do_not(tmp_path: Path) -> None:
    tiny = encoder(tmp_path)
    found = learned(tiny).transformer
    assert isinstance(found, Transformer)
    assert found.words is tiny.whole.words and found.positions is tiny.whole.positions
    for before, after in zip(tiny.whole.layers, found.layers, strict=True):
        for name in ("query", "value", "wider", "narrower"):
            assert not np.array_equal(getattr(before, name).weight, getattr(after, name).weight)


def test_the_seed_decides(tmp_path: Path) -> None:
    tiny = encoder(tmp_path)
    first, again, other = (learned(tiny, seed=seed) for seed in (1, 1, 2))
    assert np.array_equal(first.head, again.head) and not np.array_equal(first.head, other.head)
    weights = (each.transformer.layers[0].wider.weight for each in (first, again))
    assert np.array_equal(*weights)


def test_when_the_time_is_over_it_is_what_it_had_learned(tmp_path: Path) -> None:
    tiny = encoder(tmp_path)
    found = learned(tiny, seconds=0.0)
    assert found.steps == 0 and not found.head.any()
    assert np.array_equal(found.transformer.layers[0].wider.weight, tiny.whole.layers[0].wider.weight)


def test_what_others_say_is_not_learned_again(tmp_path: Path) -> None:
    tiny = encoder(tmp_path)
    alone, beside = (np.ptp(said(tiny, learned(tiny, known=known)), axis=1).mean() for known in (0.0, 20.0))
    assert beside < 0.1 * alone


class Slow:
    """A machine on which each step takes so many seconds, and nothing else any."""

    def __init__(self, monkeypatch: pytest.MonkeyPatch, seconds: Callable[[int], float]) -> None:
        self.now, self.rates, made = 0.0, list[float](), fine_tuning.AdamW.step

        def step(optimizer: fine_tuning.AdamW, gradient: Any, rate: float) -> None:
            self.now += seconds(len(self.rates))
            self.rates.append(rate)
            made(optimizer, gradient, rate)

        monkeypatch.setattr(fine_tuning.AdamW, "step", step)

    def fits(self, encoder: SentenceEncoder, *, planned: float, seconds: float, steps_min: int) -> FineTuned:
        """Of eighty steps."""
        until, last = (Deadline.after(each, lambda: self.now) for each in (planned, seconds))
        order = [np.arange(8)] * 80
        vectors = encoder.embedded(encoded(encoder)).vectors
        return fine_tuned(
            encoder.whole, examples(encoder), vectors, order, classes=True, seed=0, planned=until, deadline=last,
            steps_min=steps_min, count=1,
        )  # fmt: skip


@pytest.mark.parametrize(
    ("seconds", "least", "most"),
    [(lambda _: 0.1, 80, 80), (lambda _: 1.0, 36, 40), (lambda step: 0.5 if step < 40 else 2.0, 48, 54),
     (lambda step: 2.0 if step < 10 else 0.5, 45, 53)],
)  # fmt: skip
def test_the_rate_falls_to_nothing_when_the_time_is_over(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, seconds: Callable[[int], float], least: int, most: int
) -> None:
    """Of eighty steps as many as there are in forty seconds, however fast they are, or become."""
    slow = Slow(monkeypatch, seconds)
    found = slow.fits(encoder(tmp_path), planned=40.0, seconds=80.0, steps_min=20)
    assert found.steps == len(slow.rates) and least <= found.steps <= most
    assert slow.rates[-1] < 0.05 * max(slow.rates)


def test_so_much_is_learned_as_has_to_be_while_there_is_time_for_it(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    slow = Slow(monkeypatch, lambda _: 1.0)
    assert slow.fits(encoder(tmp_path), planned=30.0, seconds=80.0, steps_min=60).steps == 60
    assert slow.rates[-1] < 0.05 * max(slow.rates)


def test_what_is_too_slow_to_learn_enough_ends_as_soon_as_that_shows(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    slow = Slow(monkeypatch, lambda _: 1.0)
    assert slow.fits(encoder(tmp_path), planned=30.0, seconds=50.0, steps_min=60).steps < 10
