"""What every technique promises, on tables and on texts: it says why it cannot help, or what it makes can be served."""

import importlib.util
import itertools

import numpy as np
import polars as pl
import pytest

import aias
from aias.compress.fitting import fitted_when_asked
from aias.compress.techniques.contract import Candidate, Ladder, NotApplicable
from aias.compress.trial import Trial
from aias.core.catalog import member, members
from aias.core.deadline import Deadline
from aias.core.events import nobody
from aias.core.task import Task
from aias.graph.compile import compile_graph
from aias.graph.parity import prove
from aias.runtimes.onnxruntime import OnnxRuntime
from aias.training.finish import compiled
from aias.training.parent import NoTime
from aias.training.selection.configuration import ALL, Configuration
from aias.training.selection.members import Member
from compression_contexts import opened, soon

WORDS = ("good", "bad", "fine", "poor", "film", "plot", "actor", "scene", "end", "music", "light", "voice")


def table(classes: int) -> pl.DataFrame:
    rng = np.random.default_rng(0)
    a, b = rng.uniform(-1, 1, (2, 300))
    colour = rng.choice(["red", "green", "blue"], 300)
    score = a * b + 0.3 * (colour == "red") + rng.normal(size=300) / 10
    if classes == 0:
        return pl.DataFrame({"a": a, "b": b, "colour": colour, "y": score})
    y = np.digitize(score, np.quantile(score, np.arange(1, classes) / classes))
    more = {f"n{i}": rng.integers(0, 9, 300) for i in range(7)} if classes == 2 else {}
    return pl.DataFrame({"a": a, "b": b, "colour": colour, **more, "y": [f"c{each}" for each in y]})


def texts() -> pl.DataFrame:
    rng = np.random.default_rng(1)
    drawn = rng.choice(WORDS, (600, 8))
    y = np.where((drawn == "good").sum(axis=1) + rng.random(600) > 0.8, "yes", "no")
    return pl.DataFrame(
        {"text": [" ".join(f"{w}{rng.integers(9)}" if rng.random() < 0.5 else w for w in row) for row in drawn], "y": y}
    )


DATA = {
    "two classes": table(2), "three classes": table(3), "amounts": table(0), "texts": texts(), "a network": texts(),
    "a network on numbers": table(0),
}  # fmt: skip
LEARNERS = {
    "texts": ("boosted_trees", "linear"),
    "a network": {"text_mlp": {"width": 8, "epochs": 4, "learning_rate": 0.02}},
    "a network on numbers": {"mlp": {"width": 16, "members": 1, "epochs": 30}},
}
TREES = {"boosted_trees": {"rounds": 60}, "extra_trees": {"trees": 50}}
"""What is asked for ends by itself, so that no fold has less of it than another."""


@pytest.fixture(scope="module", autouse=True)
def _few_epochs():
    """Where time stands still there is enough for 60, and for twenty times as many synthetic rows as there are."""
    with soon():
        yield


@pytest.fixture(scope="module", params=list(DATA))
def context(request, tmp_path_factory):
    """The context of a quality form of two members, as `aias compress` opens it."""
    home, frame = tmp_path_factory.mktemp("home"), DATA[request.param]
    learners = LEARNERS.get(request.param, TREES)
    model = aias.train(
        frame, target="y", name="m", time="600s", folds=3, learners=learners, search=False, inline=True, home=home,
    ).quality  # fmt: skip
    return opened(model, frame, home)


@pytest.mark.parametrize("name", members("compress.techniques"))
def test_what_a_technique_makes_can_be_served_and_what_it_cannot_do_it_says(context, name):
    try:
        found = list(member("compress.techniques", name)(context))
    except NotApplicable as fault:
        assert len(fault.message.split()) > 3
        return
    assert found, "what has nothing to try says why"
    names = [each.harshest.name if isinstance(each, Ladder) else each.name for each in found]
    for each in found:
        assert isinstance(each, Candidate | Configuration | Ladder)
    for ladder in [each for each in found if isinstance(each, Ladder)]:
        milder = [each.name for each in ladder.milder()]
        assert ladder.harshest.name not in milder and len(set(milder)) == len(milder)
    assert len(set(names)) == len(names)
    for each in [each for each in found if isinstance(each, Candidate)][:2]:
        sizes = {}
        for fold in (0, ALL):
            made = each.make(fold)
            graph = compile_graph(made.pipeline, made.encoder.layout, classes=context.task.classes)
            sizes[fold] = len(graph)
            runtime = OnnxRuntime(context.parent.manifest, made.encoder, graph)
            rows = (
                context.prepared.dataset.take(np.arange(80))
                .frame.select([f.name for f in made.encoder.fields])
                .to_dicts()
            )
            prove(made.pipeline.scores, made.encoder, runtime, rows)
        assert each.whole or sizes[ALL] < 2 * sizes[0], "it would be timed as what is never published"
        judging = context.prepared.table.outside(0)
        scores = context_scores(context, each, judging)
        assert scores.shape == (len(judging), context.task.outputs)
        assert np.isfinite(scores).all()


@pytest.mark.parametrize("context", ["a network"], indirect=True)
@pytest.mark.parametrize("name", ["prune_neurons", "low_rank"])
def test_a_network_with_less_in_it_is_smaller_in_the_graph_and_still_knows_its_words(context, name):
    (half, *_) = member("compress.techniques", name)(context)
    found: list[Member] = []
    context.plan.run([half.harshest], lambda each: found.append(each) or True)
    network = next(each for each in context.members if each.configuration.learner == "text_mlp")
    y = context.prepared.table.whole.y[context.prepared.table.judged]

    before, after = (
        len(compile_graph(context.part(each, 0), context.encoder.layout, classes=context.task.classes))
        for each in (network, found[0])
    )

    assert after < 0.7 * before
    assert np.mean(found[0].scores.argmax(axis=1) == y) > np.mean(network.scores.argmax(axis=1) == y) - 0.05


@pytest.mark.parametrize("context", ["a network"], indirect=True)
def test_a_milder_network_is_fitted_when_it_is_asked_for_and_not_before(context, monkeypatch):
    ladder = next(iter(member("compress.techniques", "prune_neurons")(context)))
    runs, run = [], context.plan.run
    monkeypatch.setattr(context.plan, "run", lambda *asked: runs.append(asked) or run(*asked))

    candidates = [fitted_when_asked(context, each) for each in ladder.milder()]
    assert candidates
    assert not runs
    scores = [context_scores(context, candidates[0], context.prepared.table.outside(0)) for _ in range(2)]

    assert len(runs) == 1
    assert np.array_equal(*scores)


def context_scores(context, candidate, rows):
    made = candidate.make(0)
    return made.pipeline.scores(context.encoded(rows, made.encoder))


def test_what_is_made_for_a_fold_does_not_hang_on_its_answers(context):
    """The rows of the fold that judges are changed: what was fitted without them stays what it was."""
    for name in (
        "codebook",
        "distill",
        "distill_network",
        "distill_words",
        "fewer_columns",
        "smaller_model",
        "vocabulary",
    ):
        try:
            (candidate, *_) = member("compress.techniques", name)(context)
        except NotApplicable:
            continue
        if not isinstance(candidate, Candidate):
            continue
        rows = context.prepared.table.outside(0)
        before = context_scores(context, candidate, rows)
        held = context.prepared.table.whole.y
        kept = held[rows].copy()
        held[rows] = kept[::-1]
        context.memo.clear()
        try:
            (again, *_) = member("compress.techniques", name)(context)
            assert np.array_equal(context_scores(context, again, rows), before)
        finally:
            held[rows] = kept
            context.memo.clear()


def test_columns_that_are_left_out_may_still_be_sent_and_are_told(context):
    try:
        (candidate, *_) = member("compress.techniques", "fewer_columns")(context)
    except NotApplicable:
        return
    made = candidate.make(0)
    draft = Trial(candidate, "fewer_columns").draft(context.parent.manifest, made)

    _, runtime = compiled(made.pipeline, made.encoder, draft, None)

    read, ignored = {each.name for each in draft.inputs}, {each.name for each in draft.ignored}
    assert {"a", "b"} <= read
    assert len(read) == 5
    assert read | ignored == {each.name for each in context.parent.manifest.inputs}
    assert all("left it out" in each.reason for each in draft.ignored)
    assert {entry.field for entry in runtime.manifest.encoders} == read
    whole = context.prepared.dataset.take(np.arange(20)).frame.select([*read, *ignored])
    assert runtime.predict(whole.to_dicts()).predictions == runtime.predict(whole.select(read).to_dicts()).predictions


def test_students_of_fewer_columns_read_those_that_matter(context):
    if context.encoder.layout.texts:
        return
    from aias.compress.distillation import Size, taught
    from aias.compress.techniques.fewer_columns import _importance

    matters = dict(zip([each.name for each in context.encoder.fields], _importance(context, 0), strict=True))
    few = taught(context, Size(20, 8, 0.4), 0, places=[1])

    assert min(matters["a"], matters["b"]) > 0
    assert set(few.fitted.forest().feature) == {0}
    assert few.fitted.forest().single


def test_a_smaller_student_is_the_beginning_of_a_larger_one_and_is_not_fitted_again(context):
    if context.encoder.layout.texts:
        return
    from aias.compress.distillation import Size, taught

    sizes = (Size(12, 8, 0.3), Size(5, 8, 0.3, of=12))
    whole, few = (taught(context, size, 0).fitted.forest() for size in sizes)

    assert (whole.trees, few.trees) == (12 * whole.outputs, 5 * whole.outputs)
    x = context.encoded(context.inside(0)).columns
    assert np.array_equal(few.sums(x), whole.some(np.arange(few.trees)).sums(x))
    fitted = [key[1:3] for key in context.memo if key[0] == "taught" and key[1] in sizes]
    assert fitted == [(sizes[0], 0)]


def test_of_trees_that_the_time_cut_short_only_the_beginning_is_what_it_says(context, monkeypatch):
    if context.encoder.layout.texts:
        return
    from aias.compress.distillation import Size, taught

    monkeypatch.setattr(context, "memo", {})
    ticks = itertools.count()
    monkeypatch.setattr(context, "fit_deadline", lambda: Deadline(next(ticks) + 40.0, 40.0, lambda: float(next(ticks))))
    few = taught(context, Size(2, 8, 0.3, of=200), 0).fitted.forest()

    assert few.trees == 2 * few.outputs
    with pytest.raises(NoTime, match=r"^there was no time to fit it whole"):
        taught(context, Size(200, 8, 0.3), 0)


@pytest.mark.parametrize("context", ["a network on numbers"], indirect=True)
def test_without_pytorch_a_network_says_what_to_install(context, monkeypatch):
    monkeypatch.setattr(importlib.util, "find_spec", lambda _name: None)
    with pytest.raises(NotApplicable, match=r"aias\[deep\]"):
        next(member("compress.techniques", "distill_network")(context))


@pytest.mark.parametrize("context", ["a network on numbers"], indirect=True)
def test_a_network_that_the_time_cut_short_is_no_candidate(context, monkeypatch):
    (student, *_) = member("compress.techniques", "distill_network")(context)
    monkeypatch.setattr(context, "fit_deadline", lambda: Deadline.after(0.001))
    with pytest.raises(NoTime, match=r"^there was no time to fit it whole"):
        student.make(0)


@pytest.mark.parametrize("context", ["a network on numbers"], indirect=True)
def test_a_network_says_nearly_what_the_network_says_that_taught_it(context):
    (student, *_) = member("compress.techniques", "distill_network")(context)
    rows = context.prepared.table.outside(0)
    said = context.teacher(0).scores(context.encoded(rows))

    off = context_scores(context, student, rows) - said

    assert off.std() < 0.5 * said.std()


@pytest.mark.parametrize("single", [False, True], ids=["double", "single"])  # what is compressed already is single
def test_trees_that_are_not_cut_are_refitted_to_themselves(single: bool):
    from aias.compress.plain_trees import in_single
    from aias.compress.techniques.cut_trees import _cut, _refitted
    from aias.learners.boosted_trees import BoostedTrees
    from aias.learners.contract import Examples, Fit

    rng = np.random.default_rng(0)
    x = np.column_stack([rng.normal(size=(400, 2)), rng.integers(0, 8, 400)])
    y = x[:, 0] * x[:, 1] + (x[:, 2] > 4)
    task = Task("y", "regression", "rmse")
    how = Fit(task, 0, Deadline.after(600), 1, nobody, {"rounds": 12}, categories=(2,), category_sizes=(8,))
    forest = BoostedTrees.fit(Examples(x, y), None, how).forest()
    forest = in_single(forest, x) if single else forest

    whole = _cut(forest, np.arange(forest.trees), 99)
    same = _refitted(whole, x, forest.sums(x))
    short = _refitted(_cut(forest, np.arange(0, forest.trees, 2), 3), x, forest.sums(x))

    assert (whole.nodes, len(whole.leaf_value)) == (forest.nodes, len(forest.leaf_value))
    assert np.sqrt(np.mean((same.sums(x) - forest.sums(x)) ** 2)) < 0.05 * forest.sums(x).std()
    assert short.nodes < forest.nodes / 3
    assert np.corrcoef(short.sums(x)[:, 0], forest.sums(x)[:, 0])[0, 1] > 0.8
