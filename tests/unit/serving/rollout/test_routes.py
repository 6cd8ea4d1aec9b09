"""Endpoints over HTTP: what is told of hundreds is looked up once, as the event loop tells it."""

import json
from types import SimpleNamespace
from typing import Any

from aias.registry.values import Endpoint
from aias.serving.http.messages import Request
from aias.serving.rollout.routes import Endpoints
from live_server import AT


class Router:
    """Of many endpoints, each of which answers with another version than it points at."""

    def __init__(self, count: int) -> None:
        found = [Endpoint(f"e{at}", "churn", 2, f"churn-{at}", 1, AT) for at in range(count)]
        self.stage, self.looked = SimpleNamespace(endpoints=found, known=[]), 0

    def answering(self) -> list[tuple[str, str]]:
        self.looked += 1
        return [(each.name, f"{each.name}@1") for each in self.stage.endpoints]

    def fault(self, _endpoint: Endpoint) -> str:
        return ""


def test_all_endpoints_are_told_at_one_look() -> None:
    router: Any = Router(200)

    told = json.loads(Endpoints(router, None, None).tell_all(Request("GET", "/endpoints", "1", {}, {})).body)

    assert [(each["endpoint"], each["version"], each["answers"]) for each in told] == [
        (f"e{at}", "churn@2", f"e{at}@1") for at in range(200)
    ]
    assert router.looked == 1
