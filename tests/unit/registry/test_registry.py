import errno
import os
import shutil
import subprocess
import sys
from concurrent.futures import ThreadPoolExecutor
from datetime import UTC, datetime
from pathlib import Path

import pytest

import artifacts
from aias.artifact.disk import Disk
from aias.core.errors import StorageFailed
from aias.core.locks import locked
from aias.core.names import BadName, Ref
from aias.registry.lookup import EndpointMoved, UnknownEndpoint, UnknownVersion, VersionInUse
from aias.registry.registry import Registry
from aias.registry.stores.disk import DiskStore
from aias.registry.values import Version

NOON = datetime(2026, 5, 6, 12, 0, 0, 123456, tzinfo=UTC)


@pytest.fixture
def registry(tmp_path: Path):
    with Registry.open(tmp_path / "home", clock=lambda: NOON) as opened:
        yield opened


def publish(registry: Registry, seed: int = 0, name: str = "churn", parents: tuple[str, ...] = ()) -> Version:
    return registry.publish(name, artifacts.files(seed), artifacts.manifest(name, seed=seed, parents=parents))


def folders(registry: Registry) -> list[str]:
    return sorted(path.name for path in (registry.home / "artifacts").iterdir())


def test_versions_count_from_one_for_each_model(registry: Registry):
    published = [publish(registry, 1), publish(registry, 2), publish(registry, 1, "other")]

    assert [str(version) for version in published] == ["churn@1", "churn@2", "other@1"]
    assert registry.versions() == published
    assert registry.versions("other") == published[2:]


def test_a_version_is_found_by_number_and_the_newest_by_name(registry: Registry):
    one, two = publish(registry, 1), publish(registry, 2)

    assert registry.version(Ref("churn", 1)) == one
    assert registry.version(Ref("churn")) == two
    assert one.created_at == NOON


def test_another_process_finds_what_was_published(registry: Registry):
    version = publish(registry)

    with Registry.open(registry.home) as other:
        assert other.versions() == [version]
        assert other.manifest(version).digest == version.digest


def test_a_version_is_shown_by_its_name_its_size_and_its_time():
    shown = repr(Version("churn", 7, "sha256:00", NOON, 1_234_567))
    assert shown == "<Version churn@7, 1,234,567 bytes, made 2026-05-06 12:00>"


def test_the_same_artifact_twice_is_two_versions_and_one_folder(registry: Registry):
    one, two = publish(registry), publish(registry)

    assert (one.number, two.number, one.digest) == (1, 2, two.digest)
    assert len(folders(registry)) == 1


def test_a_wrong_name_is_answered_with_near_ones(registry: Registry):
    publish(registry)

    with pytest.raises(UnknownVersion, match="no model `chrun`") as unknown:
        registry.version(Ref("chrun"))
    assert "`churn`" in unknown.value.hint

    with pytest.raises(UnknownVersion, match="no version churn@9") as missing:
        registry.version(Ref("churn", 9))
    assert "version 1" in missing.value.hint


@pytest.mark.parametrize("name", ["../up", "A", "", "x" * 64, "a..b"])
def test_a_name_that_is_none_is_refused_before_anything_is_written(registry: Registry, name: str):
    with pytest.raises(BadName):
        publish(registry, name=name)
    with pytest.raises(BadName):
        registry.deploy(name, Ref("churn"))

    assert folders(registry) == []


def test_no_endpoint_is_made_whose_description_would_be_something_else(registry: Registry):
    with pytest.raises(BadName, match="no endpoint can be called `stats`"):
        registry.deploy("stats", Ref("churn", 1))

    assert registry.endpoints() == []


def test_an_endpoint_points_at_the_version_last_deployed_and_remembers_the_others(registry: Registry):
    publish(registry, 1)
    two = publish(registry, 2)

    registry.deploy("live", Ref("churn", 1))
    endpoint = registry.deploy("live", Ref("churn"))

    assert (endpoint.model, endpoint.number, endpoint.digest, endpoint.revision) == ("churn", 2, two.digest, 2)
    assert registry.endpoint("live") == endpoint
    assert registry.endpoints() == [endpoint]
    assert [(move.revision, move.number) for move in registry.history("live")] == [(1, 1), (2, 2)]


def test_an_endpoint_moves_only_from_where_the_caller_saw_it(registry: Registry):
    publish(registry, 1)
    registry.deploy("live", Ref("churn"), seen=0)
    registry.deploy("live", Ref("churn"), seen=1)

    for stale in (0, 1, 3):
        with pytest.raises(EndpointMoved, match="revision 2"):
            registry.deploy("live", Ref("churn"), seen=stale)
        with pytest.raises(EndpointMoved):
            registry.undeploy("live", seen=stale)

    assert registry.endpoint("live").revision == 2


def test_an_endpoint_that_was_removed_and_made_again_is_not_mistaken_for_the_old_one(registry: Registry):
    publish(registry, 1)
    registry.deploy("live", Ref("churn"))
    registry.undeploy("live")
    with pytest.raises(UnknownEndpoint):
        registry.endpoint("live")

    again = registry.deploy("live", Ref("churn"), seen=0)

    assert again.revision == 3
    assert [move.number for move in registry.history("live")] == [1, None, 1]
    with pytest.raises(EndpointMoved):
        registry.deploy("live", Ref("churn"), seen=1)


def test_an_unknown_endpoint_is_answered_with_near_ones(registry: Registry):
    publish(registry)
    registry.deploy("churn", Ref("churn"))

    with pytest.raises(UnknownEndpoint) as unknown:
        registry.undeploy("churm")

    assert "`churn`" in unknown.value.hint


def test_of_many_who_saw_the_same_endpoint_exactly_one_moves_it(registry: Registry):
    publish(registry)
    registry.deploy("live", Ref("churn"))

    def attempt(_: int) -> bool:
        try:
            registry.deploy("live", Ref("churn"), seen=1)
        except EndpointMoved:
            return False
        return True

    with ThreadPoolExecutor(8) as threads:
        assert sorted(threads.map(attempt, range(8))) == [False] * 7 + [True]
    assert registry.endpoint("live").revision == 2


def test_another_process_hears_of_deployments_and_only_of_them(registry: Registry):
    with Registry.open(registry.home) as other:
        publish(registry)
        before = other.generation()
        registry.deploy("live", Ref("churn"))
        deployed = other.generation()
        registry.undeploy("live")

        assert before < deployed < other.generation()


def test_a_version_in_use_is_not_removed(registry: Registry):
    publish(registry)
    registry.deploy("live", Ref("churn"))

    with pytest.raises(VersionInUse, match="`live`"):
        registry.remove(Ref("churn", 1))

    assert len(registry.versions()) == 1


def test_the_number_of_a_removed_version_is_never_given_again(registry: Registry):
    publish(registry, 1)
    publish(registry, 2)

    registry.remove(Ref("churn", 2))

    assert publish(registry, 3).number == 3
    registry.remove(Ref("churn", 1))
    registry.remove(Ref("churn", 3))
    assert publish(registry, 4).number == 4


def test_collecting_removes_what_no_version_is_and_nothing_else(registry: Registry):
    kept, twice = publish(registry, 1), publish(registry, 2)
    publish(registry, 2)
    gone = publish(registry, 3)
    registry.remove(Ref("churn", twice.number))
    registry.remove(Ref("churn", gone.number))
    (registry.home / "artifacts" / ".tmp-0123").mkdir()

    removed = registry.collect(older_than_seconds=0)

    assert removed == [".tmp-0123", gone.digest.removeprefix("sha256:")]
    assert folders(registry) == sorted(version.digest.removeprefix("sha256:") for version in (kept, twice))


def test_opening_cleans_up_what_a_dead_process_left(registry: Registry):
    (registry.home / "artifacts" / ".tmp-0123" / "encoders").mkdir(parents=True)
    (registry.home / "artifacts" / ("0" * 64)).mkdir()
    (registry.home / "artifacts" / "notes.txt").write_text("a person's own file")

    Registry.open(registry.home).close()

    assert folders(registry) == ["notes.txt"]


def test_what_is_young_may_be_spared(registry: Registry):
    left = registry.home / "artifacts" / ".tmp-0123"
    left.mkdir()
    os.utime(left, times=(NOON.timestamp() - 60, NOON.timestamp() - 60))

    assert registry.collect(older_than_seconds=61) == []
    assert registry.collect(older_than_seconds=60) == [".tmp-0123"]


def test_links_and_files_under_names_of_ours_stay_and_stop_nobody(registry: Registry, tmp_path: Path):
    shelf = registry.home / "artifacts"
    (precious := tmp_path / "precious").mkdir()
    (shelf / (64 * "0")).symlink_to(precious)
    (shelf / ".tmp-0").write_text("a file")
    (shelf / ".tmp-1").mkdir()

    assert registry.collect(older_than_seconds=0) == [".tmp-1"]
    assert precious.is_dir()


@pytest.mark.parametrize("before", [0, 1])
def test_artifacts_stay_when_the_database_is_lost_or_an_older_copy_is_put_back(registry: Registry, before: int):
    database, copy = registry.home / "aias.db", registry.home / "copy.db"
    kept = []
    for seed in range(3):
        if seed == before:
            shutil.copy(database, copy)
        kept.append(publish(registry, seed).digest.removeprefix("sha256:"))
    shutil.move(database, registry.home / "newest.db")
    if before:
        shutil.move(copy, database)

    for seed in range(3, 7):
        # However much is published since: what it does not know, it does not remove.
        events = []
        with Registry.open(registry.home, watch=events.append) as later:
            assert set(kept) <= set(folders(later))
            publish(later, seed)
        assert [event.name for event in events] == ["registry.artifacts-kept"]

    (registry.home / "published").unlink()
    with Registry.open(registry.home) as later:
        assert len(folders(later)) == 4 + before


def test_nothing_is_collected_while_somebody_publishes(registry: Registry):
    (registry.home / "artifacts" / ".tmp-0123").mkdir()

    with locked(registry.home / "publishing.lock", shared=True):
        assert registry.collect(older_than_seconds=0) == []
    assert registry.collect(older_than_seconds=0) == [".tmp-0123"]


def test_lineage_goes_back_through_every_parent_once(registry: Registry):
    grandparent = publish(registry, 1)
    left = publish(registry, 2, parents=(grandparent.digest,))
    right = publish(registry, 3, parents=(grandparent.digest, left.digest))
    child = publish(registry, 4, parents=(left.digest, right.digest))

    ancestors = registry.lineage(child.ref)

    assert [(each.steps, each.versions) for each in ancestors if each.steps == 2] == [(2, (grandparent,))]
    assert {each.digest for each in ancestors if each.steps == 1} == {left.digest, right.digest}
    assert registry.lineage(grandparent.ref) == []


def test_lineage_remembers_a_parent_that_was_removed(registry: Registry):
    parent = publish(registry, 1)
    child = publish(registry, 2, parents=(parent.digest,))
    registry.remove(parent.ref)

    (ancestor,) = registry.lineage(child.ref)

    assert (ancestor.digest, ancestor.versions) == (parent.digest, ())


PUBLISHER = """
import sys
from pathlib import Path
import artifacts
from aias.registry.registry import Registry
with Registry.open(Path(sys.argv[1])) as registry:
    sys.stdin.read(1)
    for seed in range(int(sys.argv[2]), int(sys.argv[2]) + 6):
        registry.collect(older_than_seconds=0)
        version = registry.publish("churn", artifacts.files(seed % 10), artifacts.manifest(seed=seed % 10))
        print(version.number, version.digest, flush=True)
"""


def test_eight_processes_that_publish_at_once_and_collect_meanwhile_get_dense_numbers_and_whole_artifacts(
    registry: Registry,
):
    publishers = [
        subprocess.Popen(
            [sys.executable, "-c", PUBLISHER, registry.home, str(start)],
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            text=True,
            env=artifacts.importable(),
        )
        for start in range(8)
    ]
    for each in publishers:
        assert each.stdin
        each.stdin.write("x")
        each.stdin.flush()

    acknowledged = {}
    for each in publishers:
        for line in each.communicate()[0].splitlines():
            number, digest = line.split()
            acknowledged[int(number)] = digest

    assert sorted(acknowledged) == list(range(1, 49))
    assert {version.number: version.digest for version in registry.versions("churn")} == acknowledged
    assert all(registry.manifest(version).digest == version.digest for version in registry.versions())


def test_a_removal_that_stops_halfway_leaves_no_half_artifact_under_its_digest(registry: Registry):
    gone = publish(registry)
    registry.remove(gone.ref)

    def halfway(folder: Path) -> None:
        (folder / "model.onnx").unlink()
        raise OSError(errno.EIO, os.strerror(errno.EIO))

    store = DiskStore(registry.home / "artifacts", Disk(rmtree=halfway))
    with pytest.raises(StorageFailed):
        store.collect(set(), older_than_seconds=0)

    assert store.digests() == set()
    assert registry.manifest(publish(registry)).digest == gone.digest
