"""What a CSV writer writes, the reader reads back, whatever the values hold."""

import csv
import io

from hypothesis import assume, given, settings
from hypothesis import strategies as st

from aias.data.readers.contract import File, Options
from aias.data.readers.csv import read

NAMES = ("name", "what was said")
texts = st.text(st.sampled_from("ab1,;|\t\"' \n\u00e9\u4e1c."), max_size=8)


@settings(max_examples=300)
@given(
    st.lists(st.tuples(texts, texts), min_size=1, max_size=12),
    st.sampled_from(",\t;|"),
    st.sampled_from([csv.QUOTE_ALL, csv.QUOTE_MINIMAL, csv.QUOTE_NONNUMERIC]),
    st.sampled_from(["\n", "\r\n"]),
)
def test_delimited_text_is_read_back(rows, separator, quoting, end):
    out = io.StringIO(newline="")
    writer = csv.writer(out, delimiter=separator, quoting=quoting, lineterminator=end)
    writer.writerow(NAMES)
    writer.writerows(rows)
    table = read(File("rows" + {"\t": ".tsv", "|": ".psv"}.get(separator, ".csv"), out.getvalue().encode()), HEADER)
    assume(not any("holds units" in each.message for each in table.notes))  # a word above numbers alone is one
    came = [tuple((value or "").strip(" ") for value in row) for row in table.frame.rows()]
    assert table.frame.columns == list(NAMES)
    assert came == [tuple(value.strip(" ") for value in row) for row in rows]


HEADER = Options(known=frozenset(NAMES))
