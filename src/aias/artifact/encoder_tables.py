"""What the encoders of an artifact learned, as its files: one for all fields whose tables are equal.

Numbers have nothing to learn, so thousands of them are one file.
"""

from collections.abc import Sequence
from dataclasses import replace

import msgspec

from aias.artifact.manifest import EncoderEntry
from aias.encoders.rows import RowEncoder
from aias.encoders.subwords import TOKENIZER, Subwords


def encoder_entries(encoder: RowEncoder) -> tuple[EncoderEntry, ...]:
    """One for each field, and one for each text that is read in tokens; `encoder_tables` gives them their paths."""
    own = [EncoderEntry(each.name, each.kind, encoder.encoders[each.name].version, "") for each in encoder.fields]
    if encoder.subwords:
        texts = (each.name for each in encoder.fields if each.kind == "text")
        own += [EncoderEntry(name, Subwords.kind, Subwords.version, "") for name in texts]
    return tuple(own)


def encoder_tables(
    entries: Sequence[EncoderEntry], encoder: RowEncoder
) -> tuple[tuple[EncoderEntry, ...], dict[str, bytes]]:
    """The entries, each with the path of its table, and the tables by path."""
    paths: dict[bytes, str] = {}
    placed = []
    for at, entry in enumerate(entries):
        own = TOKENIZER if entry.kind == Subwords.kind else f"encoders/{at}.json"
        path = paths.setdefault(msgspec.json.encode(_table(encoder, entry)), own)
        placed.append(replace(entry, path=path))
    return tuple(placed), {path: table for table, path in paths.items()}


def _table(encoder: RowEncoder, entry: EncoderEntry) -> dict[str, object]:
    if entry.kind == Subwords.kind:
        assert encoder.subwords is not None
        return encoder.subwords.table()
    return dict(encoder.encoders[entry.field].table())
