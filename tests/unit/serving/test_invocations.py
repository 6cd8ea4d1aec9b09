"""`/invocations` as SageMaker and MLflow ask it: four bodies of one and three types of the other."""

import json
from collections.abc import Iterator, Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any, cast

import pytest

from aias.access.ledger import Ledger
from aias.access.quotas import parse_quota
from aias.registry.rollout.trial import WHOLE, Guard, Trial
from aias.serving.bounds import Bounds
from aias.serving.http.messages import Request
from aias.serving.protocols.contract import ServerContext
from aias.serving.protocols.invocations import Invocations
from aias.serving.rollout.collector import EvidenceCollector
from aias.serving.rollout.split import Canary, Split
from aias.serving.versions.model import warm
from live_server import AT, BOUNDS, Doubler, LiveServer, Response, Rule, Shelf, live_server, samples

LINES = {"Content-Type": "application/jsonlines"}
CSV = {"Content-Type": "text/csv"}
ROWS = [{"age": 50, "plan": "pro"}, {"age": 20, "plan": None}]
LISTS = [[50, "pro"], [20, None]]
COLUMNS = {"age": [50, 20], "plan": ["pro", None]}
TO = "X-Amzn-SageMaker-Target-Model"


@pytest.fixture(scope="module")
def server() -> Iterator[LiveServer]:
    with live_server(bounds=replace(BOUNDS, body_rows=100)) as running:
        yield running


@pytest.fixture(scope="module")
def several() -> Iterator[LiveServer]:
    shelf = Shelf()
    shelf.deploy("churn", 3, Rule())
    shelf.deploy("price", 2, Doubler(), model="price")
    with live_server(shelf) as running:
        yield running


def invoke(server: LiveServer, body: object, **headers: str) -> Response:
    given = {name.replace("_", "-"): value for name, value in headers.items()}
    return server.call("POST", "/invocations", body, headers=given)


def fault(response: Response) -> tuple[int, str]:
    held: Any = response.json
    assert set(held) - {"retry_after_seconds"} == {"error_code", "message"}
    assert held["message"]
    return response.status, held["error_code"]


def words(response: Response) -> str:
    held: Any = response.json
    return str(held["message"])


@pytest.mark.parametrize(
    "body",
    [
        {"dataframe_split": {"columns": ["age", "plan"], "data": LISTS}},
        {"dataframe_split": {"columns": ["plan", "age"], "index": [7, 8], "data": [["pro", 50], [None, 20]]}},
        {"dataframe_split": {"data": LISTS}},
        {"dataframe_records": ROWS},
        {"instances": ROWS},
        {"instances": LISTS},
        {"instances": [{"features": row} for row in LISTS]},
        {"instances": ROWS, "params": None, "signature_name": "serving_default"},
        {"inputs": COLUMNS},
        {"inputs": {"age": [[50], [20]], "plan": [["pro"], [None]]}},
        {"inputs": {"age": [50, 20]}},
        {"inputs": ROWS},
        {"inputs": LISTS},
        {"inputs": LISTS, "instances": None},
        ROWS,
        LISTS,
    ],
    ids=lambda body: json.dumps(body)[:50],
)
def test_every_body_is_the_same_rows(server: LiveServer, body: object) -> None:
    response = invoke(server, body)

    assert response.json == {"predictions": ["yes", "no"]}
    assert (response.status, response.headers["content-type"]) == (200, "application/json")
    assert response.headers["x-amzn-invoked-production-variant"] == "churn@1"


@pytest.mark.parametrize(
    "body",
    [
        "50,pro\n20,\n", "50,pro\r\n20,", "age,plan\n50,pro\n20,\n", "plan,age\npro,50\n,20\n", "age\n50\n20\n",
    ],
)  # fmt: skip
def test_csv_is_read_with_a_header_and_without(server: LiveServer, body: str) -> None:
    assert server.call("POST", "/invocations", body, headers=CSV).json == {"predictions": ["yes", "no"]}


def test_csv_may_say_itself_whether_it_has_a_header(server: LiveServer) -> None:
    for said, body in (("present", "age,plan\n50,pro\n"), ("absent", "50,pro\n")):
        response = invoke(server, body, Content_Type=f"text/csv; header={said}; charset=utf-8")
        assert response.json == {"predictions": ["yes"]}
    assert fault(invoke(server, "age,plan\n", Content_Type="text/csv; header=absent"))[0] == 400
    latin = invoke(server, "50,Größe\n".encode("latin-1"), Content_Type="text/csv; charset=ISO-8859-1")
    assert latin.json == {"predictions": ["yes"]}


@pytest.mark.parametrize("said", ["text/csv; header=present", "text/csv"])
def test_a_header_without_rows_is_no_empty_answer(server: LiveServer, said: str) -> None:
    response = invoke(server, "age,plan\n", Content_Type=said)

    assert fault(response)[0] == 400
    assert "no rows" in words(response) and "header=absent" in words(response)


def test_what_is_wrong_with_json_is_said_in_our_words(server: LiveServer) -> None:
    for body, expected in (
        ('{"instances": [[50, "pro"], [Inf]]}', "the JSON breaks at byte 29"),
        ('{"instances": [[NaN, "pro"], [Inf]]}', "the JSON breaks at byte 31"),
        ('{"dataframe_split": {"columns": 3, "data": []}}', "`columns` must be a list or null; a whole number came"),
        ('{"rows": []}', "the field `rows` is not known"),
    ):
        response = server.call("POST", "/invocations", body)
        assert fault(response)[0] == 400
        assert expected in words(response)


def test_nan_in_a_table_of_mlflows_client_is_a_missing_value(server: LiveServer) -> None:
    body = '{"dataframe_split": {"columns": ["age", "plan"], "data": [[50, "NaN \\" NaN"], [NaN, "pro"], [20, NaN]]}}'
    found = server.call("POST", "/invocations", body)
    same = server.call("POST", "/invocations", body.replace(" [NaN", " [null").replace("0, NaN", "0, null"))

    assert (found.status, same.status) == (200, 200)
    assert found.json == same.json and len(found.json["predictions"]) == 3


def test_infinity_of_mlflows_client_is_one() -> None:
    shelf = Shelf()
    shelf.deploy("churn", 1, Rule())
    with live_server(shelf) as server:
        found = server.call(
            "POST", "/invocations", '{"inputs": {"age": [Infinity, -Infinity], "plan": ["Infinity", "\\""]}}'
        )

    assert found.json == {"predictions": ["yes", "no"]}


def test_many_texts_that_never_end_are_refused_at_once(server: LiveServer) -> None:
    assert fault(server.call("POST", "/invocations", '{"a": NaN, "' + '\\"' * 400_000)) == (400, "BAD_REQUEST")


@pytest.mark.parametrize(
    "lines",
    [
        '{"age": 50, "plan": "pro"}\n{"age": 20}\n', '[50, "pro"]\n\n[20, null]',
        '{"features": [50, "pro"]}\n{"features": [20, null]}\n',
    ],
)  # fmt: skip
def test_json_lines_are_rows(server: LiveServer, lines: str) -> None:
    assert server.call("POST", "/invocations", lines, headers=LINES).json == {"predictions": ["yes", "no"]}


def test_the_accept_header_chooses_the_form_of_the_answer(server: LiveServer) -> None:
    assert invoke(server, ROWS, Accept="text/csv").body == b"yes\nno\n"
    assert invoke(server, ROWS, Accept="application/jsonlines").body == b'{"prediction":"yes"}\n{"prediction":"no"}\n'
    assert invoke(server, ROWS, Accept="*/*").json == {"predictions": ["yes", "no"]}
    assert invoke(server, ROWS, Accept="text/csv;q=0.5, application/json").json == {"predictions": ["yes", "no"]}
    assert fault(invoke(server, ROWS, Accept="application/x-recordio-protobuf"))[0] == 406


def test_details_are_what_predict_answers(server: LiveServer) -> None:
    full = server.call("POST", "/predict/churn", ROWS).json
    wanted = {"X-Amzn-SageMaker-Custom-Attributes": "trace=7, details=true"}

    assert invoke(server, {"instances": ROWS, "params": {"details": True}}).json == {"predictions": full}
    told = server.call("POST", "/invocations", ROWS, headers=wanted)
    assert told.json == {"predictions": full}
    assert told.headers["x-amzn-sagemaker-custom-attributes"] == "trace=7, details=true"
    csv = server.call("POST", "/invocations", ROWS, headers=wanted | {"Accept": "text/csv"})
    assert csv.body == b"yes,0.25,0.75\nno,0.75,0.25\n"
    lines = server.call("POST", "/invocations", ROWS, headers=wanted | {"Accept": "application/jsonlines"})
    assert [json.loads(line) for line in lines.body.splitlines()] == full


def test_no_rows_get_no_answers(server: LiveServer) -> None:
    for body in ([], {"instances": []}, {"dataframe_split": {"columns": ["age"], "data": []}}, {"inputs": {}}):
        assert invoke(server, body).json == {"predictions": []}
    assert server.call("POST", "/invocations", "", headers=CSV).json == {"predictions": []}


def test_a_model_of_one_input_takes_plain_values(several: LiveServer) -> None:
    for body in ({"inputs": ["21.5", "2"]}, {"instances": [["21.5"], ["2"]]}, {"instances": ["21.5", "2"]}):
        assert invoke(several, body, **{TO: "price"}).json == {"predictions": [43.0, 4.0]}
    assert invoke(several, {"inputs": "21.5"}, **{TO: "price"}).json == {"predictions": [43.0]}


def test_csv_of_one_input_is_a_value_a_line(several: LiveServer) -> None:
    headers = CSV | {TO: "price"}
    assert server_says(several, "21\n2\n", headers) == {"predictions": [42.0, 4.0]}
    assert server_says(several, "note\n21\n", headers) == {"predictions": [42.0]}


def server_says(server: LiveServer, body: str, headers: dict[str, str]) -> object:
    return server.call("POST", "/invocations", body, headers=headers).json


def test_which_endpoint_answers_is_said_by_a_header_or_by_the_server(several: LiveServer) -> None:
    body = {"inputs": {"note": ["2"]}}
    for name in ("price", "/price", "price.tar.gz"):
        assert invoke(several, body, **{TO: name}).json == {"predictions": [4.0]}
    assert fault(invoke(several, body)) == (400, "BAD_REQUEST")
    assert fault(invoke(several, body, **{TO: "../price"})) == (404, "RESOURCE_DOES_NOT_EXIST")
    shelf = Shelf(several.shelf.runtimes, several.shelf.pointers, 1)
    with live_server(shelf, unnamed="price") as settled:
        assert invoke(settled, body).json == {"predictions": [4.0]}
        assert invoke(settled, ROWS, **{TO: "churn"}).json == {"predictions": ["yes", "no"]}


@pytest.mark.parametrize("said", ["application/x-www-form-urlencoded", "text/plain"])
def test_what_curl_sends_is_read_as_json_where_it_is(server: LiveServer, said: str) -> None:
    found = server.call("POST", "/invocations", json.dumps(ROWS), headers={"Content-Type": said})

    assert (found.status, found.json) == (200, {"predictions": ["yes", "no"]})
    assert server.call("POST", "/invocations", "age=50", headers={"Content-Type": said}).status == 415


def test_a_variant_is_the_version_that_answers(several: LiveServer) -> None:
    variant = "X-Amzn-SageMaker-Target-Variant"
    for name in ("2", "price@2"):
        assert invoke(several, {"inputs": ["2"]}, **{TO: "price", variant: name}).status == 200
    assert fault(invoke(several, {"inputs": ["2"]}, **{TO: "price", variant: "1"})) == (400, "BAD_REQUEST")


@pytest.mark.parametrize(
    ("body", "headers"),
    [
        (b"[[50, 3], [20, 4]]", {}),
        (b'{"instances": [{"features": [50, 3]}, {"features": [20, 4]}]}', {}),
        (b'{"dataframe_split": {"data": [[50, 3], [20, 4]]}}', {}),
        (b"[50, 3]\n[20, 4]\n", {b"content-type": b"application/jsonlines"}),
        (b"50,3\n20,4\n", {b"content-type": b"text/csv"}),
        (b"age,plan\n50,3\n20,4\n", {b"content-type": b"text/csv"}),
    ],
)
def test_rows_without_names_are_in_the_order_of_the_live_version_also_to_a_canary(
    body: bytes, headers: dict[bytes, bytes]
) -> None:
    other = Rule()
    other.manifest = replace(other.manifest, inputs=other.manifest.inputs[::-1])
    live, canary = (warm(each, version=f"churn@{at}", number=at) for at, each in ((1, Rule()), (2, other)))
    trial = Trial(7, "churn", "churn", 2, "d", "canary", WHOLE, "key", Guard(), AT)
    split = Split("churn", 1, live=live, canaries=[Canary(trial, canary, EvidenceCollector(trial.guard), WHOLE)])
    nobody = cast("Any", None)
    invocations = Invocations(ServerContext(Bounds(), lambda: True, nobody, nobody, nobody, nobody, list, nobody))
    read = list[object]()
    for more in ({}, {b"x-amzn-sagemaker-target-variant": b"2"}):
        request = Request("POST", "/invocations", "1", headers | more, {"endpoint": "churn"}, body, tenant="k")
        request.named_version = "2" if more else None
        split.choose(request)
        assert request.asked is canary
        read.append({name: [float(str(each)) for each in values] for name, values in asked(invocations, request)})

    unnamed, named = read
    assert unnamed == {"age": [50, 20], "plan": [3, 4]}
    # Who names a version means its order.
    assert named == (unnamed if body.startswith(b"age") else {"plan": [50, 20], "age": [3, 4]})


def asked(invocations: Invocations, request: Request) -> Iterator[tuple[str, Sequence[object]]]:
    ask = next(invocations.invoke(request))
    assert ask.columns is not None
    return iter(ask.columns.items())


def test_probes_need_no_key_and_the_version_does(server: LiveServer) -> None:
    import aias

    for path in ("/ping", "/health"):
        assert server.call("GET", path, key=None).status == 200
    assert server.call("GET", "/version").body.decode() == aias.__version__
    assert server.call("GET", "/version", key=None).status == 401


def test_ping_says_no_while_an_endpoint_cannot_answer() -> None:
    shelf = Shelf()
    shelf.deploy("churn", 1, None)
    with live_server(shelf) as broken:
        assert broken.call("GET", "/ping", key=None).status == 503
        assert fault(invoke(broken, ROWS, **{TO: "churn"})) == (503, "TEMPORARILY_UNAVAILABLE")


def test_who_may_not_ask_is_told_in_mlflows_words(server: LiveServer) -> None:
    assert fault(server.call("POST", "/invocations", ROWS, key=None)) == (401, "UNAUTHENTICATED")
    assert fault(server.call("POST", "/invocations", ROWS, key="read-key")) == (403, "PERMISSION_DENIED")
    assert fault(server.call("GET", "/invocations")) == (405, "BAD_REQUEST")


@pytest.mark.parametrize(
    "body",
    [
        b"", b"null", b"1", b'"a"', b"{", b"{}", b'{"instances": [[Infinitys, 1]]}', b'{"instances": [[1e999, 1]]',
        b'{"instances": [[NaNs, 1]]}',
        b'{"age": 1}', b'{"instances": [], "inputs": []}', b'{"instances": {}}', b'{"instances": [[1]]}',
        b'{"instances": [[1, 2, 3]]}', b'{"instances": [[1, [2]]]}', b'{"instances": [[1, "a"], {"age": 1}]}',
        b'{"instances": [{"age": 1}, [1, "a"]]}', b'{"instances": [1, 2]}', b'{"instances": [{}]}',
        b'{"instances": [{"features": [1]}]}', b'{"instances": [{"features": 1}]}', b'{"instances": [{"agee": 1}]}',
        b'{"instances": [{"age": "old"}]}', b'{"instances": [[1, "\xff"]]}', b'{"instances": [[1, "\\ud800"]]}',
        b'{"inputs": {"age": 1}}', b'{"inputs": {"age": [1, 2], "plan": ["a"]}}', b'{"inputs": {"age": [[1, 2]]}}',
        b'{"inputs": {"age": [[]]}}', b'{"inputs": {"age": {"0": 1}}}', b'{"inputs": "a"}',
        b'{"dataframe_split": []}', b'{"dataframe_split": {"columns": ["age"]}}',
        b'{"dataframe_split": {"columns": ["age", "age"], "data": [[1, 2]]}}',
        b'{"dataframe_split": {"columns": ["age"], "data": [[1, 2]]}}', b'{"dataframe_records": {"age": [1]}}',
        b'{"dataframe_split": {"columns": [1], "data": [[1]]}}',
        b'{"instances": [], "params": {"temperature": 1}}', b'{"instances": [], "params": {"details": "yes"}}',
        b'{"instances": [], "params": []}', b'{"messages": []}',
        b'{"instances": ' + b"[" * 200_000, b'{"instances": ' + b"[" * 200_000 + b"]" * 200_000 + b"}",
        b'{"dataframe_split": ' + b'{"data":' * 100_000, b"[" * 200_000,
    ],
    ids=lambda body: str(body[:60]),
)  # fmt: skip
def test_what_is_no_body_of_either_is_a_bad_request(server: LiveServer, body: bytes) -> None:
    assert fault(invoke(server, body, Content_Type="application/json")) == (400, "BAD_REQUEST")


@pytest.mark.parametrize(
    ("body", "media_type"),
    [
        (b'{"instances": [%b]}' % b",".join([b'[1,"a"]'] * 101), "application/json"),
        (b'{"instances": [%b]}' % b",".join([b"[]"] * 500_000), "application/json"),
        (b'{"instances": [%b]}' % b",".join([b"1"] * 500_000), "application/json"),
        (b'{"instances": [%b]}' % b",".join([b"{}"] * 500_000), "application/json"),
        (b'{"inputs": {"age": [%b]}}' % b",".join([b"1"] * 500_000), "application/json"),
        (b'{"inputs": {"age": [%b]}}' % b",".join([b"[1]"] * 101), "application/json"),
        (b"[1,2]\n" * 101, "application/jsonlines"),
        (b"\n" * 100_000, "application/jsonlines"),
        (b"1,a\n" * 101, "text/csv"),
        (b"1,a\n" * 500_000, "text/csv"),
    ],
    ids=lambda value: str(value)[:40],
)
def test_too_many_rows_are_refused(server: LiveServer, body: bytes, media_type: str) -> None:
    assert fault(invoke(server, body, Content_Type=media_type))[0] in (400, 413)


@pytest.mark.parametrize("body", ["50\n", "50,pro,more\n", '50,"pro\n', "age,plan\n1\n", "age,age\n1,2\n", "ol\0d,x\n"])
def test_odd_csv_is_a_bad_request(server: LiveServer, body: str) -> None:
    assert fault(server.call("POST", "/invocations", body, headers=CSV)) == (400, "BAD_REQUEST")


@pytest.mark.parametrize(
    "headers",
    [
        {"Content-Type": "application/x-npy"},
        {"Content-Type": "text/csv; charset=utf-7"},
        {"Content-Type": "text/csv; charset=idna"},
        {"X-Amzn-SageMaker-Custom-Attributes": "a" * 1_025},
        {"X-Amzn-SageMaker-Custom-Attributes": "é"},
        {"X-Amzn-SageMaker-Target-Variant": "9" * 2_000},
    ],
    ids=lambda headers: str(headers)[:60],
)
def test_odd_headers_are_refused(server: LiveServer, headers: dict[str, str]) -> None:
    response = server.call("POST", "/invocations", json.dumps(ROWS), headers=headers)

    assert fault(response)[0] in (400, 415)


def test_what_a_quota_refuses_counts_for_the_endpoint_that_the_header_names(tmp_path: Path) -> None:
    quotas = {"limited": (parse_quota("1/day"),)}
    with live_server(quotas=quotas, ledger=lambda: Ledger.open(tmp_path)) as server:
        asked = [
            server.call("POST", "/invocations", ROWS[:1], key="limited", headers={TO: "churn"}).status for _ in range(3)
        ]
        unknown = server.call("POST", "/invocations", ROWS[:1], key="mistyped", headers={TO: "nowhere"}).status
        counted = samples(server)

    assert (asked, unknown) == ([200, 429, 429], 401)
    labels = (("endpoint", "churn"), ("status", "429"), ("version", "churn@1"))
    assert counted["aias_requests_total", labels] == 2
    assert counted["aias_refusals_total", (labels[0], ("reason", "serving.quota-spent"), labels[2])] == 2
