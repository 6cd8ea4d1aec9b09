"""Text → the ids of its terms: words, pairs of neighbours, traits, and letter groups of words never seen.

    "Free entry!"  →  free · entry · !  ·  A free · free entry · entry ! · ! Z        (words and pairs, of A to Z)
                      L0 · L1 · U0                                                    (traits: three words, capitals)
    "freeee"       →  <fr · fre · ree · eee · ...                                     (a word outside the vocabulary)

Marks in a row are a word, and so is a new line with its indentation. Han, kana, Hangul, Thai and other scripts that are
written without spaces count each character as a word, so that pairs are the two-character groups that carry meaning
there; three of such characters in a row are a term too.
"""

import re
import unicodedata
from collections import Counter
from collections.abc import Collection, Iterable, Mapping, Sequence
from functools import lru_cache
from itertools import groupby, pairwise
from typing import ClassVar, Final

from aias.core import limits
from aias.core.errors import BadValue, Damaged
from aias.core.front_coding import pack, unpack
from aias.core.schema import Field, Kind

__all__ = ["Text"]

UNSEGMENTED: Final = (
    "\u0e00-\u0eff\u1000-\u109f\u1780-\u17ff\u2e80-\u2fdf\u3040-\u30ff\u3100-\u312f\u3400-\u4dbf\u4e00-\u9fff"
    "\ua960-\ua97f\uac00-\ud7af\uf900-\ufaff\U00020000-\U0003ffff"
)
SIGNS: Final = (
    "\u0300-\u036f\u0483-\u0487\u0591-\u05bd\u05bf\u05c1\u05c2\u05c4\u05c5\u05c7\u0610-\u061a\u064b-\u065f\u0670"
    "\u06d6-\u06dc\u06df-\u06e4\u06e7\u06e8\u06ea-\u06ed\u07a6-\u07b0\u0900-\u0963\u0966-\u0dff\u0f71-\u0f84"
    "\u1ab0-\u1aff\u1dc0-\u1dff\u20d0-\u20ff"
)
"""Accents and vowel signs, Indic ones whole, that are not `\\w` in Python's `re` but are parts of words."""
PICTURES: Final = "\u2190-\u21ff\u2600-\u27bf\U0001f000-\U0001faff"
UNSEEN: Final = (
    "\\x00-\\x1f\\x7f-\\x9f\\xad\u061c\u200b-\u200f\u202a-\u202e\u2060-\u206f\ufe00-\ufe0f\ufeff\U000e0000-\U000e0fff"
)
"""Control and format characters."""

_NO_MARKS: Final = rf"\w\s{UNSEGMENTED}{SIGNS}{PICTURES}{UNSEEN}"
PATTERN: Final = rf"[{UNSEGMENTED}]|(?:[^\W{UNSEGMENTED}]+|[{SIGNS}])+|[{PICTURES}]|\n\s*|[^{_NO_MARKS}]+"

_unsegmented = re.compile(f"[{UNSEGMENTED}] [{UNSEGMENTED}] [{UNSEGMENTED}]").fullmatch
_split_any = re.compile(PATTERN).findall
_split_ascii = re.compile(r"[a-z0-9_]+|\n\s*|[!-/:-@\[-^`{-~]+").findall
MARKS_MAX: Final = 128
"""In a row, that NFKC is given as they are: it sorts them by insertion, a million in a quarter of an hour."""
_marks = re.compile(rf"[\W\uff9e\uff9f]{{{MARKS_MAX},}}").sub
_digit = re.compile(r"\d")
_CAPITALS: Final = b"ABCDEFGHIJKLMNOPQRSTUVWXYZ"
_DIGITS: Final = b"0123456789"

BEGIN, END = "A", "Z"
"""Neighbours of the first word and of the last. Words have no capitals: what begins with one is not spelled."""
INDENT_MAX: Final = 8

PARTS: Final = ("words", "pairs", "triples", "groups")
"""Of a vocabulary, in the order of the ids."""

WORD_CHARS_MAX: Final = 32
"""Letter groups are taken from a word's beginning only: longer words are not words."""
GROUP_SIZES: Final = (3, 4, 5)
SEEN_MIN: Final = 2
"""A word or pair in fewer training texts than this says nothing about the next text."""
GROUP_SEEN_MIN: Final = 3
SPELLED_KEPT: Final = 4_096
"""Unseen words whose letter groups are remembered: names and typing errors come back."""

_LENGTHS, _UPPER, _DIGITAL = ([f"{name}{i}" for i in range(limits.TEXT_CHARS_MAX.bit_length())] for name in "LUD")


def split(text: str) -> list[str]:
    """Words in order. Case and compatibility forms are folded (Unicode NFKC, full case folding). `N4`: a new line that
    four blanks follow."""
    text = text.strip()
    words = _split_ascii(text.lower()) if text.isascii() else _split_any(_folded(text))
    if "\n" in text:
        return [f"N{min(len(word) - 1, INDENT_MAX)}" if word[0] == "\n" else word for word in words]
    return words


def _folded(text: str) -> str:
    if len(text) >= MARKS_MAX:
        text = _marks(_in_order, text)
    return unicodedata.normalize("NFKC", text).casefold()


def _in_order(run: re.Match[str]) -> str:
    """The same to NFKC: decomposed, and the marks on each letter in canonical order (Unicode, D108 and D109)."""
    apart = "".join([unicodedata.normalize("NFKD", each) for each in run[0]])
    parts = groupby(apart, lambda each: unicodedata.combining(each) > 0)
    return "".join(["".join(sorted(part, key=unicodedata.combining) if marks else part) for marks, part in parts])


def traits(text: str, words: Sequence[str]) -> list[str]:
    """What a text has beside its words: `L0 L1 L2` at least 1, 2, 4 words, `U0` .. capitals, `D0` .. digits; `S00` a
    number of two digits; `Bvery` that word twice or more, `Qvery` four times or more."""
    if text.isascii():
        raw = text.encode()
        capitals, digits = len(raw) - len(raw.translate(None, _CAPITALS)), len(raw) - len(raw.translate(None, _DIGITS))
    else:
        capitals, digits = sum(map(str.isupper, text)), len(_digit.findall(text))
    found = [*_LENGTHS[: len(words).bit_length()], *_UPPER[: capitals.bit_length()], *_DIGITAL[: digits.bit_length()]]
    distinct = set(words)
    if len(distinct) < len(words):
        for word, count in Counter(words).items():
            if count > 1:
                found.append("B" + word)
                if count > 3:
                    found.append("Q" + word)
    if digits:
        found += ["S" + _digit.sub("0", word) for word in distinct if _digit.search(word) and word[0] != "N"]
    return found


def letter_groups(word: str) -> set[str]:
    """The 3, 4 and 5 letter groups of `<word>`; none for a word of one letter, and for what begins with a capital."""
    if len(word) < 2 or _is_trait(word):
        return set()
    marked = f"<{word[:WORD_CHARS_MAX]}>"
    return {marked[i : i + size] for size in GROUP_SIZES for i in range(len(marked) - size + 1)}


class Text:
    """Ids: words come first, then pairs, triples and letter groups, each by descending frequency, or sorted and
    `packed`: its table is then a fifth to a third as large."""

    kind: ClassVar[Kind] = "text"
    version: ClassVar[int] = 3

    def __init__(
        self, words: Sequence[str], pairs: Sequence[str], triples: Sequence[str], groups: Sequence[str],
        *, missing: Iterable[str] = (), packed: bool = False,
    ) -> None:  # fmt: skip
        self._missing, self.packed = frozenset(missing), packed
        self.words, self.pairs, self.triples, self.groups = list(words), list(pairs), list(triples), list(groups)
        self.whole = len(self.words) + len(self.pairs) + len(self.triples)
        self.size = self.whole + len(self.groups)
        self._terms = {word: i for i, word in enumerate(self.words)}
        at = len(self.words)
        self._pairs = {tuple(pair.split(" ")): i for i, pair in enumerate(self.pairs, start=at)}
        at += len(self.pairs)
        self._triples = {tuple(triple.split(" ")): i for i, triple in enumerate(self.triples, start=at)}
        self._spelled = lru_cache(SPELLED_KEPT)(self.groups_of)
        self._groups = {group: i for i, group in enumerate(self.groups, start=self.whole)}
        if len(self._terms) + len(self._pairs) + len(self._triples) + len(self._groups) != self.size:
            raise Damaged("a text encoder's vocabulary holds a term twice")

    @classmethod
    def fit(cls, field: Field, values: Sequence[object]) -> "Text":
        """Keep what several texts share. `values` are the training rows of `field`."""
        words: Counter[str] = Counter()
        pairs: Counter[str] = Counter()
        triples: Counter[str] = Counter()
        for row, value in enumerate(values):
            try:
                text = as_text(value, field.missing)
            except BadValue as fault:
                raise fault.at(field=field.name, row=row) from None
            found = split(text)
            if found:
                words.update({*found, *traits(text, found)})
                pairs.update(set(map(" ".join, pairwise((BEGIN, *found, END)))))
                triples.update(_triples_of(found))
        groups: Counter[str] = Counter()
        for word, texts in words.items():
            for group in letter_groups(word):
                groups[group] += texts
        lists = (
            _frequent(words, SEEN_MIN, limits.VOCABULARY_MAX // 4),
            _frequent(pairs, SEEN_MIN, limits.VOCABULARY_MAX // 2),
            _frequent(triples, SEEN_MIN, limits.VOCABULARY_MAX // 4),
            _frequent(groups, GROUP_SEEN_MIN, limits.VOCABULARY_MAX // 4),
        )
        if not any(lists[1:]) and all(map(_is_trait, lists[0])):
            return cls([], [], [], [], missing=field.missing)  # of traits alone nothing is learned
        return cls(*lists, missing=field.missing)

    @classmethod
    def load(cls, field: Field, table: Mapping[str, object]) -> "Text":
        lists: list[object] = [table.get(name) for name in PARTS]
        packed = all(isinstance(terms, str) for terms in lists)
        if packed:
            try:
                lists = [unpack(str(terms)) for terms in lists]
            except ValueError as fault:
                raise Damaged(f"the text encoder of field `{field.name}`: {fault}") from None
        if not all(isinstance(terms, list) and all(isinstance(term, str) for term in terms) for terms in lists):
            raise Damaged(f"the text encoder of field `{field.name}` has no vocabulary")
        return cls(*lists, missing=field.missing, packed=packed)  # type: ignore[arg-type]

    def table(self) -> dict[str, object]:
        """Lists of terms or, `packed`, strings."""
        lists = dict(zip(PARTS, (self.words, self.pairs, self.triples, self.groups), strict=True))
        return {name: pack(terms) if self.packed else terms for name, terms in lists.items()}

    def encode(self, value: object) -> list[int]:
        """The distinct ids of one text, in an order that depends on nothing but the text. Raises `BadValue`."""
        if type(value) is not str or value.strip() in self._missing or len(value) > limits.TEXT_CHARS_MAX:
            value = as_text(value, self._missing)
        if not self.size:
            return []
        words = split(value)
        if not words:
            return []
        ids: set[int | None] = set(map(self._terms.get, words))
        if None in ids:
            ids.remove(None)
            known = self._terms
            for word in words:
                if word not in known:
                    ids.update(self._spelled(word[:WORD_CHARS_MAX]))  # short ones are remembered
        ids.update(map(self._terms.get, traits(value, words)))
        ids.update(map(self._pairs.get, pairwise((BEGIN, *words, END))))
        if self._triples and len(words) > 2:
            ids.update(map(self._triples.get, zip(words, words[1:], words[2:], strict=False)))
        ids.discard(None)
        return sorted(ids)  # type: ignore[arg-type]

    def groups_of(self, word: str) -> tuple[int, ...]:
        """The ids of the letter groups in a word: what the word would be, had it not been seen."""
        return tuple(sorted(self._groups[group] for group in letter_groups(word) if group in self._groups))


def as_text(value: object, missing: Collection[object] = ()) -> str:
    """`value` as a string; nothing (null, a missing spelling) is the empty text. Raises `BadValue`."""
    if value is None or (isinstance(value, float) and value != value):
        return ""
    if isinstance(value, (bool, int, float)):
        value = str(value)
    if isinstance(value, str):
        if value.strip() in missing:  # as it is in a file
            return ""
        if len(value) > limits.TEXT_CHARS_MAX:
            raise BadValue(
                f"a text of {len(value):,} characters is too long", hint=f"send at most {limits.TEXT_CHARS_MAX:,}"
            )
        return value
    raise BadValue(f"{type(value).__name__} is not a text", hint="send a string; of a list its JSON text")


def _is_trait(term: str) -> bool:
    return "A" <= term[0] <= "Z"


def _triples_of(words: Sequence[str]) -> set[str]:
    """Those of three characters that are words by themselves; a text in which no word is one has none."""
    if all(map(str.isascii, words)):
        return set()
    in_a_row = zip(words, words[1:], words[2:], strict=False)
    return set(filter(_unsegmented, map(" ".join, in_a_row)))


def _frequent(counts: Counter[str], seen_min: int, keep: int) -> list[str]:
    kept = [(-count, term) for term, count in counts.items() if count >= seen_min]
    return [term for _, term in sorted(kept)[:keep]]
