"""Separators that few use, and what looks like one."""

import pytest

from aias.data.read import read

ROWS = [(("Oslo", "Rome")[i % 2], i * 7 % 13, "ab"[i % 3 == 0]) for i in range(30)]


def text(separator: str) -> str:
    return "\n".join(separator.join(map(str, row)) for row in [("city", "size", "label"), *ROWS])


@pytest.mark.parametrize("name", ["a.csv", "a.txt"])
@pytest.mark.parametrize("separator", ["^", "~", ":", "||", "::"])
def test_a_rare_separator_divides_where_no_other_does(give, separator, name):
    assert read(give(text(separator), name)).digest == read(give(text(","))).digest


@pytest.mark.parametrize(
    ("line", "columns"),
    [
        ("{0}:{1:02}:30", 1),
        ("{0}:{1}", 1),
        ("a: {0}, then b: {1} and c: {0}", 2),
        ("{0} 1:{1} 4:{0}", 1),
        ("a:{0} once upon a time:{1}", 1),
    ],
)
def test_times_words_and_sparse_rows_are_not_divided_by_colons(give, line, columns):
    assert read(give("\n".join(line.format(i % 24, i * 7 % 60) for i in range(30)))).frame.width == columns
