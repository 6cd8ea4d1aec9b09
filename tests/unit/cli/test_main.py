"""What holds for every command."""

import errno
import os
import pty
import signal
import subprocess
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import click
import pytest

from aias.cli.main import COMMANDS, aias
from aias.cli.show import duration
from aias.teaching.teacher import CALLS
from shell import Run

LEAVES = [
    (name, *([sub] if sub else []))
    for name in COMMANDS
    for command in [aias.get_command(click.Context(aias), name)]
    for sub in (command.commands if isinstance(command, click.Group) else [""])
]
WITH_JSON = [
    ("train", "no.csv", "--target", "y"),
    ("show", "nobody"),
    ("evaluate", "nobody", "no.csv"),
    ("predict", "nobody", "no.csv"),
    ("deploy", "nobody"),
    ("data", "check", "no.csv"),
]


@pytest.mark.parametrize("path", LEAVES, ids=" ".join)
def test_every_command_explains_itself(run: Run, path: tuple[str, ...]) -> None:
    done = run(*path, "--help")

    assert done.status == 0
    assert done.out.startswith(f"Usage: aias {' '.join(path)}")
    assert len(done.out.split("\n\n")[1].split()) >= 4  # the sentence below the usage


@pytest.mark.parametrize(
    ("said", "twice"),
    [
        ("train no.csv --target y --split time:day --split group:patient", "--split"),
        ("optimize nobody --time 5m --time=1m", "--time"),
        ("compress nobody --max-loss 1% --max-loss 2%", "--max-loss"),
    ],
)
def test_an_option_that_holds_one_value_is_not_given_twice(run: Run, said: str, twice: str) -> None:
    done = run(*said.split())

    assert (done.status, f"{twice} is given twice" in done.err) == (2, True)


@pytest.mark.parametrize(
    "option", ["--teacher-model m", "--teacher-calls 5", "--synthetic 2", "--temperature 2", "--classes a,b"]
)
def test_an_option_for_a_teacher_without_one_is_refused(run: Run, option: str) -> None:
    done = run("train", "no.csv", "--target", "y", *option.split())

    assert done.status == 2
    assert done.err.splitlines()[-1].endswith(f"only with --teacher, which labels the rows: {option.partition(' ')[0]}")


def test_the_help_says_how_many_calls_a_teacher_gets_by_itself(run: Run) -> None:
    assert f"[default: {CALLS}]" in " ".join(run("train", "--help").out.split())


def test_an_option_that_can_be_repeated_is(run: Run) -> None:
    done = run(*["train", "no.csv", "--target", "y", "--learner", "linear", "--learner", "nearest", "--json", "--json"])

    assert "no-such-file" in done.err


@pytest.mark.parametrize("group", ["keys", "tenants", "data"])
def test_the_help_of_a_group_cuts_no_sentence(run: Run, group: str, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("COLUMNS", "80")
    assert "..." not in run(group, "--help").out.replace("[ARGS]...", "")


def test_help_lists_every_command_with_the_sentence_of_its_own_help(run: Run) -> None:
    listed = " ".join(run("--help").out.split())

    for name, (_, sentence) in COMMANDS.items():
        assert f" {name} {sentence}" in listed


def test_the_list_of_commands_is_what_the_modules_hold() -> None:
    for name in COMMANDS:
        command = aias.get_command(click.Context(aias), name)
        assert command is not None
        assert command.name == name


@pytest.mark.parametrize("arguments", [["nonsense"], ["train"], ["ls", "--colour"], ["serve", "--port", "high"]])
def test_a_slip_of_the_pen_is_bad_input(run: Run, arguments: list[str]) -> None:
    done = run(*arguments)

    assert done.status == 2
    assert not done.out
    assert "Error" in done.err


def test_an_error_is_a_message_a_hint_and_a_code_on_stderr(run: Run, empty_home: Path) -> None:
    done = run("show", "nobody")

    assert done.status == 3
    assert not done.out
    assert done.err.splitlines() == [
        "error: there is no model `nobody`",
        "hint: there is none yet: `aias train FILE --target COLUMN` makes the first",
        "(registry.unknown-version)",
    ]


@pytest.mark.parametrize("arguments", WITH_JSON, ids=lambda arguments: arguments[0])
def test_with_json_an_error_is_json_and_stdout_stays_empty(
    run: Run, empty_home: Path, arguments: tuple[str, ...]
) -> None:
    done = run(*arguments, "--json")

    assert done.status == 3
    assert not done.out
    assert {"code", "message", "hint"} <= done.error.keys()


def test_the_version_is_told(run: Run) -> None:
    import aias as package

    assert run("--version").out == f"aias, version {package.__version__}\n"


def test_python_dash_m_is_the_same_command() -> None:
    done = subprocess.run([sys.executable, "-m", "aias", "--version"], capture_output=True, text=True, check=False)

    assert (done.returncode, done.stdout.split(",")[0]) == (0, "aias")


def test_a_reader_that_has_seen_enough_is_no_failure(home: Path) -> None:
    done = subprocess.run(
        ["bash", "-c", f"set -o pipefail; {sys.executable} -m aias show churn --json | head -c 1"],
        capture_output=True, text=True, check=False,
    )  # fmt: skip

    assert (done.stdout, done.returncode, done.stderr) == ("{", 0, "")


@pytest.mark.parametrize(
    "fault",
    [
        MemoryError(),
        RuntimeError("can't start new thread"),
        ImportError("lib.so: failed to map segment from shared object"),
        OSError(errno.ENOMEM, "Cannot allocate memory"),
    ],
)
def test_want_of_memory_is_no_traceback(
    run: Run, monkeypatch: pytest.MonkeyPatch, empty_home: Path, fault: Exception
) -> None:
    def fail(*_arguments: object, **_settings: object) -> None:
        raise fault

    monkeypatch.setattr("aias.data.read.read", fail)
    done = run("data", "check", "rows.csv")
    assert done.status == 1
    assert "error: there was not enough memory" in done.err and "(aias.out-of-memory)" in done.err


BOUNDED = """
import os, resource, signal, sys, time
from aias.cli import main
resource.setrlimit(resource.RLIMIT_AS, (8 << 30, 8 << 30))
resource.setrlimit(resource.RLIMIT_CORE, (0, 0))
signal.signal(signal.SIGINT, signal.default_int_handler)  # whoever runs the tests may ignore it
def run(**_):
    print("running", flush=True)
    {ending}
main.aias.main = run
sys.argv = ["aias", "train"]
main.main()
"""


@contextmanager
def bounded(ending: str) -> Iterator[subprocess.Popen[str]]:
    """`aias train` under `ulimit -v`, which does this."""
    script = BOUNDED.format(ending=ending)
    with subprocess.Popen(
        [sys.executable, "-c", script], stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True
    ) as aias:
        try:
            yield aias
        finally:
            aias.kill()


def test_a_library_that_aborts_for_want_of_memory_is_told_of() -> None:
    with bounded("os.abort()") as aias:
        _, said = aias.communicate(timeout=60)
    assert aias.returncode == 1
    assert "error: there was not enough memory" in said and "(aias.out-of-memory)" in said


def test_under_a_bound_of_memory_a_status_and_an_interrupt_pass_as_without() -> None:
    with bounded("return 3") as aias:
        assert (aias.communicate(timeout=60), aias.returncode) == (("running\n", ""), 3)
    with bounded("while True: time.sleep(0.01)") as aias:
        assert aias.stdout is not None and aias.stdout.readline() == "running\n"
        aias.send_signal(signal.SIGINT)
        assert (aias.communicate(timeout=60), aias.returncode) == (("", "interrupted\n"), 130)


def test_an_interrupt_is_told_apart_from_a_failure(run: Run, monkeypatch: pytest.MonkeyPatch, empty_home: Path) -> None:
    def interrupted(*_: object, **__: object) -> None:
        raise KeyboardInterrupt

    monkeypatch.setattr("aias.registry.registry.Registry.open", interrupted)

    done = run("ls")

    assert done.status == 130
    assert "interrupted" in done.err


def test_an_error_on_a_terminal_is_broken_between_words(tmp_path: Path) -> None:
    (tmp_path / "page.csv").write_text("<html></html>")
    ours, theirs = pty.openpty()
    environment = os.environ | {"COLUMNS": "40", "AIAS_HOME": str(tmp_path), "TERM": "xterm", "NO_COLOR": "1"}
    asked = [sys.executable, "-m", "aias", "data", "check", "page.csv"]
    done = subprocess.run(asked, stderr=theirs, stdout=subprocess.PIPE, env=environment, cwd=tmp_path, check=False)
    said = [line.rstrip() for line in os.read(ours, 10_000).decode().splitlines()]
    os.close(ours)
    os.close(theirs)

    assert done.returncode == 2
    assert said[:2] == ["error: `page.csv` is a web page or XML,", "not a table"]


def test_a_mistyped_command_names_the_one_that_was_probably_meant(run: Run) -> None:
    assert "Did you mean 'train'?" in run("trian").err


@pytest.mark.parametrize("arguments", [("export", "churn@1", "/proc/a"), ("show", "churn@1", "--html", "/proc/a")])
def test_a_path_that_cannot_be_written_is_no_traceback(run: Run, home: Path, arguments: tuple[str, ...]) -> None:
    done = run(*arguments)

    assert done.status == 1
    assert done.err.splitlines()[0] == "error: /proc/a: No such file or directory"
    assert "(aias.storage-failed)" in done.err


@pytest.mark.parametrize("ending", ["csv", "parquet", "jsonl", "html"])
def test_a_full_disk_is_no_traceback(run: Run, home: Path, churn: Path, tmp_path: Path, ending: str) -> None:
    full = tmp_path / f"out.{ending}"
    full.symlink_to("/dev/full")

    done = run("show", "churn@1", "--html", full) if ending == "html" else run("predict", "churn", churn, "-o", full)

    assert done.status == 1
    assert "No space left on device" in done.err
    assert "(aias.storage-failed)" in done.err


@pytest.mark.parametrize(
    ("arguments", "said"),
    [
        (["ls"], "no models yet in {home}"), (["endpoints"], "no endpoints yet"), (["keys", "list"], "no keys yet"),
        (["keys", "usage"], "no quotas"), (["tenants", "list"], "no tenants yet"), (["tenants", "usage"], "no quotas"),
    ],
)  # fmt: skip
def test_an_empty_list_says_so_and_what_fills_it(run: Run, empty_home: Path, arguments: list[str], said: str) -> None:
    done = run(*arguments)

    assert not done.out
    assert [line.split(": ")[0] for line in done.err.splitlines()] == [said.format(home=empty_home), "next"]


@pytest.mark.parametrize(
    ("seconds", "said"),
    [(0, "0 s"), (99, "99 s"), (200, "3 min 20 s"), (10_251, "2 h 50 min"), (2_600_000, "30 d 2 h")],
)
def test_a_long_time_is_told_in_units_that_a_person_reads(seconds: float, said: str) -> None:
    assert duration(seconds) == said
