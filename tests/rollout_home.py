"""A home with two versions of one model, whose servers answer by rules; and callers who see which one answered."""

import json
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path

import artifacts
from aias.core.names import Ref
from aias.registry.registry import Registry
from aias.registry.rollout.trial import Guard
from aias.registry.values import Endpoint
from live_server import LiveServer, Response, Rule, eventually, live_server

ROWS = [{"age": 50}]
GUARD = Guard(slower=100.0)


def share(number: int) -> float:
    """What version `number` says for `yes`; no two say the same."""
    return 0.5 + number / 512


class Breaks(Rule):
    """Answers its example when it is loaded, and nobody after that."""

    ready = threading.Event()

    def predict(self, rows: object) -> object:  # type: ignore[override]
        if self.ready.is_set():
            raise ZeroDivisionError("the graph broke")
        return super().predict(rows)  # type: ignore[arg-type]


@dataclass
class Home:
    """A registry whose versions answer by rules: as `share` says, unless another rule is put in."""

    registry: Registry
    rules: dict[int, Rule] = field(default_factory=dict)
    loads: int = 0

    def endpoints(self) -> list[Endpoint]:
        return self.registry.endpoints()

    def generation(self) -> int:
        return self.registry.generation()

    def load(self, endpoint: Endpoint) -> Rule:
        self.loads += 1
        return self.rules.get(endpoint.number) or Rule(share(endpoint.number))

    def publish(self, number: int) -> None:
        assert self.registry.publish("churn", artifacts.files(number), artifacts.manifest(seed=number)).number == number


@contextmanager
def home_at(path: Path) -> Iterator[Home]:
    """Two versions, of which the first is deployed."""
    with Registry.open(path) as registry:
        made = Home(registry)
        for number in (1, 2):
            made.publish(number)
        registry.deploy("churn", Ref("churn", 1))
        yield made


@contextmanager
def serving(home: Home) -> Iterator[LiveServer]:
    with live_server(home, rollouts=home.registry.rollouts, control=home.registry) as server:  # type: ignore[arg-type]
        yield server


def ask(server: LiveServer, **headers: str) -> Response:
    named = {name.replace("_", "-"): value for name, value in headers.items()}
    return server.call("POST", "/predict/churn", ROWS, headers=named)


def version_of(answer: Response) -> int:
    """By its header, and by what it says; both must tell of one."""
    assert answer.status == 200, answer.body
    named = int(answer.headers["x-aias-version"].partition("@")[2])
    told = max(json.loads(answer.body)[0]["probabilities"].values())
    assert round(told, 5) == round(share(named), 5)
    return named


def start(home: Home, server: LiveServer, number: int = 2, **how: object) -> None:
    home.registry.rollouts.start("churn", Ref("churn", number), **({"share": 0.5, "guard": GUARD} | how))  # type: ignore[arg-type]
    eventually(lambda: server.gateway.router.peek("churn") is None)


def outcomes(home: Home) -> list[str]:
    return [each.outcome for each in home.registry.rollouts.history("churn")]
