"""The lower layers of the sentence encoder alone, in int8, and the head fitted to what they say.

The upper layers of a sentence encoder are made for what it was trained on; a classifier of one's own texts often finds
as much in the middle ones (Sajjad et al. 2023, who drop the top layers of BERT).
"""

from collections.abc import Iterator
from dataclasses import replace
from typing import Final

from aias.compress.context import Context
from aias.compress.sentences import reader
from aias.compress.techniques.contract import Candidate, NotApplicable
from aias.graph.int8 import Int8

__all__ = ["fewer_layers"]

SHARES: Final = (5 / 6, 2 / 3, 1 / 2, 1 / 3)


def fewer_layers(context: Context) -> Iterator[Candidate]:
    found = reader(context)
    sentences, whole = found.sentences, found.sentences.whole
    counts = sorted({round(share * len(whole.layers)) for share in SHARES} - {0, len(whole.layers)}, reverse=True)
    if not counts:
        raise NotApplicable("its sentence encoder has one layer")
    for count in counts:
        lower = Int8(found.lowest(count), found.reach)
        name = f"{count} of {len(whole.layers)} layers in int8"
        yield found.candidate(name, replace(sentences, transformer=lower))
