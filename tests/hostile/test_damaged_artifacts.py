"""Whatever happens to the bytes of an artifact, it is refused with the file's name before anything is parsed."""

import os
import shutil
from collections.abc import Callable
from pathlib import Path

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

import artifacts
from aias.artifact.seal import seal
from aias.artifact.verify import DamagedArtifact, verify
from aias.core.names import Ref
from aias.registry.registry import Registry


def sealed(shelf: Path, seed: int = 0) -> tuple[Path, str]:
    shelf.mkdir(exist_ok=True)
    digest = seal(shelf, artifacts.files(seed), artifacts.manifest(seed=seed)).digest
    return shelf / digest.removeprefix("sha256:"), digest


def rewrite(path: Path, change: Callable[[bytes], bytes]) -> None:
    path.chmod(0o600)
    path.write_bytes(change(path.read_bytes()))


def flip(raw: bytes) -> bytes:
    middle = len(raw) // 2
    return raw[:middle] + bytes([raw[middle] ^ 1]) + raw[middle + 1 :]


def hole(raw: bytes) -> bytes:
    return raw[:5] + bytes(8) + raw[13:]


MEMBERS = [*artifacts.files(), "manifest.json"]


@pytest.mark.parametrize("member", MEMBERS)
@pytest.mark.parametrize(
    "change",
    [flip, lambda raw: raw[:-1], lambda raw: raw + b"\n", lambda raw: b"", hole],
    ids=["one bit", "truncated", "a byte more", "empty", "a hole"],
)
def test_a_changed_file_is_refused_by_name(tmp_path: Path, member: str, change: Callable[[bytes], bytes]):
    folder, digest = sealed(tmp_path)
    before = (folder / member).read_bytes()
    rewrite(folder / member, change)
    assert (folder / member).read_bytes() != before

    with pytest.raises(DamagedArtifact, match=member) as refusal:
        verify(folder, digest)

    assert refusal.value.file == member


@pytest.mark.parametrize("member", MEMBERS)
def test_a_missing_file_is_refused_by_name(tmp_path: Path, member: str):
    folder, digest = sealed(tmp_path)
    (folder / member).unlink()

    with pytest.raises(DamagedArtifact, match=f"`{member}`.*missing"):
        verify(folder, digest)


@pytest.mark.parametrize("member", MEMBERS)
def test_a_link_in_place_of_a_file_is_refused_even_to_the_right_bytes(tmp_path: Path, member: str):
    folder, digest = sealed(tmp_path)
    (folder / member).rename(tmp_path / "elsewhere")
    (folder / member).symlink_to(tmp_path / "elsewhere")

    with pytest.raises(DamagedArtifact, match=member):
        verify(folder, digest)


def test_a_link_in_place_of_a_folder_is_refused_even_to_the_right_bytes(tmp_path: Path):
    folder, digest = sealed(tmp_path / "shelf")
    (folder / "encoders").rename(tmp_path / "elsewhere")
    (folder / "encoders").symlink_to(tmp_path / "elsewhere")

    with pytest.raises(DamagedArtifact, match="encoders"):
        verify(folder, digest)


def test_a_link_in_place_of_the_whole_artifact_is_refused(tmp_path: Path):
    folder, digest = sealed(tmp_path)
    folder.rename(tmp_path / "elsewhere")
    folder.symlink_to(tmp_path / "elsewhere")

    with pytest.raises(DamagedArtifact):
        verify(folder, digest)


@pytest.mark.parametrize("make", [os.mkfifo, lambda path: Path(path).mkdir()], ids=["a pipe", "a folder"])
@pytest.mark.parametrize("member", ["model.onnx", "manifest.json"])
def test_what_is_no_plain_file_is_refused_without_waiting_for_it(tmp_path: Path, member: str, make: Callable):
    folder, digest = sealed(tmp_path)
    (folder / member).unlink()
    make(folder / member)

    with pytest.raises(DamagedArtifact, match=member):
        verify(folder, digest)


@pytest.mark.parametrize("extra", ["run.py", "encoders/1.json", ".hidden"])
def test_a_file_too_many_is_refused_by_name(tmp_path: Path, extra: str):
    folder, digest = sealed(tmp_path)
    (folder / extra).write_bytes(b"")

    with pytest.raises(DamagedArtifact, match="was not sealed with it") as refusal:
        verify(folder, digest)

    assert refusal.value.file == extra


def test_an_empty_folder_too_many_is_refused(tmp_path: Path):
    folder, digest = sealed(tmp_path)
    (folder / "extra").mkdir()

    with pytest.raises(DamagedArtifact, match="extra"):
        verify(folder, digest)


def test_two_files_that_changed_places_are_refused(tmp_path: Path):
    folder, digest = sealed(tmp_path)
    (folder / "card.md").rename(folder / "x")
    (folder / "profile.json").rename(folder / "card.md")
    (folder / "x").rename(folder / "profile.json")

    with pytest.raises(DamagedArtifact, match=r"card\.md"):
        verify(folder, digest)


def test_the_manifest_of_another_artifact_is_refused(tmp_path: Path):
    folder, digest = sealed(tmp_path)
    other, _ = sealed(tmp_path, seed=1)
    rewrite(folder / "manifest.json", lambda _: (other / "manifest.json").read_bytes())

    with pytest.raises(DamagedArtifact, match=r"manifest\.json"):
        verify(folder, digest)


def test_a_whole_sound_artifact_under_another_ones_name_is_refused(tmp_path: Path):
    folder, digest = sealed(tmp_path)
    other, _ = sealed(tmp_path, seed=1)
    shutil.rmtree(folder)
    other.rename(folder)

    with pytest.raises(DamagedArtifact, match=r"manifest\.json"):
        verify(folder, digest)


@settings(max_examples=150, suppress_health_check=[HealthCheck.function_scoped_fixture, HealthCheck.too_slow])
@given(st.sampled_from(MEMBERS), st.integers(0), st.integers(1, 255))
def test_any_byte_of_any_file_matters(tmp_path: Path, member: str, at: int, mask: int):
    folder, digest = sealed(tmp_path)
    original = (folder / member).read_bytes()
    place = at % len(original)
    rewrite(folder / member, lambda raw: raw[:place] + bytes([raw[place] ^ mask]) + raw[place + 1 :])

    with pytest.raises(DamagedArtifact, match=member):
        verify(folder, digest)

    rewrite(folder / member, lambda _: original)
    verify(folder, digest)


def test_a_damaged_version_is_not_deployed_and_the_one_before_keeps_answering(tmp_path: Path):
    with Registry.open(tmp_path / "home") as registry:
        good = registry.publish("churn", artifacts.files(1), artifacts.manifest(seed=1))
        bad = registry.publish("churn", artifacts.files(2), artifacts.manifest(seed=2))
        before = registry.deploy("churn", good.ref)
        rewrite(registry.folder(bad) / "model.onnx", flip)

        with pytest.raises(DamagedArtifact, match=r"model\.onnx"):
            registry.deploy("churn", Ref("churn"))

        assert registry.endpoint("churn") == before
        assert registry.manifest(good).digest == good.digest
