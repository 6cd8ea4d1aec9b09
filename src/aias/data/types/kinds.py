"""What a column of texts holds: numbers, times, categories or free text, and why we think so."""

import re
from dataclasses import replace
from itertools import islice
from typing import Final

import polars as pl

from aias.core.errors import shown
from aias.data.types.codes import CODES_SHARE_MIN, are_grades, are_lists, begin_alike
from aias.data.types.conform import is_plain
from aias.data.types.counted import Counted, counted, is_spelled
from aias.data.types.guesses import Guess
from aias.data.types.numbers_in_texts import DIFFERENT_MIN, about, numbers_in_texts, plain_numbers, same_word
from aias.data.types.spellings import AMONG_AMOUNTS, SPELLINGS
from aias.data.types.times_in_texts import times_in_texts

_WORD: Final = r"\p{L}{3,}"
_ODD_WORD: Final = re.compile(r"[^\W\d_][^\d]{0,60}[^\W\d_].?")
"""Of two letters or more, without a digit."""
_AMOUNT_CHARS: Final = 40
"""Of an amount or a time, at most."""
_LOOKED: Final = 100
"""Of the most frequent values, of which half at least have no more: of texts all would take a second."""
_WORDS_MAX: Final = 5
_LOOKED_MAX: Final = _WORDS_MAX + 20
"""Some of them may be among those that mean missing."""
_WORDS_SHARE: Final = 0.1
"""Of the rows; of more, what the words say may be as much as what the numbers say."""
_AMOUNTS_MIN: Final = 20
"""Different ones: fewer may be grades or sizes, and are known one by one."""

_SHARED_MIN: Final = 5
_SHARED_SHARE: Final = 0.02
"""Of the values that hold a word: letters that stand together in hexadecimal codes come to less."""
_NAMED_SHARE: Final = 0.25

_WIDE: Final = r"[\p{Han}\p{Hiragana}\p{Katakana}\p{Hangul}\p{Thai}\p{Extended_Pictographic}]"
"""Of scripts without spaces, and emoji: two are about a word."""


def guess(column: pl.Series, spellings: frozenset[str] = SPELLINGS) -> Guess:
    """The kind of a column of texts. A column without values is a category."""
    is_target = spellings is not SPELLINGS
    bare = column.cast(pl.String).str.strip_chars()
    bare = bare.filter(bare != "")
    if len(bare) and bool(is_plain(bare).all()):
        return plain_numbers(bare, (), rows=len(bare), is_target=is_target)
    found = counted(bare, spellings)
    if not found.values:
        return Guess("category", "no values", found.missing)
    return (
        _amounts(found, is_target=is_target)
        or _with_gaps(bare, found, is_target=is_target)
        or (None if is_target else _with_words(bare, found))
        or _words(found, is_target=is_target)
    )


def _amounts(found: Counted, *, is_target: bool) -> Guess | None:
    """The guess that a column holds numbers or times."""
    if are_grades(found.values):
        return None
    guess = numbers_in_texts(found, is_target=is_target) or times_in_texts(found)
    if guess or is_target or len(found.values) < DIFFERENT_MIN:  # a target may be `3 dwarfs`, or `<30`
        return guess
    return numbers_in_texts(found, unit=same_word(found.values)) or about(found)


def _with_gaps(bare: pl.Series, words: Counted, *, is_target: bool) -> Guess | None:
    """The guess that a column holds numbers or times, and words that say that there is none."""
    if is_target or not any(is_spelled(text, AMONG_AMOUNTS) for text in words.values):  # in a target they may be labels
        return None
    found = counted(bare, AMONG_AMOUNTS)
    if len(found.values) < DIFFERENT_MIN:
        return None
    guess = _amounts(found, is_target=is_target)
    if guess is None:
        return None
    said = [text for text in guess.missing if text not in words.missing]
    return replace(guess, reason=f"{guess.reason}{_gaps(said, words.rows - found.rows)}")


def _with_words(bare: pl.Series, every: Counted) -> Guess | None:
    """The guess that a column holds numbers or times, and a few words that say why there is none: `refused`."""
    some = every.values[:_LOOKED]
    if sum(len(text) > _AMOUNT_CHARS for text in some) * 2 > len(some):
        return None
    if sum(1 for _ in islice(filter(_ODD_WORD.fullmatch, every.values), _LOOKED_MAX)) in {0, _LOOKED_MAX}:
        return None
    found = counted(bare, AMONG_AMOUNTS)
    pairs = list(zip(found.values, found.counts, strict=True))
    words = [(text, count) for text, count in pairs if _ODD_WORD.fullmatch(text)]
    rest = [(text, count) for text, count in pairs if not _ODD_WORD.fullmatch(text)]
    rows = sum(count for _, count in words)
    if not 0 < len(words) <= _WORDS_MAX or rows > _WORDS_SHARE * found.rows or len(rest) < _AMOUNTS_MIN:
        return None
    guess = _amounts(Counted([text for text, _ in rest], [count for _, count in rest], found.missing), is_target=False)
    if guess is None or guess.kind not in {"number", "time"}:
        return None
    share = 1 - (rows + sum(count for _, count in guess.odd)) / found.rows
    said = [text for text in guess.missing if text not in every.missing]
    gaps = _gaps(said, every.rows - found.rows)
    reason = f"{share:.2%} of the values are {guess.kind}s, the others a few words{gaps}"
    return replace(guess, reason=reason, odd=(*words, *guess.odd))


def _gaps(said: list[str], rows: int) -> str:
    """What is told of spellings that mean "missing" here."""
    who = "1 row says" if rows == 1 else f"{rows:,} rows say"
    return f"; {who} {', '.join(map(shown, said[:3]))}, read as missing" if rows else ""


def _words(found: Counted, *, is_target: bool) -> Guess:
    distinct, rows = len(found.values), found.rows
    values = pl.Series("v", found.values[:5_000])
    words = (values.str.count_matches(r"\S+") + values.str.count_matches(_WIDE) / 2).mean()
    mean_words = float(words) if isinstance(words, int | float) else 0.0
    share = distinct / rows
    texts = f"{distinct:,} different texts" if distinct > 1 else "one text"
    each = f", {mean_words:.1f} words each" if mean_words >= 1.05 else ""
    figures = f"{texts} in {rows:,} rows{each}"
    few = share <= 0.05 or (distinct <= 20 and share <= 0.5)
    if few and distinct <= 2_000:
        return Guess("category", figures, found.missing)
    unique = share >= 0.95 and rows >= 20
    several = mean_words >= 2 or (unique and _are_names(values))
    if mean_words >= 3 or (several and (rows < 20 or unique)):  # alone each says nothing, its words may
        return Guess("text", figures, found.missing)
    if not is_target and share >= CODES_SHARE_MIN and begin_alike(values.to_list()):
        return Guess("text", f"{figures}, codes of which many begin alike", found.missing)
    if not is_target and share >= CODES_SHARE_MIN and are_lists(values.to_list()):
        return Guess("text", f"{figures}, lists of which many have parts in common", found.missing)
    return Guess("category", figures, found.missing, id_like=unique)


def _are_names(values: pl.Series) -> bool:
    """Whether values without spaces are made of words that others hold too, as names of files and packages and
    addresses are (`python3-numpy`), and random codes are not."""
    words = values.str.to_lowercase().str.extract_all(_WORD).list.unique()
    held = pl.DataFrame({"value": range(len(values)), "word": words}).explode("word").drop_nulls()
    seen = pl.len().over("word").is_between(max(_SHARED_MIN, _SHARED_SHARE * len(values)), len(values) / 2)
    return held.filter(seen)["value"].n_unique() >= _NAMED_SHARE * len(values)
