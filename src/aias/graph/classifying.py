"""A fine-tuned text classifier as an artifact: text in, its label with probabilities out, or a number.

folder ─read→ tokenizer, weights, labels ─write→ graph ─compare with the formula→ manifest, files
"""

import datetime as dt
from collections.abc import Callable, Sequence
from dataclasses import replace
from pathlib import Path
from typing import Final

import numpy as np

from aias.artifact.card import card
from aias.artifact.manifest import Manifest
from aias.core.arrays import Floats
from aias.core.schema import Field
from aias.core.task import DEFAULT_METRIC, Task, TaskType
from aias.encoders.rows import Encoded
from aias.encoders.subwords import Subwords
from aias.graph.builder import Builder
from aias.graph.classifier_files import Classifier, read_classifier
from aias.graph.one_text import ODD, TEXT, USUAL, draft, files_of, length_of, row_us
from aias.graph.parity import prove
from aias.graph.reference import reference
from aias.graph.transformer_files import UnknownEncoder, config_of, fitting
from aias.runtimes.onnxruntime import OnnxRuntime

HEADING: Final = "a fine-tuned transformer of the type "


def classifier_of(folder: Path, *, name: str, target: str) -> tuple[Manifest, dict[str, bytes], OnnxRuntime]:
    """The artifact of a folder of `…ForSequenceClassification`. Raises `UserError`, `ParityBroken`."""
    began = dt.datetime.now(dt.UTC).isoformat(timespec="seconds")
    classifier = read_classifier(folder)
    transformer = classifier.transformer
    subwords = Subwords.read(folder, length_max=min(length_of(folder), transformer.length_max))
    fitting(subwords, transformer)
    if subwords.encode("") == [subwords.pad_id]:
        raise UnknownEncoder(
            "the classifier's tokenizer marks no beginning of a text, which its head reads",
            hint="write tokenizer.json with its `post_processor`: "
            "AutoTokenizer.from_pretrained(FOLDER).save_pretrained(FOLDER)",
        )
    task, field = _task(classifier, target), replace(TEXT, reason="what the classifier reads")
    builder = Builder(width=0, texts=1)
    files = files_of(builder.finish(classifier.write(builder), classes=classifier.classes), subwords)
    settings: dict[str, object] = {
        "file": folder.resolve().name, "format": HEADING + str(config_of(folder)["model_type"]),
        "tokens_max": subwords.length_max,
    }  # fmt: skip
    made = replace(
        draft(name, task, settings, began=began, field=field), rows={"given": 0}, form="imported", judged="given",
        target=Field(target, "category" if task.classes else "number", role="target"),
    )  # fmt: skip
    runtime = OnnxRuntime.from_files(files, made)
    proof = prove(_formula(classifier), runtime.encoder, runtime, [{field.name: each} for each in (*USUAL, *ODD)])
    manifest = replace(made, parity=proof, row_us=row_us(runtime))
    sizes = {path: len(held) for path, held in files.items()}
    return manifest, files | {"card.md": card(manifest, sizes=sizes).encode()}, runtime


def _task(classifier: Classifier, target: str) -> Task:
    count = len(classifier.classes)
    kind: TaskType = "regression" if not count else "binary" if count == 2 else "multiclass"
    return Task(target, kind, DEFAULT_METRIC[kind], classifier.classes)


def _formula(classifier: Classifier) -> Callable[[Encoded], Floats]:
    """What the graph is compared with: one text after another, in float64."""

    def scores(encoded: Encoded) -> Floats:
        return classifier.scores(reference(classifier.transformer, _tokens(encoded)))

    return scores


def _tokens(encoded: Encoded) -> Sequence[Sequence[int]]:
    assert encoded.tokens is not None
    assert encoded.token_mask is not None
    return [np.asarray(row)[keep].tolist() for row, keep in zip(encoded.tokens, encoded.token_mask, strict=True)]
