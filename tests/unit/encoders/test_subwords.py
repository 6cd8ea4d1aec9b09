"""Subwords are those of the tokenizer, cut off and padded; rows without them are as they ever were."""

import json
from pathlib import Path
from typing import Any

import numpy as np
import pytest

pytest.importorskip("tokenizers", reason="the extra `text` is not installed")

from aias.core.errors import BadValue, Damaged, UserError
from aias.core.schema import Field
from aias.encoders.rows import RowEncoder
from aias.encoders.subwords import CHARS_PER_TOKEN, Subwords

WORDS = ["[PAD]", "[UNK]", "[CLS]", "[SEP]", "free", "win", "##ner", "!", "a"]
PAD, UNK, CLS, SEP, FREE, WIN, NER = range(7)
FIELDS = (Field("age", "number"), Field("note", "text", missing=("none",)), Field("title", "text"))
ROWS: list[dict[str, Any]] = [
    {"age": 1, "note": "free", "title": "winner"}, {"age": 2, "note": "free win free!", "title": ""}, {},
]  # fmt: skip


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    from tokenizers import Tokenizer, models, normalizers, pre_tokenizers, processors

    tokenizer = Tokenizer(models.WordPiece({word: i for i, word in enumerate(WORDS)}, unk_token="[UNK]"))
    tokenizer.normalizer = normalizers.BertNormalizer()
    tokenizer.pre_tokenizer = pre_tokenizers.BertPreTokenizer()
    tokenizer.post_processor = processors.BertProcessing(("[SEP]", SEP), ("[CLS]", CLS))
    tokenizer.enable_padding(length=128)
    tokenizer.save(str(tmp_path / "tokenizer.json"))
    (tmp_path / "config.json").write_text("{}")
    return tmp_path


def rows_with(subwords: Subwords) -> RowEncoder:
    values = {field.name: [row.get(field.name) for row in ROWS] for field in FIELDS}
    return RowEncoder.fit(FIELDS, values).with_subwords(subwords)


def test_a_text_is_its_subwords_without_the_padding_of_the_folder(folder: Path) -> None:
    assert Subwords.read(folder).encode("Free winner") == [CLS, FREE, WIN, NER, SEP]


@pytest.mark.parametrize("value", [None, "", float("nan"), "none", " none "])
def test_a_missing_text_is_the_empty_text(folder: Path, value: object) -> None:
    assert Subwords.read(folder).of(FIELDS[1]).encode(value) == [CLS, SEP]


def test_long_texts_are_cut_off_and_their_ends_marked(folder: Path) -> None:
    subwords = Subwords.read(folder, length_max=6)
    assert subwords.encode("free " * 100_000) == [CLS, FREE, FREE, FREE, FREE, SEP]
    assert subwords.encode(" " * 6 * CHARS_PER_TOKEN + "free") == [CLS, SEP]


@pytest.mark.parametrize("value", ["\ud800", "free \udfff", "\x00\x01", "🦊", "e\u0301"])
def test_odd_characters_are_read_somehow(folder: Path, value: str) -> None:
    assert Subwords.read(folder).encode(value)[0] == CLS


def test_what_is_no_text_is_refused(folder: Path) -> None:
    with pytest.raises(BadValue):
        Subwords.read(folder).encode(["free"])


def test_a_table_gives_the_same_subwords_again(folder: Path) -> None:
    subwords = Subwords.read(folder, length_max=6)
    again = Subwords.load(FIELDS[1], json.loads(json.dumps(subwords.table())))
    assert (again.length_max, again.pad_id, again.version) == (6, PAD, 1)
    assert again.encode("a free winner! free") == subwords.encode("a free winner! free")
    assert again.encode("none") == [CLS, SEP]


@pytest.mark.parametrize("table", [{}, {"version": "1.0"}, {"model": 3}])
def test_a_table_that_is_no_tokenizer_is_damaged(table: dict[str, object]) -> None:
    with pytest.raises(Damaged, match="`note`"):
        Subwords.load(FIELDS[1], table)


def test_a_folder_without_a_tokenizer_is_refused_with_what_it_lacks(tmp_path: Path) -> None:
    with pytest.raises(UserError, match=r"tokenizer\.json") as missing:
        Subwords.read(tmp_path)
    assert missing.value.hint


def test_folders_that_lower_their_texts_do_so(folder: Path) -> None:
    (folder / "sentence_bert_config.json").write_text('{"do_lower_case": true}')
    assert Subwords.read(folder).encode("FREE") == [CLS, FREE, SEP]


def test_rows_hold_the_tokens_of_each_text_padded_at_the_end(folder: Path) -> None:
    encoded = rows_with(Subwords.read(folder)).rows(ROWS)
    assert encoded.tokens is not None
    assert encoded.token_mask is not None
    assert encoded.tokens.shape == (6, 6)
    assert encoded.tokens[:2].tolist() == [[CLS, FREE, SEP, PAD, PAD, PAD], [CLS, WIN, NER, SEP, PAD, PAD]]
    np.testing.assert_array_equal(encoded.token_mask.sum(axis=1), [3, 4, 6, 2, 2, 2])


def test_taken_rows_are_as_each_alone_without_needless_padding(folder: Path) -> None:
    encoder = rows_with(Subwords.read(folder))
    together = encoder.rows(ROWS)
    for place, row in enumerate(ROWS):
        alone, taken = encoder.one(row), together.take(np.array([place]))
        np.testing.assert_array_equal(alone.tokens, taken.tokens)
        np.testing.assert_array_equal(alone.token_mask, taken.token_mask)
        np.testing.assert_array_equal(alone.term_ids, taken.term_ids)
    nothing = together.take(np.arange(0))
    assert nothing.tokens is not None
    assert nothing.tokens.shape == (0, 0)


def test_an_encoder_with_subwords_survives_its_tables(folder: Path) -> None:
    encoder = rows_with(Subwords.read(folder))
    assert encoder.subwords is not None
    again = RowEncoder.load(FIELDS, encoder.tables(), subwords=encoder.subwords.table())
    np.testing.assert_array_equal(again.rows(ROWS).tokens, encoder.rows(ROWS).tokens)


def test_rows_without_subwords_hold_no_tokens(folder: Path) -> None:
    encoder = rows_with(Subwords.read(folder)).with_subwords(None)
    assert encoder.one(ROWS[0]).tokens is None
    assert encoder.rows(ROWS).take(np.array([1])).token_mask is None
    assert RowEncoder.fit(FIELDS[:1], {"age": [1.0]}).with_subwords(Subwords.read(folder)).subwords is None


PIECES = ("[PAD]", "[UNK]", "[CLS]", "[SEP]", "un", "##hap", "##py", "happy", "##p", "##h", "##a", "##y", "a", "h", "p")


def pieces(post: str) -> Subwords:
    from tokenizers import Tokenizer, models, pre_tokenizers, processors

    made = Tokenizer(models.WordPiece({piece: i for i, piece in enumerate(PIECES)}, unk_token="[UNK]"))
    made.pre_tokenizer = pre_tokenizers.Whitespace()
    made.add_special_tokens(["[CLS]", "[SEP]"])
    if post == "bert":
        made.post_processor = processors.BertProcessing(("[SEP]", 3), ("[CLS]", 2))
    elif post == "template":
        marks = [("[CLS]", 2), ("[SEP]", 3)]
        made.post_processor = processors.TemplateProcessing("[CLS] $A [SEP]", special_tokens=marks)
    made.enable_padding(pad_id=0, pad_token="[PAD]")
    made.enable_truncation(16)
    return Subwords(made)


def test_no_text_is_without_any_token_though_nothing_marks_its_ends() -> None:
    """In a graph that drops padding its first token would be its neighbour's, who may be another caller."""
    bare = pieces("none")

    assert bare.encode("") == bare.marked([]) == [bare.pad_id]


@pytest.mark.parametrize("post", ["bert", "template"])
def test_without_some_tokens_texts_of_the_others_are_split_as_before(post: str) -> None:
    whole = pieces(post)
    kept = set(whole.encode("unhappy"))
    less, before = whole.trimmed(kept)
    assert [int(before[i]) for i in less.encode("unhappy unhappy")] == whole.encode("unhappy unhappy")
    assert int(before[less.pad_id]) == whole.pad_id
    assert len(before) == len(PIECES) - 1, "`happy` was not seen"


def test_a_word_whose_token_is_gone_is_split_into_shorter_ones() -> None:
    whole = pieces("bert")
    less, before = whole.trimmed(set())
    assert [PIECES[before[i]] for i in less.encode("happy")] == ["[CLS]", "h", "##a", "##p", "##p", "##y", "[SEP]"]
    assert [PIECES[before[i]] for i in less.encode("un")] == ["[CLS]", "[UNK]", "[SEP]"]


def test_a_trimmed_tokenizer_comes_back_from_its_table() -> None:
    less, _ = pieces("template").trimmed({4, 5, 6})
    again = Subwords.load(Field("note", "text"), less.table())
    assert again.encode("unhappy happy") == less.encode("unhappy happy")


def test_tokens_that_are_made_of_each_other_are_not_trimmed() -> None:
    from tokenizers import Tokenizer, models

    made = Tokenizer(models.BPE({"a": 0, "b": 1, "ab": 2}, [("a", "b")]))
    made.enable_padding(pad_id=0, pad_token="a")
    made.enable_truncation(16)
    assert Subwords(made).trimmed({0}) is None


@pytest.mark.parametrize("lowers", [True, False])
def test_word_by_word_it_says_what_the_tokenizer_says_of_the_text(folder: Path, lowers: bool) -> None:
    from tokenizers import Tokenizer, normalizers

    tokenizer = Tokenizer.from_file(str(folder / "tokenizer.json"))
    tokenizer.normalizer = normalizers.BertNormalizer(lowercase=lowers)
    tokenizer.enable_padding()
    tokenizer.enable_truncation(8)
    subwords, rng = Subwords(tokenizer), np.random.default_rng(0)
    pieces = [
        "free",
        "Win",
        "winner",
        "a",
        "A",
        "!",
        "_",
        " ",
        "  ",
        "-",
        "[",
        "[SEP]",
        "\n",
        "\t",
        "é",
        "x" * 120,
        "9",
        "~",
    ]

    assert subwords._by_word is not None
    for _ in range(400):
        text = "".join(rng.choice(pieces, rng.integers(0, 12)))
        assert subwords.encode(text) == tokenizer.encode(text).ids, text


def test_a_tokenizer_of_another_kind_is_asked_for_whole_texts(folder: Path) -> None:
    from tokenizers import Tokenizer, pre_tokenizers

    tokenizer = Tokenizer.from_file(str(folder / "tokenizer.json"))
    tokenizer.enable_padding()
    tokenizer.enable_truncation(8)
    tokenizer.pre_tokenizer = pre_tokenizers.Whitespace()
    assert Subwords(tokenizer)._by_word is None


@pytest.mark.parametrize("value", ["free winner", "", None, 7, "free " * 900, "é free", "[SEP] a!"])
def test_the_only_text_of_a_row_is_read_alone_as_beside_others(folder: Path, value: object) -> None:
    field = Field("note", "text")
    seen = ["free win", "free win", *(f"word{i} word{i}" for i in range(3))] * 2
    rows = RowEncoder.fit([field], {"note": seen}).with_subwords(Subwords.read(folder, length_max=2_000))

    alone, beside = rows.one({"note": value}), rows.rows([{"note": value}, {"note": "win"}]).take(np.array([0]))

    for name in ("columns", "term_ids", "term_segments", "tokens", "token_mask"):
        np.testing.assert_array_equal(getattr(alone, name), getattr(beside, name), strict=True)
    assert alone.texts == beside.texts


def test_a_text_that_is_none_names_its_field_though_numbers_stand_beside_it(folder: Path) -> None:
    fields = (Field("age", "number"), Field("note", "text"))
    rows = RowEncoder.fit(fields, {"age": [1, 2], "note": ["free", "free"]})
    for each in (rows, rows.with_subwords(Subwords.read(folder))):
        with pytest.raises(BadValue, match="field `note`") as caught:
            each.one({"age": 1, "note": ["free"]})
        assert caught.value.row == 0
