"""`compress/footprint.py`: what a version costs to have ready, found by a fresh process."""

import os

import pytest

import aias
from aias.compress.footprint import scales
from aias.core.deadline import Deadline

pytestmark = pytest.mark.skipif(not hasattr(os, "fork"), reason="there is no fork on this system")


@pytest.fixture(scope="module")
def model(tmp_path_factory: pytest.TempPathFactory) -> aias.Model:
    table = {"a": [float(i % 7) for i in range(80)], "y": ["n", "y"] * 40}
    home = tmp_path_factory.mktemp("home")
    return aias.train(table, target="y", name="m", time=600, search=False, learners=("linear",), inline=True, home=home)


def files_of(model: aias.Model) -> dict[str, bytes]:
    return {each.path: (model.folder / each.path).read_bytes() for each in model.manifest.files}


def test_memory_and_loading_are_above_nothing_and_the_process_is_asked_again(model: aias.Model) -> None:
    with scales() as found:
        first, again = (found.weigh(files_of(model), model.manifest) for _ in range(2))

    assert first is not None
    assert again is not None
    assert first.load_ms > 0
    assert 0 < first.memory_bytes < 200_000_000


def test_what_cannot_be_loaded_has_no_footprint_and_the_next_one_has(model: aias.Model) -> None:
    with scales() as found:
        assert found.weigh(files_of(model) | {"model.onnx": b"no graph"}, model.manifest) is None
        assert found.weigh(files_of(model), model.manifest) is not None


def test_a_process_that_is_gone_is_not_asked_again(model: aias.Model) -> None:
    with scales() as found:
        assert found.weigh(files_of(model), model.manifest) is not None
        assert found._process is not None
        found._process.kill()
        found._process.wait()
        assert found.weigh(files_of(model), model.manifest) is None
        assert found.weigh(files_of(model), model.manifest) is None


def test_what_is_not_weighed_within_the_time_is_given_up(model: aias.Model) -> None:
    """To start the process alone takes longer, and a run went on for two seconds after its time."""
    with scales(Deadline.after(0.0)) as found:
        assert found.weigh(files_of(model), model.manifest) is None
        assert found._process is None
    with scales(Deadline.after(0.02)) as found:
        assert found.weigh(files_of(model), model.manifest) is None
    with scales(Deadline.after(600.0)) as found:
        assert found.weigh(files_of(model), model.manifest) is not None
