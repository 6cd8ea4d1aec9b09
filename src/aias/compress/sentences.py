"""Another sentence encoder below the linear member that reads sentences: read all rows by it, fit the head again.

The head is cheap to fit, and makes up for much of what an encoder lost. It is fitted fold by fold, on what the new
encoder says of the rows of the other folds. Where vectors are nearly what they were, nothing is fitted: the parent's
own heads answer as before, and a third as many answers change as by heads that were fitted anew (docs/log.md), so that
fewer rows prove it.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field, replace
from functools import partial
from typing import Any, Final

import numpy as np

from aias.compress.context import Context, Teacher
from aias.compress.imported_classifier import ClassifierHead, classifier_of
from aias.compress.rounding import rounded
from aias.compress.techniques.contract import Candidate, Made, NotApplicable
from aias.core.arrays import Floats, Ints
from aias.core.catalog import member
from aias.core.events import nobody
from aias.encoders.rows import Encoded
from aias.features.sentences import Sentences
from aias.graph.activation_ranges import ActivationRange, activation_ranges
from aias.graph.sentences import SentenceEncoder
from aias.graph.transformer import Transformer
from aias.learners.contract import Examples, Fit
from aias.learners.linear import LinearModel
from aias.training.embedding import Embedding
from aias.training.pipeline import Features, LinearPipeline, Pipeline, read_by
from aias.training.prepare import encoded_of
from aias.training.scoring.metrics import measure
from aias.training.selection.configuration import ALL
from aias.training.unit import OURS

APART: Final = 3
"""Parts of the rows, each of which one model does not know: what it says of them is what it would say of others."""

WORDS_BYTES_MIN: Final = 1 << 20
FLOAT_BYTES, HALF_BITS = 4, 16

HEARD: Final = 0.5
"""Of the log odds of words: with all of them too little is learned besides, with none the same is learned twice."""


@dataclass(eq=False)
class Reader:
    """What reads sentences, and what answers by what that says: the linear member that answers best alone of those that
    do, or the head of an imported classifier. `names`: of the features it reads; `settings`: that it was fitted with.
    """

    context: Context
    embedding: Embedding
    names: tuple[str, ...]
    settings: Mapping[str, Any]
    head: ClassifierHead | None = None
    _features: dict[str, Features] = field(default_factory=dict)

    @property
    def sentences(self) -> SentenceEncoder:
        return self.embedding.sentences

    @property
    def reach(self) -> Sequence[ActivationRange]:
        """Of the products of its encoder, by some texts."""
        sentences = self.sentences
        return self.context.once(
            "reach", lambda: activation_ranges(sentences.whole, self.context.some_texts(sentences.subwords))
        )

    def lowest(self, count: int) -> Transformer:
        """Its first layers alone. What an imported classifier says on its first token its last layer makes; of the
        others the mean of all tokens says more."""
        lower = self.sentences.whole.lowest(count)
        cut = self.head is not None and count < len(self.sentences.whole.layers)
        return replace(lower, pooling="mean") if cut else lower

    def all_rows(self) -> Encoded:
        """Of the table, with what it says of them. Raises `NoTime`."""
        return self.context.read(self.embedding)

    def teacher(self, fold: int) -> Teacher:
        """The whole parent, of rows with vectors, as `Context.teacher`."""
        return self.head or self.context.teacher(fold)

    def candidate(
        self, name: str, sentences: SentenceEncoder, *, precision: str = "", same: bool = False
    ) -> Candidate:  # fmt: skip
        """`same` as in `made`."""
        return Candidate(name, partial(self.made, sentences, precision=precision, same=same))

    def made(self, sentences: SentenceEncoder, fold: int, *, precision: str = "", same: bool = False) -> Made:
        """`same`: its vectors are nearly the parent's, whose heads are kept, if linear models are all it is; else the
        member is fitted again, without the rows of the fold."""
        embedding, context = replace(self.embedding, sentences=sentences), self.context
        if same and self.head is not None:
            return Made(self.head, context.encoder.with_subwords(sentences.subwords), embedding, precision)
        if same and all(each.configuration.learner == "linear" for each in context.members):
            again = fold == ALL and context.prepared.table.fold_count == 1  # it was published as it was fitted again
            whole = context.mixed(list(context.members), context.weights, ALL) if again else context.whole(fold)
            return Made(self._lighter(whole), context.encoder.with_subwords(sentences.subwords), embedding, precision)
        features = self._read(embedding)
        model = self._head(features.matrix(self.names), context.inside(fold))
        pipeline = self._lighter(LinearPipeline(features.some(self.names), model))
        return Made(pipeline, features.encoder, embedding, precision)

    @property
    def share(self) -> float:
        """Of what all else says by itself, beside what was learned from sentences with it."""
        return HEARD if self.context.task.classes else 1.0

    def beside(self, *folds: int) -> "Beside | None":
        """What it reads besides sentences, as a linear model by itself, without the rows of these folds; None where
        there is nothing."""
        return self.context.once(("beside", *folds), lambda: self._beside(self.context.inside(*folds)))

    def _beside(self, rows: Ints) -> "Beside | None":
        features = self._read(self.embedding)
        names = [each for each in self.names[1:] if features.some([each])]
        if not names:
            return None
        x, parts = features.matrix(names), np.random.default_rng(self.context.seed).permutation(len(rows)) % APART
        apart = [self._head(x, rows[parts != part]) for part in range(APART)]
        return Beside(features.some(names), self._head(x, rows), rows, parts, apart)

    def read_beside(self, embedding: Embedding, *folds: int, weights: Floats, intercept: Floats) -> Made:
        """Vectors whose weights are known, (width, outputs), and added to that what all else says by itself."""
        others, task = self.beside(*folds), self.context.task
        features: list[Any] = [Sentences(np.zeros(len(weights)), 1.0)]
        if others is not None:
            features += others.features
            share = self.share
            weights = np.vstack([weights, share * others.model.weights])
            intercept = intercept + share * others.model.intercept
        model = LinearModel(weights, intercept, classes=len(task.classes), settings={})
        encoder = self.context.encoder.with_subwords(embedding.sentences.subwords)
        return Made(self._lighter(LinearPipeline(features, model)), encoder, embedding)

    def _lighter(self, pipeline: Pipeline) -> Pipeline:
        """With the weights of words beside sentences in 16 bits, where they are many: not a node more."""
        table = self.context.encoder.layout.terms * (self.context.task.outputs + 1) * FLOAT_BYTES
        return rounded(pipeline, HALF_BITS) if table >= WORDS_BYTES_MIN else pipeline

    def _read(self, embedding: Embedding) -> Features:
        digest = embedding.sentences.graph_digest
        if digest not in self._features:
            encoder = self.context.encoder.with_subwords(embedding.sentences.subwords)
            self._features[digest] = Features(encoder, self.context.read(embedding))
        return self._features[digest]

    def _head(self, x: Any, rows: Ints) -> Any:
        """Fitted to these rows. `x`: of all rows, (rows, width)."""
        context = self.context
        settings: dict[str, Any] = {name: value for name, value in self.settings.items() if name not in OURS}
        how = Fit(context.task, context.seed, context.fit_deadline(), context.threads, nobody, settings)
        examples = Examples(x[rows], context.answers(rows), context.weight(rows))
        return member("learners", "linear").fit(examples, None, how)


@dataclass(frozen=True, slots=True, eq=False)
class Beside:
    """`model`: fitted to `rows`; each of `apart` to all but a part of them."""

    features: list[Any]
    model: LinearModel
    rows: Ints
    parts: Ints
    apart: list[LinearModel]

    def of(self, encoded: Encoded, rows: Ints) -> Floats:
        """What who does not know their answers says of some of the rows, or of what was made of them, before the link:
        (rows, outputs)."""
        parts, said = self.parts[np.searchsorted(self.rows, rows)], np.zeros((len(rows), self.model.weights.shape[1]))
        for part, model in enumerate(self.apart):
            own = np.flatnonzero(parts == part)
            said[own] = LinearPipeline(self.features, model).sums(encoded.take(own)) + model.intercept
        return said


def with_tokens(context: Context) -> Encoded:
    """All rows of the table, as the parent's sentence encoder is fed."""
    return context.once("tokens", lambda: encoded_of(context.prepared.dataset, context.encoder))


def reader(context: Context) -> Reader:
    """Raises `NotApplicable` where nothing that it has reads sentences."""
    return _imported(context) if context.parent.imported else _own(context)


def _own(context: Context) -> Reader:
    embedding = context.prepared.embedding
    if embedding is None:
        raise NotApplicable("it has no sentence encoder")
    found = [
        each for each in context.members
        if each.configuration.learner == "linear" and "sentences" in read_by(each.configuration)
    ]  # fmt: skip
    if not found:
        raise NotApplicable("no linear model reads its sentences, whose head could be fitted again")
    # It will answer alone, where the heaviest may be good only beside others.
    rows = context.judging()
    y, sign = context.answers(context.prepared.table.judged)[rows], 1 if context.task.direction == "higher" else -1
    best = max(found, key=lambda each: sign * measure(context.task, y, each.scores[rows]).value)
    return Reader(context, embedding, read_by(best.configuration), best.refit.configuration.settings)


def _imported(context: Context) -> Reader:
    embedding, head = context.once("classifier", lambda: classifier_of(context))
    return Reader(context, embedding, ("sentences",), {}, head)
