"""A number's interval over the Open Inference Protocol: two more tensors, as the metadata says."""

import struct
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import replace

import pytest

from aias.runtimes.contract import Answers, Row
from live_server import Doubler, LiveServer, Shelf, live_server

INPUTS = [{"name": "note", "datatype": "BYTES", "shape": [2], "data": ["1", "21"]}]
INFER = "/v2/models/price/infer"


class Spanned(Doubler):
    """Twice the number, more or less half of it; `knows` whether, of this one."""

    def __init__(self, *, knows: bool = True) -> None:
        super().__init__()
        self.knows, self.manifest = knows, replace(self.manifest, intervals={"level": 0.9})

    def predict(self, rows: Sequence[Row]) -> Answers:
        found = super().predict(rows)
        spans = [(0.5 * float(each), 1.5 * float(each)) for each in found.predictions]
        return Answers(found.predictions, None, spans if self.knows else None)

    def predict_columns(self, columns: Mapping[str, Sequence[object]], rows: int) -> Answers:
        return self.predict([{"note": columns["note"][at]} for at in range(rows)])


@pytest.fixture(scope="module")
def server() -> Iterator[LiveServer]:
    shelf = Shelf()
    shelf.deploy("price", 1, Spanned(), model="price")
    shelf.deploy("unknown", 1, Spanned(knows=False), model="unknown")
    with live_server(shelf) as running:
        yield running


def answered(server: LiveServer, path: str = INFER, **more: object) -> dict[str, object]:
    answer = server.call("POST", path, {"inputs": INPUTS, **more})
    assert answer.status == 200, answer.body
    return {each["name"]: each["data"] for each in answer.json["outputs"]}  # type: ignore[index]


def test_all_that_the_metadata_names_comes_unless_some_are_named(server: LiveServer) -> None:
    described = server.call("GET", "/v2/models/price").json["outputs"]  # type: ignore[index]
    configured = server.call("GET", "/v2/models/price/config").json["output"]  # type: ignore[index]

    assert described == [{"name": n, "datatype": "FP64", "shape": [-1]} for n in ("prediction", "low", "high")]
    assert configured == [{"name": n, "data_type": "TYPE_FP64", "dims": []} for n in ("prediction", "low", "high")]
    assert answered(server) == {"prediction": [2.0, 42.0], "low": [1.0, 21.0], "high": [3.0, 63.0]}
    assert answered(server, outputs=[{"name": "high"}]) == {"high": [3.0, 63.0]}


def test_the_ends_come_as_bytes_too(server: LiveServer) -> None:
    asked = {"inputs": INPUTS, "outputs": [{"name": "low", "parameters": {"binary_data": True}}]}
    answer = server.call("POST", INFER, asked)

    assert struct.unpack("<2d", answer.body[-16:]) == (1.0, 21.0)


def test_where_an_interval_is_not_known_its_ends_are_missing_as_numbers_that_are_none(server: LiveServer) -> None:
    found = answered(server, "/v2/models/unknown/infer")

    assert found == {"prediction": [2.0, 42.0], "low": [None, None], "high": [None, None]}
