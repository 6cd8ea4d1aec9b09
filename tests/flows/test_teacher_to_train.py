"""A chat service labels rows, a small model learns from them, and another learns from that model: the whole way."""

from pathlib import Path

import numpy as np
import polars as pl
import pytest

import aias
from chat_service import serving

WARM, COLD = ("lovely", "friendly", "bright", "warm"), ("cold", "rude", "loud", "dirty")


def mood(text: str) -> str:
    return "good" if any(word in text for word in WARM) else "bad"


def test_a_service_teaches_a_model_that_needs_no_service(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("AIAS_HOME", str(tmp_path / "home"))
    rng = np.random.default_rng(1)
    texts = [f"{(WARM if i % 2 else COLD)[rng.integers(4)]} room, number {rng.integers(1000)}" for i in range(150)]
    path = tmp_path / "rooms.csv"
    pl.DataFrame({"text": texts, "mood": [mood(each) if i < 50 else None for i, each in enumerate(texts)]}).write_csv(
        path
    )

    with serving(mood) as service:
        model = aias.train(
            path, target="mood", time="120s", learners=("linear",), folds=2, search=False, inline=True,
            teacher=aias.Teacher(service.url, "tiny"),
        )  # fmt: skip
    student = aias.train(
        path, target="mood", name="student", time="120s", learners=("linear",), folds=2, search=False, inline=True,
        teacher=model.ref,
    )  # fmt: skip

    assert model.version.name == "rooms" and model.manifest.rows["test"] == 25
    assert model.predict([{"text": "a bright room"}, {"text": "a rude room"}]).tolist() == ["good", "bad"]
    assert model.manifest.lineage.settings["teacher"]["who"] == f"tiny at {service.url}"
    card = (model.folder / "card.md").read_text()
    assert "gave the answers of 100 rows, 50 rows had their own." in card
    assert student.manifest.lineage.settings["teacher"]["who"] == model.ref
    assert model.evaluate({"text": texts[:50], "mood": [mood(each) for each in texts[:50]]})[0].value == 1.0
