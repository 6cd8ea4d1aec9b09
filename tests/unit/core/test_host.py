"""`core/host.py`: where something was measured."""

import importlib.metadata

import pytest

from aias.core.host import host


def test_an_engine_that_is_installed_besides_is_part_of_a_host(monkeypatch: pytest.MonkeyPatch) -> None:
    """Whose other version is another host: what was timed with it is timed again."""
    known = importlib.metadata.version
    versions: dict[str, str] = {}

    def version(name: str) -> str:
        if name != "openvino":
            return known(name)
        if name not in versions:
            raise importlib.metadata.PackageNotFoundError(name)
        return versions[name]

    monkeypatch.setattr(importlib.metadata, "version", version)
    without = host()
    versions["openvino"] = "2026.1.0"
    first = host()
    versions["openvino"] = "2026.4.0"

    assert "openvino" not in without.libraries
    assert without != first != host()
    assert first.libraries["openvino"] == "2026.1.0"
