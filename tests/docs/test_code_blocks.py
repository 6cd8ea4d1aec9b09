"""Every code block of the README and the documentation runs, in order, in an empty home of its own."""

import os
import re
import subprocess
import sys
from pathlib import Path

import pytest
from page import BEGINS, SECONDS_MAX, Block, Shell, begun_home, blocks, commands, in_short

ROOT = Path(__file__).resolve().parents[2]
PAGES = [ROOT / "README.md", *sorted((ROOT / "docs").rglob("*.md"))]
RUNS = ("python", "sh", "console")


def name_of(page: Path) -> str:
    return str(page.relative_to(ROOT))


def runnable(page: Path) -> list[Block]:
    return [each for each in blocks(page.read_text("utf-8")) if each.language in RUNS and each.no_run is None]


@pytest.fixture(scope="module")
def begun(tmp_path_factory: pytest.TempPathFactory) -> dict[str, str]:
    """Where to find what the beginning of many pages has made."""
    begun = tmp_path_factory.mktemp("begun")
    for command in BEGINS:
        folder = begun_home(begun, command).parent
        folder.mkdir()
        (folder / "begin.md").write_text(f"```console\n$ {command}\n```\n")
        run(folder / "begin.md", folder)
    return {"BEGUN": str(begun)}


def run(page: Path, folder: Path, **more: str) -> None:
    commands_at = f"{Path(sys.executable).parent}{os.pathsep}{os.environ['PATH']}"
    homes = {"HOME": str(folder), "AIAS_HOME": str(folder / ".aias"), "PATH": commands_at, **more}
    (folder / "work").mkdir()

    done = subprocess.run(
        [sys.executable, str(Path(__file__).with_name("page.py")), str(page)],
        cwd=folder / "work", env=os.environ | homes, capture_output=True, text=True, check=False, timeout=3_600,
    )  # fmt: skip

    assert done.returncode == 0, done.stdout + done.stderr


@pytest.mark.parametrize("page", [page for page in PAGES if runnable(page)], ids=name_of)
def test_every_block_of_a_page_runs(page: Path, tmp_path: Path, begun: dict[str, str]) -> None:
    run(page, tmp_path, **begun)


@pytest.mark.parametrize("page", PAGES, ids=name_of)
def test_a_block_that_is_not_run_says_why(page: Path) -> None:
    assert not [block.line for block in blocks(page.read_text("utf-8")) if block.no_run == ""]


@pytest.mark.parametrize("page", PAGES, ids=name_of)
def test_a_block_without_a_language_is_a_picture(page: Path) -> None:
    """Commands in it would be run by nobody, unnoticed."""
    fenced = re.findall(r"^```(.*)\n((?:.*\n)*?)```$", page.read_text("utf-8"), re.MULTILINE)

    assert not [text for language, text in fenced if not language and ("$ " in text or "import " in text)]


def test_a_console_block_is_cut_into_commands_and_what_they_show() -> None:
    block = Block("console", None, "$ one \\\n  two\nshown\nmore\n$ three\n", 1)

    assert list(commands(block)) == [("one \\\n  two", "shown\nmore"), ("three", "")]


def test_no_page_takes_longer_than_its_test_has_time_for() -> None:
    assert in_short('aias train a.csv --time 90s && f(time="9s", bedtime="9s") --time 1s') == (
        f'aias train a.csv --time {SECONDS_MAX}s && f(time="{SECONDS_MAX}s", bedtime="9s") --time 1s'
    )


def test_a_shell_remembers_from_command_to_command_and_tells_how_each_ended() -> None:
    shell = Shell()
    try:
        assert shell.run("NAME=aias; false")[0] == 1
        assert shell.run("printf $NAME") == (0, "aias")
    finally:
        shell.close()
