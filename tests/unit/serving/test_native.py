import gzip
import io
import json
import threading
import zlib
from collections.abc import Iterator
from dataclasses import replace

import polars as pl
import pytest

from live_server import BOUNDS, Doubler, LiveServer, Rule, Shelf, live_server

ROWS = [{"age": 50, "plan": "pro"}, {"age": 20, "plan": None}]
ANSWERS = [
    {"prediction": "yes", "probabilities": {"no": 0.25, "yes": 0.75}},
    {"prediction": "no", "probabilities": {"no": 0.75, "yes": 0.25}},
]

LINES = ["application/json", "application/jsonlines", "application/x-ndjson", "application/jsonl"]


@pytest.fixture(scope="module")
def server() -> Iterator[LiveServer]:
    shelf = Shelf()
    shelf.deploy("churn", 1, Rule())
    shelf.deploy("price", 4, Doubler(), model="price")
    with live_server(shelf) as running:
        yield running


def test_rows_in_answers_out(server: LiveServer) -> None:
    response = server.call("POST", "/predict/churn", ROWS)

    assert response.status == 200
    assert response.json == ANSWERS
    assert response.headers["x-aias-version"] == "churn@1"
    assert response.headers["content-type"] == "application/json"
    assert response.headers["x-content-type-options"] == "nosniff"
    assert "server" not in response.headers


def test_one_object_gets_one_answer(server: LiveServer) -> None:
    assert server.call("POST", "/predict/churn", ROWS[0]).json == ANSWERS[0]


def test_no_rows_get_no_answers(server: LiveServer) -> None:
    assert server.call("POST", "/predict/churn", []).json == []


def test_a_number_is_answered_with_a_number(server: LiveServer) -> None:
    response = server.call("POST", "/predict/price", [{"note": "21.25"}])

    assert response.json == [{"prediction": 42.5}]
    assert response.headers["x-aias-version"] == "price@4"


def test_a_number_that_json_cannot_write_is_null(server: LiveServer) -> None:
    assert server.call("POST", "/predict/price", [{"note": "nan"}, {"note": "inf"}]).json == [
        {"prediction": None},
        {"prediction": None},
    ]


def test_the_curl_line_of_the_readme_needs_no_content_type(server: LiveServer) -> None:
    curl = {"Content-Type": "application/x-www-form-urlencoded"}

    assert server.call("POST", "/predict/churn", json.dumps(ROWS), headers=curl).json == ANSWERS


def test_what_is_wrong_with_json_is_said_in_our_words(server: LiveServer) -> None:
    broken = server.call("POST", "/predict/churn", b'[{"age": 50,}]').json["error"]
    nested = server.call("POST", "/predict/churn", b'[{"age": [50]}]').json["error"]

    assert broken["message"] == "the JSON breaks at byte 12: a comma stands before the end of the object"  # type: ignore[index]
    assert nested["message"].startswith("row 0, field `age`: it must be")  # type: ignore[index]
    assert nested["message"].endswith("a list came")  # type: ignore[index]


@pytest.mark.parametrize("form", ["stream", "file"])
def test_arrow_is_read_and_written(server: LiveServer, form: str) -> None:
    pl = pytest.importorskip("polars")
    body = io.BytesIO()
    table = pl.DataFrame(ROWS)
    table.write_ipc_stream(body) if form == "stream" else table.write_ipc(body)

    response = server.call(
        "POST",
        "/predict/churn",
        body.getvalue(),
        headers={"Content-Type": f"application/vnd.apache.arrow.{form}"},
    )

    read = pl.read_ipc_stream if form == "stream" else pl.read_ipc
    assert response.status == 200
    assert read(response.body).to_dict(as_series=False) == {
        "prediction": ["yes", "no"],
        "probability_no": [0.25, 0.75],
        "probability_yes": [0.75, 0.25],
    }


def test_a_bad_value_names_its_row_and_field(server: LiveServer) -> None:
    response = server.call("POST", "/predict/churn", [{"age": 1}, {"age": "old"}], headers={"X-Request-Id": "mine-7"})

    assert response.status == 422
    assert response.json == {
        "error": {
            "code": "data.bad-value",
            "message": "row 1, field `age`: 'old' is no number",
            "row": 1,
            "field": "age",
            "request_id": "mine-7",
        }
    }
    assert response.headers["x-request-id"] == "mine-7"


@pytest.mark.parametrize(
    ("rows", "row", "field"),
    [
        ([{"age": 1}, {"age": [1]}], 1, "age"),
        ([{"age": 1, "plan": {"a": []}}], 0, "plan"),
        ([{"age": 1, "plan": {"a": {}}}], 0, "plan.a"),
        ([{"shoe": 1}], 0, "shoe"),
    ],
)
def test_what_is_no_plain_value_or_no_field_is_named_too(
    server: LiveServer, rows: list[object], row: int, field: str
) -> None:
    response = server.call("POST", "/predict/churn", rows)

    assert response.status == 422
    problem = response.json["error"]  # type: ignore[index]
    assert (problem["row"], problem["field"]) == (row, field)


@pytest.mark.parametrize("large", [False, True])
def test_a_bad_row_is_named_however_large_the_body(server: LiveServer, *, large: bool) -> None:
    rows = [{"age": 1, "plan": "x" * 50}] * (2_000 if large else 2) + [{"age": []}]

    problem = server.call("POST", "/predict/churn", rows).json["error"]  # type: ignore[index]

    assert (problem["row"], problem["field"]) == (len(rows) - 1, "age")


@pytest.mark.parametrize(
    "body",
    ["", "[", "[1]", "3", "null", '[{"age": NaN}]', '[{"age": 1}] x', '{"age": 1', '[{"age": "\\ud800"}]'],
)
def test_what_is_no_json_of_rows_is_refused_with_a_hint(server: LiveServer, body: str) -> None:
    response = server.call("POST", "/predict/churn", body, headers={"Content-Type": "application/json"})

    assert response.status in (400, 422)
    assert "hint" in response.json["error"]  # type: ignore[index, operator]


def test_more_rows_than_allowed_are_refused() -> None:

    with live_server(bounds=replace(BOUNDS, body_rows=3)) as server:
        assert server.call("POST", "/predict/churn", [{}] * 3).status == 200
        assert server.call("POST", "/predict/churn", [{}] * 4).status == 413
        csv = {"Content-Type": "text/csv"}
        assert server.call("POST", "/predict/churn", "age\n1\n2\n3\n", headers=csv).status == 200
        assert server.call("POST", "/predict/churn", "age\n1\n2\n3\n4\n", headers=csv).status == 413


@pytest.mark.parametrize("packing", ["gzip", "GZIP", "x-gzip"])
def test_packed_bodies_are_unpacked(server: LiveServer, packing: str) -> None:
    body = gzip.compress(json.dumps(ROWS).encode())
    headers = {"Content-Type": "application/json", "Content-Encoding": packing}

    assert server.call("POST", "/predict/churn", body, headers=headers).json == ANSWERS


def test_an_empty_body_is_called_empty(server: LiveServer) -> None:
    response = server.call("POST", "/predict/churn", "", headers={"Content-Type": "application/x-www-form-urlencoded"})

    assert response.status == 400
    assert response.json["error"]["message"] == "the body is empty"


@pytest.mark.parametrize(
    ("accept", "answered"),
    [
        ("", "application/json"), ("text/*", "text/csv"), ("application/*", "application/json"),
        ("application/json;q=0, */*", "application/jsonlines"), ("text/html, text/*;q=0.5", "text/csv"),
        ("image/png, */*;q=0.1", "application/json"),
    ],
)  # fmt: skip
def test_a_range_of_types_is_answered_with_one_of_them(server: LiveServer, accept: str, answered: str) -> None:
    response = server.call("POST", "/predict/churn", '[{"age": 50}]', headers={"Accept": accept})

    assert (response.status, response.headers["content-type"]) == (200, answered)


@pytest.mark.parametrize(
    ("accept", "large", "small"),
    [
        ("gzip, deflate", "gzip", None), ("gzip;q=1.0", "gzip", None), ("br, GZIP; q=0.8", "gzip", None),
        ("x-gzip", "gzip", None), ("*", "gzip", None), ("br, *;q=0.1", "gzip", None), ("", None, None),
        ("gzip;q=0", None, None), ("gzip;q=0, *", None, None), ("*;q=0", None, None), ("deflate, br", "deflate", None),
        ("deflate, gzip;q=0.9", "deflate", None), ("deflate, identity;q=0", "deflate", "deflate"), ("br", None, None),
        ("gzip;q=0.5, identity", None, None), ("gzip;q=0.5, *;q=1", None, None), ("gzip, identity;q=0.5", "gzip", None),
        ("gzip, identity;q=0", "gzip", "gzip"), ("gzip;q=0.1, *;q=0", "gzip", "gzip"), ("identity;q=0", None, None),
    ],
)  # fmt: skip
def test_an_answer_is_packed_for_who_wants_that(
    server: LiveServer, accept: str, large: str | None, small: str | None
) -> None:
    for rows, packed in ((1_000, large), (1, small)):
        for _ in range(2):
            response = server.call("POST", "/predict/churn", ROWS * rows, headers={"Accept-Encoding": accept})

            assert response.headers.get("content-encoding") == packed
            body = {"gzip": gzip.decompress, "deflate": zlib.decompress, None: bytes}[packed](response.body)
            assert json.loads(body) == ANSWERS * rows


@pytest.mark.parametrize("accept", ["gzip", "br"])
def test_also_an_answer_that_is_long_for_its_body_is_packed_and_large_ones_say_that_others_may_be(
    server: LiveServer, accept: str
) -> None:
    short = "[" + ",".join(['{"age":50}'] * 350) + "]"
    for body, varies in ((short, "accept-encoding"), (ROWS * 1_000, "accept-encoding"), (ROWS, None)):
        for _ in range(2):
            response = server.call(
                "POST", "/predict/churn", body, headers={"Accept-Encoding": accept, "Content-Type": "application/json"}
            )

            assert response.headers.get("vary") == varies
            assert response.headers.get("content-encoding") == (accept if varies and accept == "gzip" else None)
            told = gzip.decompress(response.body) if response.body[:1] == b"\x1f" else response.body
            assert len(json.loads(told)) == (350 if body is short else len(body))


def test_who_takes_nothing_that_is_not_packed_is_refused_so_too(server: LiveServer) -> None:
    for method, path in (("POST", "/predict/churn"), ("GET", "/predict/churn"), ("GET", "/nowhere")):
        response = server.call(method, path, headers={"Accept-Encoding": "gzip, identity;q=0"})

        assert response.headers["content-encoding"] == "gzip"
        assert isinstance(json.loads(gzip.decompress(response.body)), dict)
    assert server.call("HEAD", "/predict/churn", headers={"Accept-Encoding": "gzip, identity;q=0"}).body == b""


def test_get_tells_what_to_send(server: LiveServer) -> None:
    response = server.call("GET", "/predict/churn")

    described = response.json
    assert isinstance(described, dict)
    assert described["version"] == "churn@1"
    assert [(each["name"], each["kind"], each["example"]) for each in described["inputs"]] == [
        ("age", "number", 41),
        ("plan", "category", "pro"),
    ]
    assert server.call("POST", "/predict/churn", described["example"]).status == 200
    assert f"http://{server.address}/predict/churn" in described["curl"]


def test_head_is_get_without_the_body(server: LiveServer) -> None:
    response = server.call("HEAD", "/predict/churn")

    assert (response.status, response.body) == (200, b"")
    assert int(response.headers["content-length"]) == len(server.call("GET", "/predict/churn").body)


@pytest.mark.parametrize("media_type", ["application/xml", "multipart/form-data", "application/octet-stream"])
def test_other_types_are_refused(server: LiveServer, media_type: str) -> None:
    assert server.call("POST", "/predict/churn", "[]", headers={"Content-Type": media_type}).status == 415


def test_an_answer_that_nobody_can_write_is_refused(server: LiveServer) -> None:
    assert server.call("POST", "/predict/churn", ROWS, headers={"Accept": "image/png"}).status == 406


def test_a_request_gets_an_id_when_it_brings_none_that_is_safe_to_echo(server: LiveServer) -> None:
    ids = {
        server.call("GET", "/health/live", headers={"X-Request-Id": given}).headers["x-request-id"]
        for given in ("", "a b", "x" * 200)
    }

    assert len(ids) == 3
    assert not ids & {"", "a b", "x" * 200}


def file_of(kind: str) -> bytes:
    table, buffer = pl.DataFrame({"age": [50, 20], "plan": ["pro", None]}), io.BytesIO()
    {"parquet": table.write_parquet, "arrow": table.write_ipc}[kind](buffer)
    return buffer.getvalue()


@pytest.mark.parametrize(
    ("media_type", "kind"),
    [
        ("application/vnd.apache.parquet", "parquet"),
        ("application/octet-stream", "parquet"),
        ("application/octet-stream", "arrow"),
    ],
)
def test_a_file_is_a_body(server: LiveServer, media_type: str, kind: str) -> None:
    asked = {"Content-Type": media_type, "Accept": "application/json"}

    assert server.call("POST", "/predict/churn", file_of(kind), headers=asked).json == ANSWERS
    table = server.call("POST", "/predict/churn", file_of(kind), headers={"Content-Type": media_type})
    assert table.headers["content-type"] == "application/vnd.apache.arrow.file"
    assert pl.read_ipc(table.body)["prediction"].to_list() == ["yes", "no"]


@pytest.mark.parametrize(
    ("headers", "kind"),
    [
        ({"Content-Type": "Application/vnd.apache.Parquet", "Accept": "application/json"}, "parquet"),
        ({"Content-Type": "Application/Octet-Stream", "Accept": "application/json"}, "arrow"),
        ({"Content-Type": "application/json", "Accept": "application/VND.apache.arrow.file"}, ""),
        ({"Accept": "application/*, " + ", ".join(f"{each};q=0" for each in LINES)}, ""),
    ],
)
def test_however_a_table_is_called_the_event_loop_does_not_wait_for_its_reader(
    server: LiveServer, monkeypatch: pytest.MonkeyPatch, headers: dict[str, str], kind: str
) -> None:
    arrow, threads = server.gateway.arrow, list[threading.Thread]()
    ask = arrow._ask

    def asked(question: tuple[object, ...]) -> object:
        threads.append(threading.current_thread())
        return ask(question)

    monkeypatch.setattr(arrow, "_ask", asked)
    body = file_of(kind) if kind else json.dumps(ROWS)

    assert server.call("POST", "/predict/churn", body, headers=headers).status == 200
    assert threads
    assert server.thread not in threads


@pytest.mark.parametrize("kind", ["parquet", "arrow"])
def test_a_damaged_file_is_refused(server: LiveServer, kind: str) -> None:
    whole = file_of(kind)
    for body in (whole[:6], whole[:-9]):
        response = server.call("POST", "/predict/churn", body, headers={"Content-Type": "application/octet-stream"})
        assert response.status == 400, response.body
    assert server.call("POST", "/predict/churn", ROWS).json == ANSWERS


def test_rows_one_a_line_that_are_called_json_are_told_what_they_are(server: LiveServer) -> None:
    headers = {"Content-Type": "application/json"}
    told = server.call("POST", "/predict/churn", b'{"age": 50}\n{"age": 20}\n', headers=headers)

    assert told.status == 400
    assert "one row a line is `Content-Type: application/jsonl`" in told.body.decode()


@pytest.mark.parametrize(
    ("path", "where"),
    [
        ("/v2/models/churn/infr", "/v2/models/<endpoint>/infer"), ("/v1/chat/completions", "/v1/embeddings"),
        ("/predict", "/predict/<endpoint>"), ("/", "/predict/<endpoint>"), ("/vv", "/predict/<endpoint>"),
    ],
)  # fmt: skip
def test_who_asks_where_nothing_is_is_told_where_predictions_are_in_the_same_dialect(
    server: LiveServer, path: str, where: str
) -> None:
    told = server.call("POST", path, ROWS)

    assert told.status == 404
    assert f"predictions are at {where}" in told.body.decode()


@pytest.mark.parametrize(
    ("path", "meant"), [("/embeddings", "/v1/embeddings"), ("/models/churn/infer", "/v2/models/<endpoint>/infer")]
)
def test_who_leaves_out_the_version_of_a_protocol_is_told_so(server: LiveServer, path: str, meant: str) -> None:
    told = server.call("POST", path, ROWS)

    assert told.status == 404
    fault = told.json["error"]  # type: ignore[index]
    assert fault["message"] == f"there is nothing at this path; did you mean {meant}?"
    assert fault["hint"] == f"if a client adds the path, end its base URL in {meant[:3]}"


@pytest.mark.parametrize("name", ["application/jsonlines", "application/x-ndjson", "application/jsonl"])
def test_json_lines_are_answered_line_by_line(server: LiveServer, name: str) -> None:
    body = "".join(f"{json.dumps(row)}\n" for row in ROWS)
    response = server.call("POST", "/predict/churn", body, headers={"Content-Type": name})

    assert (response.headers["content-type"], response.body.count(b"\n")) == (name, 2)
    assert [json.loads(line) for line in response.body.splitlines()] == ANSWERS
    packed = {"Content-Type": name, "Content-Encoding": "gzip"}
    assert server.call("POST", "/predict/churn", gzip.compress(body.encode()), headers=packed).body == response.body
    assert server.call("POST", "/predict/churn", ROWS, headers={"Accept": name}).body == response.body
    wrong = server.call("POST", "/predict/churn", '{"age": 1}\n{"age": "old"}\n', headers={"Content-Type": name})
    assert (wrong.status, wrong.json["error"]["row"]) == (422, 1)  # type: ignore[index,call-overload]
    for body in ("1\n", "[]\n", '{"age": 1}, {"age": 2}\n', "{\n}\n"):
        assert server.call("POST", "/predict/churn", body, headers={"Content-Type": name}).status == 400
    assert server.call("POST", "/predict/churn", "\n" * 100_000, headers={"Content-Type": name}).status == 413
