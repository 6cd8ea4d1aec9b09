"""Terms whose rows of the table are much alike share one: a code of eight bits for each in place of all its numbers.

    T[id] ≈ B0[codes[id, 0]] + B1[codes[id, 1]] + …        B: books of at most 256 rows each

Product quantisation of text tables (Joulin et al. 2016) in its additive form: each book holds what those before it
leave (Chen et al. 2010), found by k-means (Lloyd 1982) in which a term counts as often as texts hold it. The last
column of T is the squared length; only the first book has it, so that it stays positive.
"""

from dataclasses import dataclass
from typing import Any, ClassVar, Final

import numpy as np
import numpy.typing as npt

from aias.core.arrays import Floats, Floats32
from aias.core.graph import DOUBLE, INT64, GraphWriter
from aias.encoders.rows import Encoded
from aias.features.terms import incidence, scaled, write_scaled

BOOK_MAX: Final = 256
"""Rows that one byte can call."""

TERMS_A_ROW: Final = 8
"""Of a book at least, or the book would be larger than what it saves."""

STEPS: Final = 12
CHUNK: Final = 8_192
"""Terms whose distances are in memory together: 16 MB."""

Codes = npt.NDArray[np.uint8]


@dataclass(frozen=True, slots=True, eq=False)
class CodedTerms:
    """Stands where `features.terms.Terms` stood; its weights are the books, one after another."""

    codes: Codes  # (ids, books)
    squares: Floats32  # (width,)
    texts: int
    name: ClassVar[str] = "terms"

    @property
    def width(self) -> int:
        return len(self.squares)

    def project(self, encoded: Encoded, weights: Floats) -> Floats:
        table, starts = self._table(weights).astype(np.float64), self._starts()
        held = self.codes[encoded.term_ids] + starts  # (terms, books)
        counted: Any = sum(incidence(encoded, held[:, book], self.width) for book in range(len(starts)))
        return scaled(encoded, counted @ table)

    def export(self, graph: GraphWriter, weights: Floats) -> str:
        """All but the last Gather hangs on constants only: ONNX Runtime does it once, when the graph is loaded."""
        places = graph.op("Cast", graph.constant(self.codes), to=INT64)
        books = graph.op("Cast", graph.constant(self._table(weights)), to=DOUBLE)
        parts = graph.op("Gather", books, graph.op("Add", places, graph.constant(self._starts())))
        table = graph.op("ReduceSum", parts, graph.constant(np.array([1])), keepdims=0)  # (ids, outputs + 1)
        each = graph.op("Gather", table, graph.term_ids)
        return write_scaled(graph, each, texts=self.texts, outputs=weights.shape[1])

    def _table(self, weights: Floats) -> Floats32:
        return np.hstack([weights.astype(np.float32), self.squares[:, None]])

    def _starts(self) -> Any:
        books = self.codes.shape[1]
        return np.arange(books) * (self.width // books)


def coded(table: Any, seen: Any, *, texts: int, books: int, seed: int) -> tuple[CodedTerms, Floats]:
    """The feature and its weights, (books * rows, outputs), for a table of (ids, outputs + 1), whose last column holds
    squared lengths; `seen`: how much each id counts."""
    left, rng = table.astype(np.float64), np.random.default_rng(seed)
    rows = max(1, min(BOOK_MAX, len(table) // TERMS_A_ROW))
    left_scale = np.ones(left.shape[1])
    left_scale[:-1] = np.sqrt(np.average(((left - left.mean(axis=0))[:, :-1] ** 2).sum(axis=1), weights=seen)) or 1.0
    left_scale[-1] = np.sqrt(np.average((left[:, -1] - left[:, -1].mean()) ** 2, weights=seen)) or 1.0
    codes, found = [], []
    for book in range(books):
        if book:
            left[:, -1] = 0.0
        code, centres = _clustered(left / left_scale, np.asarray(seen, np.float64), rows, rng)
        centres *= left_scale
        left = left - centres[code]
        codes.append(code.astype(np.uint8))
        found.append(centres)
    book_rows = np.vstack(found)
    return CodedTerms(np.column_stack(codes), book_rows[:, -1].astype(np.float32), texts), book_rows[:, :-1]


def _clustered(points: Floats, weight: Floats, count: int, rng: np.random.Generator) -> tuple[Any, Floats]:
    """k-means: the cluster of each point, and the centres, (count, width)."""
    share = np.sqrt(weight) / np.sqrt(weight).sum()
    centres = points[rng.choice(len(points), count, replace=False, p=share)]
    code = _nearest(points, centres)
    for _ in range(STEPS):
        sums = np.column_stack([np.bincount(code, weight * each, minlength=count) for each in points.T])
        held = np.bincount(code, weight, minlength=count)[:, None]
        centres = np.where(held > 0, sums / np.maximum(held, 1e-300), centres)
        code = _nearest(points, centres)
    return code, centres


def _nearest(points: Floats, centres: Floats) -> Any:
    squares = (centres**2).sum(axis=1)
    parts = [points[at : at + CHUNK] for at in range(0, len(points), CHUNK)]
    return np.concatenate([np.argmin(squares - 2 * (part @ centres.T), axis=1) for part in parts])
