import json
from pathlib import Path

import numpy as np
import pytest

from aias.registry.rollout.evidence import Mirrored
from aias.runtimes.contract import Answers, Vectors
from aias.serving.rollout.compare import Comparer, differ
from aias.serving.rollout.shadow import Mirrored as Sent
from aias.serving.versions.model import warm
from live_server import Rule

JSON = {b"content-type": b"application/json"}
ROWS = [{"age": 50}, {"age": 20}]
TENSORS = {"inputs": [{"name": "age", "datatype": "FP64", "shape": [2, 1], "data": [50, 20]}]}


class Older(Rule):
    """Says `yes` from 10 on."""

    def _age(self, row: object, at: int) -> float:
        return super()._age(row, at) + 30  # type: ignore[arg-type]


class Fails(Rule):
    broken = False

    def predict(self, rows: object) -> Answers:  # type: ignore[override]
        if self.broken:
            raise ZeroDivisionError
        return super().predict(rows)  # type: ignore[arg-type]


def comparer(trial: Rule) -> Comparer:
    return Comparer(warm(Rule(0.75), version="churn@1", number=1), warm(trial, version="churn@2", number=2))


def sent(path: str = "/predict/churn", body: object = ROWS) -> Sent:
    return Sent(path, {"endpoint": "churn"}, JSON, json.dumps(body).encode())


@pytest.mark.parametrize(("path", "body"), [("/predict/churn", ROWS), ("/v2/models/churn/infer", TENSORS)])
def test_both_versions_are_asked_the_same_and_their_answers_compared(path: str, body: object) -> None:
    found = comparer(Rule(0.7)).compare(sent(path, body))

    assert (found.requests, found.rows, found.alike, found.failed) == (1, 2, 2, 0)
    assert found.difference == pytest.approx(0.1, abs=1e-6)
    assert found.difference_max == pytest.approx(0.05, abs=1e-6)
    assert found.seconds > 0
    assert found.live_seconds > 0


def test_texts_are_compared_that_came_as_openai_has_them(tmp_path: Path) -> None:
    pytest.importorskip("tokenizers", reason="the extra `text` is not installed")
    pytest.importorskip("safetensors", reason="the extra `text` is not installed")
    from tiny_encoder import embedding

    live, trial = (warm(embedding(tmp_path / str(at)), version=f"tiny@{at}", number=at) for at in (1, 2))
    asked = json.dumps({"model": "tiny", "input": ["a b", "c"]}).encode()

    found = Comparer(live, trial).compare(Sent("/v1/embeddings", {"endpoint": "tiny"}, JSON, asked))

    assert (found.requests, found.rows, found.alike, found.failed) == (1, 2, 2, 0)


def test_rows_with_another_label_are_not_alike() -> None:
    found = comparer(Older()).compare(sent())

    assert (found.rows, found.alike) == (2, 1)


def test_failures_are_counted_for_each_and_nothing_is_compared_then() -> None:
    fails = Fails()
    both = comparer(fails)
    fails.broken = True

    found = both.compare(sent())
    wrong = both.compare(sent(body=[{"agee": 1}]))

    assert (found.failed, found.live_failed, found.rows) == (1, 0, 0)
    assert (wrong.failed, wrong.live_failed) == (1, 1)


def test_what_is_no_question_to_a_model_is_not_compared() -> None:
    assert comparer(Rule()).compare(sent("/endpoints/churn")).requests == 0


def test_numbers_are_alike_within_a_thousandth_and_vectors_within_as_much_of_a_direction() -> None:
    found = Mirrored()
    differ(Answers([1000.0, 5.0, float("nan")], None), Answers([1000.5, 5.1, float("nan")], None), found)
    assert (found.rows, found.alike) == (3, 1)

    small = Mirrored()
    rates = (Answers([4e-4, 2e-5, 0.0, -3e-4], None), Answers([4.001e-4, 3e-5, 1e-17, 3e-4], None))
    differ(*rates, small)
    assert (small.rows, small.alike) == (4, 2)

    turned = Mirrored()
    one, other = np.array([[1, 0], [1, 0]], np.float32), np.array([[2, 0.01], [0, 1]], np.float32)
    vectors = [Answers([], None, vectors=Vectors(each, [1, 1], [False, False])) for each in (one, other)]
    differ(*vectors, turned)
    assert (turned.rows, turned.alike) == (2, 1)
    assert turned.difference_max == pytest.approx(1.0)
