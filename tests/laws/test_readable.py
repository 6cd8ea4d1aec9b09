"""Any bytes under any name: a dataset, or a refusal of our own."""

from hypothesis import given, settings
from hypothesis import strategies as st

from aias.core.errors import AiasError
from aias.data.dataset import Dataset
from aias.data.read import read
from aias.data.types.conform import conform

SUFFIXES = [
    ".csv",
    ".tsv",
    ".jsonl",
    ".json",
    ".arff",
    ".all",
    ".data",
    ".parquet",
    ".arrow",
    ".xlsx",
    ".zip",
    ".gz",
    ".tar",
]
LINES = r"""a,b|"a|1,2,3|@relation r|@attribute a numeric|@attribute b {x,y}|@data|{0 1}|1,x|?,'|{"a": 1}|{"a": [1]}|[]
[{"a": 1}]|0 text here|| |a\tb|é;ü|2024-01-01,x|-|$1,x|01/02/2024"""

lines = st.lists(st.sampled_from(LINES.replace("\n", "|").replace("\\t", "\t").split("|")), max_size=30).map(
    lambda listed: "\n".join(listed).encode()
)
contents = st.one_of(st.binary(max_size=200), lines, st.text(max_size=200).map(lambda text: text.encode("utf-16")))


@settings(max_examples=200)
@given(contents, st.sampled_from(SUFFIXES))
def test_any_file_is_read_or_refused(tmp_path_factory, data, suffix):
    path = tmp_path_factory.getbasetemp() / f"any{suffix}"
    path.write_bytes(data)
    try:
        dataset = read(path)
    except AiasError as refusal:
        assert refusal.message
    else:
        assert dataset.rows > 0
        assert dataset.digest == read(path).digest
        assert all(len(dataset.values(field.name)) == dataset.rows for field in dataset.schema)


values = st.one_of(
    st.none(), st.booleans(), st.integers(), st.floats(), st.text(max_size=5), st.datetimes(), st.dates(), st.just([1])
)


@settings(max_examples=200)
@given(st.lists(st.dictionaries(st.text(max_size=3), values, max_size=4), min_size=1, max_size=8))
def test_any_rows_are_read_or_refused(rows):
    try:
        dataset = read(rows)
    except AiasError as refusal:
        assert refusal.message
    else:
        assert dataset.rows == len(rows)
        again = Dataset(conform(dataset.frame, dataset.schema), dataset.schema)
        assert again.digest == dataset.digest
        assert dataset.with_schema(dataset.schema).digest == dataset.digest
