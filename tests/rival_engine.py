"""A stand-in for another engine beside ONNX Runtime."""

from typing import Any, ClassVar

import numpy as np
import pytest

from aias.runtimes import engine_choice
from aias.runtimes.onnxruntime import Session


class Rival:
    """Answers as ONNX Runtime does, unless a test says otherwise; how fast it seems is a test's word too."""

    name: ClassVar[str] = "rival"
    made: ClassVar[list[str]] = []
    shift, fails_at_load, fails_when_asked = 0.0, False, False
    number = "1"

    def __init__(self, model: bytes, *, output: str, precision: str = "") -> None:
        if self.fails_at_load:
            raise RuntimeError("no such operator")
        self.made.append(precision)
        self.inner = Session(model, output=output)

    @classmethod
    def version(cls) -> str:
        return cls.number

    def run(self, outputs: Any, feeds: Any, options: None = None) -> Any:
        if self.fails_when_asked:
            raise RuntimeError("out of luck")
        return [self.inner.engine_run(outputs, feeds, options)[0] + np.float32(self.shift)]


def install(monkeypatch: pytest.MonkeyPatch) -> type[Rival]:
    """One of its own, that is three times as fast at everything."""
    fresh = type("Rival", (Rival,), {"made": []})
    monkeypatch.setattr(engine_choice, "members", lambda _folder: ("onnxruntime", "rival"))
    monkeypatch.setattr(engine_choice, "member", lambda _folder, _name: fresh)
    monkeypatch.setattr(engine_choice, "SMALL_SECONDS", 0.0)
    monkeypatch.setattr(engine_choice, "_speed", lambda *_: 3.0)
    return fresh
