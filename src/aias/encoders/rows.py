"""Rows → the tensors of a graph: all encoders of a model side by side, in the order of its fields.

{"age": 39, "job": "clerk", "note": "Lovely!"}
    → columns       (rows, width)  float64   numbers, category codes and calendar parts, NaN for missing
      term_ids      (terms,)       int64     the terms of all texts, one after another
      term_segments (terms, 1)     int64     row * texts + text, for each term

and, of a model with a sentence encoder, for each text of each row, padded at the end:

      tokens        (rows * texts, length) int64
      token_mask    (rows * texts, length) bool    which of them are there
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from typing import Any

import numpy as np

from aias.core.arrays import Flags, Floats, Floats32, Ints
from aias.core.catalog import member
from aias.core.errors import BadValue
from aias.core.nested import flat, is_nested, is_nothing, parents
from aias.core.schema import Field
from aias.core.suggestions import did_you_mean
from aias.encoders.contract import ColumnEncoder
from aias.encoders.json_row import JsonRow
from aias.encoders.subwords import Subwords
from aias.encoders.text import Text


@dataclass(slots=True)
class Encoded:
    """Encoded rows, ready for a graph or for features. Nobody changes one; frozen it would cost a row 1 µs more."""

    columns: Floats  # (rows, width)
    term_ids: Ints  # (terms,)
    term_segments: Ints  # (terms, 1)
    texts: int
    tokens: Ints | None = None  # (rows * texts, length)
    token_mask: Flags | None = None  # (rows * texts, length)
    vectors: Floats32 | None = None  # (rows, width)
    """What the sentence encoder makes of each row's tokens, where somebody has asked it."""
    cut: Flags | None = None  # (rows,)
    """Of which texts not all tokens were kept, where somebody wants to be told."""

    @property
    def rows(self) -> int:
        return len(self.columns)

    def take(self, rows: Ints) -> "Encoded":
        """The given rows, in the given order; padding that none of them needs is cut off."""
        if not self.texts:
            return Encoded(self.columns[rows], self.term_ids, self.term_segments, 0)
        bounds = np.searchsorted(self.term_segments[:, 0], np.arange(self.rows * self.texts + 1))
        segments = (rows[:, None] * self.texts + np.arange(self.texts)).ravel()
        counts = np.diff(bounds)[segments]
        starts = np.repeat(bounds[segments] - np.concatenate(([0], np.cumsum(counts)[:-1])), counts)
        picked = starts + np.arange(counts.sum())
        fresh = np.repeat(np.arange(len(segments)), counts)
        tokens, mask = self._take_tokens(segments)
        vectors = None if self.vectors is None else self.vectors[rows]
        cut = None if self.cut is None else self.cut[rows]
        columns = self.columns[rows]
        return Encoded(columns, self.term_ids[picked], fresh[:, None], self.texts, tokens, mask, vectors, cut)

    def with_vectors(self, rows: Ints, other: "Encoded") -> "Encoded":
        """The same, but of the given rows the vectors of another, in their order."""
        assert self.vectors is not None and other.vectors is not None
        vectors = self.vectors.copy()
        vectors[rows] = other.vectors
        return replace(self, vectors=vectors)

    @staticmethod
    def join(parts: "Sequence[Encoded]") -> "Encoded":
        """Encoded rows of one encoder, one part after the other: as if they had been encoded together."""
        texts = parts[0].texts
        columns = np.concatenate([part.columns for part in parts])
        if not texts:
            return Encoded(columns, parts[0].term_ids, parts[0].term_segments, 0)
        count, before = len(columns), np.cumsum([0, *(part.rows * texts for part in parts)])
        segments = [part.term_segments + start for part, start in zip(parts, before, strict=False)]
        tokens: Any = None
        mask: Any = None
        if parts[0].tokens is not None:
            length = max(part.tokens.shape[1] for part in parts if part.tokens is not None)
            tokens, mask = np.zeros((count * texts, length), np.int64), np.zeros((count * texts, length), np.bool_)
            for part, start in zip(parts, before, strict=False):
                assert part.tokens is not None
                rows, width = part.tokens.shape
                tokens[start : start + rows, :width] = part.tokens
                mask[start : start + rows, :width] = part.token_mask
        term_ids = np.concatenate([part.term_ids for part in parts])
        marks = [part.cut for part in parts if part.cut is not None]
        cut = np.concatenate(marks) if marks else None
        return Encoded(columns, term_ids, np.concatenate(segments), texts, tokens, mask, cut=cut)

    def _take_tokens(self, segments: Ints) -> tuple[Ints | None, Flags | None]:
        if self.tokens is None or self.token_mask is None:
            return None, None
        mask = self.token_mask[segments]
        length = int(mask.sum(axis=1).max(initial=0))
        return self.tokens[segments, :length], mask[:, :length]


@dataclass(frozen=True, slots=True)
class Layout:
    """Which of the columns hold what, and where each text's ids begin."""

    width: int
    numbers: tuple[int, ...]
    categories: tuple[int, ...]
    category_sizes: tuple[int, ...]
    terms: int
    texts: int
    times: tuple[int, ...] = ()
    """Where the days since 1970 of each point in time are."""


class RowEncoder:
    """Built by `fit` or `load`; afterwards it never changes and may be shared by threads.

    `subwords`: for models with a sentence encoder, what makes tokens of every text beside its terms.
    """

    def __init__(
        self, fields: Sequence[Field], encoders: Mapping[str, Any], *, others: Sequence[str] = (),
        subwords: Subwords | None = None,
    ) -> None:  # fmt: skip
        self.fields = tuple(fields)
        self.encoders = dict(encoders)
        self._others = tuple(others)
        self._known = frozenset(field.name for field in fields) | frozenset(others)
        self._parents = parents(self._known)
        self._columns: list[tuple[str, ColumnEncoder]] = []
        self._texts: list[tuple[str, Text, int]] = []
        terms = 0
        for field in fields:
            encoder = self.encoders[field.name]
            if isinstance(encoder, Text):
                self._texts.append((field.name, encoder, terms))
                terms += encoder.size
            else:
                self._columns.append((field.name, encoder))
        self._plain = [
            (name, encoder.encode, encoder.kind == "number") for name, encoder in self._columns if encoder.width == 1
        ]
        self.subwords = subwords if self._texts else None
        texts = [field for field in fields if field.kind == "text"]
        self._subwords = [(field.name, subwords.of(field)) for field in texts] if subwords else []
        self._all_plain = len(self._plain) == len(self._columns)
        self.layout = self._make_layout(terms)
        self._json = self._json_row()

    @classmethod
    def fit(cls, fields: Sequence[Field], values: Mapping[str, Any], *, others: Sequence[str] = ()) -> "RowEncoder":
        """Learn every table from the training rows. `others`: known columns that no encoder reads."""
        fitted = {field.name: member("encoders", field.kind).fit(field, values[field.name]) for field in fields}
        return cls(fields, fitted, others=others)

    @classmethod
    def load(
        cls, fields: Sequence[Field], tables: Mapping[str, Mapping[str, object]], *, others: Sequence[str] = (),
        subwords: Mapping[str, object] | None = None,
    ) -> "RowEncoder":  # fmt: skip
        """The encoder whose tables these are; `subwords`: the table of the one that all texts share."""
        loaded = {field.name: member("encoders", field.kind).load(field, tables[field.name]) for field in fields}
        texts = [field for field in fields if field.kind == "text"]
        shared = Subwords.load(texts[0], subwords) if subwords and texts else None
        return cls(fields, loaded, others=others, subwords=shared)

    def with_subwords(self, subwords: Subwords | None) -> "RowEncoder":
        """The same with other subwords, or without any."""
        return RowEncoder(self.fields, self.encoders, others=self._others, subwords=subwords)

    def with_encoders(self, encoders: Mapping[str, Any]) -> "RowEncoder":
        """The same fields read by others of the same kinds."""
        return RowEncoder(self.fields, encoders, others=self._others, subwords=self.subwords)

    def of(self, fields: Sequence[Field]) -> "RowEncoder":
        """The same of some of its fields; the others may still come, and are not read."""
        names = {field.name for field in fields}
        gone = [field.name for field in self.fields if field.name not in names]
        kept = {name: self.encoders[name] for name in names}
        return RowEncoder(fields, kept, others=[*self._others, *gone], subwords=self.subwords)

    def one(self, row: Mapping[str, object]) -> Encoded:
        """One row, by the shortest way: the hot path of an endpoint."""
        if not row.keys() <= self._known:
            row = self._flat(row, 0)
        numbers: list[float] = []
        name = ""
        try:
            if self._all_plain:
                for name, encode, is_number in self._plain:
                    value = row.get(name)
                    numbers.append(value if is_number and type(value) is float else encode(value))  # type: ignore[arg-type]
            else:
                for name, encoder in self._columns:
                    value_ = encoder.encode(row.get(name))
                    numbers.extend(value_) if type(value_) is tuple else numbers.append(value_)  # type: ignore[arg-type]
            columns = np.array([numbers]) if numbers else _NO_COLUMNS
            if not self._texts:
                return Encoded(columns, _NO_IDS, _NO_SEGMENTS, 0)
        except BadValue as fault:
            raise fault.at(field=name, row=0) from None
        if len(self._texts) == 1:
            return self._one_text(columns, row)
        values = {name: [row.get(name)] for name, _, _ in self._texts}
        return Encoded(columns, *self._terms(values, 1), len(self._texts), *self._tokens(values, 1))

    def _one_text(self, columns: Floats, row: Mapping[str, object]) -> Encoded:
        """One row of one text field, without the lists that many rows need. Raises `BadValue`."""
        name, text, _ = self._texts[0]
        value = row.get(name)
        try:
            found = text.encode(value)
            ids = self._subwords[0][1].encode(value) if self.subwords is not None else None
        except BadValue as fault:
            raise fault.at(field=name, row=0) from None
        count = len(found)
        segments = _ZEROS[:count] if count <= len(_ZEROS) else np.zeros((count, 1), np.int64)
        terms = np.fromiter(found, np.int64, count)
        if ids is None:
            return Encoded(columns, terms, segments, 1)
        length = len(ids)
        mask = _THERE[:, :length] if length <= _THERE.shape[1] else np.ones((1, length), np.bool_)
        return Encoded(columns, terms, segments, 1, np.array([ids], np.int64), mask)

    def json(self, body: bytes) -> Encoded | None:
        """The only row of a JSON object or list, by a way that is shorter still; None where `one` has to judge."""
        columns = None if self._json is None else self._json.read(body)
        return None if columns is None else Encoded(columns, _NO_IDS, _NO_SEGMENTS, 0)

    def rows(self, rows: Sequence[Mapping[str, object]]) -> Encoded:
        """Many rows; equal to `one` of each."""
        if len(rows) == 1:
            return self.one(rows[0])
        if not all(row.keys() <= self._known for row in rows):
            rows = [row if row.keys() <= self._known else self._flat(row, at) for at, row in enumerate(rows)]
        return self.columns({field.name: [row.get(field.name) for row in rows] for field in self.fields}, len(rows))

    def columns(self, values: Mapping[str, Any], rows: int) -> Encoded:
        """The same from columns of `rows` values each; a field that is absent is missing on every row."""
        if not values.keys() <= self._known:
            absent = [name for name in values if name in self._parents and _is_empty(values[name])]
            values = {name: values[name] for name in values if name not in absent}
            if not values.keys() <= self._known:
                self._refuse_unknown(values, None)
        columns = np.empty((rows, self.layout.width))
        at = 0
        for name, encoder in self._columns:
            try:
                columns[:, at : at + encoder.width] = encoder.column(values.get(name, [None] * rows))
            except BadValue as fault:
                raise fault.at(field=name, row=fault.row) from None
            at += encoder.width
        return Encoded(columns, *self._terms(values, rows), len(self._texts), *self._tokens(values, rows))

    def tables(self) -> dict[str, dict[str, object]]:
        """What was learned, by field."""
        return {name: encoder.table() for name, encoder in self.encoders.items()}

    def _terms(self, values: Mapping[str, Any], rows: int) -> tuple[Ints, Ints]:
        texts = len(self._texts)
        lists: list[list[list[int]]] = []
        for name, encoder, offset in self._texts:
            column = values.get(name, [None] * rows)
            encoded = []
            for place, value in enumerate(column):
                try:
                    ids = encoder.encode(value)
                except BadValue as fault:
                    raise fault.at(field=name, row=place) from None
                encoded.append([i + offset for i in ids] if offset else ids)
            lists.append(encoded)
        if not texts:
            return _NO_IDS, _NO_SEGMENTS
        in_order = [lists[text][row] for row in range(rows) for text in range(texts)]
        counts = [len(ids) for ids in in_order]
        flat = np.fromiter((i for ids in in_order for i in ids), np.int64, sum(counts))
        return flat, np.repeat(np.arange(rows * texts), counts)[:, None]

    def _tokens(self, values: Mapping[str, Any], rows: int) -> tuple[Ints | None, Flags | None]:
        """After `_terms`, which refuses what is no text."""
        if self.subwords is None:
            return None, None
        columns = [[each.encode(value) for value in values.get(name, [None] * rows)] for name, each in self._subwords]
        return self.subwords.padded([column[row] for row in range(rows) for column in columns])

    def _make_layout(self, terms: int) -> Layout:
        numbers: list[int] = []
        categories: list[int] = []
        sizes: list[int] = []
        times: list[int] = []
        at = 0
        for _, encoder in self._columns:
            if encoder.kind == "time":
                times.append(at)
            if encoder.kind == "category":
                categories.append(at)
                sizes.append(encoder.size)  # type: ignore[attr-defined]
            else:
                numbers.extend(range(at, at + encoder.width))
            at += encoder.width
        return Layout(at, tuple(numbers), tuple(categories), tuple(sizes), terms, len(self._texts), tuple(times))

    def _json_row(self) -> JsonRow | None:
        if not self._all_plain or self._texts or not self._columns:
            return None
        try:
            return JsonRow(self._columns)
        except ValueError:  # of a name that has to be escaped
            return None

    def _flat(self, row: Mapping[str, object], place: int) -> Mapping[str, object]:
        """The row with what its objects hold as fields of their own. Raises `BadValue` for what the model knows not."""
        try:
            found = flat(row, self._parents)
        except BadValue as bad:
            raise bad.at(field=bad.field[:100], row=place) from None
        for name, value in row.items():
            if is_nested({name: value}) and name in self._known:
                raise BadValue("an object came; this field takes one value").at(field=name[:100], row=place)
        if not found.keys() <= self._known:
            self._refuse_unknown(found, place)
        return found

    def _refuse_unknown(self, row: Mapping[str, object], place: int | None) -> None:
        # Looking for the nearest of a name of megabytes takes seconds, and nobody would read it.
        name = str(next(name for name in row if name not in self._known))[:100]
        names = [field.name for field in self.fields]
        listed = "the fields are: " + ", ".join(names[:20]) + (", …" if len(names) > 20 else "")
        hint = did_you_mean(name, names) or listed
        raise BadValue("the model knows no such field", hint=hint).at(field=name, row=place)


def _is_empty(values: Any) -> bool:
    return not isinstance(values, np.ndarray) and all(map(is_nothing, values))


_NO_COLUMNS = np.empty((1, 0))
_ZEROS = np.zeros((1_024, 1), np.int64)
_ZEROS.setflags(write=False)
_THERE = np.ones((1, 1_024), np.bool_)
_THERE.setflags(write=False)
_NO_IDS = np.zeros(0, np.int64)
_NO_SEGMENTS = np.zeros((0, 1), np.int64)
