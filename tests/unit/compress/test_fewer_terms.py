"""`compress/fewer_terms.py` and what a network on words takes: several linear models as one, cut without a fit."""

from dataclasses import replace

import numpy as np
import polars as pl
import pytest
from scipy import sparse

import aias
from aias.compress import fewer_terms
from aias.compress.context import Context
from aias.compress.fewer_terms import CUT_SHARE, linear_member, one_in_all, student
from aias.compress.techniques.distill_words import EPOCHS, LONG, PROBED_ROWS, _check_pace
from aias.core.deadline import Deadline
from aias.core.events import nobody
from aias.core.task import Task
from aias.learners.contract import Examples, Fit
from aias.training.parent import NoTime
from aias.training.selection.configuration import Configuration
from aias.training.selection.members import Member
from compression_contexts import opened


@pytest.fixture(scope="module")
def context(tmp_path_factory: pytest.TempPathFactory) -> Context:
    """Of texts, whose quality form has a second linear model beside the one that training found."""
    rng = np.random.default_rng(0)
    texts = [" ".join(rng.choice([f"{side}{i}" for i in range(30)] + ["and", "of"], 6)) for side in "pq" * 150]
    labels = [text[0] if rng.random() < 0.9 else "p" for text in texts]
    home = tmp_path_factory.mktemp("home")
    frame = pl.DataFrame({"t": texts, "y": labels})
    model = aias.train(
        frame, target="y", name="m", time="600s", folds=3, learners=("linear",), search=False, inline=True, home=home
    ).quality
    found, more = opened(model, frame, home), list[Member]()
    found.plan.run([Configuration("linear held back", "linear", {"C": 0.1})], lambda each: not more.append(each))
    return replace(found, members=(found.members[0], *more), weights=np.array([0.7, 0.3]))


@pytest.mark.parametrize("fold", [0, -1])
def test_all_terms_of_several_linear_models_answer_by_the_mean_of_their_log_odds(context: Context, fold: int) -> None:
    rows, terms = np.arange(80), context.encoder.layout.terms
    assert one_in_all(context) and len(context.members) == 2
    made = student(context, linear_member(context), terms, fold)

    def log_odds(scores: np.ndarray) -> np.ndarray:
        return np.log(scores[:, 1] / scores[:, 0])

    fits = [[context.fitter.pipeline(unit) for unit in (each.units if fold < 0 else each.units[fold : fold + 1])]
            for each in context.members]  # fmt: skip
    wanted = sum(
        share * np.mean([log_odds(fit.scores(context.encoded(rows))) for fit in some], axis=0)
        for share, some in zip(context.weights, fits, strict=True)
    )
    assert np.abs(log_odds(made.pipeline.scores(context.encoded(rows, made.encoder))) - wanted).max() < 1e-5


def test_terms_are_taught_again_only_where_few_are_left(context: Context, monkeypatch: pytest.MonkeyPatch) -> None:
    asked: list[int] = []

    def taught(_context: Context, _linear: object, count: int, _fold: int) -> fewer_terms.Student:
        asked.append(count)
        return made

    linear, terms = linear_member(context), context.encoder.layout.terms
    made = student(context, linear, terms, 0)
    monkeypatch.setattr(fewer_terms, "_taught", taught)
    enough, few = round(CUT_SHARE * terms) + 1, round(CUT_SHARE * terms) - 1
    assert len(student(context, linear, enough, 0).places) == enough
    student(context, linear, few, 0)
    assert asked == [few]


@pytest.mark.parametrize(("rows", "seconds", "late"), [
    (LONG * PROBED_ROWS, 1e-3, True), (LONG * PROBED_ROWS, 1e6, False), (PROBED_ROWS, 1e-3, False),
])  # fmt: skip
def test_a_network_that_would_take_too_long_is_told_by_a_few_rows(rows: int, seconds: float, *, late: bool) -> None:
    x = sparse.random(rows, 50, 0.1, "csr", random_state=np.random.default_rng(0))
    task = Task("y", "binary", "log_loss", ("a", "b"))
    how = Fit(task, 0, Deadline.after(seconds), 1, nobody, {"width": 4, "epochs": EPOCHS})
    examples = Examples(x, np.arange(rows) % 2, np.ones(rows))
    if late:
        with pytest.raises(NoTime, match="no time to fit it, which takes about"):
            _check_pace(examples, how)
    else:
        _check_pace(examples, how)
