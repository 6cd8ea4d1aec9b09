"""What the techniques for an imported classifier of texts promise: what they make can be served and is proved."""

import random

import numpy as np
import polars as pl
import pytest

pytest.importorskip("tokenizers", reason="the extra `text` is not installed")
pytest.importorskip("safetensors", reason="the extra `text` is not installed")

import aias
from aias.compress.context import Context
from aias.compress.imported_classifier import ClassifierHead
from aias.compress.sentences import reader
from aias.compress.techniques import int8, static_windows
from aias.compress.techniques.contract import Candidate, Made
from aias.core.catalog import member
from aias.graph.parity import prove
from aias.learners.linear import Linear
from aias.training.finish import compiled
from aias.training.selection.configuration import ALL
from compression_contexts import taught
from tiny_encoder import classifier_into

TECHNIQUES = ("fewer_layers", "narrower_layers", "static_embeddings", "static_windows", "encoder_vocabulary")
ROWS = 240


@pytest.fixture(scope="module", params=[3, 1], ids=["labels", "a number"])
def context(request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory) -> Context:
    home, rng = tmp_path_factory.mktemp("home"), random.Random(0)
    folder = classifier_into(tmp_path_factory.mktemp("classifier"), "bert", outputs=request.param)
    model = aias.publish_classifier(folder, name="m", target="mood", home=home)
    texts = [" ".join(rng.choices("abcdefgh", k=6)) for _ in range(ROWS)]
    return taught(model, pl.DataFrame({"text": texts, "mood": model.predict({"text": texts})}), home)


@pytest.fixture(autouse=True)
def quickly(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("aias.compress.windows.STEPS_MIN", 30)


def candidates(context: Context, name: str) -> list[Candidate]:
    """Of the technique by its name; in int8 the transformer's, as no product of a tiny one is worth another form."""
    found = list(int8._sentences(context) if name == "int8" else member("compress.techniques", name)(context))
    assert found and all(isinstance(each, Candidate) for each in found)
    return found


def said(context: Context, made: Made) -> np.ndarray:
    assert made.embedding is not None
    return made.pipeline.scores(context.encoded(np.arange(ROWS), made.encoder, made.embedding))


@pytest.mark.parametrize("name", [*TECHNIQUES, "int8"])
def test_what_it_makes_is_served_and_proved(context: Context, name: str) -> None:
    usual = context.prepared.dataset.take(np.arange(40)).frame.select(["text"]).to_dicts()
    for each in candidates(context, name):
        for fold in (0, ALL):
            made = each.make(fold)
            assert made.embedding is not None
            _, runtime = compiled(made.pipeline, made.encoder, context.parent.manifest, made.embedding)
            prove(made.embedding.expected(made.pipeline), runtime.encoder, runtime, usual)
            assert runtime.session.reads_tokens


@pytest.mark.parametrize("name", TECHNIQUES)
def test_what_is_fitted_does_not_know_the_answers_of_its_fold(context: Context, name: str) -> None:
    """The answers of the rows that judge are turned about: what was fitted without them stays what it was."""
    rows, held = context.prepared.table.outside(0), context.prepared.table.whole.y
    before = said(context, candidates(context, name)[0].make(0))[rows]
    kept = held[rows].copy()
    held[rows] = kept[::-1]
    try:
        assert np.array_equal(said(context, candidates(context, name)[0].make(0))[rows], before)
    finally:
        held[rows] = kept


def test_the_parts_of_the_parent_answer_as_it_does(context: Context) -> None:
    found = reader(context)

    assert isinstance(found.head, ClassifierHead)
    np.testing.assert_allclose(found.teacher(0).scores(found.all_rows()), context.parent_scores(), atol=1e-5)


@pytest.mark.parametrize("name", ["int8", "encoder_vocabulary"])
def test_with_all_layers_the_parents_own_head_answers(
    context: Context, name: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(Linear, "fit", lambda *_: pytest.fail("a head was fitted"))
    made = candidates(context, name)[-1].make(0)

    assert made.pipeline is reader(context).head
    apart = np.abs(said(context, made) - context.parent_scores())
    assert 0 < apart.max() < (0.2 if context.task.classes else 1.0)


def test_of_fewer_layers_the_head_is_fitted_to_the_mean_of_all_tokens(context: Context) -> None:
    made = candidates(context, "fewer_layers")[0].make(0)

    assert made.embedding is not None
    assert made.embedding.sentences.transformer.of.pooling == "mean"
    assert reader(context).sentences.whole.pooling == "cls"


def test_windows_learn_what_the_classifier_says_of_texts_without_some_of_their_words(context: Context) -> None:
    found = reader(context)
    examples = static_windows._examples(context, found, 0)[0].examples

    assert examples.rows > len(context.inside(0))
    real = found.teacher(0).scores(found.all_rows().take(context.inside(0)))
    if context.task.classes:  # half of what is true, which here is what it says itself
        assert (examples.targets[: len(real)].argmax(axis=1) == real.argmax(axis=1)).all()
