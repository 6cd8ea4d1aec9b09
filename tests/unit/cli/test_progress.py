"""What a person sees while training runs, drawn onto a recording console."""

import os
import pty
import subprocess
import sys
from dataclasses import replace
from io import StringIO

import pytest
from rich.cells import cell_len
from rich.console import Console

import artifacts
from aias.cli.leaderboard import Board, sparks
from aias.cli.progress import Progress
from aias.core.events import Event


def told(name: str, facts: dict[str, object]) -> Event:
    return Event(f"train.{name}", name, "info", facts)


def candidate(name: str, score: float, **more: object) -> Event:
    facts: dict[str, object] = {
        "configuration": name, "metric": "roc_auc", "validation": score, "low": score - 0.01, "high": score + 0.01,
        "fit_seconds": 1.25, "row_us": 41.2, "size_bytes": 81_000, "ensemble": score, "weights": {name: 1.0},
    }  # fmt: skip
    return told("candidate", facts | more)


def seen(board: Board, *, width: int = 80, height: int = 40) -> list[str]:
    console = Console(file=StringIO(), record=True, width=width, height=height)
    console.print(board.drawn(width=width, height=height))
    return console.export_text().splitlines()


def line(board: Board, word: str) -> str:
    return next(each for each in seen(board) if word in each)


@pytest.fixture
def board() -> Board:
    moments = iter([0.0])
    board = Board(60, clock=lambda: next(moments, 45.0))
    board.tell(told("split", {}))
    return board


def test_time_left_and_what_goes_on_stand_above(board: Board) -> None:
    assert seen(board)[0] == "━" * 18 + "─" * 6 + "  15 s left  ·  fitting"


def test_members_stand_in_order_with_what_they_cost(board: Board) -> None:
    board.tell(candidate("linear", 0.88))
    board.tell(candidate("boosted_trees", 0.91, weights={"linear": 0.25, "boosted_trees": 0.75}))
    board.tell(candidate("slow", 0.89, weights={"linear": 0.25, "boosted_trees": 0.75}))

    found = [each.split() for each in seen(board)[4:7]]

    assert found == [
        ["boosted_trees", "0.9100", "±", "0.0100", "1.2", "41", "81", "kB", "0.75"],
        ["slow", "0.8900", "±", "0.0100", "1.2", "41", "81", "kB"],
        ["linear", "0.8800", "±", "0.0100", "1.2", "41", "81", "kB", "0.25"],
    ]


def test_smaller_is_better_where_the_metric_says_so(board: Board) -> None:
    board.tell(candidate("worse", 0.9, metric="log_loss", ensemble=0.9))
    board.tell(candidate("better", 0.5, metric="log_loss", ensemble=0.4))

    assert [each.split()[0] for each in seen(board)[4:6]] == ["better", "worse"]
    assert line(board, "together") == "together 0.4000  ▁█  up is better"


def test_fits_come_go_and_say_how_far_they_are(board: Board) -> None:
    board.tell(told("unit", {"configuration": "deep", "fold": 2, "ended": False}))
    assert line(board, "›").split() == ["›", "deep", "fold", "3"]

    facts = {"configuration": "deep", "fold": 2, "round": 1200, "score": 0.9182, "rows_per_second": 120_400.0}
    board.tell(told("round", facts))
    assert line(board, "›").split()[4:] == ["1,200", "rounds", "0.9182", "120k", "rows/s"]

    board.tell(told("round", {"configuration": "deep", "fold": 2, "round": 1, "validation_loss": 0.4291}))
    assert line(board, "›").split()[4:] == ["1", "round", "loss", "0.4291"]

    board.tell(told("unit", {"configuration": "deep", "fold": 2, "ended": True}))
    assert not [each for each in seen(board) if "›" in each]


def test_fits_that_were_left_are_gone_when_all_rows_are_fitted_on(board: Board) -> None:
    board.tell(told("unit", {"configuration": "deep", "fold": 2, "ended": False}))
    board.tell(told("unit", {"configuration": "linear", "fold": -1, "ended": False}))

    assert [each.split()[1:] for each in seen(board) if "›" in each] == [["linear", "all", "rows"]]
    assert "fitting again on all rows" in seen(board)[0]


def test_what_is_left_out_is_said_and_does_not_fill_the_screen(board: Board) -> None:
    for i in range(5):
        board.tell(
            told("skipped", {"configuration": f"c{i}", "reason": "it would take 64 s of the 20 s that are left"})
        )

    assert [each for each in seen(board) if "left out" in each] == [
        *(f"left out: c{i}, it would take 64 s of the 20 s that are left" for i in (2, 3, 4)), "and 2 more left out",
    ]  # fmt: skip


def test_it_never_needs_more_lines_than_there_are(board: Board) -> None:
    for i in range(60):
        board.tell(candidate(f"model {i}", 0.5 + i / 1000))

    assert len(seen(board, height=24)) <= 24
    assert any("and 46 more" in each for each in seen(board, height=24))


@pytest.mark.parametrize("width", [80, 120])
def test_a_line_is_a_line_however_long_a_name(board: Board, width: int) -> None:
    board.tell(candidate("boosted_trees " * 20, 0.9))
    board.conclude([replace(artifacts.manifest(), form=form) for form in ("quality", "serving")])

    assert all(len(each) <= width for each in seen(board, width=width))


@pytest.mark.parametrize(("width", "gone"), [(60, []), (50, ["fit s", "size"]), (40, ["fit s", "size", "µs/row"])])
def test_a_narrow_table_leaves_columns_out_before_it_cuts_names_and_scores(
    board: Board, width: int, gone: list[str]
) -> None:
    board.tell(candidate("boosted_trees", 0.9, weights={"boosted_trees": 1.0}))

    found = "\n".join(seen(board, width=width))

    assert "boosted_trees" in found and "0.9000 ± 0.0100" in found and "1.00" in found
    assert [name for name in ("fit s", "size", "µs/row") if name not in found] == gone


def test_what_goes_on_now_never_takes_more_than_the_line_that_is_written_over(
    capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("COLUMNS", "40")
    with Progress(as_json=False) as watch:
        watch._terminal = True
        watch(Event("x", "模型" * 30, "debug"))
        watch._shown_at = 0.0
        watch(Event("x", "short", "debug"))
    lines = capsys.readouterr().err.split("\r")[1:]
    assert [cell_len(each) for each in lines] == [39, 39, 5, 0]
    assert lines[1].rstrip() == "short"


INTERRUPTED = """
import os, signal
from aias.cli.progress import Progress, interruptible
from aias.core.events import Event
with Progress(as_json=False, seconds=600) as watch, interruptible() as stop:
    watch(Event("train.split", "", facts={}))
    watch._live.refresh()
    os.kill(os.getpid(), signal.SIGINT)
    assert stop.wait(60)
"""


def test_an_interrupt_is_told_above_the_leaderboard_not_in_it() -> None:
    ours, theirs = pty.openpty()
    environment = os.environ | {"COLUMNS": "80", "LINES": "24", "TERM": "xterm"}
    subprocess.run([sys.executable, "-c", INTERRUPTED], stderr=theirs, env=environment, check=True)
    said = os.read(ours, 100_000).decode()
    os.close(ours)
    os.close(theirs)

    before, _, after = said.partition("finishing with what was found")
    assert "\x1b[2K" in before.rpartition(" left")[2]  # the board's line is taken away, and drawn again below
    assert " left" in after


def test_at_the_end_there_is_a_weight_for_each_form(board: Board) -> None:
    board.tell(candidate("linear", 0.88))
    chosen = replace(artifacts.manifest().leaderboard[0], name="deep", weight=0.7)
    light = replace(artifacts.manifest().leaderboard[1], name="light", chosen=True, weight=0.3)
    alone = replace(chosen, weight=1.0)
    board.conclude(
        [
            replace(artifacts.manifest(), form="quality", leaderboard=(chosen, light)),
            replace(artifacts.manifest(), form="serving", leaderboard=(alone, replace(light, chosen=False))),
        ]
    )
    board.end()

    lines = seen(board)

    assert lines[1].split()[-2:] == ["quality", "serving"]
    assert lines[3].split()[-2:] == ["0.70", "1.00"]
    assert lines[4].split()[-1] == "0.30"
    assert "left" not in "".join(lines)


def test_what_a_model_is_called_is_no_markup(board: Board) -> None:
    board.tell(candidate("[red]x[/red]", 0.88))
    board.tell(told("skipped", {"configuration": "[bold]", "reason": "[/]"}))

    assert any("[red]x[/red]" in each for each in seen(board))
    assert any("[bold], [/]" in each for each in seen(board))


def test_a_curve_is_as_long_as_it_may_be_and_flat_when_nothing_changed() -> None:
    assert sparks([1, 2, 3]) == "▁▅█"
    assert sparks([2, 2]) == "▁▁"
    assert len(sparks(list(range(99)))) == 24


def test_a_pipe_gets_lines_as_ever(capsys: pytest.CaptureFixture[str]) -> None:
    with Progress(as_json=False, seconds=60) as watch:
        watch(candidate("linear", 0.88))
        watch(Event("train.round", "so far", "debug"))

    assert not watch.shows_board
    assert capsys.readouterr().err == "· candidate\n"
