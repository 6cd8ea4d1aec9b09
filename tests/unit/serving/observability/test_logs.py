"""The access log: what a line says, who gets one, and that nobody waits for its reader."""

import json
import os
import threading
from contextlib import suppress
from typing import Any

import pytest

from aias.serving.observability import logs
from aias.serving.observability.logs import ACCESS, AccessLog, Facts
from live_server import Joined, Shelf, eventually, live_server


def facts(rows: int = 0) -> Facts:
    return 0.0, "a-1", "", "", "GET", "/", "", "", 200, "", rows, 0, 0, 0.0005, None, None


def read(descriptor: int) -> list[dict[str, Any]]:
    with os.fdopen(descriptor) as lines:
        return [json.loads(each) for each in lines]


def logged(calls: Any, *, shelf: Shelf | None = None) -> list[dict[str, Any]]:
    """What the log says of some calls to a server."""
    out, into = os.pipe()
    ACCESS.start(into)
    try:
        with live_server(shelf) as server:
            calls(server)
    finally:
        ACCESS.stop()
        os.close(into)
    return read(out)


def test_a_line_says_who_asked_what_and_how_long_each_part_took() -> None:
    def calls(server: Any) -> None:
        body = [{"age": 50}, {"age": 20}]
        answer = server.call("POST", "/predict/churn", body, key="predict-key", headers={"X-Request-Id": "mine"})
        told.append((len(json.dumps(body)), len(answer.body)))
        server.call("POST", "/predict/churn", [{"age": "x"}])
        server.call("POST", "/predict/churn", [], key=None)
        server.call("GET", "/none")
        server.call("GET", "/metrics", key="predict-key")

    told: list[tuple[int, int]] = []
    good, bad, shut, lost, short = logged(calls)

    assert (good["request"], good["key"], good["endpoint"], good["version"]) == ("mine", "test", "churn", "churn@1")
    assert (good["method"], good["path"], good["status"], good["rows"]) == ("POST", "/predict/churn", 200, 2)
    assert (good["bytes_in"], good["bytes_out"]) == told[0]
    assert 0 <= good["decode_ms"] + good["run_ms"] + good["encode_ms"] <= good["ms"] + 0.002
    assert "queue_ms" not in good
    assert "code" not in good
    assert (bad["status"], bad["code"], bad["endpoint"]) == (422, "data.bad-value", "churn")
    assert (shut["status"], shut["code"]) == (401, "serving.no-key")
    assert "key" not in shut
    assert (lost["status"], lost["code"]) == (404, "serving.unknown-path")
    assert (short["status"], short["code"], short["key"]) == (403, "serving.missing-scope", "test")
    assert "predict-key" not in json.dumps([good, bad, shut, lost, short])


def test_a_line_is_as_it_was_written_down() -> None:
    log = AccessLog()
    out, into = os.pipe()
    log.start(into)
    log.add((
        1_766_000_000.0009, "a-1", "t", "shop", "POST", "/" + 300 * "x", "churn", "churn@1", 200, "", 2, 3, 4,
        0.0012346, (0.0001, 0.0005, 0.0002), 0.0004,
    ))  # fmt: skip
    log.stop()
    os.close(into)

    assert read(out) == [{
        "at": "2025-12-17T19:33:20.000+00:00", "request": "a-1", "trace": "t", "key": "shop", "method": "POST",
        "path": "/" + 199 * "x", "endpoint": "churn", "version": "churn@1", "status": 200, "rows": 2, "bytes_in": 3,
        "bytes_out": 4, "ms": 1.235, "decode_ms": 0.1, "queue_ms": 0.4, "run_ms": 0.1, "encode_ms": 0.2,
    }]  # fmt: skip


def test_who_waited_for_a_thread_is_told_how_long() -> None:
    shelf = Shelf()
    joined = Joined()
    shelf.deploy("churn", 1, joined)

    table = {"Content-Type": "text/csv"}
    (found,) = logged(lambda server: server.call("POST", "/predict/churn", "age\n50\n", headers=table), shelf=shelf)

    assert found["queue_ms"] >= 0
    assert found["run_ms"] >= 0


def test_a_share_of_the_requests_is_logged_when_that_is_asked() -> None:
    log = AccessLog()
    out, into = os.pipe()
    log.start(into, share=0.3)
    wanted = sum(log.wants() for _ in range(4_000))
    log.stop()

    assert 1_000 < wanted < 1_400
    assert not log.wants()
    os.close(into)
    os.close(out)


def test_a_reader_that_is_too_slow_loses_lines_and_is_told_how_many(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(logs, "LINES_WAITING_MAX", 3_000)
    out, into = os.pipe()
    log = AccessLog()
    log.start(into)
    for at in range(20_000):
        log.add(facts(at + 1))
    stopped = threading.Thread(target=log.stop)
    reader: list[list[dict[str, Any]]] = []
    reading = threading.Thread(target=lambda: reader.append(read(out)))
    reading.start()
    stopped.start()
    stopped.join(600)
    os.close(into)
    reading.join(600)

    (lines,) = reader
    lost = sum(each.get("lost", 0) for each in lines)
    kept = [each["rows"] for each in lines if "lost" not in each]
    assert lost > 0
    assert len(kept) + lost == 20_000
    assert kept == sorted(kept)


def test_what_cannot_be_written_for_a_while_is_lost_and_the_log_goes_on() -> None:
    out, into = os.pipe()
    os.set_blocking(into, False)
    log = AccessLog()
    log.start(into)
    for at in range(3_000):
        log.add(facts(at))
    eventually(lambda: not log._lines and log._lost)
    raw = os.read(out, 1 << 20)
    for at in range(3_000, 3_010):
        log.add(facts(at))
    eventually(lambda: not log._lines and not log._lost)
    log.stop()
    os.close(into)
    with os.fdopen(out, "rb") as rest:
        lines = [_line_or_none(each) for each in (raw + rest.read()).split(b"\n") if each]

    kept = [each["rows"] for each in lines if each and "rows" in each]
    assert kept[-10:] == list(range(3_000, 3_010))
    assert sum(each["lost"] for each in lines if each and "lost" in each) + len(kept) == 3_010
    assert lines.count(None) <= 1


def _line_or_none(raw: bytes) -> dict[str, Any] | None:
    """None for one that was torn."""
    with suppress(ValueError):
        return dict(json.loads(raw))
    return None


def test_a_log_that_nobody_reads_any_more_ends_quietly() -> None:
    out, into = os.pipe()
    os.close(out)
    log = AccessLog()
    log.start(into)
    log.add(facts())
    log.stop()
    os.close(into)

    assert not log.wants()
