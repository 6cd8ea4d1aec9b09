"""What a refusal tells beside what is wrong: what to send in its place, and when."""

from collections.abc import Iterator
from dataclasses import replace

import pytest

from aias.serving.protocols.native import Native
from aias.serving.refusals import quarantined
from artifacts import manifest
from live_server import Doubler, LiveServer, Rule, Shelf, live_server

INFER = "/v2/models/churn/infer"
AGE = {"name": "age", "datatype": "INT8", "shape": [1], "data": [50]}


class Between(Doubler):
    """A regression that says how far off it may be."""

    def __init__(self) -> None:
        super().__init__()
        self.manifest = replace(self.manifest, intervals={"level": 0.9})


@pytest.fixture(scope="module")
def server() -> Iterator[LiveServer]:
    shelf = Shelf()
    shelf.deploy("churn", 1, Rule())
    shelf.deploy("price", 1, Between(), model="price")
    shelf.deploy("plain", 1, Doubler(), model="plain")
    with live_server(shelf) as running:
        yield running


@pytest.mark.parametrize(
    "raw",
    [
        b"GET /predict/churn HTTP/1.1\r\nConnection: close\r\n\r\n",
        b"GET /predict/churn HTTP/1.1\r\nHost: localhost\r\nOrigin: https://other.example\r\nConnection: close\r\n\r\n",
        b"GET /predict/churn HTTP/1.1\r\nHost: localhost\r\nSec-Fetch-Site: cross-site\r\nConnection: close\r\n\r\n",
        b"PUT /predict/churn HTTP/1.1\r\nHost: localhost\r\nConnection: close\r\nAuthorization: Bearer all-key\r\n\r\n",
    ],
)
def test_who_asks_wrongly_hears_how_to_ask(server: LiveServer, raw: bytes) -> None:
    assert b'"hint":"' in server.raw(raw)


@pytest.mark.parametrize(
    "asked",
    [
        {"inputs": [AGE | {"shape": [1, 2]}]},
        {"inputs": [AGE | {"data": [300]}]},
        {"inputs": [AGE, AGE]},
        {"inputs": [AGE], "outputs": [{"name": "prediction"}, {"name": "prediction"}]},
    ],
)
def test_who_sends_tensors_that_do_not_fit_hears_which_would(server: LiveServer, asked: object) -> None:
    refused = server.call("POST", INFER, asked)

    assert refused.status == 400
    assert refused.body.endswith(b')"}')


def test_who_meets_a_quarantined_version_hears_when_to_come_again_in_every_form() -> None:
    fault = quarantined("churn@1")

    assert dict(fault.headers) == {b"retry-after": b"60", b"retry-after-ms": b"60000"}
    assert b'"retry_after_seconds":60' in Native.envelope(fault, "some")


def test_the_fields_of_an_answer_tell_of_an_interval_where_there_is_one(server: LiveServer) -> None:
    with_one, without = (server.call("GET", f"/predict/{name}").json["answer"] for name in ("price", "plain"))  # type: ignore[index]

    assert set(with_one) == {"prediction", "interval"}
    assert set(without) == {"prediction"}
    assert manifest().intervals is None
