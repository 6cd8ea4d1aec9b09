"""Probabilities are float32 in the model, and the same ones come back from every form of an answer."""

import csv
import json
import math
from collections.abc import Iterator
from dataclasses import replace

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from aias.runtimes.contract import Answers
from aias.serving.formats.json_answers import AnswerForm
from artifacts import manifest
from live_server import LiveServer, Rule, Shelf, live_server

SHARE = float(np.float32(0.68266237))
FORM = AnswerForm.of(manifest())


@settings(max_examples=200)
@given(st.lists(st.floats(0, 1, width=32), min_size=1, max_size=5))
def test_probabilities_are_read_back_as_they_were(shares: list[float]) -> None:
    held = np.array([[1 - share, share] for share in shares], np.float32)
    answers = Answers(["yes"] * len(shares), held)
    rows, lines, columns = FORM.rows(answers), FORM.lines(answers), FORM.columns(answers)
    told = [
        [[each["probabilities"][name] for name in FORM.classes] for each in json.loads(rows)],
        [[json.loads(line)["probabilities"][name] for name in FORM.classes] for line in lines.splitlines()],
        list(zip(*(columns[f"probability_{name}"] for name in FORM.classes), strict=True)),
        [list(json.loads(FORM.one(answers.part(0, 1)))["probabilities"].values())],
    ]

    for each in told[:3]:
        assert np.array(each, np.float32).tobytes() == held.tobytes()
    assert np.array(told[3], np.float32).tobytes() == held[:1].tobytes()


@pytest.mark.parametrize("spans", [[(1.0, 3.5), (2.0, math.inf)], None])
def test_intervals_are_columns_too(spans: list[tuple[float, float]] | None) -> None:
    """As `aias predict` writes them; of no rows they are there, too, so that all tables of a model are alike."""
    task = replace(manifest().task, type="regression", classes=())
    form = AnswerForm.of(replace(manifest(), task=task, intervals={"level": 0.9}))

    found = form.columns(Answers([2.0, 3.0], None, intervals=spans))

    low, high = ([1.0, 2.0], [3.5, None]) if spans else ([None, None], [None, None])
    assert found == {"prediction": [2.0, 3.0], "low": low, "high": high}
    assert form.columns(Answers([], None)) == {"prediction": [], "low": [], "high": []}
    assert AnswerForm.of(replace(manifest(), task=task)).columns(Answers([2.0], None)) == {"prediction": [2.0]}


@pytest.fixture(scope="module")
def server() -> Iterator[LiveServer]:
    shelf = Shelf()
    shelf.deploy("churn", 1, Rule(SHARE))
    with live_server(shelf) as running:
        yield running


def test_every_dialect_and_form_tells_the_same_probabilities(server: LiveServer) -> None:
    tensor = {"name": "age", "shape": [1], "datatype": "FP64", "data": [50]}
    wanted = {"name": "probabilities"}

    def infer(**parameters: object) -> bytes:
        asked = {"inputs": [tensor], "outputs": [wanted | {"parameters": parameters}]}
        return server.call("POST", "/v2/models/churn/infer", asked).body

    native = server.call("POST", "/predict/churn", [{"age": 50}]).json
    table = server.call("POST", "/predict/churn", "age\n50\n", headers={"Content-Type": "text/csv"}).body.decode()
    classes = json.loads(infer(classification=1))["outputs"][0]["data"]
    told = [
        native[0]["probabilities"]["yes"],  # type: ignore[index]
        next(csv.DictReader(table.splitlines()))["probability_yes"],
        json.loads(infer())["outputs"][0]["data"][1],
        classes[0].partition(":")[0],
        np.frombuffer(infer(binary_data=True)[-8:], "<f4")[1],
    ]

    assert [float(np.float32(each)) for each in told] == [SHARE] * 5
