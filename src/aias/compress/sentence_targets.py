"""What stands in the place of a sentence encoder learns, beside what all else says; and how it answers with its head.

Of two classes a model that adds up says one number, what speaks for the second; what is learned says one for each.
"""

from dataclasses import dataclass

import numpy as np

from aias.compress.sentences import Reader
from aias.compress.techniques.contract import Made
from aias.compress.windows import Examples
from aias.core.arrays import Floats
from aias.core.task import Task
from aias.encoders.rows import Encoded
from aias.training.embedding import Embedding


@dataclass(frozen=True, slots=True, eq=False)
class Wanted:
    """`middle`, `spread`: by what amounts were standardised; of classes 0 and 1."""

    examples: Examples
    middle: float = 0.0
    spread: float = 1.0

    @classmethod
    def of(cls, texts: Encoded, targets: Floats, known: Floats | None, *, task: Task) -> "Wanted":
        """`texts`: rows with their tokens. `known`: what all else says of them before the link; None where there is
        nothing else."""
        assert texts.tokens is not None
        assert texts.token_mask is not None
        two = len(task.classes) == 2
        begun = np.zeros_like(targets) if known is None else np.hstack([np.zeros_like(known), known]) if two else known
        if task.classes:
            return cls(Examples(texts.tokens, texts.token_mask, targets, begun))
        middle, spread = float(targets.mean()), float(targets.std()) or 1.0
        begun = begun if known is None else (begun - middle) / spread
        return cls(Examples(texts.tokens, texts.token_mask, (targets - middle) / spread, begun), middle, spread)

    def answered(self, found: Reader, embedding: Embedding, *folds: int, head: Floats, intercept: Floats) -> Made:
        """By what was learned, `head` (width, outputs), and what all else says without the rows of these folds."""
        task = found.context.task
        if len(task.classes) == 2:
            head, intercept = head[:, 1:] - head[:, :1], intercept[1:] - intercept[:1]
        start = self.spread * intercept + (self.middle if found.beside(*folds) is None else 0.0)
        return found.read_beside(embedding, *folds, weights=self.spread * head, intercept=start)
