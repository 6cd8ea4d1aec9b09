import base64
import collections
import datetime as dt
import math
import re
import unicodedata
import zlib

import numpy as np
import pytest

from aias.client.export import CATEGORY_FUNCTIONS, TIME_FUNCTIONS, text_functions
from aias.core.schema import Field
from aias.encoders.category import Category
from aias.encoders.text import PARTS, Text
from aias.encoders.time import Time

TEXTS = ["free entry now", "free entry today", "很好吃 of the day", "很好吃 free", "entries", "", "a b c", "快递 FREE!",
         "if (a1 == 22) {\n    return a1;\n}", "So so SO so 1999 ٣٤", "\n \x00", "СПАМ!", "m² ①", "m2 1"]  # fmt: skip


@pytest.mark.parametrize("packed", [False, True])
def test_the_exported_script_finds_the_terms_that_the_encoder_finds(packed: bool) -> None:
    fitted = Text.fit(Field("note", "text"), TEXTS * 2)
    text = Text(*(sorted(getattr(fitted, part)) for part in PARTS), packed=packed)
    script: dict[str, object] = {each.__name__: each for each in (base64, collections, re, unicodedata, zlib)}
    exec(text_functions(), script)
    unpacked, term_ids = script["unpacked"], script["term_ids"]

    table = {part: unpacked(terms) if packed else terms for part, terms in text.table().items()}

    assert text.triples
    assert [term_ids(each, table) for each in TEXTS] == [text.encode(each) for each in TEXTS]


@pytest.mark.parametrize("known", [["true", "3", "2.5"], ["True", "false", "red"], ["?", "07", "TRUE"]])
def test_the_exported_script_finds_the_category_that_the_encoder_finds(known: list[str]) -> None:
    category = Category(Field("colour", "category", missing=("?", "none")), known)
    script: dict[str, object] = {}
    exec(CATEGORY_FUNCTIONS, script)

    values = [True, False, 3, 3.0, 2.5, "3", "07", "red", " red ", "blue", None, "", " ", "?", " none "]
    found = [script["category_code"](value, known, ["?", "none"]) for value in values]

    assert found == [category.encode(value) for value in values]


@pytest.mark.parametrize("minute", [False, True])
def test_the_exported_script_makes_of_a_time_what_the_encoder_makes(minute: bool) -> None:
    encoder = Time(Field("at", "time"), minute=minute)
    script: dict[str, object] = {each.__name__: each for each in (dt, math)}
    exec(TIME_FUNCTIONS, script)

    values = ["2024-02-29T17:45:30.250000", "1969-12-31", None]
    found = [script["time_parts"](value, encoder.table()) for value in values]

    np.testing.assert_array_equal(found, [encoder.encode(value) for value in values])
