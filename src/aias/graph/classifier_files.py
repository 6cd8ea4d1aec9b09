"""A folder of `…ForSequenceClassification` in the Hugging Face format → a transformer with a head on its first token.

    BERT                        softmax(W tanh(P x + p) + b)            `pooler.dense`, `classifier`
    RoBERTa, XLM-R, CamemBERT   softmax(W tanh(P x + p) + b)            `classifier.dense`, `classifier.out_proj`
    DistilBERT                  softmax(W relu(P x + p) + b)            `pre_classifier`, `classifier`

With one label the number itself is the answer. Labels are called as `id2label` says.
"""

from collections.abc import Mapping
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any, Final, Literal

import numpy as np

from aias.core.arrays import Floats
from aias.core.graph import DOUBLE, GraphWriter
from aias.core.limits import CLASSES_MAX
from aias.core.links import softmax
from aias.graph.transformer import Affine, Transformer
from aias.graph.transformer_files import UnknownEncoder, affine, config_of, read_folder

ENDING: Final = "ForSequenceClassification"

_BERT: Final = ("pooler.dense", "classifier", "tanh")
_ROBERTA: Final = ("classifier.dense", "classifier.out_proj", "tanh")
HEADS: Final = {
    "bert": _BERT, "roberta": _ROBERTA, "xlm-roberta": _ROBERTA, "camembert": _ROBERTA,
    "distilbert": ("pre_classifier", "classifier", "relu"),
}  # fmt: skip
"""The tensors of the hidden layer and of the last one, and what stands between them."""


@dataclass(frozen=True, slots=True, eq=False)
class Classifier:
    """`transformer` gives the first token. `classes`: empty where the answer is a number."""

    transformer: Transformer
    hidden: Affine
    last: Affine
    activation: Literal["tanh", "relu"]
    classes: tuple[str, ...]

    def write(self, graph: GraphWriter) -> str:
        """Probabilities (rows, classes), or numbers (rows, 1), in float64."""
        return self.write_head(graph, self.transformer.write(graph, texts=1))

    def write_head(self, graph: GraphWriter, vectors: str) -> str:
        """The same of the first tokens' vectors."""
        wide = _affine(graph, vectors, self.hidden)
        sums = _affine(graph, graph.op("Tanh" if self.activation == "tanh" else "Relu", wide), self.last)
        scores = graph.op("Cast", sums, to=DOUBLE)
        return graph.op("Softmax", scores, axis=1) if self.classes else scores

    def scores(self, vectors: Floats) -> Floats:
        """The same of the first tokens' vectors, by NumPy in float64: (rows, width) → (rows, outputs)."""
        wide = vectors @ self.hidden.weight.astype(np.float64) + self.hidden.bias
        wide = np.tanh(wide) if self.activation == "tanh" else np.maximum(wide, 0)
        sums = wide @ self.last.weight.astype(np.float64) + self.last.bias
        return softmax(sums) if self.classes else np.asarray(sums)


def is_classifier(folder: Path) -> bool:
    """Whether the folder says that it labels texts. Raises `UserError` on a config that cannot be read."""
    return (folder / "config.json").exists() and any(ENDING in each for each in _architectures(config_of(folder)))


def read_classifier(folder: Path) -> Classifier:
    """Raises `UnknownEncoder` naming what it has that cannot be written."""
    transformer, tensors, config = read_folder(folder)
    if config.get("problem_type") == "multi_label_classification":
        raise UnknownEncoder(
            "the classifier gives a text several labels at once", hint="import one that gives each text one label"
        )
    first, second, activation = HEADS[config["model_type"]]
    try:
        hidden, last = affine(tensors, first), affine(tensors, second)
    except KeyError as missing:
        raise UnknownEncoder(
            f"the classifier has no {missing}", hint="use the folder as it was saved after fine-tuning"
        ) from None
    if config.get("problem_type") == "regression" and last.weight.shape[1] > 1:
        raise UnknownEncoder(
            f"the classifier gives {last.weight.shape[1]} numbers a text, which are no labels",
            hint="import one that gives a single number",
        )
    classes = _classes(config, outputs=last.weight.shape[1])
    whole = replace(transformer, pooling="cls", normalised=False)
    if hidden.weight.shape != (whole.hidden, last.weight.shape[0]):
        raise UnknownEncoder(
            "the classifier's head does not fit its transformer", hint="use the folder as it was saved"
        )
    return Classifier(whole, hidden, last, activation, classes)  # type: ignore[arg-type]


def _classes(config: Mapping[str, Any], *, outputs: int) -> tuple[str, ...]:
    """In the order of the scores."""
    if outputs == 1:
        return ()
    named = config.get("id2label") or {str(at): f"LABEL_{at}" for at in range(outputs)}
    found = tuple(str(named.get(str(at), "")).strip() for at in range(outputs))
    if not all(found) or len(set(found)) < outputs or len(named) != outputs or outputs > CLASSES_MAX:
        raise UnknownEncoder(
            f"the classifier tells {outputs} labels apart, and `id2label` names {len(named)}",
            hint=f"correct `id2label` in its config.json: each of up to {CLASSES_MAX:,} labels once",
        )
    return found


def _architectures(config: Mapping[str, Any]) -> list[str]:
    found = config.get("architectures")
    return [str(each) for each in found] if isinstance(found, list) else []


def _affine(graph: GraphWriter, x: str, affine: Affine) -> str:
    return graph.op("Add", graph.op("MatMul", x, graph.constant(affine.weight)), graph.constant(affine.bias))
