import numpy as np
import pytest

from aias.encoders.rows import Layout
from aias.features.target_means import TargetMeans
from aias.graph.compile import compile_graph
from aias.runtimes.onnxruntime import _session

SIZES = (8, 12, 6)


def table(rows: int = 3000, *, seed: int = 0) -> tuple[np.ndarray, np.ndarray]:
    """Categories in columns 1 to 3; the answer hangs on the first, and on a pair that says nothing apart."""
    rng = np.random.default_rng(seed)
    codes = [rng.integers(2, size, rows) for size in SIZES]
    x = np.column_stack([rng.normal(size=rows), *codes]).astype(float)
    y = (codes[0] % 3) + 3 * ((codes[1] + codes[2]) % 2) + rng.normal(size=rows) / 3
    return x, y


def fit(x, y, classes: int = 0):
    return TargetMeans.fit(x, y, categories=(1, 2, 3), category_sizes=SIZES, classes=classes, folds=folds_of(x))


def folds_of(x):
    return np.random.default_rng(0).permutation(len(x)) % 5


def labels(y, classes: int):
    return np.digitize(y, np.quantile(y, np.linspace(0, 1, classes + 1)[1:-1])) if classes else y


def test_pairs_are_found_by_what_they_say_beyond_their_categories() -> None:
    means, _ = fit(*table())
    assert (2, 3) in {(key.first, key.second) for key in means.keys if key.paired} | {
        (key.second, key.first) for key in means.keys if key.paired
    }
    assert 1 in {key.first for key in means.keys if not key.paired}


def test_a_mean_is_smoothed_towards_the_mean_of_all() -> None:
    x, y = table()
    means, _ = fit(x, y)
    place = [key.first for key in means.keys if not key.paired].index(1)
    at = [i for i, key in enumerate(means.keys) if not key.paired][place]
    seven = y[x[:, 1] == 7]
    row = x[x[:, 1] == 7][:1]
    expected = (seven.sum() + 10 * y.mean()) / (len(seven) + 10)
    np.testing.assert_allclose(means.columns(row)[0, at], expected)


def test_what_was_not_seen_has_the_mean_of_all() -> None:
    x, y = table()
    means, _ = fit(x, y)
    np.testing.assert_allclose(means.columns(np.array([[0.0, 1, 1, 1]]))[0], y.mean())
    np.testing.assert_allclose(means.columns(np.array([[0.0, 0, 0, 0]]))[0], y.mean())


def test_a_row_learns_nothing_from_its_own_answer() -> None:
    x, y = table(400)
    other = y.copy()
    other[0] += 1e-3
    before, after = fit(x, y)[1], fit(x, other)[1]
    np.testing.assert_allclose(after[0], before[0], rtol=1e-12)
    assert np.abs(after[1:] - before[1:]).max() > 1e-6


def test_noise_of_many_values_gives_no_column() -> None:
    rng = np.random.default_rng(0)
    x = rng.integers(2, 500, (2000, 1)).astype(float)
    for classes in (0, 2):
        y = rng.integers(0, 2, 2000) if classes else rng.normal(size=2000)
        found = TargetMeans.fit(x, y, categories=(0,), category_sizes=(500,), classes=classes, folds=folds_of(x))
        assert found is None


@pytest.mark.parametrize("classes", [0, 2, 4])
def test_the_graph_gives_the_same_columns(classes: int) -> None:
    x, y = table()
    means, own = fit(x, labels(y, classes), classes)
    assert means.width == own.shape[1] <= 20
    new = np.column_stack([x[:200, 0], *(np.random.default_rng(1).integers(0, size, 200) for size in SIZES)])

    class Column:
        """One column, as a pipeline of its own."""

        def __init__(self, place: int) -> None:
            self.place = place

        def export(self, graph) -> str:
            columns = means.export(graph, graph.columns)
            return graph.op("Gather", columns, graph.constant(np.array([self.place])), axis=1)

    layout = Layout(4, (0,), (1, 2, 3), SIZES, 0, 0)
    for place in range(means.width):
        session = _session(compile_graph(Column(place), layout, classes=()), None)
        found = session.run(["prediction"], {"columns": new})[0]
        np.testing.assert_array_equal(found, means.columns(new)[:, place])


def test_many_classes_have_no_means() -> None:
    x, y = table()
    assert fit(x, labels(y, 6), 6) is None


def test_no_more_than_twenty_columns() -> None:
    rng = np.random.default_rng(0)
    x = rng.integers(2, 9, (1000, 30)).astype(float)
    means, columns = TargetMeans.fit(
        x, x.sum(axis=1), categories=range(30), category_sizes=(9,) * 30, classes=0, folds=folds_of(x)
    )
    assert means.width == 20 and columns.shape == (1000, 20)


def test_what_was_stored_is_equal() -> None:
    x, y = table()
    means, _ = fit(x, y)
    np.testing.assert_array_equal(TargetMeans.load(means.state()).columns(x), means.columns(x))
