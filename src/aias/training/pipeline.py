"""A fitted pipeline: features and learners as Python objects, alive only inside a job.

    linear          columns, terms → features → linear
    boosted trees   columns + (terms → linear → sums) → trees

Trees cannot read texts; they see what a linear model makes of them, out of fold while fitting.
"""

from collections.abc import Mapping
from dataclasses import dataclass, replace
from typing import Any, Final, Protocol

import numpy as np
import numpy.typing as npt

from aias.core.catalog import member
from aias.core.graph import GraphWriter
from aias.encoders.contract import Floats
from aias.encoders.rows import Encoded, RowEncoder
from aias.features.contract import Feature
from aias.learners.contract import Examples, Fit

FEATURES: Final = ("numbers", "categories", "terms")

TEXT_FOLDS: Final = 5

BOTH: Final = np.array([[-1.0, 1.0]])
"""The log odds of the two classes, from those of the second."""

Answers = npt.NDArray[Any]


@dataclass(frozen=True, slots=True)
class Part:
    """Encoded rows with their answers."""

    encoded: Encoded
    y: Answers

    def take(self, rows: npt.NDArray[np.int64]) -> "Part":
        return Part(self.encoded.take(rows), self.y[rows])


class Pipeline(Protocol):
    settings: Mapping[str, Any]

    def scores(self, encoded: Encoded) -> Floats:
        """Probabilities (rows, classes), or predictions (rows, 1)."""

    def export(self, graph: GraphWriter) -> str:
        """Write everything fitted into the graph; gives the scores' tensor."""


class LinearPipeline:
    """Features side by side, each with its block of the weights."""

    def __init__(self, features: list[Feature], model: Any) -> None:
        self.features, self.model = features, model
        self.settings: Mapping[str, Any] = model.settings
        ends = np.cumsum([feature.width for feature in features])[:-1]
        self._blocks = np.split(model.weights, ends)

    @classmethod
    def fit(
        cls, train: Part, valid: Part | None, how: Fit, *, encoder: RowEncoder, only: tuple[str, ...] = FEATURES
    ) -> "LinearPipeline":
        fitted = [member("features", name).fit(train.encoded, encoder) for name in only]
        features = [feature for feature in fitted if feature is not None]
        against = Examples(_matrix(features, valid.encoded), valid.y) if valid else None
        model = member("learners", "linear").fit(Examples(_matrix(features, train.encoded), train.y), against, how)
        return cls(features, model)

    def sums(self, encoded: Encoded) -> Floats:
        """Weighted features before the intercept: (rows, outputs)."""
        total = np.zeros((encoded.rows, self.model.weights.shape[1]))
        for feature, weights in zip(self.features, self._blocks, strict=True):
            total += feature.project(encoded, weights)
        return total

    def scores(self, encoded: Encoded) -> Floats:
        return np.asarray(self.model.answer(self.sums(encoded)))

    def export_sums(self, graph: GraphWriter, *, signs: Floats | None = None) -> str:
        """The sums; with `signs`, (1, signs), times each of them: no node more, but larger tables."""
        blocks = [weights if signs is None else weights @ signs for weights in self._blocks]
        names = [feature.export(graph, weights) for feature, weights in zip(self.features, blocks, strict=True)]
        total = names[0]
        for name in names[1:]:
            total = graph.op("Add", total, name)
        return total

    def export(self, graph: GraphWriter) -> str:
        if self.model.classes == 2 and all(feature.name != "terms" for feature in self.features):
            return str(self.model.export_both(graph, self.export_sums(graph, signs=BOTH)))
        return str(self.model.export_answer(graph, self.export_sums(graph)))


class TreesPipeline:
    """Trees over the encoded columns, beside the sums of a linear model over the terms when there are texts."""

    def __init__(self, text: LinearPipeline | None, trees: Any) -> None:
        self.text, self.trees = text, trees
        self.settings: Mapping[str, Any] = trees.settings | ({"text_C": text.settings["C"]} if text else {})

    @classmethod
    def fit(cls, train: Part, valid: Part | None, how: Fit, *, encoder: RowEncoder) -> "TreesPipeline":
        text, train_x = None, train.encoded.columns
        if encoder.layout.terms:
            text, sums = _text_out_of_fold(train, valid, how, encoder=encoder)
            train_x = np.hstack([train_x, sums])
        own = {key: value for key, value in how.settings.items() if key != "text_C"}
        how = replace(how, settings=own, categories=encoder.layout.categories)
        against = Examples(_with_text(text, valid.encoded), valid.y) if valid else None
        return cls(text, member("learners", "boosted_trees").fit(Examples(train_x, train.y), against, how))

    def scores(self, encoded: Encoded) -> Floats:
        return np.asarray(self.trees.scores(_with_text(self.text, encoded)))

    def export(self, graph: GraphWriter) -> str:
        x = graph.columns
        if self.text:
            x = graph.op("Concat", x, self.text.export_sums(graph), axis=1)
        return str(self.trees.export(graph, x))


def _matrix(features: list[Feature], encoded: Encoded) -> Any:
    from scipy import sparse

    return sparse.hstack([feature.matrix(encoded) for feature in features], format="csr")


def _with_text(text: LinearPipeline | None, encoded: Encoded) -> Floats:
    return encoded.columns if text is None else np.hstack([encoded.columns, text.sums(encoded)])


def _text_out_of_fold(
    train: Part, valid: Part | None, how: Fit, *, encoder: RowEncoder
) -> tuple[LinearPipeline, Floats]:
    """The text model of all training rows, and for each training row the sums of a model that never saw it."""
    chosen = {"C": how.settings["text_C"]} if "text_C" in how.settings else {}
    half = how.deadline.share(0.3)
    text = LinearPipeline.fit(
        train, valid, replace(how, settings=chosen, deadline=half), encoder=encoder, only=("terms",)
    )
    fixed = replace(how, settings=dict(text.settings), deadline=half)
    folds = np.random.default_rng(how.seed).permutation(train.encoded.rows) % TEXT_FOLDS
    sums = np.zeros((train.encoded.rows, text.model.weights.shape[1]))
    for fold in range(TEXT_FOLDS):
        inside, outside = np.flatnonzero(folds != fold), np.flatnonzero(folds == fold)
        part = LinearPipeline.fit(train.take(inside), None, fixed, encoder=encoder, only=("terms",))
        sums[outside] = part.sums(train.encoded.take(outside))
    return text, sums
