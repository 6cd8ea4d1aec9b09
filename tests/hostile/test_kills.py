"""Kill a process at every named step and at random moments: nothing it was promised is lost, nothing half-made is left.

What this does not prove is safety from a power cut: what a killed process has written stays in the kernel's memory and
reaches the disk all the same. For that there is only the order of the calls, which `test_seal.py` checks, and SQLite's
own proofs.
"""

import os
import random
import re
import select
import signal
import subprocess
import sys
import time
from dataclasses import dataclass, field
from pathlib import Path

import pytest

import artifacts
from aias.access.keys import Keys
from aias.core.failpoints import STEPS
from aias.registry.registry import Registry

HERE = Path(__file__).parent
OURS = [step for step in STEPS if not step.startswith("train.")]
"""Those of a training are walked where there is one."""

RANDOM_KILLS = int(os.environ.get("AIAS_TEST_KILLS", "75"))
LINES_MAX = 20
"""That a child says before it is killed; some fifteen operations."""

FIRST_SECONDS = 0.03
"""Of a child that is killed before it has said anything; the first things it does are looked at as well."""

HOME_KILLS = 15
"""Then a new home, so that its first moments are hit as well."""


@dataclass
class Promises:
    """What a home's children have been told, and what they may have done without having been told."""

    versions: dict[str, str] = field(default_factory=dict)
    endpoints: dict[str, tuple[str, int]] = field(default_factory=dict)
    removed: set[str] = field(default_factory=set)
    secrets: list[str] = field(default_factory=list)

    def hear(self, line: str) -> None:
        match line.split():
            case ["version", ref, digest]:
                self.versions[ref] = digest
            case ["endpoint", name, ref, revision]:
                self.endpoints[name] = (ref, int(revision))
            case ["removed", ref]:
                self.removed.add(ref)
            case ["key", secret]:
                self.secrets.append(secret)
            case ["fault", *words]:
                raise AssertionError(" ".join(words))


class Publisher:
    """The forking process, and the lines it says."""

    def __init__(self, script: Path = HERE / "publisher.py") -> None:
        self._process = subprocess.Popen(
            [sys.executable, script],
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            env=artifacts.importable(),
        )
        self._rest = b""

    def start(self, home: Path, *, step: str = "-", seed: int, rounds: int = 30) -> int:
        """Fork a child and return its process id."""
        assert self._process.stdin
        self._process.stdin.write(f"{home} {step} {seed} {rounds}\n".encode())
        self._process.stdin.flush()
        word, pid = self.line().split()
        assert word == "pid"
        return int(pid)

    def line(self, timeout_seconds: float = 600) -> str:
        """The next line; the empty string when none came in time."""
        assert self._process.stdout
        while b"\n" not in self._rest:
            if not select.select([self._process.stdout], [], [], timeout_seconds)[0]:
                return ""
            more = os.read(self._process.stdout.fileno(), 65_536)
            assert more, "the publisher itself is gone"
            self._rest += more
        line, _, self._rest = self._rest.partition(b"\n")
        return line.decode()

    def until_gone(self, promises: Promises) -> int:
        """Listen until the child is gone; its exit status, negative for a signal."""
        while not (line := self.line()).startswith("gone"):
            assert line, "a child that neither works nor dies"
            promises.hear(line)
        return int(line.split()[1])

    def kill_after(self, pid: int, promises: Promises, *, lines: int, moment: float) -> None:
        """Once the child has said so many lines, somewhere within what it does for the next two: `moment` of that."""
        began = time.monotonic()
        for _ in range(lines):
            line = self.line()
            assert line, "a child that does not work"
            promises.hear(line)
        spent = time.monotonic() - began
        deadline = time.monotonic() + moment * (2 * spent / lines if lines else FIRST_SECONDS)
        while line := self.line(max(0.0, deadline - time.monotonic())):
            promises.hear(line)
            if time.monotonic() > deadline:
                break
        os.kill(pid, signal.SIGKILL)
        assert self.until_gone(promises) == -signal.SIGKILL

    def close(self) -> None:
        self._process.communicate()


@pytest.fixture(scope="module")
def publisher():
    process = Publisher()
    yield process
    process.close()


def check(home: Path, promises: Promises) -> None:
    with Registry.open(home) as registry:
        versions = {str(version): version for version in registry.versions()}
        # Everything promised is there and whole; so is everything that is there without having been promised.
        assert {ref: versions[ref].digest for ref in promises.versions} == promises.versions
        assert not promises.removed & set(versions)
        for version in versions.values():
            assert registry.manifest(version).digest == version.digest
        # Numbers are dense: only what may have been removed can be missing.
        for model in ("model-0", "model-1"):
            numbers = [version.number for version in registry.versions(model)]
            assert numbers == list(range(1, len(numbers) + 1))
        # An endpoint is where it was last said to be, or further.
        endpoints = {endpoint.name: endpoint for endpoint in registry.endpoints()}
        for name, (ref, revision) in promises.endpoints.items():
            assert endpoints[name].revision >= revision
            assert endpoints[name].revision > revision or str(endpoints[name].ref) == ref
        for endpoint in endpoints.values():
            assert [move.revision for move in registry.history(endpoint.name)] == list(range(1, endpoint.revision + 1))
            assert registry.version(endpoint.ref).digest == endpoint.digest
        ring = Keys(registry.database).ring()
        assert all(ring.verify(secret) for secret in promises.secrets)
        artifacts.check_database(registry.database)
        # Nothing is left over: opening has collected it.
        folders = {path.name for path in (home / "artifacts").iterdir()}
        assert folders == {version.digest.removeprefix("sha256:") for version in versions.values()}
        assert registry.collect(older_than_seconds=0) == []


@pytest.mark.parametrize("step", OURS)
def test_a_kill_at_this_step_loses_no_promise_and_leaves_nothing_half(tmp_path: Path, publisher: Publisher, step: str):
    promises = Promises()
    # A kill at the first passing finds an empty home; one at a later passing, a home in use.
    for kill, passing in enumerate((1,) if step.startswith("database.") else (1, 2, 3)):
        publisher.start(tmp_path / "home", step=f"{step}:kill:{passing}", seed=10 * kill)
        status = publisher.until_gone(promises)
        assert status == -signal.SIGKILL, f"the child never came to {step} {passing} times"
        check(tmp_path / "home", promises)
    publisher.start(tmp_path / "home", seed=100, rounds=8)  # each of what it does at least once
    assert publisher.until_gone(promises) == 0
    check(tmp_path / "home", promises)


def test_kills_at_random_moments_lose_no_promise_and_leave_nothing_half(tmp_path: Path, publisher: Publisher):
    chance, told = random.Random(20_260_506), list[Promises]()
    for kill in range(RANDOM_KILLS):
        if kill % HOME_KILLS == 0:
            home, promises = tmp_path / f"home-{kill}", Promises()
            told.append(promises)
        pid = publisher.start(home, seed=kill * 50, rounds=10_000)
        publisher.kill_after(pid, promises, lines=chance.randrange(LINES_MAX), moment=chance.random())
        check(home, promises)

    promised = sum(len(each.versions) + len(each.endpoints) + len(each.secrets) for each in told)
    assert promised > RANDOM_KILLS, "kills among work that was never acknowledged would prove nothing"


def test_every_step_that_is_named_is_in_the_code_and_the_other_way_round():
    source = HERE.parent.parent / "src" / "aias"
    called = {
        step
        for path in source.rglob("*.py")
        if path.name != "failpoints.py"
        for step in re.findall(r"failpoint\(\"([^\"]+)\"\)", path.read_text())
    }

    assert called == set(STEPS)
