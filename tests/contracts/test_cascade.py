"""What a cascade promises: a row has one answer, of the small model or of the large one, alone as in any batch."""

from dataclasses import replace
from types import SimpleNamespace

import numpy as np
import polars as pl
import pytest

import aias
from aias.compress.cascading import DeferralRule, deferral_score, fair
from aias.compress.context import Context
from aias.compress.fitting import fitted
from aias.compress.nomination import Assurance
from aias.compress.searched import searched
from aias.compress.techniques.cascade import SHARES, differing, rule_at
from aias.compress.techniques.contract import NotApplicable
from aias.compress.trial import Judged, Trial
from aias.core.catalog import member
from aias.core.errors import UserError
from aias.core.task import Task
from aias.graph.compile import compile_graph
from aias.graph.edge_cases import edge_case_rows
from aias.graph.parity import prove
from aias.runtimes.latency import paired
from aias.runtimes.onnxruntime import OnnxRuntime
from aias.training.selection.configuration import ALL, Configuration
from compression_contexts import opened

ROWS = 700


def table(classes: int) -> pl.DataFrame:
    """A word decides two rows of three; of the others a product of two numbers, each of which alone says nothing."""
    rng = np.random.default_rng(0)
    a, b = rng.uniform(-1, 1, (2, ROWS))
    words = rng.choice(["film", "plot", "end", "scene"], (ROWS, 4))
    clear = rng.random(ROWS) < 0.65
    words[:, 0] = np.where(clear, rng.choice(["good", "bad", "fine"][:classes], ROWS), words[:, 0])
    other = np.digitize(a * b, np.quantile(a * b, np.arange(1, classes) / classes))
    y = np.where(clear, [{"bad": 1, "fine": 2}.get(each, 0) for each in words[:, 0]], other)
    return pl.DataFrame({"a": a, "b": b, "text": [" ".join(row) for row in words], "y": [f"c{each}" for each in y]})


@pytest.fixture(scope="module", params=[2, 3], ids=["two classes", "three classes"])
def context(request, tmp_path_factory) -> Context:
    """Of trees; a linear model, which knows of no products, loses too much."""
    home, frame = tmp_path_factory.mktemp("home"), table(request.param)
    model = aias.train(
        frame, target="y", name="m", time="600s", folds=2, learners={"boosted_trees": {"rounds": 30}}, search=False,
        inline=True, home=home,
    ).quality  # fmt: skip
    return opened(model, frame, home)


def going_on(context: Context, *, margin: float = 0.02, parent_us: float = 1_000.0, larger: bool = True) -> Context:
    """After a search in which the linear model was tried, and lost too much."""
    judged = Judged(context, np.arange(ROWS) % 2 == 0, 0)
    trial = Trial(fitted(context, Configuration("words and numbers", "linear", {"C": 1.0})), "smaller_model")
    trial.search(judged, judged.searched, margin=margin, risk=0.05)
    trial.alone = paired(np.full((6, 8), parent_us), np.full((6, 8), 50.0), seed=0)
    trial.size_bytes, trial.smaller = 1_000, 10.0
    found = searched(
        [trial], judged, Assurance(margin, 100_000), parent_bytes=10_000, size_bytes_max=None if larger else 10_500,
        time=lambda _: pytest.fail("it is timed already"),
    )  # fmt: skip
    return replace(context, search=found, memo={})


def rows_of(context: Context, count: int) -> list[dict[str, object]]:
    names = [field.name for field in context.encoder.fields]
    return context.prepared.dataset.take(np.arange(count)).frame.select(names).to_dicts()


def test_each_row_has_the_answer_of_one_of_the_two_and_the_graph_says_the_same(context):
    cascades = list(member("compress.techniques", "cascade")(going_on(context)))
    assert cascades
    for fold in (0, ALL):
        made = cascades[0].make(fold)
        mixture = made.pipeline
        runtime = OnnxRuntime(context.parent.manifest, made.encoder, compile_graph(
            mixture, made.encoder.layout, classes=context.task.classes
        ))  # fmt: skip
        usual = rows_of(context, 300)
        proof = prove(
            mixture.scores, made.encoder, runtime, [*usual, *edge_case_rows(context.encoder.fields, usual[:20])]
        )
        assert proof.batch_difference_max < 1e-6

        encoded = made.encoder.rows(usual)
        sent, said = mixture.sends(encoded), mixture.scores(encoded)
        assert 0 < sent.sum() < len(usual)
        assert np.array_equal(said[sent], mixture.large.scores(encoded)[sent])
        assert np.array_equal(said[~sent], mixture.small.scores(encoded)[~sent])
        for some in (encoded.take(np.flatnonzero(sent)[:7]), encoded.take(np.flatnonzero(~sent)[:7])):
            assert np.abs(runtime.run(some) - mixture.scores(some)).max() < 1e-5


def test_what_goes_on_is_a_share_of_the_rows_and_is_told(context):
    (cascade, *_) = member("compress.techniques", "cascade")(going_on(context))
    judged = Judged(context, np.arange(ROWS) % 2 == 0, 0)
    sent = []
    for fold, rows in judged.parts(judged.searched):
        sent.append(cascade.make(fold).pipeline.sends(context.encoded(context.prepared.table.judged[rows])))

    assert np.mean(np.concatenate(sent)) == pytest.approx(cascade.sent)
    assert f"{100 * cascade.sent:.0f} % least sure" in cascade.name
    shares = [cascade.sent, *(each.sent for each in cascade.milder())]
    assert shares == sorted(shares)
    assert max(shares) <= max(SHARES)


def test_what_other_rows_chose_is_another_candidate(context):
    """Names tell whole percents, and not where the limits lie."""
    found = going_on(context)
    (cascade, *_) = member("compress.techniques", "cascade")(found)
    student = found.search.students[0]
    fewer = replace(student, rows=student.rows[::2], scores=student.scores[::2])
    again = replace(found, search=replace(found.search, students=[fewer]))
    (other, *_) = member("compress.techniques", "cascade")(again)

    assert len({str(each.chosen) for each in [cascade, *cascade.milder()]}) == 1 + len(cascade.milder())
    assert cascade.chosen != other.chosen


def test_it_loses_less_than_the_small_one_alone(context):
    (cascade, *_) = member("compress.techniques", "cascade")(going_on(context))
    judged = Judged(context, np.arange(ROWS) % 2 == 0, 0)
    alone = going_on(context).search.students[0]
    before = judged.loss(alone.rows, judged.answering(alone.rows, alone.scores)[1], by_fold=True)
    after = Trial(cascade, "cascade")
    after.search(judged, alone.rows, margin=0.02, risk=0.05)

    assert after.evidence.value < 0.6 * before.value


def test_rows_to_time_by_go_on_as_often_as_they_will(context):
    (cascade, *_) = member("compress.techniques", "cascade")(going_on(context))
    made = cascade.timed()
    usual = rows_of(context, 60)
    encoded, whole = made.encoder.rows(usual), cascade.make(ALL).pipeline.large
    assert np.array_equal(made.pipeline.large.scores(encoded), whole.scores(encoded))  # it is timed with all of it

    rows = fair(context, made, 0.25, usual)
    sent = made.pipeline.sends(made.encoder.rows(rows))

    assert sent.mean() == pytest.approx(0.25)
    assert {int(sent[at : at + 12].sum()) for at in range(0, 60, 12)} == {3}
    assert fair(context, made, 0.0, usual) is usual
    sure = replace(made, pipeline=replace(made.pipeline, rule=DeferralRule(3.0, 4.0)))
    with pytest.raises(UserError, match="one way"):
        fair(context, sure, 0.25, usual)


@pytest.mark.parametrize(("how", "said"), [
    ({"parent_us": 95.0}, "by its loss alone"),
    ({"larger": False}, "larger than was asked for"),
])  # fmt: skip
def test_it_says_when_it_cannot_help(context, how, said):
    with pytest.raises(NotApplicable, match=said):
        list(member("compress.techniques", "cascade")(going_on(context, **how)))


def test_a_large_model_that_is_as_cheap_needs_none_before_it(context):
    found = going_on(context)
    cheap = replace(found, search=replace(found.search, large=[replace(found.search.large[0], row_us=55.0)]))

    with pytest.raises(NotApplicable, match="on average"):
        list(member("compress.techniques", "cascade")(cheap))


def test_it_needs_classes_a_search_and_a_small_model(context):
    technique = member("compress.techniques", "cascade")
    with pytest.raises(NotApplicable, match="by its loss alone"):
        list(technique(context))
    alone = SimpleNamespace(task=context.task, search=SimpleNamespace(students=(), large=()))
    with pytest.raises(NotApplicable, match="name other techniques beside it"):
        list(technique(alone))
    amounts = SimpleNamespace(task=Task("y", "regression", "rmse"), search=None)
    with pytest.raises(NotApplicable, match="how sure"):
        list(technique(amounts))


def test_answers_that_are_as_sure_where_they_are_wrong_are_no_guide(context):
    """The small one's scores are dealt out among the rows: where it is unsure now says nothing."""
    found = going_on(context)
    student = found.search.students[0]
    dealt = replace(student, scores=np.random.default_rng(0).permutation(student.scores))
    blind = replace(found, search=replace(found.search, students=[dealt]))

    with pytest.raises(NotApplicable, match=r"says nothing|still loses too much"):
        list(member("compress.techniques", "cascade")(blind))


def test_rows_are_sent_from_where_the_two_differ_and_not_from_one_half():
    """The large one differs where the small one says about 0.2; by labels, where it says about 0.5."""
    rng = np.random.default_rng(0)
    small = rng.uniform(0, 1, 2_000)
    large = np.clip(small + 0.3 * (np.abs(small - 0.2) < 0.05) * rng.choice([-1, 1], 2_000), 0, 1)
    both = [np.column_stack([1 - each, each]) for each in (small, large)]

    rule = rule_at(both[0], differing(Task("y", "binary", "roc_auc", ("a", "b")), *both, None), 0.1)
    assert (rule.low, rule.high) == pytest.approx((0.15, 0.25), abs=0.02)

    near = np.clip(small + rng.normal(size=2_000) / 20, 0, 1)
    both[1] = np.column_stack([1 - near, near])
    rule = rule_at(both[0], differing(Task("y", "binary", "accuracy", ("a", "b")), *both, None), 0.1)
    assert (rule.low, rule.high) == pytest.approx((0.45, 0.55), abs=0.03)


def test_of_more_classes_those_go_on_whose_best_leads_least():
    scores = np.array([[0.5, 0.4, 0.1], [0.9, 0.1, 0.0], [0.4, 0.35, 0.25], [0.2, 0.7, 0.1]])

    rule = rule_at(scores, np.ones(4), 0.5)

    assert rule.of(scores).tolist() == [True, False, True, False]
    assert deferral_score(scores) == pytest.approx([0.1, 0.8, 0.05, 0.5])


def test_answers_that_cannot_be_told_apart_go_the_same_way():
    second = np.array([0.1, 0.4, 0.4, 0.4, 0.4 + 1e-9, 0.8])
    scores = np.column_stack([1 - second, second])

    sent = rule_at(scores, np.array([0.0, 1.0, 0.0, 0.0, 0.0, 0.0]), 1 / 6).of(scores)

    assert len(set(sent[1:5].tolist())) == 1
