"""A chat service as small as can be: OpenAI's API over real HTTP, answering by a rule; and it can misbehave."""

import json
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any

Rule = Callable[[str], str]

Reply = tuple[int, dict[str, str], bytes]


def completion(text: str, *, read: int = 7, written: int = 2) -> Reply:
    body = {"choices": [{"message": {"role": "assistant", "content": text}}],
            "usage": {"prompt_tokens": read, "completion_tokens": written}}  # fmt: skip
    return 200, {"Content-Type": "application/json"}, json.dumps(body).encode()


@dataclass
class Service:
    """`rule` answers the last message. `first`: replies given before it is asked, in turn; `hang`: seconds before any
    answer; `declines`: settings that it will not take."""

    rule: Rule
    first: list[Reply] = field(default_factory=list)
    hang: float = 0.0
    declines: tuple[str, ...] = ()
    port: int = 0
    asked: list[dict[str, Any]] = field(default_factory=list)
    keys: list[str | None] = field(default_factory=list)
    at_once: int = 0
    lock: threading.Lock = field(default_factory=threading.Lock)
    _running: int = 0

    @property
    def url(self) -> str:
        return f"http://127.0.0.1:{self.port}/v1"

    def reply(self, body: dict[str, Any], key: str | None) -> Reply:
        with self.lock:
            self.asked.append(body)
            self.keys.append(key)
            self._running += 1
            self.at_once = max(self.at_once, self._running)
            early = self.first.pop(0) if self.first else None
        try:
            time.sleep(self.hang)
            for each in self.declines:
                if each in body:
                    return 400, {}, json.dumps({"error": {"message": "unsupported", "param": each}}).encode()
            return early or completion(self.rule(body["messages"][-1]["content"]))
        finally:
            with self.lock:
                self._running -= 1


@contextmanager
def serving(rule: Rule, **more: Any) -> Iterator[Service]:
    """On a free port of this machine, for as long as the block runs."""
    service = Service(rule, **more)

    class Handler(BaseHTTPRequestHandler):
        def do_POST(self) -> None:
            assert self.path == "/v1/chat/completions", self.path
            body = json.loads(self.rfile.read(int(self.headers["Content-Length"])))
            status, headers, answer = service.reply(body, self.headers.get("Authorization"))
            self.send_response(status)
            for name, value in headers.items():
                self.send_header(name, value)
            self.send_header("Content-Length", str(len(answer)))
            self.end_headers()
            self.wfile.write(answer)

        def log_message(self, *_args: object) -> None:
            return

    server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
    service.port = server.server_port
    thread = threading.Thread(target=server.serve_forever, kwargs={"poll_interval": 0.02}, daemon=True)
    thread.start()
    try:
        yield service
    finally:
        server.shutdown()
        server.server_close()
        thread.join(60)
