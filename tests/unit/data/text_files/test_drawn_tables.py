"""Tables as databases and Markdown draw them, and quotes as they escape them."""

import pytest

from aias.data.read import read

ROWS = [(("Oslo", "Rome")[i % 2], i * 7 % 13, "ab"[i % 3 == 0]) for i in range(30)]
PLAIN = "city,size,label\n" + "".join(f"{city},{size},{label}\n" for city, size, label in ROWS)


FILE = "a.txt"


@pytest.mark.parametrize(
    ("above", "line", "below"),
    [
        (" city | size | label \n------+------+-------\n", " {:4} | {:4} | {}\n", "(30 rows)\n\n"),
        ("| city | size | label |\n|:---|---:|-----|\n", "| {} | {} | {} |\n", ""),
        ("+------+------+-------+\n| city | size | label |\n+------+------+-------+\n", "| {:4} | {:4} | {:5} |\n",
         "+------+------+-------+\n30 rows in set (0.00 sec)\n"),
    ],
)  # fmt: skip
def test_a_drawn_table_is_its_table(give, above, line, below):
    dataset = read(give(above + "".join(line.format(*row) for row in ROWS) + below))
    assert dataset.digest == read(give(PLAIN, "a.csv")).digest
    assert all("single value" in note.message for note in dataset.notes if note.level == "warning")


def test_bars_and_dashes_alone_draw_nothing(give):
    text = "a|b\n" + "".join(f"{i}|{'--' if i % 2 else '-+-'}\n" for i in range(30))
    assert read(give(text, "a.csv")).rows == 30
    dataset = read(give("|a|b|\n" + "|1|2|\n" * 9, "a.csv"))
    assert dataset.frame.width == 4


def test_a_quote_behind_a_backslash_is_one_within_the_value_and_told(give):
    lines = [f'"{city} \\"{size}\\", x",{size},{label}' for city, size, label in ROWS]
    dataset = read(give("\n".join(["city,size,label", *lines]), "a.csv"))
    assert (dataset.rows, dataset.frame["city"][0], dataset.frame["size"][1]) == (30, 'Oslo "0", x', 7)
    assert "a backslash before a quote" in dataset.notes[0].message
    paths = read(
        give("path,n,label\n" + "".join(f'"C:\\d{size}\\",{size},{label}\n' for _, size, label in ROWS), "a.csv")
    )
    assert paths.frame["path"][1] == "C:\\d7\\"
