"""`runtimes/mapped.py`: the weights of a version are mapped from a file that all processes share."""

import os
import shutil
from pathlib import Path

import numpy as np
import pytest

import aias
from aias.core.events import Event
from aias.registry.values import Endpoint
from aias.runtimes import mapped
from aias.runtimes.onnxruntime import OnnxRuntime
from aias.serving.versions.loading import loader

ROWS = {"n": [float(i % 17) for i in range(80)], "y": ["high" if i % 17 > 8 else "low" for i in range(80)]}
SOME = [{"n": each / 4} for each in range(60)]


@pytest.fixture(scope="module")
def network(tmp_path_factory: pytest.TempPathFactory) -> aias.Model:
    home = tmp_path_factory.mktemp("home")
    return aias.train(
        ROWS, target="y", name="m", time=600, learners={"mlp": {"width": 16, "epochs": 3}}, folds=2, search=False,
        home=home, inline=True,
    )  # fmt: skip


@pytest.fixture(scope="module")
def trees(tmp_path_factory: pytest.TempPathFactory) -> aias.Model:
    home = tmp_path_factory.mktemp("home")
    return aias.train(
        ROWS, target="y", name="t", time=600, learners={"extra_trees": {"trees": 30}}, folds=2, search=False,
        home=home, inline=True,
    )  # fmt: skip


@pytest.fixture(autouse=True)
def _whatever_its_size(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(mapped, "SHARED_FROM_BYTES", 1)


def load(model: aias.Model, cache: Path) -> tuple[OnnxRuntime, list[str]]:
    told = list[Event]()
    found = mapped.load(model.folder, model.manifest, cache=cache, watch=told.append)
    return found, [each.name for each in told]


def weights(cache: Path) -> Path:
    [found] = cache.glob("*/model.weights")
    return found


def assert_answers_alike(model: aias.Model, found: OnnxRuntime) -> None:
    own = OnnxRuntime.load(model.folder, model.manifest)
    np.testing.assert_array_equal(found.predict(SOME).probabilities, own.predict(SOME).probabilities)
    np.testing.assert_array_equal(found.predict(SOME[:1]).probabilities, own.predict(SOME[:1]).probabilities)


def test_weights_are_mapped_from_one_file_and_answer_the_same_to_the_last_bit(
    network: aias.Model, tmp_path: Path
) -> None:
    (first, made), (second, again) = load(network, tmp_path), load(network, tmp_path)

    assert (made, again) == (["runtime.shared"], [])
    assert first.mapped_bytes == second.mapped_bytes == weights(tmp_path).stat().st_size > 0
    held = [line.split() for line in Path("/proc/self/maps").read_text().splitlines() if str(tmp_path) in line]
    assert {each[-1] for each in held} == {str(weights(tmp_path))}
    for each in (first, second):
        assert_answers_alike(network, each)


def test_what_is_mapped_has_not_changed_since_it_was_made(network: aias.Model, tmp_path: Path) -> None:
    load(network, tmp_path)
    held = bytearray(weights(tmp_path).read_bytes())
    held[len(held) // 2] ^= 1
    weights(tmp_path).write_bytes(held)

    found, told = load(network, tmp_path)

    assert told == ["runtime.shared"]
    assert weights(tmp_path).read_bytes() != held
    assert_answers_alike(network, found)


def test_what_would_answer_otherwise_is_not_mapped(
    network: aias.Model, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(mapped, "_same", lambda *_: False)

    (first, told), (second, again) = load(network, tmp_path), load(network, tmp_path)

    assert (told, again) == (["runtime.unshared"], [])
    assert first.mapped_bytes == second.mapped_bytes == 0
    assert_answers_alike(network, second)


def test_trees_have_no_weights_to_share_which_is_found_out_once(trees: aias.Model, tmp_path: Path) -> None:
    first, _ = load(trees, tmp_path)
    [place] = [each for each in tmp_path.iterdir() if each.is_dir()]
    made = place.stat().st_ino

    second, _ = load(trees, tmp_path)

    assert [each.name for each in place.iterdir()] == ["sealed.json"]
    assert place.stat().st_ino == made
    assert first.mapped_bytes == second.mapped_bytes == 0
    assert_answers_alike(trees, second)


def test_where_nothing_can_be_kept_each_process_has_its_own_and_it_is_told(network: aias.Model, tmp_path: Path) -> None:
    (tmp_path / "cache").write_text("no folder")

    found, told = load(network, tmp_path / "cache")

    assert (found.mapped_bytes, told) == (0, ["runtime.unshared"])
    assert_answers_alike(network, found)


def test_beyond_what_may_be_kept_those_go_that_were_loaded_longest_ago(
    network: aias.Model, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    for age, name in enumerate(("new", "old")):
        (tmp_path / name).mkdir()
        (tmp_path / name / "model.weights").write_bytes(bytes(1_000_000))
        os.utime(tmp_path / name, (1e9 - age, 1e9 - age))
    size = load(network, tmp_path / "elsewhere")[0].mapped_bytes
    shutil.rmtree(tmp_path / "elsewhere")
    monkeypatch.setattr(mapped, "KEPT_BYTES_MAX", size + 1_500_000)

    load(network, tmp_path)

    assert not (tmp_path / "old").exists()
    assert (tmp_path / "new").exists()
    assert sum(each.is_dir() for each in tmp_path.iterdir()) == 2


def test_a_server_loads_versions_so(network: aias.Model) -> None:
    version, home = network.version, network.registry.home
    endpoint = Endpoint("m", version.name, version.number, version.digest, 0, version.created_at)

    loaded = loader(network.registry, home, lambda _event: None)(endpoint)

    assert isinstance(loaded, OnnxRuntime)
    assert loaded.mapped_bytes == weights(home / mapped.CACHE).stat().st_size
