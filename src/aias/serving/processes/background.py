"""A server in a process of its own, for as long as a `with` block lasts."""

import os
import signal
import subprocess
import sys
import threading
from collections.abc import Callable
from pathlib import Path
from typing import Self

import msgspec

from aias.core.errors import AiasError
from aias.core.events import Event


class DidNotStart(AiasError):
    """The server did not start."""

    code = "serving.did-not-start"


class Background:
    """`with Background(home) as server: ... server.url ...`

    It serves the endpoints of a home on loopback, on any free port unless told which. Leaving the block stops it as
    SIGTERM does; so does the death of this process. `exit_status` is there afterwards. Raises `DidNotStart`.
    """

    def __init__(self, home: Path, *, port: int = 0, workers: int = 1) -> None:
        self._home, self._port, self._workers = home, port, workers
        self.events: list[Event] = []
        self.url = ""
        self.exit_status: int | None = None

    def __enter__(self) -> Self:
        self._process = subprocess.Popen(  # noqa: S603  this very program
            [
                sys.executable,
                "-m",
                "aias.serving.processes.background",
                str(self._home),
                str(self._port),
                str(self._workers),
            ],
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
        )
        assert self._process.stdout is not None
        for line in self._process.stdout:
            event = msgspec.json.decode(line, type=Event)
            self.events.append(event)
            if event.name == "serve.ready":
                self.url = str(event.facts["url"])
                threading.Thread(target=self._listen, daemon=True).start()
                return self
        self.exit_status = self._process.wait()
        why = self.events[-1].message if self.events else "it said nothing"
        raise DidNotStart(f"the server did not start: {why}", hint="`aias serve` in a shell shows more")

    def __exit__(self, *_: object) -> None:
        self.stop()

    @property
    def pid(self) -> int:
        return self._process.pid

    @property
    def first_key(self) -> str | None:
        """The secret of the first key, when this server was the first of its home."""
        return next((str(event.facts["secret"]) for event in self.events if event.name == "serve.first-key"), None)

    def stop(self) -> int:
        """Have it finish what it has begun, and wait for it; its exit status."""
        if self.exit_status is None:
            self._process.send_signal(signal.SIGTERM)
            self.exit_status = self._process.wait()
            assert self._process.stdin is not None
            self._process.stdin.close()
        return self.exit_status

    def _listen(self) -> None:
        """Keep reading: a server whose pipe is full would stand still."""
        assert self._process.stdout is not None
        with self._process.stdout as lines:
            for line in lines:
                self.events.append(msgspec.json.decode(line, type=Event))


def main(home: str, port: str, workers: str) -> None:
    """The other end: events go out on standard output, and the end of standard input means stop."""
    from aias.serving.serve import serve

    threading.Thread(target=stop_with_parent, daemon=True).start()
    try:
        serve(Path(home), port=int(port), workers=int(workers), announce=tell)
    except AiasError as fault:
        tell(Event(fault.code, fault.message, "warning"))
        sys.exit(fault.exit_status)


def tell(event: Event) -> None:
    """An event as a line of JSON on standard output, for the process that has started this one."""
    sys.stdout.buffer.write(msgspec.json.encode(event) + b"\n")
    sys.stdout.buffer.flush()


def stop_with_parent(first: Callable[[], object] = lambda: None) -> None:
    """Stop as on SIGTERM when standard input ends; for a thread. What comes `first` is done before."""
    # Not `sys.stdin`: its lock, held here at the end of the process, would abort the interpreter.
    while os.read(0, 1024):
        pass
    first()
    os.kill(os.getpid(), signal.SIGTERM)


if __name__ == "__main__":
    main(*sys.argv[1:])
