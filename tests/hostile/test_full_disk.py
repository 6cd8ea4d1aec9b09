"""A disk that fails or is full: what was asked for is refused with a sentence, what was promised stays.

Every call of ours that changes the disk goes through `Disk` and is made to fail in turn. SQLite's calls are its own:
they meet a file system that is really full, and a limit on the size of files.
"""

import errno
import os
import shutil
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

import artifacts
from aias.access.keys import Keys
from aias.artifact.disk import Disk
from aias.core import failpoints
from aias.core.errors import StorageFailed
from aias.core.events import Event
from aias.core.failpoints import STEPS
from aias.core.names import Ref
from aias.registry.registry import Registry
from aias.registry.values import Version


class Faults:
    """Calls counted; the n-th fails, and with `for_ever` all after it."""

    def __init__(self, n: int, code: int, *, for_ever: bool) -> None:
        self.n = n
        self.code = code
        self.for_ever = for_ever
        self.calls = 0

    def around(self, call: Callable[..., Any]) -> Callable[..., Any]:
        def counted(*args: object, **kwargs: object) -> Any:
            self.calls += 1
            if self.calls == self.n or (self.for_ever and self.calls > self.n):
                raise OSError(self.code, os.strerror(self.code))
            return call(*args, **kwargs)

        return counted

    @property
    def disk(self) -> Disk:
        return Disk(*map(self.around, (os.mkdir, os.open, os.write, os.fsync, os.rename, shutil.rmtree)))


def publish(registry: Registry, seed: int, *, size_bytes: int = 3_000) -> Version:
    return registry.publish("churn", artifacts.files(seed, size_bytes=size_bytes), artifacts.manifest(seed=seed))


def check(home: Path, promised: list[Version]) -> None:
    """All that was promised is whole, nothing else is there, and the next version has the next number."""
    with Registry.open(home) as registry:
        assert registry.versions() == promised
        assert all(registry.manifest(version).digest == version.digest for version in promised)
        artifacts.check_database(registry.database)
        folders = {path.name for path in (home / "artifacts").iterdir()}
        assert folders == {version.digest.removeprefix("sha256:") for version in promised}


@pytest.mark.parametrize("for_ever", [False, True], ids=["once", "for ever"])
@pytest.mark.parametrize("code", [errno.EIO, errno.ENOSPC, errno.EMFILE, errno.EACCES])
def test_whichever_call_of_a_publish_fails_it_is_said_and_nothing_half_is_left(
    tmp_path: Path, code: int, for_ever: bool
):
    with Registry.open(tmp_path) as registry:
        promised = [publish(registry, 1)]
    n = 0
    while True:
        n += 1
        faults = Faults(n, code, for_ever=for_ever)
        with Registry.open(tmp_path, disk=faults.disk) as registry:
            try:
                version = publish(registry, 2)
            except StorageFailed as failure:
                assert os.strerror(code) in failure.message
                assert failure.hint
            else:
                break
        check(tmp_path, promised)
    # Every call has failed once: open, write and fsync of each file, and those of the folders.
    assert faults.calls == n - 1 > 3 * len(artifacts.files())
    check(tmp_path, [*promised, version])


def test_a_cleaning_that_fails_keeps_nobody_from_reading(tmp_path: Path):
    with Registry.open(tmp_path) as registry:
        version = publish(registry, 1)
    (tmp_path / "artifacts" / ".tmp-0123").mkdir()
    events: list[Event] = []

    with Registry.open(tmp_path, disk=Faults(1, errno.EIO, for_ever=True).disk, watch=events.append) as registry:
        assert registry.manifest(registry.version(Ref("churn"))).digest == version.digest

    assert [event.name for event in events] == ["registry.leftovers-kept"]


@pytest.mark.parametrize("step", [step for step in STEPS if step.startswith(("seal.", "publish.", "deploy.", "keys."))])
def test_an_error_at_a_named_step_undoes_the_operation_or_comes_after_it_is_done(tmp_path: Path, step: str):
    with Registry.open(tmp_path) as registry:
        keys = Keys(registry.database)
        promised = [publish(registry, 1)]
        endpoint = registry.deploy("live", Ref("churn"))
        failpoints.arm(f"{step}:error")
        try:
            with pytest.raises((OSError, StorageFailed)):
                publish(registry, 2)
                registry.deploy("live", Ref("churn"), seen=endpoint.revision)
                keys.create("shop", {"predict"})
        finally:
            failpoints.arm("")
        published = step.startswith(("deploy.", "keys.")) or step == "publish.after_commit"
        deployed = step.startswith("keys.") or step == "deploy.after_commit"
        created = step == "keys.after_commit"

        assert (len(registry.versions()), len(keys.list())) == (len(promised) + published, int(created))
        assert registry.endpoint("live").revision == endpoint.revision + deployed
        versions = registry.versions()
    check(tmp_path, versions)


LIMITED = """
import resource, sys
from pathlib import Path
import artifacts
from aias.core.errors import StorageFailed
from aias.registry.registry import Registry

home, limit = Path(sys.argv[1]), int(sys.argv[2])
resource.setrlimit(resource.RLIMIT_FSIZE, (limit, limit))
try:
    with Registry.open(home) as registry:
        for seed in range(100, 400):
            version = registry.publish("churn", artifacts.files(seed), artifacts.manifest(seed=seed))
            print(version.number, version.digest, flush=True)
except StorageFailed as failure:
    print("refused", failure, flush=True)
"""


def limited(home: Path, limit_bytes: int) -> list[str]:
    return subprocess.run(
        [sys.executable, "-c", LIMITED, home, str(limit_bytes)],
        env=artifacts.importable(),
        capture_output=True,
        text=True,
        check=True,
    ).stdout.splitlines()


@pytest.mark.parametrize("extra_bytes", [-70_000, 0, 4_096, 20_000])
def test_files_that_may_not_grow_lose_no_promise(tmp_path: Path, extra_bytes: int):
    with Registry.open(tmp_path) as registry:
        promised = [publish(registry, 1)]
    # The database is the file that grows; its journal and the artifacts' files meet the limit earlier when it is lower.
    said = limited(tmp_path, max(1_000, (tmp_path / "aias.db").stat().st_size + extra_bytes))

    assert said[-1].startswith("refused")
    with Registry.open(tmp_path) as registry:
        assert [f"{version.number} {version.digest}" for version in registry.versions()[1:]] == said[:-1]
        promised += registry.versions()[1:]
    check(tmp_path, promised)


@pytest.fixture
def small_disk(tmp_path: Path):
    """Two megabytes that are really full when they are full."""
    where = tmp_path / "small"
    where.mkdir()
    mounted = subprocess.run(
        ["mount", "-t", "tmpfs", "-o", "size=2m", "tmpfs", where], capture_output=True, text=True, check=False
    )
    if mounted.returncode:
        pytest.skip(f"a file system of its own size needs root: {mounted.stderr.strip()}")
    yield where
    subprocess.run(["umount", "-l", where], check=True)


@pytest.mark.skipif(not shutil.which("mount"), reason="there is no mount command")
def test_a_full_disk_refuses_what_is_new_keeps_what_is_old_and_works_again_with_room(small_disk: Path):
    ballast = small_disk / "ballast"
    ballast.write_bytes(bytes(300_000))
    home = small_disk / "home"
    promised: list[Version] = []
    with Registry.open(home) as registry:
        keys = Keys(registry.database)
        secret = keys.first()
        assert secret
        with pytest.raises(StorageFailed, match=r"No space left|disk is full") as failure:
            for seed in range(1, 1_000):
                promised.append(publish(registry, seed, size_bytes=40_000))
        assert "make room" in failure.value.hint
        registry_full = registry.versions()

        # Full to the last byte: what can be read is read, what cannot be written is said.
        with (small_disk / "filler").open("wb", buffering=0) as filler, pytest.raises(OSError, match="No space left"):
            while True:
                filler.write(bytes(4_096))
        with pytest.raises(StorageFailed):
            publish(registry, 5_000)
        assert keys.verify(secret)
        assert registry.manifest(registry.version(Ref("churn"))).digest == promised[-1].digest
    assert registry_full == promised
    check(home, promised)

    ballast.unlink()
    with Registry.open(home) as registry:
        promised.append(publish(registry, 9_999))
    check(home, promised)
