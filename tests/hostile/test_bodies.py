"""Bodies that lie or overflow. After each, the server still answers."""

import gzip
import io
import json
import os
import random
import signal
import zlib
from concurrent.futures import Future, ThreadPoolExecutor
from contextlib import ExitStack
from dataclasses import replace

import pytest

from aias.core.limits import COLUMNS_MAX
from aias.serving.formats.arrow import ArrowProcess
from aias.serving.formats.json_rows import SLACK, read_lines, read_row, read_rows
from aias.serving.formats.json_values import TOKENS
from aias.serving.refusals import BadBody
from live_server import BOUNDS, PATIENCE, Joined, LiveServer, Response, Rule, Shelf, eventually, live_server
from raw_requests import BODY, closing, status

JSON = {"Content-Type": "application/json"}


# Sizes


def test_a_body_that_says_it_is_too_large_is_refused_unread(server: LiveServer) -> None:
    assert status(server.raw(closing(length=100_001))) == 413


def test_a_body_that_turns_out_too_large_is_refused_while_it_comes(server: LiveServer) -> None:
    piece = b"2710\r\n" + b" " * 10_000 + b"\r\n"
    answer = server.raw(closing(b"Transfer-Encoding: chunked\r\n", length=None) + piece * 11)

    assert status(answer) == 413


def test_extensions_of_chunks_are_no_way_around_the_bound(server: LiveServer) -> None:
    piece = b"1;" + b"x" * 20_000 + b"\r\n \r\n"
    answer = server.raw(closing(b"Transfer-Encoding: chunked\r\n", length=None) + piece * 11)

    assert status(answer) == 413


def test_a_body_in_chunks_of_a_byte_is_answered(server: LiveServer) -> None:
    padded = b" " * 20_000 + BODY
    pieces = b"".join(b"1\r\n%c\r\n" % each for each in padded) + b"0\r\n\r\n"

    assert status(server.raw(closing(b"Transfer-Encoding: chunked\r\n", length=None) + pieces)) == 200


@pytest.mark.parametrize("more", ["", "Connection: close\r\n"])
@pytest.mark.parametrize("version", ["1.1", "1.0"])
def test_who_is_refused_by_its_head_can_send_the_rest_and_read_why(version: str, more: str) -> None:
    head = f"POST /predict/churn HTTP/{version}\r\nHost: localhost\r\nContent-Length: 90000\r\n{more}\r\n"
    with live_server(bounds=replace(BOUNDS, linger_seconds=PATIENCE)) as server, server.socket() as client:
        client.sendall(head.encode())
        first = client.recv(65_536)
        for _ in range(9):
            client.sendall(b" " * 10_000)

    assert first.startswith(b"HTTP/1.1 401 ")
    assert b"\r\nconnection: close\r\n" in first


def test_who_is_refused_early_can_still_read_why(server: LiveServer) -> None:
    with server.socket() as client:
        client.sendall(closing(length=10_000_000))
        client.sendall(b" " * 300_000)
        assert status(client.recv(65536)) == 413


@pytest.mark.parametrize("packing", ["br", "gzip, gzip"])
def test_who_packs_a_body_otherwise_is_told_how_it_may_be_packed(server: LiveServer, packing: str) -> None:
    response = server.call("POST", "/predict/churn", BODY, headers={"Content-Encoding": packing})

    assert (response.status, response.headers.get("accept-encoding")) == (415, "gzip, deflate")


@pytest.mark.parametrize("packing", ["gzip", "deflate"])
def test_a_bomb_is_refused_before_it_is_unpacked(server: LiveServer, packing: str) -> None:
    bomb = b"[" + b" " * 50_000_000 + b"]"
    packed = gzip.compress(bomb) if packing == "gzip" else zlib.compress(bomb)
    assert len(packed) < 100_000

    assert server.call("POST", "/predict/churn", packed, headers=JSON | {"Content-Encoding": packing}).status == 413


@pytest.mark.parametrize("packed", [b"", b"\x1f\x8b", gzip.compress(BODY, mtime=0)[:-3], b"not packed at all"])
def test_a_body_that_is_not_packed_as_it_says_is_refused(server: LiveServer, packed: bytes) -> None:
    assert server.call("POST", "/predict/churn", packed, headers=JSON | {"Content-Encoding": "gzip"}).status == 400


def test_a_body_packed_in_very_many_pieces_is_refused_before_all_are_undone(server: LiveServer) -> None:
    packing = JSON | {"Content-Encoding": "gzip"}
    halves = gzip.compress(BODY[:5]) + gzip.compress(BODY[5:])
    assert server.call("POST", "/predict/churn", halves, headers=packing).status == 200

    response = server.call("POST", "/predict/churn", gzip.compress(b"") * 1_000, headers=packing)

    assert response.status == 400
    assert b"pieces" in response.body


def test_other_packings_are_refused(server: LiveServer) -> None:
    for packing in ("br", "gzip, gzip", "zstd"):
        response = server.call("POST", "/predict/churn", BODY, headers=JSON | {"Content-Encoding": packing})
        assert response.status == 415


def test_millions_of_empty_rows_are_refused_before_they_are_made(server: LiveServer) -> None:
    assert server.call("POST", "/predict/churn", b"[" + b"{}," * 30_000 + b"{}]", headers=JSON).status == 413


def test_a_row_of_very_many_fields_is_refused_before_it_is_made() -> None:
    wide = b"{" + b",".join(b'"%d":0' % i for i in range(SLACK * COLUMNS_MAX)) + b"}"

    for body in (wide, b"[" + wide + b"]"):
        with pytest.raises(BadBody, match="fields"):
            read_rows(body, rows_max=10) if body[:1] == b"[" else read_row(body)


def test_braces_in_a_text_are_not_counted_as_rows(server: LiveServer) -> None:
    rows = [{"age": 50, "plan": "},{" * 900}]

    assert server.call("POST", "/predict/churn", rows * 10).status == 200


def test_too_many_bodies_at_once_are_told_to_come_again() -> None:
    with live_server(bounds=replace(BOUNDS, bodies_bytes=150_000, body_bytes=100_000)) as server:
        with server.socket() as client:
            client.sendall(closing(length=100_000) + b" " * 99_000)
            asked = {"headers": JSON, "key": "predict-key"}
            eventually(lambda: server.call("POST", "/predict/churn", b" " * 90_000 + BODY, **asked).status == 503)
        eventually(lambda: server.call("POST", "/predict/churn", b" " * 90_000 + BODY, headers=JSON).status == 200)


def test_who_lets_bodies_trickle_leaves_room_for_those_of_others() -> None:
    small = b" " * 30_000 + BODY
    with live_server(bounds=replace(BOUNDS, bodies_bytes=150_000, body_bytes=70_000)) as server, ExitStack() as sockets:
        for _ in range(3):
            slow = sockets.enter_context(server.socket())
            slow.sendall(closing(length=60_000) + b" " * 49_000)
        eventually(lambda: server.call("POST", "/predict/churn", small, headers=JSON).status == 429)
        assert server.call("POST", "/predict/churn", small, headers=JSON, key="predict-key").status == 200


def test_packed_bodies_count_for_what_they_unpack_to_while_they_wait() -> None:
    model, shelf = Joined(), Shelf()
    shelf.deploy("churn", 1, model)
    packed, packing = gzip.compress(b" " * 70_000 + BODY), JSON | {"Content-Encoding": "gzip"}
    bounds = replace(BOUNDS, bodies_bytes=150_000, body_bytes=100_000, inline_row_seconds=1e-12)
    with live_server(shelf, bounds=bounds) as server, ThreadPoolExecutor(3) as pool:

        def ask(key: str) -> Future[Response]:
            return pool.submit(server.call, "POST", "/predict/churn", packed, headers=packing, key=key)

        model.stall.clear()
        try:
            waits = ask("all-key")
            eventually(lambda: server.gateway.executor.batcher.running)
            second = ask("all-key")
            eventually(second.done)
            assert second.result().status == 429
        finally:
            model.stall.set()
        assert waits.result(PATIENCE).status == 200
        assert ask("all-key").result(PATIENCE).status == 200


# JSON


@pytest.mark.parametrize("opening", [b"[", b'{"a":', b'[{"age":', b'[{"age":[', b'[[{"a":['])
def test_json_of_any_depth_kills_nothing(server: LiveServer, opening: bytes) -> None:
    body = opening * (99_000 // len(opening))

    assert server.call("POST", "/predict/churn", body, headers=JSON).status in (400, 422)


@pytest.mark.parametrize("rows", [1, 3, 6_000])
def test_of_a_field_that_stands_twice_the_last_counts_however_many_rows_there_are(rows: int) -> None:
    twice = b'{"age":30,"age":50}'

    assert read_row(twice) == {"age": 50}
    assert read_rows(b"[" + b",".join([twice] * rows) + b"]", rows_max=10_000) == [{"age": 50}] * rows
    assert read_lines(b"\n".join([twice] * rows), rows_max=10_000) == [{"age": 50}] * rows


@pytest.mark.parametrize("value", ["1e999", "9" * 5_000, "-" + "9" * 90_000, "1" + "0" * 400, "0." + "1" * 90_000])
def test_numbers_of_any_length_kill_nothing(server: LiveServer, value: str) -> None:
    assert server.call("POST", "/predict/churn", f'[{{"age": {value}}}]', headers=JSON).status in (200, 400, 422)


LONG = "1" + "0" * 400


@pytest.mark.parametrize(
    ("path", "body"),
    [
        ("/predict/churn", '{"age": %s}'), ("/predict/churn", '[{"age": 50}, {"age": -%s}]'),
        ("/predict/churn", '[{"plan": "' + "9" * 70_000 + '"}, {"age": %s}]'),
        ("/invocations", '{"instances": [[1, "x"], [%s, "x"]]}'),
        ("/invocations", '{"inputs": {"age": [[%s]], "plan": ["x"]}}'),
        ("/invocations", '{"dataframe_split": {"columns": ["age"], "data": [[%s]]}}'),
        ("/invocations", '{"instances": [{"features": [%s, "x"]}]}'),
    ],
)  # fmt: skip
def test_whole_numbers_beyond_float64_are_refused_as_others_are(server: LiveServer, path: str, body: str) -> None:
    whole, other = (server.call("POST", path, body % number, headers=JSON) for number in (LONG, "1e400"))

    assert other.status in (400, 422)
    assert whole.status == other.status
    assert b"holds a number that is too large" in whole.body
    for fine in ("1" + "0" * 308, f"0.{LONG}"):
        assert server.call("POST", path, body.replace("-%s", "%s") % fine, headers=JSON).status == 200


def test_long_numbers_are_looked_for_where_numbers_begin_and_not_at_each_digit() -> None:
    assert TOKENS.search(b"[" + b"1" * 400, 2) is None


@pytest.mark.parametrize("body", [b'[{"age": "\xff"}]', b"\xff\xfe[\x00]\x00", b"\x00", b'[{"age": "\\u0000"}]'])
def test_bytes_that_are_no_text_kill_nothing(server: LiveServer, body: bytes) -> None:
    assert server.call("POST", "/predict/churn", body, headers=JSON).status in (400, 422)


def test_mutated_json_gets_an_answer_of_some_kind(server: LiveServer) -> None:
    chance = random.Random(7)
    good = json.dumps([{"age": 50, "plan": "pro"}, {"age": "3", "plan": None}]).encode()
    for _ in range(300):
        body = bytearray(good)
        for _ in range(chance.randint(1, 4)):
            body[chance.randrange(len(body))] = chance.choice(b'[]{}",:\\0\x00\xff ')
        assert server.call("POST", "/predict/churn", bytes(body), headers=JSON).status in (200, 400, 422)


# Arrow


def test_mutated_arrow_kills_its_reader_at_most(server: LiveServer) -> None:
    pl = pytest.importorskip("polars")
    good = io.BytesIO()
    pl.DataFrame({"age": [1.0, 2.0] * 50, "plan": ["x", None] * 50}).write_ipc_stream(good, compression="zstd")
    headers = {"Content-Type": "application/vnd.apache.arrow.stream", "Accept": "application/json"}
    statuses = set()
    # The lengths of the unpacked columns stand towards the end; 2**62 bytes of them abort Polars 2.1.
    for at in range(430, len(good.getvalue()) - 8, 3):
        body = bytearray(good.getvalue())
        body[at : at + 8] = (1 << 62).to_bytes(8, "little")
        statuses.add(server.call("POST", "/predict/churn", bytes(body), headers=headers).status)

    assert statuses <= {200, 400, 422}
    assert server.call("POST", "/predict/churn", good.getvalue(), headers=headers).status == 200


def test_arrow_with_too_many_rows_or_odd_types_is_refused(server: LiveServer) -> None:
    pl = pytest.importorskip("polars")
    headers = {"Content-Type": "application/vnd.apache.arrow.stream"}
    for table, code, expected in (
        (pl.DataFrame({"age": [1] * 1_001}), "serving.too-many-rows", "more than 1,000 rows"),
        (pl.DataFrame({"age": [[1]]}), "data.bad-value", "'[1]' is no number"),
        (pl.DataFrame({"age": [[0] * 600_000]}), "serving.body-too-large", "column `age` unpacks to more than"),
        (pl.DataFrame({"age": [b"x"]}), "serving.bad-body", "column `age`"),
    ):
        body = io.BytesIO()
        table.write_ipc_stream(body, compression="zstd")
        response = server.call("POST", "/predict/churn", body.getvalue(), headers=headers)
        assert response.json["error"]["code"] == code  # type: ignore[index]
        assert expected in response.json["error"]["message"]  # type: ignore[index]


def test_an_arrow_bomb_is_refused_before_it_is_copied(server: LiveServer) -> None:
    pl = pytest.importorskip("polars")
    body = io.BytesIO()
    pl.DataFrame({"plan": ["a" * 100_000] * 1_000}).write_ipc_stream(body, compression="zstd")
    assert len(body.getvalue()) < 100_000

    headers = {"Content-Type": "application/vnd.apache.arrow.stream"}
    response = server.call("POST", "/predict/churn", body.getvalue(), headers=headers)

    assert response.status == 413
    assert b"unpacks to more than" in response.body


def test_a_reader_that_was_killed_is_started_again() -> None:
    pytest.importorskip("polars")
    arrow = ArrowProcess()
    try:
        for _ in range(2):
            stream = arrow.write({"age": [1, 2]}, as_file=False)
            assert arrow.read(stream, rows_max=2) == {"age": [1, 2]}
            assert arrow._process is not None
            os.kill(arrow._process.pid, signal.SIGKILL)
            arrow._process.wait()
    finally:
        arrow.close()


# Errors


def test_errors_never_name_our_insides() -> None:
    class Broken(Rule):
        broken = False

        def predict(self, rows: object) -> object:  # type: ignore[override]
            if self.broken:
                raise RuntimeError("/secret/place is on fire")
            return super().predict(rows)  # type: ignore[arg-type]

    shelf, runtime = Shelf(), Broken()
    shelf.deploy("churn", 1, runtime)
    with live_server(shelf) as server:
        runtime.broken = True
        for path, body in (
            ("/predict/churn", [{"age": 1}]),
            ("/v2/models/churn/infer", {"inputs": [{"name": "age", "shape": [1], "datatype": "FP64", "data": [1]}]}),
        ):
            response = server.call("POST", path, body)
            assert response.status == 500
            assert b"secret" not in response.body
            assert response.headers["x-request-id"]
