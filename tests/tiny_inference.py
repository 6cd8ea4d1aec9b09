"""A small server of the Open Inference Protocol that is right, or wrong in one way: what the suite is tried out on.

Its model `twice` doubles `x` (rows × 2, FP32) and gives back the text `s`.
"""

import gzip
import json
import math
import struct
import threading
import zlib
from collections.abc import Iterator
from contextlib import contextmanager
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any

LENGTH = "Inference-Header-Content-Length"
INPUTS = {"x": ("FP32", [-1, 2]), "s": ("BYTES", [-1])}
OUTPUTS = {"y": ("FP32", [-1, 2]), "t": ("BYTES", [-1])}


class Wrong(Exception):
    """The request is."""

    def __init__(self, why: str, status: int = 400) -> None:
        self.why, self.status = why, status


class Tiny(BaseHTTPRequestHandler):
    protocol_version = "HTTP/1.1"
    mistake = ""

    def has(self, mistake: str) -> bool:
        return self.mistake == mistake

    def do_GET(self) -> None:
        plain = {
            "/v2/health/live": {"live": not self.has("dead")},
            "/v2/health/ready": {"ready": True},
            "/v2": {"name": "tiny", "version": "1", "extensions": ["binary_tensor_data"]},
        }
        model = {"/v2/models/twice", "/v2/models/twice/versions/1"}
        if self.path in plain:
            self.say(plain[self.path] if not self.has("health in words") else "ok")
        elif self.path in model:
            self.say(self.metadata())
        elif self.path in {f"{each}/ready" for each in model}:
            self.say({"ready": True}, 503 if self.has("never ready") else 200)
        elif self.has("any version will do") and self.path.startswith("/v2/models/twice/versions/"):
            self.say(self.metadata())
        else:
            self.refuse("not here", 404)

    def do_POST(self) -> None:
        if self.path not in ("/v2/models/twice/infer", "/v2/models/twice/versions/1/infer"):
            self.body()
            self.refuse("not here", 404)
            return
        try:
            self.answer(*self.parsed(self.body()))
        except Wrong as fault:
            self.refuse(fault.why, 503 if self.has("503 for all") else fault.status)
        except (
            KeyError,
            TypeError,
            ValueError,
            AttributeError,
            RecursionError,
            struct.error,
            zlib.error,
            EOFError,
            OSError,
        ):
            self.refuse("no request of this protocol", 500 if self.has("500 for bad input") else 400)

    def do_DELETE(self) -> None:
        self.refuse("not this way", 405)

    do_PUT = do_PATCH = do_DELETE

    def metadata(self) -> dict[str, object]:
        shaped = [
            [{"name": name, "datatype": kind, "shape": shape} for name, (kind, shape) in tensors.items()]
            for tensors in (INPUTS, OUTPUTS)
        ]
        return {"name": "twice", "platform": "tiny", "versions": ["1"], "inputs": shaped[0], "outputs": shaped[1]}

    def body(self) -> bytes:
        if self.headers.get("Transfer-Encoding") == "chunked":
            body = b""
            while size := int(self.rfile.readline(), 16):
                body += self.rfile.read(size)
                self.rfile.readline()
            self.rfile.readline()
        else:
            body = self.rfile.read(int(self.headers.get("Content-Length", 0)))
        packed = self.headers.get("Content-Encoding")
        if packed is None or self.has("packing ignored"):
            return body
        if packed not in ("gzip", "deflate"):
            raise Wrong("an unknown packing")
        return gzip.decompress(body) if packed == "gzip" and body else zlib.decompress(body)

    def parsed(self, body: bytes) -> tuple[dict[str, Any], dict[str, list[Any]], int]:
        lengths = self.headers.get_all(LENGTH) or [str(len(body))]
        if (
            self.has("503 for all")
            or not all(each.isdigit() and len(each) < 10 and int(each) <= len(body) for each in lengths)
            or len(lengths) > 1
        ):
            raise Wrong("the length lies")
        head, tail = json.loads(body[: int(lengths[0])]), body[int(lengths[0]) :]
        values: dict[str, list[Any]] = {}
        rows = 0
        for tensor in head["inputs"]:
            kind, shape = INPUTS[tensor["name"]]
            if not tensor["shape"] and self.has("500 for scalars"):
                raise Wrong("list index out of range", 500)
            if tensor["datatype"] != kind or len(tensor["shape"]) != len(shape) or tensor["shape"][1:] != shape[1:]:
                raise Wrong("not the tensors of this model")
            if tensor["name"] in values:
                raise Wrong("a tensor twice")
            rows, size = tensor["shape"][0], tensor.get("parameters", {}).get("binary_data_size")
            count = rows * math.prod(shape[1:])
            if type(rows) is not int or not 0 <= count < 1000:
                raise Wrong("not so many rows")
            if size is None:
                found = flat(tensor["data"])
                if not all(isinstance(each, str if kind == "BYTES" else int | float) for each in found):
                    raise Wrong("not the values of this tensor")
            elif type(size) is not int or not 0 <= size <= len(tail):
                raise Wrong("the size lies")
            else:
                raw, tail = tail[:size], tail[size:]
                found = texts(raw) if kind == "BYTES" else list(struct.unpack(f"<{len(raw) // 4}f", raw))
            if len(found) != count and not self.has("shapes are believed"):
                raise Wrong("the shape lies")
            values[tensor["name"]] = found
        if (tail and not self.has("bytes are left lying")) or len(values) < 2:
            raise Wrong("too many bytes, or too few tensors")
        return head, values, rows

    def answer(self, head: dict[str, Any], values: dict[str, list[Any]], rows: int) -> None:
        wanted = head.get("outputs") or [{"name": name} for name in OUTPUTS]
        if len({each["name"] for each in wanted}) < len(wanted):
            raise Wrong("an output twice")
        if self.has("outputs are not chosen"):
            wanted = [{**OUTPUTS, "name": name} for name in OUTPUTS if all(each["name"] in OUTPUTS for each in wanted)]
        outputs, parts = [], []
        for each in wanted:
            kind, shape = OUTPUTS[each["name"]]
            found = [2 * x for x in values["x"]] if each["name"] == "y" else values["s"]
            if self.has("rows are mixed") and rows > 1 and kind == "FP32":
                found = found[:2] + [0.0] * (len(found) - 2)
            output: dict[str, Any] = {"name": each["name"], "datatype": kind, "shape": [rows, *shape[1:]]}
            own = each.get("parameters", {}).get("binary_data")
            of_all = head.get("parameters", {}).get("binary_data_output", False)
            if of_all if own is None or self.has("the request has the last word") else own:
                parts.append(framed(kind, found))
                output["parameters"] = {"binary_data_size": len(parts[-1]) + self.has("sizes are off by one")}
            else:
                shown = [each.decode("utf-8", "replace") if isinstance(each, bytes) else each for each in found]
                finite = [None if isinstance(x, float) and not math.isfinite(x) else x for x in shown]
                output["data"] = shown if self.has("NaN in JSON") else finite
            outputs.append(output)
        reply = {"model_name": "twice", "model_version": "1", "outputs": outputs}
        if "id" in head and not self.has("the id is lost"):
            reply["id"] = head["id"]
        self.say(reply, tail=b"".join(parts) if parts else None)

    def refuse(self, why: str, status: int) -> None:
        self.say({"detail" if self.has("another envelope") else "error": why}, status)

    def say(self, value: object, status: int = 200, *, tail: bytes | None = None) -> None:
        head = value.encode() if isinstance(value, str) else json.dumps(value).encode()
        self.send_response(status)
        self.send_header("Content-Length", str(len(head) + len(tail or b"")))
        if tail is not None and not self.has("the length is not told"):
            self.send_header(LENGTH, str(len(head)))
        self.end_headers()
        self.wfile.write(head + (tail or b""))

    def log_message(self, *_: object) -> None:
        """Say nothing."""


def flat(data: Any) -> list[Any]:
    return [each for item in data for each in flat(item)] if isinstance(data, list) else [data]


def texts(raw: bytes) -> list[bytes]:
    found, at = [], 0
    while at < len(raw):
        (size,) = struct.unpack_from("<I", raw, at)
        if at + 4 + size > len(raw):
            raise Wrong("a length lies")
        found.append(raw[at + 4 : at + 4 + size])
        at += 4 + size
    return found


def framed(kind: str, found: list[Any]) -> bytes:
    if kind == "FP32":
        return struct.pack(f"<{len(found)}f", *found)
    encoded = [each.encode() if isinstance(each, str) else each for each in found]
    return b"".join(struct.pack("<I", len(each)) + each for each in encoded)


@contextmanager
def tiny(mistake: str = "") -> Iterator[str]:
    """Its URL, for as long as it runs."""
    server = ThreadingHTTPServer(("127.0.0.1", 0), type("Mistaken", (Tiny,), {"mistake": mistake}))
    server.daemon_threads = True
    thread = threading.Thread(target=server.serve_forever, args=(0.01,))
    thread.start()
    try:
        yield f"http://127.0.0.1:{server.server_port}"
    finally:
        server.shutdown()
        thread.join()
        server.server_close()
