"""The published suite of the Open Inference Protocol: our server passes it, and whoever is wrong does not."""

import io
import json
import socket
import threading
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from dataclasses import replace
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path

import pytest

from aias.testing.inference_v2.__main__ import checks, main
from live_server import BOUNDS, PATIENCE, Joined, LiveServer, Shelf, Since, eventually, live_server
from tiny_inference import tiny


def report(url: str, *more: str) -> tuple[int, dict[str, str]]:
    """The status that the command ends with, and the result of each check."""
    out = io.StringIO()
    status = main([url, "--json", *more], out=out)
    return status, {each["check"]: each["result"] for each in json.loads(out.getvalue())["outcomes"]}


def test_our_server_does_all_that_the_suite_asks(server: LiveServer) -> None:
    grpc = () if server.gateway.grpc_port is None else ("--grpc", server.grpc)

    status, results = report(server.address, "--header", "Authorization: Bearer all-key", *grpc)

    assert status == 0
    assert not {"fail", "note"} & set(results.values()), results
    if not grpc:
        pytest.skip("the calls over gRPC need the extra `grpc`")
    assert [name for name, result in results.items() if result == "skip"] == [
        "data may be nested or flat",
        "a body of nothing but the input is answered in bytes",
    ]


def test_statistics_may_be_of_a_version_below_another_and_of_answers_from_a_cache() -> None:
    shelf, sentence = Shelf(), "an answered request is counted"
    shelf.deploy("churn", 7, Joined())
    cached = replace(BOUNDS, cache_bytes=1_000_000, cache_runs_min=1e-9, inline_row_seconds=1e-12)
    with live_server(shelf, bounds=cached) as running:
        assert running.call("POST", "/predict/churn", [{"age": 50}]).headers["x-cache"] == "miss"
        shelf.deploy("churn", 3, Joined())
        eventually(lambda: running.call("GET", "/v2/models/churn").json["versions"] == ["3"])

        asked = (running.address, "--header", "Authorization: Bearer all-key", "--only", sentence)
        results = [report(*asked) for _ in range(2)]

    assert results == [(0, {sentence: "ok"})] * 2


def test_a_server_that_is_wrong_over_grpc_is_found_out(server: LiveServer) -> None:
    """It answers for another model than its HTTP does."""
    if server.gateway.grpc_port is None:
        pytest.skip("needs the extra `grpc`")
    key = ("--header", "Authorization: Bearer all-key")
    with tiny() as url:
        status, results = report(url, "--model", "twice", "--grpc", server.grpc, *key, "--only", "grpc")

    assert status == 1
    assert results["the server is live and ready over grpc"] == "ok"
    assert results["metadata is the same as over http"] == results["raw contents are answered as over http"] == "fail"


def test_a_model_of_one_input_is_asked_with_an_example(server: LiveServer, tmp_path: Path) -> None:
    example = {"inputs": [{"name": "note", "datatype": "BYTES", "shape": [1], "data": ["21"]}]}
    (tmp_path / "example.json").write_text(json.dumps(example))
    key, model = ("--header", "Authorization: Bearer all-key"), ("--model", "price")

    status, results = report(
        server.address, *key, *model, "--request", str(tmp_path / "example.json"), "--only", "binary"
    )

    assert results["a body of nothing but the input is answered in bytes"] == "ok"
    # The stand-in of this test takes texts that are numbers only, and falls over others.
    assert status == 1
    assert results["texts with nothing in them are read or refused"] == "fail"


def test_a_model_that_answers_nothing_just_now_is_not_said_to_need_an_example(
    capsys: pytest.CaptureFixture[str],
) -> None:
    with tiny("503 for all") as url:
        assert main([url, "--model", "twice"]) == 2

    assert "`twice` answers nothing just now (503 " in capsys.readouterr().err


@pytest.fixture(scope="module")
def since() -> Iterator[LiveServer]:
    """A model that takes a time."""
    shelf = Shelf()
    shelf.deploy("since", 1, Since(), model="since")
    with live_server(shelf) as running:
        yield running


def test_a_model_that_does_not_answer_what_is_made_up_ends_the_suite_before_any_check(
    since: LiveServer, capsys: pytest.CaptureFixture[str]
) -> None:
    out, asked = io.StringIO(), (since.address, "--header", "Authorization: Bearer all-key")

    assert main(asked, out=out) == 3
    assert out.getvalue() == ""
    said = capsys.readouterr().err
    assert "no check was made: `since` does not answer a request that was made up: 400, " in said
    assert "field `at`" in said
    assert "--request" in said
    # What describes a server and its models needs no request.
    assert main((*asked, "--only", "health"), out=out) == 0


def test_an_example_that_the_model_does_not_answer_ends_the_suite_before_any_check(
    since: LiveServer, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    out, example = io.StringIO(), tmp_path / "example.json"
    asked = (since.address, "--header", "Authorization: Bearer all-key", "--request", str(example))
    tensor = {"name": "at", "datatype": "BYTES", "shape": [1], "data": ["soon"]}

    example.write_text(json.dumps({"inputs": [tensor]}))
    assert main(asked, out=out) == 3
    assert "`since` does not answer the request that --request gives: 400, " in capsys.readouterr().err
    assert out.getvalue() == ""
    example.write_text(json.dumps({"inputs": [tensor | {"data": ["2026-11-30"]}]}))
    assert main((*asked, "--only", "in json"), out=out) == 0


def test_another_server_passes_that_is_right() -> None:
    with tiny() as url:
        status, results = report(url, "--model", "twice")

    assert status == 0
    assert "fail" not in results.values(), results
    assert results["data may be nested or flat"] == "ok"
    # It says 400, which is open in the specification.
    assert [name for name, result in results.items() if result == "note"] == ["another packing is refused"]


@pytest.mark.parametrize("header", ["Authorization Bearer all-key", ": all-key", "Author ization: x", "X-A: a\nb: c"])
def test_a_header_that_is_none_ends_the_suite_at_once(header: str, capsys: pytest.CaptureFixture[str]) -> None:
    with pytest.raises(SystemExit) as ended:
        main(["localhost:1", "--header", header])

    assert ended.value.code == 2
    assert "header" in capsys.readouterr().err


@pytest.mark.parametrize("model", [(), ("--model", "churn")])
def test_a_wrong_key_ends_the_suite_at_once(
    server: LiveServer, model: tuple[str, ...], capsys: pytest.CaptureFixture[str]
) -> None:
    out = io.StringIO()

    assert main([server.address, *model, "--header", "Authorization: Bearer wrong"], out=out) == 2
    assert out.getvalue() == ""
    assert "it refuses the key" in capsys.readouterr().err


def test_a_model_that_is_not_there_ends_the_suite_at_once(
    server: LiveServer, capsys: pytest.CaptureFixture[str]
) -> None:
    key = ("--header", "Authorization: Bearer all-key")

    assert main([server.address, *key, "--model", "nope"]) == 2
    assert "there is no model `nope`" in capsys.readouterr().err


def test_a_wrong_key_for_grpc_ends_the_suite_at_once(server: LiveServer, capsys: pytest.CaptureFixture[str]) -> None:
    if server.gateway.grpc_port is None:
        pytest.skip("needs the extra `grpc`")
    with tiny() as url:  # which asks for no key, but the other address does
        status = main([url, "--model", "twice", "--grpc", server.grpc, "--header", "Authorization: Bearer wrong"])

    assert status == 2
    assert "over gRPC it refuses the key" in capsys.readouterr().err


@pytest.mark.parametrize(
    ("mistake", "sentence"),
    [
        ("dead", "a live server says 200 and either nothing or live"),
        ("health in words", "a ready server says 200 and either nothing or ready"),
        ("never ready", "a ready model says 200 and either nothing or ready"),
        ("any version will do", "an unknown version is refused with an error"),
        ("another envelope", "a body that is no request is refused"),
        ("500 for bad input", "a body that is no request is refused"),
        ("the id is lost", "the id comes back"),
        ("outputs are not chosen", "only the outputs that are named come"),
        ("rows are mixed", "every row is answered by itself"),
        ("the request has the last word", "what an output says goes before what the request says"),
        ("sizes are off by one", "the answer comes in bytes when the request says so"),
        ("the length is not told", "the answer comes in bytes when the request says so"),
        ("500 for scalars", "a scalar is read or refused"),
        ("500 for scalars", "a scalar in bytes is read or refused"),
        ("500 for scalars", "a scalar of no values or two is refused"),
        ("500 for scalars", "a scalar of no bytes or twice as many is refused"),
        ("NaN in JSON", "json stays json whatever the numbers are"),
        ("shapes are believed", "data that do not fit their shape are refused"),
        ("bytes are left lying", "bytes that nobody announced are refused"),
    ],
)
def test_a_server_that_is_wrong_in_one_way_is_found_out(mistake: str, sentence: str) -> None:
    with tiny(mistake) as url:
        status, results = report(url, "--model", "twice", "--only", sentence)

    assert (status, results) == (1, {sentence: "fail"})


def test_what_the_specification_leaves_open_is_noted_and_no_failure() -> None:
    sentence = "a packed request is answered"

    with tiny("packing ignored") as url:
        assert report(url, "--model", "twice", "--only", sentence) == (0, {sentence: "note"})


def test_an_extension_that_is_not_claimed_can_be_asked_for_all_the_same() -> None:
    sentence = "an answered request is counted"

    with tiny() as url:
        assert report(url, "--model", "twice", "--only", sentence) == (0, {sentence: "skip"})
        also = ("--also", "statistics")
        assert report(url, "--model", "twice", "--only", sentence, *also) == (1, {sentence: "fail"})


def test_a_server_that_cannot_be_asked_is_told_apart_from_one_that_is_wrong(capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["http://127.0.0.1:9", "--timeout", "1"]) == 2
    assert "cannot be asked" in capsys.readouterr().err


@contextmanager
def parrot(body: bytes) -> Iterator[str]:
    """A server that says the same to everybody."""

    class Handler(BaseHTTPRequestHandler):
        def do_GET(self) -> None:
            self.rfile.read(int(self.headers.get("content-length") or 0))
            self.send_response(200)
            self.send_header("content-length", str(len(body)))
            self.end_headers()
            self.wfile.write(body)

        do_POST = do_GET

        def log_message(self, *_: object) -> None:
            pass

    with ThreadingHTTPServer(("127.0.0.1", 0), Handler) as server:
        threading.Thread(target=server.serve_forever, daemon=True).start()
        try:
            yield f"http://127.0.0.1:{server.server_port}"
        finally:
            server.shutdown()


@pytest.mark.parametrize(
    "body", [b"null", b"5", b'["a"]', b'[{"x": 1}]', b'{"models": []}', b"<html>", b"[NaN]", b"[" * 200_000]
)
def test_an_index_in_another_form_names_no_model_and_ends_nothing_in_a_crash(
    body: bytes, capsys: pytest.CaptureFixture[str]
) -> None:
    with parrot(body) as url:
        assert main([url]) == 2
        assert "the server cannot be asked: " in capsys.readouterr().err
        status, results = report(url, "--model", "twice", "--only", "metadata")

    assert status == 1
    assert "fail" in results.values()


@pytest.mark.parametrize("head", [b"HTTP/1.1 200 OK\r\n", b"HTTP/1.1 200 OK\r\nContent-Length: 99\r\n\r\n"])
def test_an_answer_that_never_ends_is_waited_for_as_long_as_was_said(
    head: bytes, capsys: pytest.CaptureFixture[str]
) -> None:
    over = threading.Event()

    def trickle(listener: socket.socket) -> None:
        client, _ = listener.accept()
        with client, suppress(OSError):
            client.sendall(head)
            while not over.wait(0.01):
                client.sendall(b"x")

    with socket.create_server(("127.0.0.1", 0)) as listener:
        talker = threading.Thread(target=trickle, args=(listener,), daemon=True)
        talker.start()
        status = main([f"http://127.0.0.1:{listener.getsockname()[1]}", "--model", "m", "--timeout", "0.2"])
        over.set()
        talker.join(PATIENCE)

    assert status == 2
    assert "no whole answer to GET /v2/models/m within 0.2 s" in capsys.readouterr().err


def test_words_that_no_check_has_and_times_that_are_none_are_told(
    server: LiveServer, capsys: pytest.CaptureFixture[str]
) -> None:
    asked = (server.address, "--header", "Authorization: Bearer all-key")

    assert main([*asked, "--only", "healht"]) == 2
    assert "no check has the words 'healht'" in capsys.readouterr().err
    for seconds in ("0", "-1", "nan", "inf", "soon"):
        with pytest.raises(SystemExit):
            main([*asked, "--timeout", seconds])


@pytest.mark.parametrize(
    "url", ["", "ftp://localhost", "http://", "http://[::1", "http://localhost:99999", "http://a:b@c"]
)
def test_what_is_no_address_is_told(url: str, capsys: pytest.CaptureFixture[str]) -> None:
    assert main([url]) == 2
    assert "the server cannot be asked: " in capsys.readouterr().err


@pytest.mark.parametrize(
    "example",
    [
        "[]", '{"inputs": 5}', '{"inputs": [{"name": "note"}]}', "no JSON", "[" * 200_000, None,
        '{"inputs": [{"name": "note", "datatype": "FP32", "shape": [2], "data": [1]}]}',
        '{"inputs": [{"name": "note", "datatype": "FP128", "shape": [1], "data": [1]}]}',
        '{"inputs": [{"name": "note", "datatype": "INT8", "shape": [1], "data": [1000]}]}',
        '{"inputs": [{"name": "note", "datatype": "BYTES", "shape": 1, "data": ["a"]}]}',
    ],
)  # fmt: skip
def test_an_example_that_is_no_request_is_told(
    server: LiveServer, example: str | None, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    key, path = ("--header", "Authorization: Bearer all-key"), tmp_path / "example.json"
    if example is not None:
        path.write_text(example)

    assert main([server.address, *key, "--model", "price", "--request", str(path)]) == 3
    assert "no check was made: " in capsys.readouterr().err


def test_every_check_is_a_sentence_of_its_own() -> None:
    sentences = [check.sentence for check in checks()]

    assert len(set(sentences)) == len(sentences) > 60


def test_people_read_a_line_for_each_check_and_a_sum(server: LiveServer) -> None:
    out = io.StringIO()

    main([server.address, "--header", "Authorization: Bearer all-key", "--only", "health"], out=out)

    assert "ok    health: an unknown model is not ready\n" in out.getvalue()
    assert out.getvalue().endswith("\n6 ok\n")
