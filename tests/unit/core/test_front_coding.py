import base64
import zlib

import pytest
from hypothesis import given
from hypothesis import strategies as st

from aias.core import front_coding
from aias.core.front_coding import pack, unpack

TERMS = st.lists(st.text(st.characters(exclude_categories=("Cs",), exclude_characters="\n"), max_size=120), max_size=30)


@given(TERMS)
def test_what_is_packed_comes_back_in_its_order(terms: list[str]) -> None:
    assert unpack(pack(terms)) == terms


def test_sorted_terms_take_less_than_half() -> None:
    terms = sorted({f"{a}{b}{c}" for a in ("win", "winner", "wing") for b in "abcdefgh" for c in ("", "s", "ing")})
    assert len(pack(terms)) < sum(map(len, terms)) / 2


@pytest.mark.parametrize("damaged", ["", "no base 85 \x00", pack(["a", "b"])[:-5], base64.b85encode(b"no").decode()])
def test_what_nobody_packed_is_refused(damaged: str) -> None:
    with pytest.raises(ValueError, match=r"."):
        unpack(damaged)


def test_a_term_without_its_first_character_is_refused() -> None:
    with pytest.raises(ValueError, match="without a beginning"):
        unpack(base64.b85encode(zlib.compress(b" a\n\n b")).decode())


def test_what_would_fill_the_memory_is_refused(monkeypatch: pytest.MonkeyPatch) -> None:
    bomb = base64.b85encode(zlib.compress(b" a" * 5_000_000, 9)).decode()
    monkeypatch.setattr(front_coding, "VOCABULARY_BYTES_MAX", 1 << 20)
    with pytest.raises(ValueError, match="more than 1,048,576 bytes"):
        unpack(bomb)
    monkeypatch.setattr(front_coding, "VOCABULARY_MAX", 3)
    with pytest.raises(ValueError, match="cannot be packed"):
        pack(["a", "b", "c", "d"])
    with pytest.raises(ValueError, match="cannot be packed"):
        pack(["a\nb"])
