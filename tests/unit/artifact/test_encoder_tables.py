"""Equal tables are one file, whoever else shared it before."""

from aias.artifact.encoder_tables import encoder_entries, encoder_tables
from aias.core.schema import Field
from aias.encoders.rows import RowEncoder

FIELDS = (Field("a", "number"), Field("plan", "category"), Field("b", "number"), Field("town", "category"))


def test_fields_that_learned_the_same_share_a_file() -> None:
    encoder = RowEncoder.fit(FIELDS, {"a": [1.0], "plan": ["pro"], "b": [2.0], "town": ["Bonn"]})
    entries, files = encoder_tables(encoder_entries(encoder), encoder)
    assert [entry.path for entry in entries] == [
        "encoders/0.json", "encoders/1.json", "encoders/0.json", "encoders/3.json",
    ]  # fmt: skip
    assert sorted(files) == ["encoders/0.json", "encoders/1.json", "encoders/3.json"]


def test_fields_that_shared_a_file_part_when_one_of_them_learns_otherwise() -> None:
    alike = RowEncoder.fit(FIELDS, {"a": [1.0], "plan": ["pro"], "b": [2.0], "town": ["pro"]})
    entries, files = encoder_tables(encoder_entries(alike), alike)
    assert entries[1].path == entries[3].path
    other = RowEncoder.fit(FIELDS, {"a": [1.0], "plan": ["pro"], "b": [2.0], "town": ["Bonn"]})
    parted, tables = encoder_tables(entries, other)
    assert tables[parted[1].path] == files[entries[1].path] != tables[parted[3].path]
