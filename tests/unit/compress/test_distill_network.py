"""`compress/techniques/distill_network.py`: what is no part of a fit takes none of its time."""

from types import SimpleNamespace
from typing import Any

import pytest

from aias.compress.techniques import distill_network as technique


def test_a_fit_has_its_time_from_when_its_library_is_there(monkeypatch: pytest.MonkeyPatch) -> None:
    """PyTorch took 2 of 6 s the first time, and a fit that lacks these told of twenty minutes that would be enough."""
    done: list[str] = []

    class Stopped(Exception):
        pass

    def deadline() -> None:
        done.append("deadline")
        raise Stopped

    monkeypatch.setattr(technique.importlib, "import_module", done.append)
    monkeypatch.setattr(technique, "transfer_set", lambda *_: done.append("rows"))
    context: Any = SimpleNamespace(encoder=SimpleNamespace(layout=None), fit_deadline=deadline)
    with pytest.raises(Stopped):
        technique._make(context, 128, 0)
    assert sorted(done) == ["deadline", "rows", "torch"] and done[-1] == "deadline"
