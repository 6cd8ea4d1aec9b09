"""When memory is nearly gone."""

import pytest

from aias.training.processes import memory
from aias.training.processes.memory import Memory


@pytest.mark.parametrize(("left", "gone"), [(400e6, False), (40e6, True)])
def test_a_small_container_on_a_large_machine_is_not_taken_for_full(monkeypatch, left, gone):
    monkeypatch.setattr(memory, "memory_bytes", lambda: 1e9)
    monkeypatch.setattr(memory, "left_bytes", lambda: left)
    assert Memory().exhausted is gone


def test_what_ulimit_allows_counts_for_a_fit_and_ends_no_other(monkeypatch):
    monkeypatch.setattr(memory, "memory_bytes", lambda: 1e9)
    monkeypatch.setattr(memory, "left_bytes", lambda: 400e6)
    monkeypatch.setattr(memory, "own_left_bytes", lambda: 10e6)
    assert Memory().available_bytes == 10e6
    assert not Memory().exhausted
