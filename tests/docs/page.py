"""Runs one page of documentation as its reader would: `python page.py PAGE.md` in an empty folder with an empty home.

Python blocks share one namespace; the `$ ` lines of console blocks (every line of a sh block) share one shell. Both
run in the folder that holds `demo-table.csv` and `demo-text.csv`, real data, the texts cut to be quick, and so is the
time that a page gives to training, optimising and compressing. `aias serve` runs in the background on free ports that
stand in for 8000 and 8001. A command must succeed, unless the page shows an `error:` beneath it: then it must fail,
and with the code that the page shows. `$KEY` and `$AIAS_KEY`, in Python too, hold the key that the server prints when
it is first started. `$BEGUN` may name a folder with a home for each of `BEGINS`, in which that has been run, beside
the data that it was run on.
"""

import os
import re
import shutil
import subprocess
import sys
import traceback
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from aias.client.train import train

sys.path.append(str(Path(__file__).resolve().parents[1]))

from ports import free_port

INSTALLED = re.compile(r"^pip install [^&|;]*(&& )?")
"""The environment that the tests run in is what these would make."""

ELSEWHERE = {"pytest": "it would run itself", "aias demo": "CI runs it from the built wheel"}

BEGINS = (
    "aias train demo-table.csv --target diagnosis --name tumours --learner linear",
    "aias train demo-table.csv --target diagnosis --name tumours --time 10s",
)
"""So begin many pages."""

TEXT_ROWS = 400
SECONDS_MAX = 3
"""Where a page says more, or nothing; a model is trained, however slow the machine."""

SECONDS = re.compile(r"""(--time |\btime=")(\d+)s\b""")
DONE = "__done__"


@dataclass(frozen=True)
class Block:
    language: str
    no_run: str | None
    text: str
    line: int


def blocks(page: str) -> Iterator[Block]:
    """Every fenced block; ` no-run: why` after the language keeps one from being run."""
    for found in re.finditer(r"^```(\w+)(?: (.*))?\n(.*?)^```$", page, re.MULTILINE | re.DOTALL):
        note = found[2] or ""
        no_run = note.removeprefix("no-run").strip(" :") if note.startswith("no-run") else None
        yield Block(found[1], no_run, found[3], page[: found.start()].count("\n") + 1)


def commands(block: Block) -> Iterator[tuple[str, str]]:
    """Each command with what the page shows beneath it."""
    if block.language == "sh":
        yield block.text, ""
        return
    for part in re.split(r"^\$ ", block.text, flags=re.MULTILINE)[1:]:
        lines = part.splitlines()
        last = next(i for i, line in enumerate(lines) if not line.endswith("\\"))
        yield "\n".join(lines[: last + 1]), "\n".join(lines[last + 1 :])


def in_short(text: str) -> str:
    """The text with no time above `SECONDS_MAX`."""
    return SECONDS.sub(lambda found: f"{found[1]}{min(int(found[2]), SECONDS_MAX)}s", text)


def begun_home(folder: Path, command: str) -> Path:
    """The home in which a command of `BEGINS` has been run."""
    return folder / str(BEGINS.index(command)) / ".aias"


class Shell:
    """One bash for a whole page; what is set in one command is there in the next."""

    def __init__(self) -> None:
        self._port, self._grpc_port = free_port(), free_port()
        self._servers: list[subprocess.Popen[str]] = []
        self._first_key = ""
        self._bash = subprocess.Popen(
            ["bash", "--norc"], stdin=subprocess.PIPE, stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True
        )

    def run(self, command: str) -> tuple[int, str]:
        command = INSTALLED.sub("", self.here(command).partition("  #")[0]).strip()
        if not command or command in ELSEWHERE:
            return 0, ""
        if command.startswith("aias serve"):
            return self._serve(command)
        if command in BEGINS and "BEGUN" in os.environ and not Path(os.environ["AIAS_HOME"]).exists():
            shutil.copytree(begun_home(Path(os.environ["BEGUN"]), command), os.environ["AIAS_HOME"])
            return 0, ""
        if command.startswith("aias train") and "--time" not in command:
            command += f" --time {SECONDS_MAX}s"
        command = in_short(command)
        if self._first_key:  # the page shows another home's first key
            command = re.sub(r"aias_…|(?<=Bearer )(?:aias_\w+|…|YOUR-KEY)", self._first_key, command)
        assert self._bash.stdin is not None
        self._bash.stdin.write(f"{{ {command}\n}} </dev/null\necho {DONE} $?\n")
        self._bash.stdin.flush()
        return self._answer()

    def here(self, text: str) -> str:
        """The text with the ports that this page's servers have."""
        text = text.replace("--grpc-port 8001", f"--grpc-port {self._grpc_port}")
        text = text.replace("localhost:8001", f"127.0.0.1:{self._grpc_port}")
        return text.replace("localhost:8000", f"127.0.0.1:{self._port}").replace(":8000", f":{self._port}")

    def close(self) -> None:
        for process in (*self._servers, self._bash):
            process.terminate()
            process.wait()

    def _answer(self) -> tuple[int, str]:
        assert self._bash.stdout is not None
        said = ""
        for line in self._bash.stdout:
            before, found, status = line.partition(DONE)
            said += before
            if found:
                return int(status), said
        return self._bash.wait(), said

    def _serve(self, command: str) -> tuple[int, str]:
        command = re.sub(r" --port \d+", "", command).removesuffix("&").strip()
        server = subprocess.Popen(
            ["bash", "-c", f"exec {command} --port {self._port}"],
            stdout=subprocess.PIPE, stderr=subprocess.STDOUT, stdin=subprocess.DEVNULL, text=True,
        )  # fmt: skip
        self._servers.append(server)
        said = ""
        assert server.stdout is not None
        for line in server.stdout:
            said += line
            if line.startswith("aias_"):
                self._first_key = line.strip()
            if "serving at" in line:
                if self._first_key:
                    self.run(f"export KEY={self._first_key} AIAS_KEY={self._first_key}")
                    os.environ |= {"KEY": self._first_key, "AIAS_KEY": self._first_key}
                return 0, said
        return server.wait(), said


def run_page(page: Path) -> list[str]:
    """What went wrong, with the line of its block."""
    _bring_samples()
    train.__kwdefaults__["time"] = SECONDS_MAX
    shell, names, faults = Shell(), {"__name__": "__main__"}, []
    try:
        for block in blocks(page.read_text(encoding="utf-8")):
            if block.no_run is None and block.language == "python":
                faults += [
                    f"{page.name}:{block.line}: {fault}" for fault in _python(in_short(shell.here(block.text)), names)
                ]
            elif block.no_run is None and block.language in ("sh", "console"):
                faults += [f"{page.name}:{block.line}: {fault}" for fault in _console(block, shell)]
    finally:
        shell.close()
    return faults


def _python(text: str, names: dict[str, Any]) -> list[str]:
    try:
        exec(compile(text, "block", "exec"), names)
    except BaseException:  # a page may do anything, and the next page still runs
        return [traceback.format_exc(limit=-2)]
    return []


def _console(block: Block, shell: Shell) -> list[str]:
    faults = []
    for command, shown in commands(block):
        status, said = shell.run(command)
        if "error:" not in shown:
            if status or '{"error"' in said:  # curl calls it a success
                faults.append(f"`{command}` ended with {status}: {said[-1500:]}")
            continue
        codes = set(re.findall(r"\(([a-z]+\.[a-z-]+)\)", shown))
        if not status or not all(code in said for code in codes):
            faults.append(f"`{command}` should fail with {codes}; it ended with {status}: {said[-1500:]}")
    return faults


def _bring_samples() -> None:
    if "BEGUN" in os.environ:
        for sample in Path(os.environ["BEGUN"]).glob("0/work/demo-*.csv"):
            shutil.copy(sample, ".")
        return
    from aias.client.samples import docstrings, measurements

    measurements(Path())
    path = docstrings(Path()).path
    lines = path.read_text("utf-8").splitlines(keepends=True)  # a sentence holds no line breaks
    path.write_text("".join(lines[: TEXT_ROWS + 1]), encoding="utf-8")


if __name__ == "__main__":
    found = run_page(Path(sys.argv[1]))
    print("\n\n".join(found))
    sys.exit(1 if found else 0)
