"""Terms of texts → TF-IDF in which a word also counts as the groups of letters it is made of.

With A (texts, ids) the ids of a text, 0 or 1, and M (ids, terms) what each id stands for (itself and, for a word, its
letter groups at a lower weight):

    x = (A M) * idf / sqrt(A m)        m = M² idf²  (element-wise squares)        idf = ln((1 + n) / (1 + df)) + 1

(Salton and Buckley 1988; subword sums after Bojanowski et al. 2017.) Multiplied with weights W this is

    x W = (A T) / sqrt(A m)            T = M (idf * W)

so a known word costs one row of T however many letter groups it has, and T and m are all that the graph holds: in 32
bits, in 16, or in 8 with a scale for each column, T ≈ q s.
"""

import copy
from typing import Any, ClassVar, Final

import numpy as np

from aias.core.arrays import Floats, Ints
from aias.core.graph import DOUBLE, GraphWriter
from aias.encoders.rows import Encoded, RowEncoder
from aias.encoders.text import Text

__all__ = ["Terms"]

GROUP_WEIGHT: Final = 0.3
"""A word has about ten letter groups: at this weight they say together about as much as the word."""

CODE_MAX: Final = 127
"""Of eight bits with a sign; -128 has no opposite."""

TINY: Final = 1e-300
"""Squared length of a text without terms, and what its sums begin with in the graph: what comes of that, 1e-150, is 0
wherever a tree asks, in float32 and to LightGBM, whose 0 ends at 1e-35."""


class Terms:
    """All text fields together; each is scaled to length one by itself."""

    name: ClassVar[str] = "terms"

    bits: int = 32
    """Of each weight in the graph."""

    def __init__(self, spelling: Any, idf: Floats, *, texts: int) -> None:
        self.spelling, self.idf = spelling, idf
        self.texts = texts
        self.width = len(idf)
        self._lengths = np.asarray(spelling.multiply(spelling) @ (idf * idf)).astype(np.float32).astype(np.float64)

    @classmethod
    def fit(cls, encoded: Encoded, encoder: RowEncoder, /) -> "Terms | None":
        if not encoder.layout.terms:
            return None
        spelling = _spelling(encoder)
        held = incidence(encoded, encoded.term_ids, spelling.shape[0]) @ spelling
        seen = np.asarray((held > 0).sum(axis=0)).ravel()
        return cls(spelling, np.log((1 + encoded.rows) / (1 + seen)) + 1, texts=encoded.texts)

    @classmethod
    def of_table(cls, table: Any, *, texts: int) -> tuple["Terms", Floats]:
        """The feature and its weights whose table this is, (ids, outputs + 1): what words are made of is forgotten."""
        from scipy import sparse

        found = cls(sparse.identity(len(table), format="csr"), np.ones(len(table)), texts=texts)
        found._lengths = table[:, -1].astype(np.float64)
        return found, table[:, :-1].astype(np.float64)

    def rounded(self, bits: int) -> "Terms":
        """The same with a table of so many bits: 8, 16 or 32."""
        assert bits in (8, 16, 32)
        found = copy.copy(self)
        found.bits = bits
        return found

    def matrix(self, encoded: Encoded) -> Any:
        from scipy import sparse

        held = incidence(encoded, encoded.term_ids, self.width)
        lengths = np.sqrt(np.maximum(held @ self._lengths, TINY))
        x = sparse.diags(1 / lengths) @ (held @ self.spelling) @ sparse.diags(self.idf)
        return sparse.csr_matrix(_per_row(encoded) @ x)

    def project(self, encoded: Encoded, weights: Floats) -> Floats:
        return scaled(
            encoded, incidence(encoded, encoded.term_ids, self.width) @ self.table(weights).astype(np.float64)
        )

    def export(self, graph: GraphWriter, weights: Floats) -> str:
        each = self._gathered(graph, weights)
        return write_scaled(graph, each, texts=self.texts, outputs=weights.shape[1])

    def table(self, weights: Floats) -> Any:
        """T and m side by side, in the precision that the graph keeps: (ids, outputs + 1) float32."""
        if self.bits == 8:
            codes, scale = self._coded(weights)
            return codes * scale
        return self._whole(weights).astype(np.float16 if self.bits == 16 else np.float32).astype(np.float32)

    def _whole(self, weights: Floats) -> Floats:
        return np.hstack([self.spelling @ (self.idf[:, None] * weights), self._lengths[:, None]])

    def _coded(self, weights: Floats) -> tuple[Any, Any]:
        """q, (ids, outputs + 1) int8, and s, (1, outputs + 1) float32; no term is without length."""
        table = self._whole(weights)
        most = np.abs(table).max(axis=0, initial=0.0, keepdims=True)
        scale = np.where(most > 0, most / CODE_MAX, 1.0).astype(np.float32)
        codes = np.rint(table / scale).astype(np.int8)
        codes[:, -1] = np.maximum(codes[:, -1], 1)
        return codes, scale

    def _gathered(self, graph: GraphWriter, weights: Floats) -> str:
        """The rows of the table for the terms that are there: (terms, outputs + 1) float64."""
        scale = None
        if self.bits == 8:
            table, scale = self._coded(weights)
        else:
            table = self.table(weights).astype(np.float16 if self.bits == 16 else np.float32)
        rows = graph.op("Cast", graph.op("Gather", graph.constant(table), graph.term_ids), to=DOUBLE)
        return rows if scale is None else graph.op("Mul", rows, graph.constant(scale.astype(np.float64)))


def scaled(encoded: Encoded, sums: Floats) -> Floats:
    """From what the terms of each text add up to, the outputs and the squared length, (segments, outputs + 1), to
    texts of length one, those of a row together: (rows, outputs)."""
    return np.asarray(_per_row(encoded) @ (sums[:, :-1] / np.sqrt(np.maximum(sums[:, -1:], TINY))))


def write_scaled(graph: GraphWriter, each: str, *, texts: int, outputs: int) -> str:
    """The same in the graph, of a row for each term, (terms, outputs + 1) float64: in as few nodes as can be, for on a
    single row each takes .6 µs, whatever it does. Sums begin with `TINY` in place of 0."""
    sums = graph.op("ScatterND", _started(graph, texts, outputs + 1), graph.term_segments, each, reduction="add")
    parts, squares = graph.ops("Split", sums, graph.constant(np.array([outputs, 1])), outputs=2, axis=1)
    found = graph.op("Div", parts, graph.op("Sqrt", squares))
    if texts == 1:
        return found
    per_row = graph.op("Reshape", found, graph.constant(np.array([-1, texts, outputs])))
    return graph.op("ReduceSum", per_row, graph.constant(np.array([1])), keepdims=0)


def _started(graph: GraphWriter, texts: int, width: int) -> str:
    """`TINY` for each text: (rows * texts, width)."""
    if texts == 1:  # all columns are cut off, and others put in their place
        cut = graph.constant(np.array([0, -graph.columns_width, 0, width]))
        return graph.op("Pad", graph.columns, cut, graph.constant(np.float64(TINY)))
    rows = graph.op("Shape", graph.columns, start=0, end=1)
    segments = graph.op("Mul", rows, graph.constant(np.array([texts])))
    shape = graph.op("Concat", segments, graph.constant(np.array([width])), axis=0)
    return graph.op("ConstantOfShape", shape, value=np.array([TINY]))


def _spelling(encoder: RowEncoder) -> Any:
    """M: what each id stands for, all text fields one after another."""
    from scipy import sparse

    rows: list[int] = []
    columns: list[int] = []
    weights: list[float] = []
    start = 0
    for field in encoder.fields:
        text = encoder.encoders[field.name]
        if not isinstance(text, Text):
            continue
        for i, word in enumerate(text.words):
            groups = text.groups_of(word)
            rows += [start + i] * len(groups)
            columns += [start + group for group in groups]
            weights += [GROUP_WEIGHT] * len(groups)
        rows += range(start, start + text.size)
        columns += range(start, start + text.size)
        weights += [1.0] * text.whole + [GROUP_WEIGHT] * len(text.groups)
        start += text.size
    return sparse.csr_matrix((weights, (rows, columns)), shape=(start, start))


def incidence(encoded: Encoded, ids: Ints, width: int) -> Any:
    """A: (segments, width), for terms that are called `ids`."""
    from scipy import sparse

    segments = encoded.rows * encoded.texts
    ends = np.searchsorted(encoded.term_segments[:, 0], np.arange(segments + 1))
    return sparse.csr_matrix((np.ones(len(ids)), ids, ends), shape=(segments, width))


def _per_row(encoded: Encoded) -> Any:
    """Adds the segments of each row up: (rows, segments)."""
    from scipy import sparse

    segments = encoded.rows * encoded.texts
    ends = np.arange(0, segments + 1, encoded.texts)
    return sparse.csr_matrix((np.ones(segments), np.arange(segments), ends), shape=(encoded.rows, segments))
