import re
import subprocess
import sys
import tracemalloc
import unicodedata

import pytest
from hypothesis import example, given
from hypothesis import strategies as st

from aias.core import limits
from aias.core.errors import BadValue, Damaged
from aias.core.schema import Field
from aias.encoders.text import INDENT_MAX, PATTERN, Text, letter_groups, split, traits

FIELD = Field("note", "text", missing=("n/a",))
TEXTS = ["free entry to win", "free entry now", "see you at home", "see you", "快递很快", "快递很慢", None, ""]


def test_words_are_folded_and_split() -> None:
    assert split("Free entry, WIN £5!") == ["free", "entry", ",", "win", "£", "5", "!"]
    assert split("ΣΊΣΥΦΟΣ") == split("σίσυφος")
    assert split("Straße") == split("STRASSE") == split("STRAẞE")
    assert split("ﬁne") == ["fine"]
    assert split("é") == split("e\u0301")


def test_unsegmented_scripts_give_a_word_for_each_character() -> None:
    assert split("快递很快 ok") == ["快", "递", "很", "快", "ok"]
    assert len(split("ไทย")) == 3


def test_three_unsegmented_characters_in_a_row_are_a_term_and_three_words_are_not() -> None:
    text = Text.fit(FIELD, ["很好吃 of the day", "很好吃 of the day"])
    assert text.triples == ["很 好 吃"]
    (triple,) = set(text.encode("很好吃")) - set(text.encode("很好")) - set(text.encode("好吃"))
    assert triple == len(text.words) + len(text.pairs) == text.whole - 1


def test_a_packed_table_encodes_as_the_plain_one() -> None:
    fitted = Text.fit(FIELD, [each for each in TEXTS if each] * 2)
    lists = [sorted(each) for each in (fitted.words, fitted.pairs, fitted.triples, fitted.groups)]
    plain = Text(*lists, missing=FIELD.missing)
    packed = Text(*lists, missing=FIELD.missing, packed=True)

    again = Text.load(FIELD, packed.table())

    assert again.packed
    assert again.table() == packed.table()
    assert [again.encode(each) for each in TEXTS] == [plain.encode(each) for each in TEXTS]
    assert not Text.load(FIELD, plain.table()).packed


@pytest.mark.parametrize("change", [{"pairs": "no"}, {"words": []}, {"groups": None}])
def test_a_packed_table_that_is_not_whole_is_refused(change: dict[str, object]) -> None:
    table = Text(["free"], ["free entry"], [], ["fre"], packed=True).table()
    with pytest.raises(Damaged, match="of field `note`"):
        Text.load(FIELD, table | change)


def test_marks_in_a_row_are_a_word_and_so_is_a_new_line_with_its_indentation() -> None:
    assert split("if (a_1) {\n    go();\n\n}\n") == ["if", "(", "a_1", ")", "{", "N4", "go", "();", "N1", "}"]
    assert split("好。 «ok»…") == ["好", "。", "«", "ok", "»..."]


def test_the_traits_of_a_text_are_its_length_capitals_digits_and_what_comes_again() -> None:
    text = "so SO so so on 24 42 3rd"
    assert sorted(traits(text, split(text))) == [
        "Bso",
        "D0",
        "D1",
        "D2",
        "L0",
        "L1",
        "L2",
        "L3",
        "Qso",
        "S00",
        "S00",
        "S0rd",
        "U0",
        "U1",
    ]
    assert traits("ДА", split("ДА")) == ["L0", "U0", "U1"]
    assert traits("٣٤", split("٣٤")) == ["L0", "D0", "D1", "S00"]
    assert sorted(traits("7\n x", split("7\n x"))) == ["D0", "L0", "L1", "S0"]
    assert not any(map(letter_groups, traits(text, split(text))))


def test_of_texts_that_share_nothing_but_traits_nothing_is_learned() -> None:
    assert Text.fit(FIELD, ["good words here", "bad things there"]).size == 0


def test_the_neighbour_of_the_first_word_is_the_beginning_and_of_the_last_the_end() -> None:
    text = Text.fit(FIELD, ["who won", "who came", "he won"])
    assert text.pairs == ["A who", "won Z"]


def test_accents_and_vowel_points_stay_inside_their_word() -> None:
    assert split("كَتَبَ שָׁלוֹם x̂y ދިވެހި") == ["كَتَبَ", "שָׁלוֹם", "x̂y", "ދިވެހި"]
    assert split("葛\U000e0100城") == ["葛", "城"]


def test_indic_vowel_signs_stay_inside_their_word() -> None:
    assert split("हिन्दी भाषा।") == ["हिन्दी", "भाषा", "।"]


def test_pictures_are_words_and_control_characters_are_not() -> None:
    assert split("ok🦊\x00\x01 \u202e") == ["ok", "🦊"]


@given(st.text(alphabet=st.characters(max_codepoint=127), max_size=60))
def test_the_short_way_for_ascii_splits_as_the_long_way(text: str) -> None:
    words = re.findall(PATTERN, text.strip().lower())
    assert split(text) == [f"N{min(len(word) - 1, INDENT_MAX)}" if word[0] == "\n" else word for word in words]


def test_a_seen_word_is_its_id_and_an_unseen_one_its_letter_groups() -> None:
    text = Text.fit(FIELD, ["winning winner", "winning winner", "winter"] * 2)
    words = [text.words.index("winner"), text.words.index("L0")]

    assert text.encode("winner") == [*sorted(words), len(text.words) + text.pairs.index("winner Z")]
    first, *unseen = text.encode("winners")
    assert text.words[first] == "L0"
    assert unseen
    assert all(i >= text.whole for i in unseen)


def test_blanks_around_what_means_missing_make_it_no_text() -> None:
    text = Text.fit(FIELD, ["n or a", "a and n"] * 3)

    assert text.encode("n / a") != []
    assert text.encode(" n/a\t") == text.encode("n/a") == []


def test_a_number_that_means_missing_is_no_text_however_it_is_given() -> None:
    text = Text.fit(Field("note", "text", missing=("-9",)), ["9 to 5", "9 to 5"])
    assert text.encode("9") == text.encode(9) != []
    assert text.encode("-9") == text.encode(-9) == []


def test_missing_and_empty_texts_have_no_terms() -> None:
    text = Text.fit(FIELD, TEXTS)
    assert [text.encode(value) for value in (None, "", "n/a", float("nan"), "\x00")] == [[]] * 5


def test_an_encoder_survives_its_table() -> None:
    text = Text.fit(FIELD, TEXTS * 2)
    again = Text.load(FIELD, text.table())
    assert [again.encode(value) for value in TEXTS] == [text.encode(value) for value in TEXTS]


@pytest.mark.parametrize("table", [{}, {"words": ["a"], "pairs": [1], "groups": []}, {"words": "a"}])
def test_a_table_that_is_no_vocabulary_is_damaged(table: dict[str, object]) -> None:
    with pytest.raises(Damaged):
        Text.load(FIELD, table)


def test_a_vocabulary_with_a_term_twice_is_damaged() -> None:
    with pytest.raises(Damaged):
        Text.load(FIELD, {"words": ["a", "a"], "pairs": [], "groups": []})


def test_what_is_no_text_is_refused() -> None:
    text = Text.fit(FIELD, TEXTS)
    with pytest.raises(BadValue, match="not a text"):
        text.encode(["a"])
    with pytest.raises(BadValue, match="too long"):
        text.encode("a" * (limits.TEXT_CHARS_MAX + 1))
    assert text.encode(5) == text.encode("5")


def test_a_row_to_learn_from_that_is_no_text_is_named() -> None:
    with pytest.raises(BadValue, match=f"row 1, field `{FIELD.name}`: a text of 1,000,001 characters"):
        Text.fit(FIELD, ["a", "a" * (limits.TEXT_CHARS_MAX + 1)])


@given(st.text(max_size=200))
def test_any_text_gives_sorted_distinct_ids_in_range(value: str) -> None:
    text = Text.fit(FIELD, TEXTS * 2)
    ids = text.encode(value)
    assert ids == sorted(set(ids))
    assert all(0 <= i < text.size for i in ids)


def test_letter_groups_of_a_huge_word_are_bounded() -> None:
    assert len(letter_groups("x" * 100_000)) < 200
    assert letter_groups("x") == set()


def test_what_is_remembered_of_long_words_that_were_never_seen_is_short() -> None:
    text = Text.fit(FIELD, TEXTS * 2)
    tracemalloc.start()
    for i in range(100):
        text.encode(f"{i}" + "x" * 100_000)
    left, _ = tracemalloc.get_traced_memory()
    tracemalloc.stop()

    assert left < 1_000_000
    assert text.encode("winning" * 10) == text.encode("winning" * 100)


@given(st.text(alphabet="e\u0301\u0323\u0f73\u0345\u0344ﾞﾟカ ─\n", min_size=100, max_size=200))
@example("ệ" + "\u0301\u0323ﾞ\u0f73" * 50)
def test_many_marks_in_a_row_are_folded_as_few_are(text: str) -> None:
    words = re.findall(PATTERN, unicodedata.normalize("NFKC", text.strip()).casefold())
    assert split(text) == [f"N{min(len(word) - 1, INDENT_MAX)}" if word[0] == "\n" else word for word in words]


@pytest.mark.parametrize("unit", ["\u0301\u0323", "\u0f73", "\u0301ﾞ"])
def test_a_million_marks_out_of_order_are_read_within_seconds_of_the_processor(unit: str) -> None:
    limit = "import resource, sys; resource.setrlimit(resource.RLIMIT_CPU, (20, 20))"
    read = f"{limit}; from aias.encoders.text import split; split('a' + sys.argv[1] * (999_998 // len(sys.argv[1])))"
    assert subprocess.run([sys.executable, "-c", read, unit], check=False).returncode == 0
