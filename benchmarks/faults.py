"""Versions swapped, servers replaced and workers killed, under load: which predictions fail, which answers are wrong.

    python benchmarks/faults.py [swaps|restarts|kills|renewals|together ...] [--swaps N] [--restarts N] [--seconds N]

Version k of the model answers k times its number, so an answer tells which version gave it. Clients ask without a
pause, six on connections that they keep and two on a new one for each request, and never ask twice: what is not
answered with 200, or not at all, has failed; what is not the number times the version that the response names, or
names one never deployed, is wrong.

swaps     another new version is deployed as soon as the one before answers
restarts  the whole server is replaced: `aias serve --replace`, again as soon as the one before has ended
kills     every five seconds one of the workers is killed with SIGKILL
renewals  SIGHUP puts a new process in the place of every worker, again as soon as that is done
together  the first three at once, until all the swaps, restarts and seconds are over
"""

import argparse
import contextlib
import json
import os
import signal
import socket
import subprocess
import sys
import tempfile
import threading
import time
from collections import Counter
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from itertools import count
from pathlib import Path
from typing import Final

HERE: Final = Path(__file__).resolve()
sys.path.insert(0, str(HERE.parents[1] / "tests"))

WORKERS, CLIENTS, NEWCOMERS = 2, 6, 2
KILL_EVERY_SECONDS: Final = 5.0
WAIT_SECONDS: Final = 120.0
ANSWER_SECONDS: Final = 120.0
"""On a machine that is far too busy a new process takes half a minute to come; what it then answers has not failed."""

COMMAND: Final = "python benchmarks/faults.py"


def main() -> int:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("rows", nargs="*", default=["swaps", "restarts", "kills", "together"])
    parser.add_argument("--swaps", type=int, default=100)
    parser.add_argument("--restarts", type=int, default=20)
    parser.add_argument("--seconds", type=float, default=60.0, help="of killing")
    asked = parser.parse_args()
    # Whoever stops this stops the server with it.
    signal.signal(signal.SIGTERM, lambda *_: sys.exit("stopped"))
    failed = False
    for row in asked.rows:
        with tempfile.TemporaryDirectory(prefix="faults-") as folder, serving(Path(folder)) as bench:
            did = {
                "swaps": lambda: swap(bench, asked.swaps),
                "restarts": lambda: restart(bench, asked.restarts),
                "kills": lambda: kill(bench, asked.seconds),
                "renewals": lambda: renew(bench, asked.restarts),
                "together": lambda: together(bench, asked),
            }[row]
            failed |= report(row, bench, did)
    print(f"command: {COMMAND} {' '.join(sys.argv[1:])}")
    return int(failed)


class Bench:
    """The server under test, and what its clients have seen."""

    def __init__(self, home: Path, port: int, key: str) -> None:
        self.home, self.port, self._key = home, port, key
        self.process = started(home, port)
        self.faults: Counter[str] = Counter()
        self.answered: Counter[int] = Counter()
        self.deployed = {1}
        self.slowest = 0.0
        self._stop, self._numbers = threading.Event(), count(1)

    def workers(self) -> set[int]:
        """The supervisor's own children."""
        listed = Path(f"/proc/{self.process.pid}/task/{self.process.pid}/children").read_text()
        return {int(each) for each in listed.split() if b"aias.serving.processes.worker" in _command(int(each))}

    def put_load(self, work: Callable[[], str]) -> str:
        """What `work` says it did, while everybody asks."""
        clients = [threading.Thread(target=self._ask_on, args=(at < CLIENTS,)) for at in range(CLIENTS + NEWCOMERS)]
        for each in clients:
            each.start()
        try:
            return work()
        finally:
            self._stop.set()
            for each in clients:
                each.join()

    def _ask_on(self, keeps: bool) -> None:
        client = self._connect()
        while not self._stop.is_set():
            number, began = next(self._numbers), time.perf_counter()
            try:
                if not keeps:
                    client.close()
                    client = self._connect()
                client.sendall(self._request(number))
                status, version, body = _answer(client)
                self.slowest = max(self.slowest, time.perf_counter() - began)
            except OSError as fault:
                self.faults[f"failed: {type(fault).__name__} {fault}"] += 1
                client.close()
                client = self._connect()
                continue
            if status != 200:
                self.faults[f"failed: {status} {body[:200]!r}"] += 1
            elif version not in self.deployed:
                self.faults[f"wrong: m@{version} was never deployed"] += 1
            elif json.loads(body)[0]["prediction"] != version * number:
                self.faults["wrong: another version's answer, or another's"] += 1
            else:
                self.answered[version] += 1
        client.close()

    def _connect(self) -> socket.socket:
        return socket.create_connection(("127.0.0.1", self.port), timeout=ANSWER_SECONDS)

    def _request(self, number: int) -> bytes:
        body = b'[{"n": %d}]' % number
        head = f"POST /predict/m HTTP/1.1\r\nHost: 127.0.0.1:{self.port}\r\nAuthorization: Bearer {self._key}\r\n"
        return head.encode() + b"Content-Type: application/json\r\nContent-Length: %d\r\n\r\n" % len(body) + body


def _answer(client: socket.socket) -> tuple[int, int, bytes]:
    """Status, number of the version, body."""
    held = b""
    while (end := held.find(b"\r\n\r\n")) < 0 or len(held) < end + 4 + _length(held[:end]):
        if not (more := client.recv(65_536)):
            raise ConnectionError("closed without an answer" if not held else "closed within an answer")
        held += more
    _, _, version = held[:end].lower().partition(b"x-aias-version: m@")
    return int(held[9:12]), int(version.split(b"\r\n")[0] or 0), held[end + 4 :]


def _length(head: bytes) -> int:
    return int(head.lower().partition(b"content-length:")[2].split(b"\r\n")[0])


def swap(bench: Bench, times: int) -> str:
    from aias.core.names import Ref
    from aias.registry.registry import Registry
    from tiny_versions import MANIFEST, files

    with Registry.open(bench.home) as registry:
        for _ in range(times):
            times_of = float(max(bench.deployed) + 1)
            version = registry.publish("m", files(times_of, golden_of=times_of), MANIFEST)
            bench.deployed = bench.deployed | {version.number}
            registry.deploy("m", Ref("m", version.number))
            wait_for(lambda number=version.number: bench.answered[number] > 0)  # type: ignore[misc]
    return f"{times} swaps"


def renew(bench: Bench, times: int) -> str:
    for _ in range(times):
        before = bench.workers()
        bench.process.send_signal(signal.SIGHUP)
        wait_for(lambda before=before: len(now := bench.workers()) == WORKERS and not now & before)  # type: ignore[misc]
    return f"{times} times all {WORKERS} workers renewed"


def restart(bench: Bench, times: int) -> str:
    for _ in range(times):
        old, bench.process = bench.process, started(bench.home, bench.port, "--replace")
        wait_for(lambda old=old: old.poll() is not None)  # type: ignore[misc]
        if old.returncode:
            raise SystemExit(f"the server that was replaced ended with status {old.returncode}")
    return f"{times} times the whole server replaced"


def kill(bench: Bench, seconds: float, enough: threading.Event | None = None) -> str:
    """At least for so long, and `enough` says."""
    killed, end = 0, time.monotonic() + seconds
    while time.monotonic() < end or not (enough is None or enough.is_set()):
        time.sleep(KILL_EVERY_SECONDS)
        victims = sorted(bench.workers())
        # Beside restarts a server that is about to end may have none.
        if victims:
            with contextlib.suppress(ProcessLookupError):
                os.kill(victims[killed % len(victims)], signal.SIGKILL)
            killed += 1
        if enough is None:
            wait_for(lambda: len(bench.workers()) == WORKERS)
    return f"{killed} workers killed"


def together(bench: Bench, asked: argparse.Namespace) -> str:
    enough, did = threading.Event(), dict[str, str]()
    works: dict[str, Callable[[], str]] = {
        "swaps": lambda: swap(bench, asked.swaps),
        "restarts": lambda: restart(bench, asked.restarts),
        "kills": lambda: kill(bench, asked.seconds, enough),
    }
    threads = {
        name: threading.Thread(target=lambda name=name, work=work: did.update({name: work()}))  # type: ignore[misc]
        for name, work in works.items()
    }
    for each in threads.values():
        each.start()
    threads["swaps"].join()
    threads["restarts"].join()
    enough.set()
    threads["kills"].join()
    if len(did) < len(works):
        raise SystemExit(f"only {', '.join(did)} came to its end")
    return ", ".join(did[name] for name in works)


def wait_for(condition: Callable[[], bool]) -> None:
    end = time.monotonic() + WAIT_SECONDS
    while not condition():
        if time.monotonic() > end:
            raise SystemExit("it never came about")
        time.sleep(0.02)


def report(row: str, bench: Bench, work: Callable[[], str]) -> bool:
    did = bench.put_load(work)
    failed = sum(times for what, times in bench.faults.items() if what.startswith("failed"))
    wrong = sum(bench.faults.values()) - failed
    found = (
        f"{did}, {sum(bench.answered.values()):,} answers of {len(bench.answered)} versions, the slowest "
        f"{1e3 * bench.slowest:,.0f} ms: {failed} failed, {wrong} wrong"
    )
    print(f"faults/{row:<10} {found:<110} 0 failed, 0 wrong  {'MISS' if bench.faults else 'ok'}", flush=True)
    for what, times in bench.faults.most_common(5):
        print(f"    {times} × {what}")
    return bool(bench.faults)


@contextmanager
def serving(home: Path) -> Iterator[Bench]:
    key = make(home)
    with socket.create_server(("127.0.0.1", 0)) as free:
        port = free.getsockname()[1]
    bench = Bench(home, port, key)
    try:
        yield bench
    finally:
        bench.process.terminate()
        bench.process.wait()


def started(home: Path, port: int, *options: str) -> "subprocess.Popen[bytes]":
    """A server that answers."""
    command = [sys.executable, "-m", "aias", "serve", "--port", str(port), "--workers", str(WORKERS), *options]
    process = subprocess.Popen(
        command, env=os.environ | {"AIAS_HOME": str(home)}, stdout=subprocess.PIPE, stderr=subprocess.PIPE
    )
    said: list[bytes] = []
    assert process.stderr is not None
    stderr = process.stderr
    threading.Thread(target=lambda: said.extend(iter(stderr.readline, b"")), daemon=True).start()
    wait_for(lambda: any(b"serving at" in line for line in said) or process.poll() is not None)
    if process.poll() is not None:
        raise SystemExit(f"a server did not start: {b''.join(said).decode()[-500:]}")
    return process


def make(home: Path) -> str:
    """`m@1`, deployed, and a key."""
    from aias.access.keys import Keys
    from aias.core.names import Ref
    from aias.registry.registry import Registry
    from tiny_versions import MANIFEST, files

    with Registry.open(home) as registry:
        registry.publish("m", files(1.0, golden_of=1.0), MANIFEST)
        registry.deploy("m", Ref("m", 1))
    keys = Keys.open(home)
    _, secret = keys.create("bench", ["predict"])
    keys.close()
    return secret


def _command(pid: int) -> bytes:
    try:
        return Path(f"/proc/{pid}/cmdline").read_bytes()
    except OSError:
        return b""


if __name__ == "__main__":
    sys.exit(main())
