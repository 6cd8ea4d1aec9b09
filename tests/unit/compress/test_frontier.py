"""`compress/frontier.py` and `compress/plot.py`: what a compression came to, as JSON, as Markdown and drawn."""

from dataclasses import replace
from xml.etree import ElementTree as ET

import pytest

from aias.cli.compress import draw
from aias.compress.frontier import FELL, PARENT, PUBLISHED, Asked, Frontier, Point, cells, read_frontier, sized
from aias.compress.gate.changes import flips
from aias.compress.gate.evidence import Loss
from aias.compress.halving import NO_TIME
from aias.compress.nomination import PASSED_OVER
from aias.compress.plot import frontier_chart
from aias.compress.terminal_plot import BEYOND, HEIGHT, sketch
from aias.core.errors import Damaged
from aias.core.host import host
from aias.plots.frame import LEFT, RIGHT
from aias.runtimes.latency import Estimate, LatencySummary


def pace(us: float) -> LatencySummary:
    return LatencySummary(
        Estimate(us, 0.9 * us, 1.1 * us), Estimate(2 * us, us, 3 * us), Estimate(3 * us, us, 4 * us), 640
    )


PARENT_POINT = Point("m@1", "do nothing", PARENT, pace=pace(300), size_bytes=2_000_000, smaller=1.0)
SMALL = Point(
    "a | b", "distill", PUBLISHED, certified=Loss("roc_auc", 0.001, -0.001, 0.003, 900), pace=pace(20),
    speed=Estimate(15.0, 14.0, 16.0), size_bytes=30_000, smaller=66.7, flips=flips([0, 1], [0, 1], [0, 0]),
    calibration_gap=0.01,
)  # fmt: skip
WORSE = Point("c", "cut_trees", FELL, "it is certain to lose more than 0.005",
              searched=Loss("roc_auc", 0.1, 0.08, 0.12, 700), pace=pace(15), size_bytes=9_000)  # fmt: skip
FRONTIER = Frontier(
    "m@1", "roc_auc", 0.005, 0.0045, "900 rows can tell", "distilled", (WORSE, SMALL, PARENT_POINT), host(), 700, 900
)


def test_it_is_shown_in_a_line_with_its_last_word() -> None:
    shown = repr(FRONTIER)
    assert shown == f"<Frontier of {FRONTIER.ref} by {FRONTIER.metric}, 3 candidates: {FRONTIER.verdict}>"


def test_a_frontier_is_read_back_as_it_was_written():
    assert read_frontier(FRONTIER.as_bytes()) == FRONTIER


def test_who_was_not_timed_with_onnx_runtime_is_named():
    told = replace(
        FRONTIER, points=(WORSE, replace(SMALL, engine="openvino"), replace(PARENT_POINT, engine="openvino"))
    )

    assert "With openvino: m@1; a ¦ b. All others: with ONNX Runtime." in told.timed()
    assert read_frontier(told.as_bytes()) == told
    assert "ONNX Runtime" not in FRONTIER.timed()


def test_of_a_median_the_limits_are_given_and_why_a_p99_is_missing():
    few = replace(pace(1234), p99=None, calls=192)

    assert " | 20 (18 to 22) · 40 · 60 | " in FRONTIER.markdown()
    assert "p99 is given" not in FRONTIER.markdown()
    told = replace(FRONTIER, points=(PARENT_POINT, replace(SMALL, pace=few)))
    assert " | 1,234 (1,111 to 1,357) · 2,468 · – | " in told.markdown()
    assert "A p99 is given from 1,000 calls on" in told.markdown()
    together = replace(SMALL, together=Asked(few))
    assert "A p99 is given from 1,000 calls on" in replace(FRONTIER, points=(PARENT_POINT, together)).markdown()


def test_latencies_say_their_unit_and_those_written_before_had_none():
    raw = FRONTIER.as_bytes()

    assert b'"unit":"us"' in raw
    assert read_frontier(raw.replace(b',"unit":"us"', b"")) == FRONTIER


def test_what_is_larger_is_not_called_small() -> None:
    assert [sized(66.7), sized(1.0), sized(0.011)] == ["66.7× as small", "1× as small", "90.9× as large"]


def test_what_is_no_frontier_is_refused():
    for raw in (b"", b"{}", b'{"ref": 1}', FRONTIER.as_bytes()[:-1]):
        with pytest.raises(Damaged, match=r"frontier\.json"):
            read_frontier(raw)


def test_the_parent_comes_first_and_what_fell_last_with_its_reason():
    lines = [line for line in FRONTIER.markdown().splitlines() if line.startswith("|")][2:]

    assert [line.split(" | ")[0] for line in lines] == ["| m@1", "| a ¦ b", "| c"]
    assert " | cut_trees | rejected: it is certain to lose more than 0.005 | " in lines[2]
    assert "15× (14 to 16)" in lines[1]


@pytest.mark.parametrize("reason", [*PASSED_OVER, NO_TIME, "6 others promised more after 310 rows"])
def test_who_was_only_left_behind_is_not_called_rejected(reason: str) -> None:
    left = replace(WORSE, reason=reason)

    assert [left.verdict, replace(left, certified=WORSE.searched).verdict, WORSE.verdict] == [
        "not tested", "rejected", "rejected",
    ]  # fmt: skip


def test_in_80_columns_what_was_never_tried_takes_two_lines(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setenv("COLUMNS", "80")
    unfit = (Point("low rank", "low_rank", FELL, "it has no network"), Point("int4", "int4", FELL, "it has no encoder"))
    late = tuple(Point(f"{n} trees", "distill", FELL, f"{NO_TIME}: {n}") for n in range(5))
    draw(replace(FRONTIER, points=(*FRONTIER.points, *unfit, *late)))

    said = [line for line in capsys.readouterr().out.splitlines() if line.startswith("·")]
    assert said == [
        "· c: it is certain to lose more than 0.005",
        "· low rank; int4: not for this model; why: aias frontier m@1 --markdown",
        "· 0 trees; 1 trees; 2 trees; 2 more: there was no time for it",
    ]


def test_in_80_columns_a_cascade_is_as_fast_as_it_is_on_average(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    """By the median row, which never goes on, it seemed to be three times as fast as it was chosen for."""
    monkeypatch.setenv("COLUMNS", "80")
    draw(replace(FRONTIER, points=(replace(SMALL, sent=0.2, average=Estimate(2.66, 2.5, 2.8)), PARENT_POINT)))
    out = capsys.readouterr().out
    assert "2.66×" in out and "15×" not in out


def test_large_numbers_are_written_as_people_write_them():
    fast = replace(SMALL, speed=Estimate(1_234.5, 1_000.0, 1_500.0), smaller=12_345.6)

    assert cells(fast)[5] == "1,230× (1,000 to 1,500)"
    assert cells(fast)[8] == "12,300× (30 kB)"


def test_answers_that_change_are_told_where_people_read(capsys: pytest.CaptureFixture[str]):
    said = (
        f"{SMALL.name}: 1 of 2 answers have changed (at most 97 %), 1 of them were right before (at most 97 %); "
        "probabilities are off by 0.01 on average"
    )

    assert f"\n- {said}\n" in FRONTIER.markdown()
    draw(FRONTIER)
    assert said in " ".join(capsys.readouterr().out.split())


def test_a_run_says_less_if_it_measured_fewer_and_is_not_the_first_to_publish():
    nothing, many = replace(FRONTIER, points=(WORSE, PARENT_POINT)), (WORSE, WORSE, WORSE, WORSE)

    assert nothing.says_less(FRONTIER)
    assert FRONTIER.says_less(replace(FRONTIER, points=(*many, *FRONTIER.points)))  # the version has its own
    assert not FRONTIER.says_less(replace(FRONTIER, points=(*many, PARENT_POINT)))
    assert not replace(FRONTIER, points=(*many, PARENT_POINT)).says_less(FRONTIER)


@pytest.mark.parametrize(
    ("runs", "said"),
    [
        (0, "{} others were kept to certify, and not opened:"),
        (1, "certified once on {} others:"),
        (3, ("certified on {} others, which have judged 3 runs (in one of so many something that is worse by the "
            "margin passes with a chance of up to 14 %):")),
    ],
)  # fmt: skip
def test_it_says_how_often_the_rows_that_certify_were_opened(
    runs: int, said: str, capsys: pytest.CaptureFixture[str]
) -> None:
    found, said = replace(FRONTIER, runs=runs), said.format(f"{FRONTIER.certified_rows:,}")
    assert said in found.markdown()
    draw(found)
    assert (said[:-1] in " ".join(capsys.readouterr().out.split())) == (runs > 1)


def test_who_was_never_measured_stands_below_with_the_reason():
    unable = Point("int4", "int4", FELL, "it has no sentence encoder")
    text = replace(FRONTIER, points=(unable, *FRONTIER.points)).markdown()

    measured, others = text.split("Not measured:")
    assert "int4" not in measured
    assert others.splitlines()[-1] == "| int4 | int4 | it has no sentence encoder |"
    assert "Not measured" not in FRONTIER.markdown()


def test_the_loss_that_was_certified_is_shown_rather_than_the_one_that_was_searched():
    both = replace(SMALL, searched=Loss("roc_auc", -0.5, -0.6, -0.4, 700))

    assert "+0.001" in cells(both)[3]


def test_a_chart_is_one_well_formed_picture_with_a_dot_for_each_that_was_measured():
    drawn = frontier_chart(replace(FRONTIER, points=(*FRONTIER.points, Point("d", "e", FELL, "no time"))))

    root = ET.fromstring(drawn.decode())
    dots = root.findall("{http://www.w3.org/2000/svg}circle")
    assert [dot.get("class") for dot in dots] == ["shape", "shape", "faint"]  # the largest first, what fell is hollow
    places = [float(dot.get("cx", 0)) for dot in dots]
    assert places == sorted(places, reverse=True)  # from slow to fast


def test_who_loses_far_more_than_the_margin_leaves_the_others_room_in_the_chart():
    """A linear model of an amount may lose two hundred margins: all others lay on one line."""
    far = replace(WORSE, searched=Loss("roc_auc", 0.9, 0.8, 1.0, 700))
    drawn = [frontier_chart(replace(FRONTIER, points=(each, SMALL, PARENT_POINT))) for each in (far, SMALL)]

    roots = [ET.fromstring(each.decode()) for each in drawn]
    guides = [path.get("d", "") for path in roots[0].iter() if path.get("class") == "guide"]
    zero, margin = (float(each.split("L")[0].split()[1]) for each in guides)
    assert zero - margin > 40
    assert ["↑" in "".join(root.itertext()) for root in roots] == [True, False]


def test_the_word_for_what_is_published_stands_by_its_own_dot_and_the_legend_is_whole():
    """At the end of a long bar it stood by another dot, and of `roc_auc` the legend had no middle."""
    far = replace(SMALL, certified=Loss("roc_auc", 0.0, -0.004, 0.004, 700))
    drawn = frontier_chart(replace(FRONTIER, points=(far, PARENT_POINT), metric="agreement with churn@1 in r2"))

    root = ET.fromstring(drawn.decode())
    texts = {each.text: each for each in root.iter("{http://www.w3.org/2000/svg}text")}
    dots = root.findall("{http://www.w3.org/2000/svg}circle")
    for word, dot in zip(("parent", "published"), dots, strict=True):
        assert abs(float(texts[word].get("y", 0)) - float(dot.get("cy", 0))) < 8
        assert abs(float(texts[word].get("x", 0)) - float(dot.get("cx", 0))) < 25
    assert any("hollow: rejected or not tested" in (word or "") for word in texts)


def test_the_bars_of_times_that_are_alike_stay_within_the_frame():
    drawn = frontier_chart(replace(FRONTIER, points=(replace(SMALL, pace=pace(250)), PARENT_POINT)))

    bars = [path.get("d", "") for path in ET.fromstring(drawn.decode()).iter() if path.get("class") == "whisker"]
    ends = [float(end.split()[0]) for bar in bars for end in bar.removeprefix("M").split("L")]
    assert len(bars) == 4
    assert min(ends) > LEFT and max(ends) < RIGHT


def test_where_it_was_measured_says_which_processor_and_libraries():
    assert host().cores >= 1
    assert {"aias", "numpy", "onnxruntime", "python"} == set(host().libraries)


def test_on_a_terminal_what_is_faster_stands_further_left_and_what_loses_more_higher():
    lines = sketch(FRONTIER, 80)
    nothing = next(line for line in lines if line.startswith("       0 "))
    assert max(map(len, lines)) <= 80 and len(lines) == HEIGHT + 4
    assert BEYOND in lines[1] and lines[1].index(BEYOND) < "".join(lines[2 : HEIGHT + 1]).index("P")
    assert nothing.rstrip("┄").endswith("P")
    (small,) = [line for line in lines[1 : HEIGHT + 1] if "◆" in line]
    assert small.index("◆") < nothing.index("P")
    assert any("0.0045" in line for line in lines)


@pytest.mark.parametrize("points", [(), (PARENT_POINT,), (replace(PARENT_POINT, pace=None), SMALL)])
def test_a_terminal_shows_no_plot_of_fewer_than_two(points):
    assert sketch(replace(FRONTIER, points=points), 80) == []
    assert sketch(FRONTIER, 20) == []


def test_times_that_are_alike_have_their_place_on_a_terminal():
    twins = (PARENT_POINT, replace(SMALL, pace=PARENT_POINT.pace))
    assert any("P" in line or "◆" in line for line in sketch(replace(FRONTIER, points=twins), 60))


def test_in_a_narrow_place_each_reason_is_said_once(
    capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("COLUMNS", "80")
    late = tuple(Point(name, "distill", FELL, "there was no time for it") for name in ("d", "e, direct"))

    draw(replace(FRONTIER, points=(*FRONTIER.points, *late)))

    assert "· d; e, direct: there was no time for it\n" in capsys.readouterr().out


@pytest.mark.parametrize(("columns", "shown"), [("80", False), ("110", True)])
def test_a_narrow_terminal_spares_what_one_caller_need_not_know(
    columns: str, shown: bool, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("COLUMNS", columns)

    draw(FRONTIER)

    head = capsys.readouterr().out.splitlines()[1]
    assert "faster" in head and "verdict" in head
    assert [name in head for name in ("at once", "memory")] == [shown] * 2


@pytest.mark.parametrize("columns", [40, 50, 62])
def test_a_still_narrower_one_leaves_room_for_names(
    columns: int, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    """At 40 columns a name had one of them, and its letters stood below each other."""
    monkeypatch.setenv("COLUMNS", str(columns))
    named = replace(FRONTIER.points[-1], name="distilled into 400 trees of 16 leaves, fitted again")

    draw(replace(FRONTIER, points=(*FRONTIER.points, named)))

    said = capsys.readouterr().out.split("·")[0].splitlines()
    assert said[1].startswith("candidate ")
    assert any(line.startswith("distilled") for line in said)
    assert max(map(len, said)) <= columns
