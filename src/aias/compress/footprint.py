"""What a version costs to have ready: how long it takes to load, and the memory that it then holds.

Each is loaded by a fresh process: a small one that has imported what serving needs, and has loaded nothing, is asked
for a copy of itself (`fork`), which loads the artifact, answers once, looks at itself and ends. Where there is no fork
or no /proc nothing is measured.
"""

import contextlib
import gc
import math
import os
import select
import subprocess
import sys
import tempfile
import time
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import IO, Final

import msgspec

from aias.artifact.manifest import Manifest, is_served, read_manifest
from aias.artifact.names import MANIFEST
from aias.core.deadline import Deadline
from aias.core.memory import resident_bytes
from aias.runtimes.onnxruntime import OnnxRuntime, library_ready

TIMES: Final = 3
"""That each is loaded; the least counts, for what else a machine does only adds."""

ENOUGH_SECONDS: Final = 1.0
"""After which nothing is loaded once more."""

SECONDS_MAX: Final = 60.0
"""For one load, or to start; a graph of 100 MB takes a fifth of a second, but the machine may have other work."""


@dataclass(frozen=True, slots=True)
class Footprint:
    """`load_ms`: from files on the disk to the first answer; `memory_bytes`: resident then, above the process's own."""

    load_ms: float
    memory_bytes: int


class Scales:
    """The process that makes copies of itself; started when it is first asked. Nothing is weighed when the time is
    over, and what is not ready by then has no footprint."""

    def __init__(self, deadline: Deadline | None = None) -> None:
        self._deadline = deadline
        self._process: subprocess.Popen[bytes] | None = None
        self._broken = not (hasattr(os, "fork") and Path("/proc/self/statm").exists())

    def weigh(self, files: Mapping[str, bytes], manifest: Manifest) -> Footprint | None:
        """Of an artifact in memory; None where it cannot be measured."""
        if self._broken or self._left <= 0:
            return None
        with tempfile.TemporaryDirectory(prefix="aias-weigh-") as folder:
            for path, held in files.items():
                if is_served(path):
                    place = Path(folder) / path
                    place.parent.mkdir(exist_ok=True)
                    place.write_bytes(held)
            (Path(folder) / MANIFEST).write_bytes(manifest.as_bytes())
            found = self._several(folder)
        if not found:
            return None
        return Footprint(min(each.load_ms for each in found), min(each.memory_bytes for each in found))

    def weigh_version(self, folder: Path | None, manifest: Manifest) -> Footprint | None:
        """Of a version in its folder, if it has one."""
        if folder is None or self._broken or self._left <= 0:
            return None
        return self.weigh(
            {each.path: (folder / each.path).read_bytes() for each in manifest.files if is_served(each.path)}, manifest
        )

    @property
    def _left(self) -> float:
        return math.inf if self._deadline is None else self._deadline.left

    def _several(self, folder: str) -> list[Footprint]:
        began, found = time.perf_counter(), list[Footprint]()
        while len(found) < TIMES and (not found or time.perf_counter() - began < min(ENOUGH_SECONDS, self._left)):
            each = self._asked(folder)
            if each is None:
                break
            found.append(each)
        return found

    def _asked(self, folder: str) -> Footprint | None:
        process = self._process or self._started()
        assert process.stdin is not None
        assert process.stdout is not None
        try:
            process.stdin.write(folder.encode() + b"\n")
            process.stdin.flush()
            if select.select([process.stdout], [], [], min(SECONDS_MAX, self._left))[0]:
                return msgspec.json.decode(process.stdout.readline(), type=Footprint | None)
        except (OSError, msgspec.MsgspecError):
            pass
        self._broken = True  # it hangs or is gone: whoever waits for it has no time for more
        process.kill()
        return None

    def _started(self) -> "subprocess.Popen[bytes]":
        self._process = subprocess.Popen(
            [sys.executable, "-m", "aias.compress.footprint"], stdin=subprocess.PIPE, stdout=subprocess.PIPE,
            stderr=subprocess.DEVNULL,
        )  # fmt: skip
        return self._process

    def close(self) -> None:
        if self._process is not None:
            assert self._process.stdin is not None
            with contextlib.suppress(OSError):
                self._process.stdin.close()
            try:
                self._process.wait(SECONDS_MAX)
            except subprocess.TimeoutExpired:
                self._process.kill()
                self._process.wait()
            self._process = None


@contextlib.contextmanager
def scales(deadline: Deadline | None = None) -> Iterator[Scales]:
    found = Scales(deadline)
    try:
        yield found
    finally:
        found.close()


def _answer(orders: IO[bytes], answers: IO[bytes]) -> None:
    """A folder a line → its footprint as JSON, or null."""
    library_ready()
    for line in orders:
        answers.write(_by_a_copy(line.decode().rstrip("\n")) + b"\n")
        answers.flush()


def _by_a_copy(folder: str) -> bytes:
    reading, writing = os.pipe()
    child = os.fork()
    if not child:
        said = b"null"
        with contextlib.suppress(BaseException):
            said = msgspec.json.encode(_weighed(Path(folder)))
        os.write(writing, said)
        os._exit(0)
    os.close(writing)
    with os.fdopen(reading, "rb") as told:
        said = told.read()
    os.waitpid(child, 0)
    return said or b"null"


def _weighed(folder: Path) -> Footprint:
    manifest = read_manifest((folder / MANIFEST).read_bytes())
    gc.collect()
    before, began = resident_bytes(), time.perf_counter()
    places = [each for each in folder.rglob("*") if each.is_file() and each.name != MANIFEST]
    files = {str(each.relative_to(folder)): each.read_bytes() for each in places}
    runtime = OnnxRuntime.from_files(files, manifest)
    runtime.predict([{}])
    seconds = time.perf_counter() - began
    del files
    gc.collect()
    return Footprint(round(1e3 * seconds, 3), max(0, resident_bytes() - before))


if __name__ == "__main__":
    _answer(sys.stdin.buffer, sys.stdout.buffer)
