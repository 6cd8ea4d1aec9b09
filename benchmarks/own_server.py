"""Our own server for a benchmark: a process of its own, on core 0, for one home and the bounds that are told."""

import json
import os
import subprocess
import sys
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING, Final, NamedTuple

if TYPE_CHECKING:
    from aias.core.events import Event

CORE: Final = 0


class Running(NamedTuple):
    pid: int
    port: int

    @property
    def cpu_seconds(self) -> float:
        """What its process has worked so far."""
        fields = Path(f"/proc/{self.pid}/stat").read_text().rpartition(")")[2].split()
        return (int(fields[11]) + int(fields[12])) / os.sysconf("SC_CLK_TCK")

    def thread_seconds(self) -> dict[int, float]:
        """What each of its threads has; the first is the loop's."""
        tasks = Path(f"/proc/{self.pid}/task").iterdir()
        return {int(each.name): int((each / "schedstat").read_text().split()[0]) / 1e9 for each in tasks}


@contextmanager
def serving(home: str, **bounds: float) -> Iterator[Running]:
    """A server that is ready. `bounds`: fields of `Bounds` that are not as usual."""
    command = [sys.executable, str(Path(__file__).resolve()), home, json.dumps(bounds)]
    with subprocess.Popen(command, stdout=subprocess.PIPE, text=True) as process:
        assert process.stdout is not None
        try:
            yield Running(process.pid, int(process.stdout.readline()))
        finally:
            process.terminate()


QUOTAS: Final = ("1000000/second", "1000000 rows/second", "10000000000/day")
"""As `aias keys limit` sets them, and never spent: what counting costs is measured."""


def key_of(home: Path, quotas: Sequence[str] = ()) -> str:
    """A key that may predict."""
    from aias.access.keys import Keys

    keys = Keys.open(home)
    _, secret = keys.create("bench", ["predict"], quotas=quotas)
    keys.close()
    return secret


def other_core() -> None:
    """For whoever asks: not to take time from the one who answers."""
    mine = os.sched_getaffinity(0)
    os.sched_setaffinity(0, mine - {CORE} or mine)


def _warn(event: "Event") -> None:
    if event.level == "warning":
        print(f"the server warns: {event.name} {event.message} {event.facts}", file=sys.stderr, flush=True)


def _run(home: str, bounds: str) -> None:
    from aias.serving.bounds import Bounds
    from aias.serving.processes.ports import listen
    from aias.serving.serve import answer_on

    os.sched_setaffinity(0, {CORE})
    listener = listen("127.0.0.1", 0)
    port = listener.getsockname()[1]
    answer_on(
        [listener], Path(home), hosts=["127.0.0.1"], bounds=Bounds(**json.loads(bounds)), announce=_warn,
        when_ready=lambda: print(port, flush=True),
    )  # fmt: skip


if __name__ == "__main__":
    _run(*sys.argv[1:])
