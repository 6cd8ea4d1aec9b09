"""`compress/windows.py`, `graph/windows.py`: windows of tokens learn what order says, and the graph reads them so."""

import numpy as np
import pytest

from aias.compress import windows
from aias.compress.windows import Examples, learned
from aias.core.deadline import Deadline
from aias.encoders.rows import Encoded
from aias.graph.builder import Builder
from aias.graph.windows import Windows
from aias.runtimes.onnxruntime import Session

RNG = np.random.default_rng(0)
VECTORS = RNG.normal(size=(9, 6)).astype(np.float32)


def texts(count: int, length: int = 7) -> tuple[np.ndarray, np.ndarray]:
    return RNG.integers(0, 9, (count, length)), np.arange(length) < RNG.integers(2, length + 1, count)[:, None]


def test_two_tokens_in_the_other_order_are_another_answer() -> None:
    tokens, mask = texts(600)
    tokens[tokens < 2] = 5
    mask[:, :4] = True
    y = RNG.integers(0, 2, 600)
    place = RNG.integers(0, 3, 600)
    for row in range(600):
        tokens[row, place[row] : place[row] + 2] = (0, 1) if y[row] else (1, 0)

    first = Examples(tokens[:400], mask[:400], np.eye(2)[y[:400]], np.zeros((400, 2)))
    kernel = learned(first, VECTORS, filters=48, classes=True, seed=0, deadline=Deadline.after(600))

    assert (said(kernel, tokens[400:], mask[400:]).argmax(axis=1) == y[400:]).mean() > 0.9


def three_of(e: np.ndarray) -> np.ndarray:
    """Each three neighbours side by side: (texts, length, width) → (texts, length + 2, 3 * width)."""
    held = np.pad(e, ((0, 0), (2, 2), (0, 0)))
    return np.concatenate([held[:, :-2], held[:, 1:-1], held[:, 2:]], axis=2)


def said(kernel: windows.Kernel, tokens: np.ndarray, mask: np.ndarray) -> np.ndarray:
    sums = three_of(VECTORS[tokens] * mask[:, :, None]) @ kernel.weights
    sums[:, 1:-1] += kernel.bias * mask[:, :, None]
    r = np.maximum(sums.max(axis=1), 0)
    return r.reshape(-1, len(kernel.head)) @ kernel.head + kernel.intercept


def test_they_learn_what_others_leave_unsaid() -> None:
    """Of two tokens one tells the answer: who hears of it from elsewhere learns the rest."""
    tokens, mask = texts(600)
    first, second = (((tokens == each) & mask).any(axis=1) for each in (0, 1))
    y = (first.astype(int) + second > 0).astype(int)
    known = np.stack([np.zeros(600), np.where(first, 9.0, 0.0)], axis=1)

    found = [learned(Examples(tokens, mask, np.eye(2)[y], each), VECTORS, filters=24, classes=True, seed=0,
                     deadline=Deadline.after(600)) for each in (known, 0 * known)]  # fmt: skip

    only = first & ~second
    assert (
        (said(found[0], tokens, mask) @ [-1, 1])[only].mean()
        < 0
        < (said(found[1], tokens, mask) @ [-1, 1])[only].mean()
    )
    assert ((known + said(found[0], tokens, mask)).argmax(axis=1) == y).mean() > 0.9


def test_of_a_row_of_two_texts_each_has_weights_of_its_own() -> None:
    """The answer is what the first begins with; the second, which begins with anything, is not listened to."""
    tokens = RNG.integers(0, 9, (800, 4))
    mask = np.ones((800, 4), bool)
    y = (tokens.reshape(400, 2, 4)[:, 0] == 0).any(axis=1).astype(int)

    examples = Examples(tokens, mask, np.eye(2)[y], np.zeros((400, 2)))
    kernel = learned(examples, VECTORS, filters=24, classes=True, seed=0, deadline=Deadline.after(600))

    assert kernel.head.shape == (48, 2)
    assert (said(kernel, tokens, mask).argmax(axis=1) == y).mean() > 0.8
    assert (said(kernel, tokens[::-1], mask).argmax(axis=1) == y[::-1]).mean() < 0.75  # the other one first


@pytest.mark.parametrize("classes", [True, False])
def test_gradients_are_those_of_the_loss(classes: bool, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(windows, "TOKENS_GONE", 0.0)
    monkeypatch.setattr(windows, "FILTERS_GONE", 0.0)
    tokens, mask = texts(5)
    wanted = RNG.dirichlet(np.ones(3), 5) if classes else RNG.normal(size=(5, 1))
    tokens, mask = np.concatenate([tokens, tokens[::-1]]), np.concatenate([mask, mask[::-1]])  # two texts a row
    known = RNG.normal(size=wanted.shape)
    state = [RNG.normal(size=shape) for shape in ((18, 4), (4,), (8, wanted.shape[1]), (wanted.shape[1],))]

    def loss() -> float:
        sums = three_of(VECTORS[tokens].astype(np.float64) * mask[:, :, None]) @ state[0]
        sums[:, 1:-1] += state[1] * mask[:, :, None]
        off = known + np.maximum(sums.max(axis=1), 0).reshape(5, 8) @ state[2] + state[3]
        if not classes:
            return float(((off - wanted) ** 2).sum() / 2 / len(wanted))
        return float((np.log(np.exp(off).sum(axis=1)) - (wanted * off).sum(axis=1)).mean())

    examples = Examples(tokens, mask, wanted, known)
    found = windows._gradients(state, examples, VECTORS, classes=classes, rng=np.random.default_rng(0))

    for each, gradient in zip(state, found, strict=True):
        for place in [0, each.size // 2, each.size - 1]:
            held = each.flat[place]
            each.flat[place] = held + 1e-5
            above = loss()
            each.flat[place] = held - 1e-5
            below = loss()
            each.flat[place] = held
            assert gradient.flat[place] == pytest.approx((above - below) / 2e-5, abs=1e-4)


def test_the_graph_reads_a_text_alone_as_beside_a_longer_one() -> None:
    table = RNG.normal(size=(9, 12)).astype(np.float32)
    found = Windows(table, 16)
    builder = Builder(width=0, texts=0, sentences=lambda graph: found.write(graph, texts=1))
    session = Session(builder.finish_vectors(builder.vectors), output="vectors")
    tokens, mask = np.array([[3, 1, 4, 1, 5], [2, 7, 0, 0, 0]]), np.array([[True] * 5, [True, True, *[False] * 3]])

    def vectors(rows: slice, length: int) -> np.ndarray:
        count, nothing = len(tokens[rows]), np.zeros(0, np.int64)
        return np.asarray(session.run(
            Encoded(np.empty((count, 0)), nothing, nothing[:, None], 1, tokens[rows, :length], mask[rows, :length])
        ))  # fmt: skip

    together = vectors(slice(None), 5)
    assert np.array_equal(vectors(slice(1, 2), 2)[0], together[1])
    before, on, after = np.split(table[tokens[0]], 3, axis=1)
    sums = np.pad(before, ((2, 0), (0, 0))) + np.pad(on, ((1, 1), (0, 0))) + np.pad(after, ((0, 2), (0, 0)))
    r = np.maximum(sums.max(axis=0), 0)
    assert together[0] == pytest.approx(r, abs=0.05)
