"""What every plot promises: well-formed, without a script, words stay words, the same bytes for the same numbers."""

import math
import re
from xml.etree import ElementTree as ET

import numpy as np
import pytest

from aias.plots.bars import Bar, bar_chart
from aias.plots.frame import Axis, axis, number, share
from aias.plots.grids import confusion_chart, density_chart
from aias.plots.lines import Counts, Line, line_chart, thinned
from aias.plots.svg import printable, short

HOSTILE = "</svg><script>alert(1)</script> \"'&<!--]]> \x00\x1b\ud800\u202e國"
SVG = "{http://www.w3.org/2000/svg}"


def bars(name: str = HOSTILE) -> bytes:
    return bar_chart(name, name, name, [Bar(name, 0.3, 0.2, 0.4), Bar("age", -0.01, -0.02, 0.0)])


def lines(name: str = HOSTILE) -> bytes:
    x = np.linspace(0, 1, 50)
    shown = [Line(x, x**2, low=x**2 - 0.1, high=x**2 + 0.1, dots=True), Line(x, x, "guide"), Line(x, x, steps=True)]
    return line_chart(
        name, name, share(name), share(name), shown, counts=Counts(np.linspace(0, 1, 6), np.array([3, 0, 4, 9, 1]))
    )


def confusion(name: str = HOSTILE, classes: int = 3) -> bytes:
    counts = np.random.default_rng(0).integers(0, 900, (classes, classes))
    return confusion_chart(name, name, [name] * classes, counts)


def density(name: str = HOSTILE) -> bytes:
    x, y = np.random.default_rng(0).normal(size=(2, 20_000))
    return density_chart(name, name, axis(name, x), axis(name, y), (x, y), [Line(np.array([-1.0, 1]), np.zeros(2))])


@pytest.mark.parametrize("draw", [bars, lines, confusion, lambda: confusion(classes=20), density])
def test_a_plot_is_a_well_formed_picture_that_holds_nothing_but_shapes_and_words(draw) -> None:
    drawn = draw()

    tags = {element.tag.removeprefix(SVG) for element in ET.fromstring(drawn).iter()}

    assert tags <= {"svg", "title", "style", "rect", "path", "circle", "text"}
    assert b"<script" not in drawn
    assert not re.search(rb"\b(href|on\w+)\s*=", drawn)
    assert b"nan" not in drawn and b"inf" not in drawn
    assert len(drawn) <= 30_000


@pytest.mark.parametrize("draw", [bars, lines, confusion, density])
def test_the_same_numbers_give_the_same_bytes(draw) -> None:
    assert draw() == draw()


def test_what_a_class_is_called_is_written_as_it_is() -> None:
    texts = [each.text for each in ET.fromstring(bars("a<b & c")).iter(f"{SVG}text")]

    assert texts.count("a<b & c") == 4


def test_what_cannot_be_seen_or_turns_words_round_is_a_box() -> None:
    assert printable("a\x00b\u202ec\ud800") == "a□b□c□"
    assert printable(" two\n lines ") == "two lines"


def test_long_names_lose_their_middle_because_they_differ_at_the_end() -> None:
    assert short("intent_number_07", 80) != short("intent_number_08", 80)
    assert short("intent_number_07", 80) == "intent_…_07"
    assert short("age", 80) == "age"
    assert len(short("國" * 50, 80)) < 8


@pytest.mark.parametrize(
    ("low", "high", "labels"),
    [
        (0.0, 1.0, ["0", "0.2", "0.4", "0.6", "0.8", "1"]),
        (0.84, 0.94, ["0.84", "0.86", "0.88", "0.9", "0.92", "0.94"]),
        (-1.2e5, 4.1e5, ["0", "200k", "400k"]),
        (2e-9, 9e-9, ["2e-09", "4e-09", "6e-09", "8e-09"]),
        (0.0, 5e7, ["0", "10M", "20M", "30M", "40M", "50M"]),
    ],
)
def test_ticks_are_round_and_told_apart(low: float, high: float, labels: list[str]) -> None:
    along = Axis("x", low, high)

    assert [along.label(tick) for tick in along.ticks] == labels


def test_an_axis_ends_where_values_must() -> None:
    along = axis("roc_auc", [0.5, 1.0], within=(-math.inf, 1.0))
    assert (along.low < 0.5, along.high) == (True, 1.0)
    assert axis("log_loss", [0.0, 0.3], within=(0.0, math.inf)).low == 0.0
    assert axis("roc_auc", [1.0, 1.0], within=(-math.inf, 1.0)).low < 1.0


@pytest.mark.parametrize(
    "values", [[], [3.0], [0.0, 0.0], [1.7e308, -1.7e308], [5e-324], [np.nan, np.inf, 2.0], [1e300] * 3]
)
def test_there_is_an_axis_around_whatever_values_there_are(values: list[float]) -> None:
    along = axis("x", values)

    assert along.low < along.high
    assert along.ticks


def test_percentiles_are_told_by_their_nines() -> None:
    along = Axis("percentile", 0.0, 4.2, powers=True, percentiles=True)
    assert [along.label(tick) for tick in along.ticks] == ["p0", "p90", "p99", "p99.9", "p99.99"]


def test_numbers_are_short() -> None:
    assert [number(each) for each in (0, 0.92714, 26_412, 3.4e6, -12.5, 1e-7)] == [
        "0", "0.927", "26.4k", "3.4M", "-12.5", "1e-07",
    ]  # fmt: skip


def test_a_thinned_curve_keeps_its_ends_and_its_shape() -> None:
    x = np.linspace(0, 1, 10_000)
    few_x, few_y = thinned(x, np.sqrt(x))

    assert len(few_x) <= 200
    assert (few_x[0], few_x[-1], few_y[-1]) == (0, 1, 1)
    assert np.abs(np.interp(x, few_x, few_y) - np.sqrt(x)).max() < 0.02


def test_a_single_decade_has_round_ticks() -> None:
    one = Axis("MB", 2.0, 3.0, powers=True)

    assert [one.label(tick) for tick in one.ticks] == ["100", "200", "500", "1000"]
