import subprocess
import sys
from functools import partial

import numpy as np
import pytest

from aias.core.deadline import Deadline
from aias.core.events import Event, nobody
from aias.core.task import Task
from aias.encoders.rows import Layout
from aias.learners.contract import Examples, Fit
from aias.learners.mlp import Mlp
from learned import TASKS, session_of

pytest.importorskip("torch", reason="the extra `deep` is not installed")

SMALL = {"members": 3, "width": 16, "epochs": 3, "expansion_parts": 4}


def examples(classes: int, rows: int = 500, *, seed: int = 0) -> Examples:
    """Numbers, of which one is often missing and one never changes, a category for one-hot and one for vectors."""
    rng = np.random.default_rng(seed)
    x = rng.normal(size=(rows, 6))
    x[:, 2] = 7.0
    x[:, 4], x[:, 5] = rng.integers(2, 6, rows), rng.integers(2, 30, rows)
    z = x[:, 0] + np.isin(x[:, 5] % 7, [1, 3]) * 2 + rng.normal(size=rows) / 3
    x[rng.random(rows) < 0.2, 1] = np.nan
    y = {2: (z > 1).astype(np.int64), 3: np.digitize(z, [0, 1]).astype(np.int64), 0: 1e6 * z}[classes]
    return Examples(x, y)


def how(classes: int, *, seconds: float = 600, watch=nobody, task: Task | None = None, **settings) -> Fit:
    chosen = SMALL | settings
    deadline = Deadline.after(seconds)
    return Fit(task or TASKS[classes], 0, deadline, 1, watch, chosen, categories=(4, 5), category_sizes=(6, 30))


def fit(classes: int, *, valid: bool = True, **settings):
    judges = examples(classes, 200, seed=1) if valid else None
    return Mlp.fit(examples(classes), judges, how(classes, **settings))


session = partial(session_of, Layout(6, (0, 1, 2, 3), (4, 5), (6, 30), 0, 0))


def odd_rows() -> np.ndarray:
    x = examples(2, 300, seed=2).x
    for i, odd in enumerate((np.nan, np.inf, -np.inf, 1e308, -1e308, 5e-324, 0.0)):
        x[20 * i : 20 * i + 20, i % 4] = odd
        x[20 * i + 10 : 20 * i + 20, :4] = odd
    x[200:220, 4:] = 1  # unseen
    x[220:240, 4:] = 0  # missing
    return x


@pytest.mark.parametrize("classes", [2, 3, 0])
@pytest.mark.parametrize(
    "settings", [{}, {"expansion": "waves", "activation": "silu"}, {"expansion": "none", "members": 1}]
)
def test_the_graph_answers_odd_rows_as_numpy_does_alone_and_together(classes: int, settings) -> None:
    fitted, x = fit(classes, **settings), odd_rows()
    run, output = session(fitted, classes), ["probabilities" if classes else "prediction"]
    expected = fitted.scores(x)
    together = run.run(output, {"columns": x})[0].reshape(expected.shape)
    alone = np.concatenate([run.run(output, {"columns": x[i : i + 1]})[0] for i in range(len(x))])
    size = max(1.0, np.abs(expected).max())
    assert np.isfinite(expected).all()
    np.testing.assert_allclose(together / size, expected / size, atol=2e-6, rtol=0)
    np.testing.assert_allclose(alone.reshape(expected.shape) / size, expected / size, atol=2e-6, rtol=0)


@pytest.mark.parametrize("update", ["adamw", "sgd", "momentum", "schedule_free"])
@pytest.mark.parametrize("schedule", ["warmup_stable_decay", "cosine", "coslog4", "constant"])
def test_every_update_and_schedule_learns(update: str, schedule: str) -> None:
    x = np.random.default_rng(0).normal(size=(600, 2))
    plain = how(2, update=update, schedule=schedule, epochs=10, batch_rows=20)
    fitted = Mlp.fit(
        Examples(x, (x[:, 0] > 0).astype(np.int64)), None, Fit(TASKS[2], 0, plain.deadline, 1, nobody, plain.settings)
    )
    assert (fitted.scores(x)[:, 1].round() == (x[:, 0] > 0)).mean() > 0.9


def test_no_row_chooses_the_epoch_that_scores_it() -> None:
    train, valid = examples(2), examples(2, 200, seed=1)
    fitted = Mlp.fit(train, valid, how(2, epochs=12))
    even = Examples(valid.x[0::2], valid.y[0::2])
    by_even = Mlp.fit(train, even, how(2, epochs=12))  # the same steps, chosen by half of the rows
    assert fitted.judged.shape == (200, 2)
    np.testing.assert_allclose(fitted.judged[1::2], by_even.scores(valid.x[1::2]), atol=1e-5)


def test_a_fit_goes_on_from_another() -> None:
    first = fit(0, epochs=12)
    plain = how(0, epochs=1, learning_rate=1e-6)
    more = Fit(**{name: getattr(plain, name) for name in plain.__slots__} | {"start": first.state()})
    again = Mlp.fit(examples(0, 400, seed=4), None, more)
    np.testing.assert_allclose(again.scores(odd_rows()), first.scores(odd_rows()), rtol=1e-2, atol=1e4)


def test_with_half_of_its_neurons_it_goes_on_and_is_smaller_in_the_graph() -> None:
    first = fit(3, epochs=8)
    plain = how(3, epochs=4, neurons=8)
    more = Fit(**{name: getattr(plain, name) for name in plain.__slots__} | {"start": first.state()})
    half = Mlp.fit(examples(3), examples(3, 200, seed=1), more)

    test = examples(3, 400, seed=2)
    right = [np.mean(each.scores(test.x).argmax(axis=1) == test.y) for each in (first, half)]
    assert [len(layer.bias) for layer in half.network.dense] == [8, 8]
    assert half.settings["neurons"] == 8
    assert right[1] > right[0] - 0.08


def test_epochs_are_told_with_what_a_watcher_wants_to_know() -> None:
    told: list[Event] = []
    Mlp.fit(examples(2), examples(2, 200, seed=1), how(2, watch=told.append))
    assert told[0].name == "train.round"
    wanted = {"round", "validation_loss", "best_round", "rows_per_second", "seconds_left"}
    assert wanted <= told[0].facts.keys()


def test_a_deadline_stops_the_steps_with_a_network() -> None:
    ticks = iter(range(10_000))
    late = how(2, epochs=1000)
    late = Fit(**{name: getattr(late, name) for name in late.__slots__} | {
        "deadline": Deadline(60.0, 60.0, clock=lambda: float(next(ticks)))
    })  # fmt: skip
    fitted = Mlp.fit(examples(2), examples(2, 200, seed=1), late)
    assert next(ticks) < 80
    assert np.isfinite(fitted.scores(odd_rows())).all()


@pytest.mark.parametrize(("judged", "seconds", "cuts"), [(False, 60, ["mlp"]), (True, 60, []), (False, 1e6, [])])
def test_a_fit_that_no_rows_judge_and_time_has_shortened_is_not_whole(judged: bool, seconds: float, cuts) -> None:
    ticks = iter(range(1_000_000))
    plain = how(2, epochs=26)
    short = Fit(**{name: getattr(plain, name) for name in plain.__slots__} | {
        "deadline": Deadline(seconds, seconds, clock=lambda: float(next(ticks)))
    })  # fmt: skip
    Mlp.fit(examples(2), examples(2, 200, seed=1) if judged else None, short)
    assert short.cuts == cuts


def test_a_quantile_stands_where_so_many_answers_are_below() -> None:
    task = Task("y", "regression", "quantile_loss:0.9")
    train = Examples(np.random.default_rng(0).normal(size=(2000, 6)), np.random.default_rng(1).normal(size=2000))
    plain = how(0, task=task, epochs=20)
    fitted = Mlp.fit(train, None, Fit(task, 0, plain.deadline, 1, nobody, plain.settings))
    assert 0.85 < (train.y < fitted.scores(train.x)[:, 0]).mean() < 0.95


def test_without_memory_for_a_batch_it_is_halved(monkeypatch) -> None:
    from aias.networks.training import Training

    step = Training._step

    def hungry(self, batch) -> None:
        if len(batch) > 40:
            raise RuntimeError("DefaultCPUAllocator: can't allocate memory")
        step(self, batch)

    monkeypatch.setattr(Training, "_step", hungry)
    assert fit(2).settings["batch_rows"] <= 40


def test_columns_that_are_all_categories_will_do() -> None:
    rng = np.random.default_rng(0)
    x = rng.integers(0, 5, (200, 2)).astype(np.float64)
    plain = how(2)
    only = Fit(TASKS[2], 0, plain.deadline, 1, nobody, SMALL, categories=(0, 1), category_sizes=(5, 5))
    fitted = Mlp.fit(Examples(x, rng.integers(0, 2, 200)), None, only)
    assert fitted.scores(x).shape == (200, 2)


def test_answers_that_overflow_teach_nothing_but_break_nothing() -> None:
    train = examples(0)
    train.y[0] = 1e300
    assert np.isfinite(Mlp.fit(train, None, how(0)).scores(odd_rows())).all()


def test_pytorch_is_left_as_it_was_found() -> None:
    import torch

    torch.manual_seed(5)
    before = torch.get_num_threads(), torch.are_deterministic_algorithms_enabled(), torch.initial_seed()
    state = torch.get_rng_state()
    fit(2, dropout=0.1)
    assert (torch.get_num_threads(), torch.are_deterministic_algorithms_enabled(), torch.initial_seed()) == before
    assert torch.equal(torch.get_rng_state(), state)


def test_pytorch_comes_without_its_compiler() -> None:
    code = """
import sys
import numpy as np
from aias.core.deadline import Deadline
from aias.core.events import nobody
from aias.core.task import Task
from aias.learners.contract import Examples, Fit
from aias.learners.mlp import Mlp
part = Examples(np.arange(40.0)[:, None], np.arange(40.0))
Mlp.fit(part, part, Fit(Task("y", "regression", "rmse"), 0, Deadline.after(600), 1, nobody, {"epochs": 2}))
loaded = {"torch._dynamo", "torch._inductor", "sympy"} & set(sys.modules)
assert "torch" in sys.modules and not loaded, loaded
"""
    subprocess.run([sys.executable, "-c", code], check=True, timeout=600)
