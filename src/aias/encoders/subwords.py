"""Text → the ids of its subwords, for a sentence encoder: what the encoder's own `tokenizer.json` says, cut off.

    "Unhappily!"  →  [CLS] un ##ha ##pp ##ily ! [SEP]  →  101 4895 3270 9397 6588 999 102

Nothing is learned from the rows. The library `tokenizers` (the extra `text`) is imported when the first one is made.
"""

import re
from collections.abc import Collection, Mapping, Sequence
from functools import cached_property, lru_cache
from pathlib import Path
from typing import Any, ClassVar, Final

import msgspec
import numpy as np

from aias.core.arrays import Flags, Ints
from aias.core.errors import BadValue, Damaged, UserError, shown
from aias.core.schema import Field
from aias.encoders.text import as_text

__all__ = ["Subwords"]

LENGTH_MAX: Final = 128
"""Tokens of one text, with those that mark its ends; a transformer's cost grows with them, and its answer hardly."""

TRIMMED: Final = ("WordPiece", "WordLevel")
"""Tokenizers that can do without some of their tokens."""

CHARS_PER_TOKEN: Final = 64
"""Of a text so many characters a token are read: beyond them the tokens would be cut off anyhow, but only once made."""

WORDS_KEPT: Final = 16_384
"""Words whose tokens are remembered: some megabytes, and nearly all that a language uses."""

UNKNOWN: Final = "\U0010fffd"
"""A character that no vocabulary has: some tokenizers fail on it, and would when they are asked."""

TOKENIZER: Final = "encoders/tokenizer.json"
"""Of an artifact."""

AS_PUBLISHED: Final = "use the folder as it was published"

_OTHER: Final = (
    "send texts, or the ids of the model's own tokenizer; LangChain sends those of another model unless it is told "
    "`check_embedding_ctx_length=False`"
)


class Subwords:
    """Safe to share between threads. All text fields of a model share one tokenizer: `of` gives a field's own view."""

    kind: ClassVar[str] = "subwords"
    version: ClassVar[int] = 1

    def __init__(self, tokenizer: Any, *, missing: Sequence[str] = ()) -> None:
        self._tokenizer, self._missing = tokenizer, frozenset(missing)
        self.length_max = int(tokenizer.truncation["max_length"])
        self.pad_id = int(tokenizer.padding["pad_id"])
        self.size = int(tokenizer.get_vocab_size())
        self._chars_max = self.length_max * CHARS_PER_TOKEN

    @classmethod
    def read(cls, folder: Path, *, length_max: int = LENGTH_MAX) -> "Subwords":
        """From a Hugging Face folder. Raises `UserError`."""
        try:
            tokenizer = _parsed(_text_of(folder / "tokenizer.json"))
        except ValueError as fault:
            raise UserError(f"the tokenizer in {folder} cannot be read: {fault}", hint="try another encoder") from None
        config = _settings_of(folder / "config.json")
        sentence = folder / "sentence_bert_config.json"
        if sentence.exists() and _settings_of(sentence).get("do_lower_case"):
            from tokenizers import normalizers

            first = normalizers.Lowercase()
            tokenizer.normalizer = normalizers.Sequence([first, *filter(None, [tokenizer.normalizer])])
        pad_id = int((tokenizer.padding or {}).get("pad_id", config.get("pad_token_id") or 0))
        tokenizer.enable_padding(pad_id=pad_id, pad_token=tokenizer.id_to_token(pad_id) or "[PAD]")
        tokenizer.enable_truncation(length_max)
        return cls(tokenizer)

    @classmethod
    def load(cls, field: Field, table: Mapping[str, object]) -> "Subwords":
        try:
            return cls(_parsed(msgspec.json.encode(table).decode()), missing=field.missing)
        except (ValueError, KeyError, TypeError) as fault:
            raise Damaged(f"the subword encoder of field `{field.name}` is no tokenizer: {fault}") from None

    @property
    def last(self) -> int:
        """The largest id of a token; those below it need not all be there."""
        return max(self._tokenizer.get_vocab().values(), default=0)

    def table(self) -> dict[str, object]:
        """The tokenizer's own JSON, with where it cuts off and what it pads with."""
        return dict(msgspec.json.decode(self._tokenizer.to_str()))

    def shortened(self, length_max: int) -> "Subwords":
        """The same, cut off earlier."""
        tokenizer = _parsed(self._tokenizer.to_str())
        tokenizer.enable_truncation(length_max)
        return Subwords(tokenizer)

    def trimmed(self, kept: Collection[int]) -> "tuple[Subwords, Ints] | None":
        """The same that knows only these tokens, and those without which it cannot be; and their ids before, by their
        new ones. A text of known tokens is split as before; a word of others into shorter pieces, or it is unknown.

        None where the tokens do not stand by themselves: those of BPE and Unigram are made of each other.
        """
        table: dict[str, Any] = msgspec.json.decode(self._tokenizer.to_str())
        model = table["model"]
        if model.get("type") not in TRIMMED:
            return None
        special = {each["id"] for each in table.get("added_tokens", ())} | {self.pad_id, *_special_ids(table)}
        prefix = model.get("continuing_subword_prefix") or ""
        needed = {i for token, i in model["vocab"].items()
                  if i in kept or i in special or token == model["unk_token"]
                  or (model["type"] == "WordPiece" and len(token.removeprefix(prefix)) == 1)}  # fmt: skip
        before = np.array(sorted(needed | special), np.int64)
        after = {int(i): place for place, i in enumerate(before)}
        model["vocab"] = {token: after[i] for token, i in model["vocab"].items() if i in after}
        _renumber(table, after)
        return Subwords(_parsed(msgspec.json.encode(table).decode()), missing=tuple(self._missing)), before

    def of(self, field: Field) -> "Subwords":
        return Subwords(self._tokenizer, missing=field.missing)

    def encode(self, value: object) -> list[int]:
        """One text: at most `length_max` ids, those that mark its ends among them; of a tokenizer that marks none, and
        a text without tokens, the one that pads. Raises `BadValue`."""
        text = as_text(value, self._missing)[: self._chars_max]
        if self._by_word and text.isascii() and text.isprintable() and "[" not in text:
            return self._by_word(text) or [self.pad_id]
        return list(self._tokenizer.encode(_characters(text)).ids) or [self.pad_id]

    def marked(self, ids: Sequence[int]) -> list[int]:
        """Ids that this tokenizer has given elsewhere, with or without those that mark the ends; as `encode` gives.

        Raises `BadValue` when they are no tokens, or not what this tokenizer makes of any text: another's ids lie in
        the same range, and their vectors would mean nothing.
        """
        if wrong := next((each for each in ids if not 0 <= each < self.size), None):
            raise BadValue(f"{shown(wrong)} is no token: there are 0 to {self.size - 1}", hint=_OTHER)
        first, last = self._marks
        bare = list(ids)
        if bare[: len(first)] == first and bare[len(bare) - len(last) :] == last and len(bare) >= len(first + last):
            bare = bare[len(first) : len(bare) - len(last)]
        bare = bare[: self.length_max - len(first + last)]
        text = self._whole.decode(bare, skip_special_tokens=False)
        if self._whole.encode(text, add_special_tokens=False).ids != bare:
            raise BadValue("these tokens are not what the model's tokenizer makes of a text", hint=_OTHER)
        # Never none at all: where a text has no token, a graph without padding would read its neighbour's.
        return [*first, *bare, *last] or [self.pad_id]

    def cuts(self, value: object) -> bool:
        """Whether `encode`, or `marked`, leaves some of it out."""
        if isinstance(value, str):
            text = value[: self._chars_max + 1]
            return len(text) > self._chars_max or len(self._whole.encode(_characters(text)).ids) > self.length_max
        if isinstance(value, Sequence):
            first, last = self._marks
            marked = list(value[: len(first)]) == first
            return len(value) + (0 if marked else len(first + last)) > self.length_max
        return False

    @cached_property
    def _by_word(self) -> "_ByWord | None":
        return _ByWord(self._tokenizer, self.length_max) if _reads_word_by_word(self._tokenizer) else None

    @cached_property
    def _whole(self) -> Any:
        """The same without an end, which puts words together as they were and not as people write them."""
        table = self.table() | {"truncation": None, "padding": None}
        decoder = table.get("decoder")
        if isinstance(decoder, dict) and decoder.get("type") == "WordPiece":
            table["decoder"] = decoder | {"cleanup": False}
        return _parsed(msgspec.json.encode(table).decode())

    @cached_property
    def _marks(self) -> tuple[list[int], list[int]]:
        """The ids that stand before and behind every text."""
        found = self._whole.encode("a")
        inner = [at for at, special in enumerate(found.special_tokens_mask) if not special] or [0]
        return list(found.ids[: inner[0]]), list(found.ids[inner[-1] + 1 :])

    def padded(self, texts: Sequence[Sequence[int]]) -> tuple[Ints, Flags]:
        """Ids of many texts as one matrix, (texts, length), and which of them are there."""
        if len(texts) == 1:
            return np.array([texts[0]], np.int64), np.ones((1, len(texts[0])), np.bool_)
        lengths = np.array([len(ids) for ids in texts], np.int64)
        mask = np.arange(lengths.max(initial=0)) < lengths[:, None]
        tokens = np.full(mask.shape, self.pad_id, np.int64)
        tokens[mask] = np.fromiter((i for ids in texts for i in ids), np.int64, int(lengths.sum()))
        return tokens, mask


class _ByWord:
    """What a tokenizer that reads word by word says of printable ASCII, each word asked once: a sixth of the time."""

    def __init__(self, tokenizer: Any, length_max: int) -> None:
        found = tokenizer.encode("a")
        own = [at for at, special in enumerate(found.special_tokens_mask) if not special] or [0]
        self._first, self._last = list(found.ids[: own[0]]), list(found.ids[own[-1] + 1 :])
        self._room = length_max - len(self._last)
        self._lowers = bool(tokenizer.normalizer.lowercase)
        self._ids = lru_cache(WORDS_KEPT)(lambda word: tokenizer.encode(word, add_special_tokens=False).ids)

    def __call__(self, text: str) -> list[int]:
        ids = self._first.copy()
        for word in _ascii_words(text.lower() if self._lowers else text):
            ids += self._ids(word)
        return ids[: self._room] + self._last


_ascii_words = re.compile(r"[A-Za-z0-9]+|[^A-Za-z0-9 ]").findall
"""As BERT's pre-tokenizer parts them: each mark is a word."""


def _reads_word_by_word(tokenizer: Any) -> bool:
    """As BERT's does: what it says of a word hangs on nothing beside it. Its added tokens are in square brackets."""
    kinds = [type(each).__name__ for each in (tokenizer.normalizer, tokenizer.pre_tokenizer, tokenizer.model)]
    added = tokenizer.get_added_tokens_decoder().values()
    return (
        kinds == ["BertNormalizer", "BertPreTokenizer", "WordPiece"]
        and tokenizer.truncation.get("direction", "right").lower() == "right"
        and tokenizer.padding.get("length") is None
        and all("[" in each.content for each in added)
    )


def _special_ids(table: Mapping[str, Any]) -> set[int]:
    """Of the tokens that mark a text's ends."""
    post = table.get("post_processor") or {}
    found = {post[name][1] for name in ("sep", "cls") if name in post}
    return found.union(*(each["ids"] for each in post.get("special_tokens", {}).values()))


def _renumber(table: dict[str, Any], after: Mapping[int, int]) -> None:
    """Everywhere but in the vocabulary."""
    for each in table.get("added_tokens", ()):
        each["id"] = after[each["id"]]
    table["padding"]["pad_id"] = after[table["padding"]["pad_id"]]
    post = table.get("post_processor") or {}
    for name in ("sep", "cls"):
        if name in post:
            post[name] = [post[name][0], after[post[name][1]]]
    for each in post.get("special_tokens", {}).values():
        each["ids"] = [after[i] for i in each["ids"]]


def _characters(text: str) -> str:
    """Half a surrogate pair is no character, and the tokenizer takes characters only."""
    return text if text.isascii() else text.encode("utf-16-le", "surrogatepass").decode("utf-16-le", "replace")


def _parsed(text: str) -> Any:
    """Raises `ValueError` when it is no tokenizer, and `UserError` when nothing is installed to read it."""
    try:
        from tokenizers import Tokenizer
    except ImportError:
        raise UserError("sentence encoders need `tokenizers`", hint="pip install 'aias[text]'") from None
    try:
        found = Tokenizer.from_str(text)
        found.encode(UNKNOWN)
    except Exception as fault:  # noqa: BLE001  the library raises bare exceptions
        raise ValueError(str(fault)) from None
    return found


def _settings_of(path: Path) -> dict[str, Any]:
    """Raises `UserError`."""
    try:
        found = msgspec.json.decode(_text_of(path))
    except (ValueError, RecursionError) as fault:
        raise UserError(f"the sentence encoder's {path.name} cannot be read: {fault}", hint=AS_PUBLISHED) from None
    return found if isinstance(found, dict) else {}


def _text_of(path: Path) -> str:
    if path.exists() and not path.is_file():
        raise UserError(f"`{path.name}` is not a regular file", hint=AS_PUBLISHED)
    try:
        return path.read_text("utf-8")
    except FileNotFoundError:
        raise UserError(
            f"the sentence encoder has no `{path.name}`",
            hint="name a folder in the Hugging Face format, with tokenizer.json, config.json and model.safetensors",
        ) from None
