"""Another sentence encoder below the linear member that reads sentences: read all rows by it, fit the head again.

The head is cheap to fit, and makes up for much of what an encoder lost. It is fitted fold by fold, on what the new
encoder says of the rows of the other folds. Where vectors are nearly what they were, nothing is fitted: the parent's
own heads answer as before, and a third as many answers change as by heads that were fitted anew (docs/log.md), so that
fewer rows prove it.
"""

from collections.abc import Sequence
from dataclasses import dataclass, field, replace
from functools import partial
from typing import Any

import numpy as np

from aias.compress.techniques.contract import Candidate, CannotHelp, Made
from aias.compress.workshop import Workshop
from aias.core.catalog import member
from aias.core.events import nobody
from aias.core.side_by_side import SideBySide
from aias.features.sentences import LENGTH
from aias.graph.reach import Reach, reached
from aias.graph.sentences import SentenceEncoder
from aias.learners.contract import Examples, Fit
from aias.training.configuration import ALL
from aias.training.embedding import Embedding
from aias.training.members import Member
from aias.training.metrics import measure
from aias.training.pipeline import Features, LinearPipeline, read_by
from aias.training.unit import OURS


@dataclass(eq=False)
class Reader:
    """The linear member that answers best alone of those that read sentences, and what reads them for it."""

    shop: Workshop
    member: Member
    embedding: Embedding
    _features: dict[str, Features] = field(default_factory=dict)

    @property
    def sentences(self) -> SentenceEncoder:
        return self.embedding.sentences

    @property
    def reach(self) -> Sequence[Reach]:
        """Of the products of its encoder, by some texts."""
        memo, sentences = self.shop.memo, self.sentences
        if "reach" not in memo:
            memo["reach"] = reached(sentences.whole, self.shop.some_texts(sentences.subwords))
        found: Sequence[Reach] = memo["reach"]
        return found

    def candidate(
        self, name: str, sentences: SentenceEncoder, *, precision: str = "", like: SentenceEncoder | None = None
    ) -> Candidate:
        """`like`: one that gives each row of the table the same vectors."""
        embedding = replace(self.embedding, sentences=sentences)
        other = replace(self.embedding, sentences=like) if like else None
        return Candidate(name, partial(self.read_by, embedding, precision, other))

    def same(
        self, name: str, sentences: SentenceEncoder, *, precision: str = "", like: SentenceEncoder | None = None
    ) -> Candidate:
        """By an encoder that gives nearly the same vectors; the parent's own heads, if linear models are all it is."""
        if any(each.configuration.learner != "linear" for each in self.shop.members):
            return self.candidate(name, sentences, precision=precision, like=like)
        embedding = replace(self.embedding, sentences=sentences)
        other = replace(self.embedding, sentences=like) if like else None
        return Candidate(name, partial(self._as_it_was, embedding, precision, other))

    def _as_it_was(self, embedding: Embedding, precision: str, like: Embedding | None, fold: int) -> Made:
        if like:
            self.shop.reads_alike(embedding, like)
        shop = self.shop
        again = fold == ALL and shop.prepared.table.fold_count == 1  # then it was published as it was fitted again
        whole = shop.mixed(list(shop.members), shop.weights, ALL) if again else shop.whole(fold)
        return Made(whole, shop.encoder.with_subwords(embedding.sentences.subwords), embedding, precision)

    def read_by(self, embedding: Embedding, precision: str, like: Embedding | None, fold: int) -> Made:
        """The member fitted again without the rows of the fold, on other vectors."""
        if like:
            self.shop.reads_alike(embedding, like)
        features, names = self._read(embedding), read_by(self.member.configuration)
        model = self._head(features.matrix(names), fold)
        return Made(LinearPipeline(features.some(names), model), features.encoder, embedding, precision)

    def read_apart(self, embedding: Embedding, fold: int, *, parts: int) -> Made:
        """A head on each of the `parts` of the vectors, whose mean is taken, and one on all else, each as if it were
        alone; what both say is multiplied, and of amounts the mean. For vectors that were themselves fitted to the
        rows: one head would hear nothing else, and so they are made no longer than words are.
        """
        features = self._read(embedding)
        names = tuple(each for each in read_by(self.member.configuration) if features.some([each]))
        words = [self._head(features.matrix(names[1:]), fold)] if names[1:] else []
        columns = np.asarray(features.matrix(names[:1]).dense) * np.float32(np.sqrt(parts) / LENGTH)
        nothing = features.matrix(names[:1]).sparse
        own = np.arange(columns.shape[1]).reshape(self.shop.encoder.layout.texts, parts, -1)
        heads = [self._head(SideBySide(columns[:, own[:, part].ravel()], nothing), fold) for part in range(parts)]
        first, share = heads[0], 1.0 if self.shop.task.classes else 1 / (1 + len(words))
        held = np.zeros((columns.shape[1], first.weights.shape[1]))
        for part, head in enumerate(heads):
            held[own[:, part].ravel()] = head.weights * (share / np.sqrt(parts) / LENGTH)  # a mean, of √parts times
        weights = np.vstack([held, *(share * each.weights for each in words)])
        intercept = share * np.sum([np.mean([each.intercept for each in heads], axis=0),
                                    *(each.intercept for each in words)], axis=0)  # fmt: skip
        model = type(first)(weights, intercept, classes=first.classes, settings=dict(first.settings))
        return Made(LinearPipeline(features.some(names), model), features.encoder, embedding)

    def _read(self, embedding: Embedding) -> Features:
        digest = embedding.sentences.graph_digest
        if digest not in self._features:
            encoder = self.shop.encoder.with_subwords(embedding.sentences.subwords)
            self._features[digest] = Features(encoder, self.shop.read(embedding))
        return self._features[digest]

    def _head(self, x: Any, fold: int) -> Any:
        """Fitted without the rows of the fold. `x`: of all rows, (rows, width)."""
        shop, rows = self.shop, self.shop.inside(fold)
        chosen = self.member.refit.configuration.settings
        settings: dict[str, Any] = {name: value for name, value in chosen.items() if name not in OURS}
        how = Fit(shop.task, shop.seed, shop.fit_deadline(), shop.threads, nobody, settings)
        examples = Examples(x[rows], shop.answers(rows), shop.weight(rows))
        return member("learners", "linear").fit(examples, None, how)


def reader(shop: Workshop) -> Reader:
    """Raises `CannotHelp` where no linear member reads sentences."""
    embedding = shop.prepared.embedding
    if embedding is None:
        raise CannotHelp("no sentence encoder reads its texts")
    found = [
        each for each in shop.members
        if each.configuration.learner == "linear" and "sentences" in read_by(each.configuration)
    ]  # fmt: skip
    if not found:
        raise CannotHelp("no linear model reads its sentences, whose head could be fitted again")
    # It will answer alone, where the heaviest may be good only beside others.
    rows = shop.judging()
    y, sign = shop.answers(shop.prepared.table.judged)[rows], 1 if shop.task.direction == "higher" else -1
    return Reader(shop, max(found, key=lambda each: sign * measure(shop.task, y, each.scores[rows]).value), embedding)
