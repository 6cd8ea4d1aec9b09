"""One system under one load: started, asked until its answer is right, measured, ended."""

import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any, Final

from serving.load import ask, request
from serving.model import Work
from serving.processes import answers_on, free_port, server
from serving.systems import PEERS, SYSTEMS, System, python_of

UP_SECONDS: Final = 120


class DidNotStart(Exception):
    pass


@contextmanager
def running(name: str, work: Work, *, environments: Path, key: str) -> Iterator[dict[str, Any]]:
    """The part of a load's job that is about the server."""
    system, port = SYSTEMS[name], free_port()
    with tempfile.TemporaryDirectory(prefix=f"serving-{name}-") as held:
        folder = Path(held)
        log = folder / "log"
        command = _command(system, environments, port=port, folder=folder)
        ours, theirs = {"AIAS_HOME": str(work.home)}, {"GRAPH": str(work.graph), "PYTHONPATH": str(PEERS)}
        variables = theirs if system.environment else ours
        key = "" if system.environment else key
        first = request(("127.0.0.1", port), system.path, system.body(work.rows[0]), key=key)
        at = PEERS if system.environment else folder
        with server(command, folder=at, log=log, environment=variables) as token:
            if not answers_on(port, first, seconds=UP_SECONDS):
                raise DidNotStart(f"{name}: {log.read_text(errors='replace')[-2000:]}")
            yield {
                "system": name, "port": port, "token": token, "key": key,
                "rows": work.rows, "answers": work.answers,
            }  # fmt: skip


def _command(system: System, environments: Path, *, port: int, folder: Path) -> list[str]:
    python = str(python_of(system, environments))
    if system.environment is None:
        return [python, "-m", "aias", "serve", "--port", str(port)]
    return [python, *(each.format(port=port, folder=folder) for each in system.start)]


def measured(job: dict[str, Any], *, connections: int, seconds: float) -> dict[str, float]:
    return ask(job | {"connections": connections, "seconds": seconds})
