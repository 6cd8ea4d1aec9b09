import base64
import re
import unicodedata
import zlib

import pytest

from aias.client.export import text_functions
from aias.core.schema import Field
from aias.encoders.text import PARTS, Text

TEXTS = ["free entry now", "free entry today", "很好吃 of the day", "很好吃 free", "entries", "", "a b c", "快递 FREE!"]


@pytest.mark.parametrize("packed", [False, True])
def test_the_exported_script_finds_the_terms_that_the_encoder_finds(packed: bool) -> None:
    fitted = Text.fit(Field("note", "text"), TEXTS * 2)
    text = Text(*(sorted(getattr(fitted, part)) for part in PARTS), packed=packed)
    script: dict[str, object] = {"base64": base64, "re": re, "unicodedata": unicodedata, "zlib": zlib}
    exec(text_functions(), script)
    unpacked, term_ids = script["unpacked"], script["term_ids"]

    table = {part: unpacked(terms) if packed else terms for part, terms in text.table().items()}

    assert text.triples
    assert [term_ids(each, table) for each in TEXTS] == [text.encode(each) for each in TEXTS]
