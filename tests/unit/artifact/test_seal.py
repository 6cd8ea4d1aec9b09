import errno
import os
from dataclasses import replace
from pathlib import Path

import pytest

import artifacts
from aias.artifact.disk import Disk
from aias.artifact.seal import BadMember, seal
from aias.artifact.verify import verify
from aias.core.errors import Damaged, StorageFailed
from aias.core.events import Event
from aias.core.task import Measurement


def names(folder: Path) -> list[str]:
    return sorted(path.name for path in folder.iterdir())


def test_an_artifact_is_named_by_the_digest_of_its_manifest(tmp_path: Path):
    sealed = seal(tmp_path, artifacts.files(), artifacts.manifest())

    assert names(tmp_path) == [sealed.digest.removeprefix("sha256:")]
    assert verify(tmp_path / names(tmp_path)[0], sealed.digest) == sealed


def test_the_manifest_lists_every_file_but_itself(tmp_path: Path):
    files = artifacts.files()

    sealed = seal(tmp_path, files, artifacts.manifest())

    assert {entry.path: entry.size_bytes for entry in sealed.files} == {path: len(raw) for path, raw in files.items()}


def test_what_could_not_be_read_back_is_not_sealed(tmp_path: Path):
    immeasurable = (Measurement("roc_auc", float("nan"), 1),)

    with pytest.raises(Damaged):
        seal(tmp_path, artifacts.files(), replace(artifacts.manifest(), measurements=immeasurable))

    assert names(tmp_path) == []


def test_sealing_twice_is_sealing_once(tmp_path: Path):
    first = seal(tmp_path, artifacts.files(), artifacts.manifest())

    second = seal(tmp_path, dict(reversed(artifacts.files().items())), artifacts.manifest())

    assert first == second
    assert len(names(tmp_path)) == 1


def test_another_byte_gives_another_artifact(tmp_path: Path):
    one = seal(tmp_path, artifacts.files(1), artifacts.manifest())
    two = seal(tmp_path, artifacts.files(2), artifacts.manifest())
    three = seal(tmp_path, artifacts.files(1), replace(artifacts.manifest(), name="other"))

    assert len({one.digest, two.digest, three.digest}) == len(names(tmp_path)) == 3


def test_sealing_over_a_damaged_copy_replaces_it_and_says_so(tmp_path: Path):
    sealed = seal(tmp_path, artifacts.files(), artifacts.manifest())
    folder = tmp_path / sealed.digest.removeprefix("sha256:")
    (folder / "model.onnx").unlink()
    events: list[Event] = []

    seal(tmp_path, artifacts.files(), artifacts.manifest(), watch=events.append)

    assert verify(folder, sealed.digest) == sealed
    assert [event.name for event in events] == ["artifact.replaced"]


@pytest.mark.parametrize(
    "path",
    [
        "../up",
        "/etc/passwd",
        "a/b/c",
        "manifest.json",
        ".hidden",
        "",
        "a\0b",
        "a\nb",
        "..",
        "a/..",
        "a//b",
        "x" * 101,
        "ä",
    ],
)
def test_a_file_name_that_could_be_a_way_out_is_refused(tmp_path: Path, path: str):
    with pytest.raises(BadMember):
        seal(tmp_path, {path: b""}, artifacts.manifest())

    assert names(tmp_path) == []


def test_everything_is_on_the_disk_before_it_has_its_name_and_the_name_before_the_return(tmp_path: Path):
    calls: list[str] = []

    def fsync(fd: int) -> None:
        path = Path(f"/proc/self/fd/{fd}").readlink()
        temporary = next((part for part in path.parts if part.startswith(".tmp-")), None)
        calls.append(str(path.relative_to(tmp_path / temporary)) if temporary else "shelf")
        os.fsync(fd)

    def rename(old: Path, new: Path) -> None:
        calls.append("rename")
        old.rename(new)

    seal(tmp_path, artifacts.files(), artifacts.manifest(), disk=Disk(fsync=fsync, rename=rename))

    before, after = calls[: calls.index("rename")], calls[calls.index("rename") + 1 :]
    assert set(before) == {*artifacts.files(), "manifest.json", "encoders", "."}
    assert before.index("encoders") > before.index("encoders/0.json")
    assert before[-1] == "."
    assert after == ["shelf"]


def test_a_disk_that_writes_a_little_at_a_time_is_written_on(tmp_path: Path):
    sealed = seal(
        tmp_path,
        artifacts.files(),
        artifacts.manifest(),
        disk=Disk(write=lambda fd, content: os.write(fd, content[:100])),
    )

    assert verify(tmp_path / sealed.digest.removeprefix("sha256:"), sealed.digest) == sealed


def test_a_failing_disk_is_named_and_nothing_is_left(tmp_path: Path):
    def full(fd: int, content: memoryview) -> int:
        raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC))

    with pytest.raises(StorageFailed, match="No space left"):
        seal(tmp_path, artifacts.files(), artifacts.manifest(), disk=Disk(write=full))

    assert names(tmp_path) == []
