"""The promise in `aias/registry/stores/contract.py`, kept by every file beside it."""

from collections.abc import Callable
from pathlib import Path

import pytest

import aias.registry.stores
import artifacts
from aias.artifact.seal import BadMember
from aias.artifact.verify import DamagedArtifact, verify
from aias.registry.stores.contract import Store
from aias.registry.stores.disk import DiskStore

MAKERS: dict[str, Callable[[Path], Store]] = {"disk": DiskStore}


def test_every_member_is_here():
    folder = Path(aias.registry.stores.__file__).parent

    assert {path.stem for path in folder.glob("*.py")} - {"__init__", "contract"} == set(MAKERS)


@pytest.fixture(params=MAKERS)
def store(request: pytest.FixtureRequest, tmp_path: Path) -> Store:
    return MAKERS[request.param](tmp_path / "store")


def put(store: Store, seed: int = 0) -> str:
    return store.put(artifacts.files(seed), artifacts.manifest(seed=seed)).digest


def test_what_was_put_can_be_verified_where_it_lies(store: Store):
    digest = put(store)

    assert verify(store.folder(digest), digest).digest == digest
    assert (store.folder(digest) / "encoders" / "0.json").read_bytes() == artifacts.files()["encoders/0.json"]


def test_the_digests_are_those_that_were_put_and_twice_is_once(store: Store):
    assert store.digests() == set()

    digests = {put(store, 1), put(store, 2), put(store, 1)}

    assert store.digests() == digests
    assert len(digests) == 2


def test_what_was_never_put_is_missing(store: Store):
    with pytest.raises(DamagedArtifact, match="no artifact"):
        store.folder(f"sha256:{'0' * 64}")


@pytest.mark.parametrize("digest", ["", "../..", "sha256:../../etc", "0" * 64, f"sha256:{'0' * 64}/../x"])
def test_what_is_no_digest_is_no_way_out(store: Store, digest: str):
    with pytest.raises(ValueError, match="not a digest"):
        store.folder(digest)


def test_a_bad_file_name_leaves_nothing(store: Store):
    with pytest.raises(BadMember):
        store.put({"../out": b""}, artifacts.manifest())

    assert store.digests() == set()


def test_collecting_keeps_what_is_needed(store: Store):
    kept, gone = put(store, 1), put(store, 2)

    store.collect({kept}, older_than_seconds=0)

    assert store.digests() == {kept}
    assert verify(store.folder(kept), kept)
    with pytest.raises(DamagedArtifact):
        store.folder(gone)
    assert put(store, 2) == gone
