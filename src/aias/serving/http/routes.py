"""Which path and method is answered by what, and who may ask: a route without a scope cannot be written."""

import inspect
from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass, field
from typing import Final, Literal, get_args

from aias.access.keys import Scope
from aias.core.errors import AiasError
from aias.serving.http.messages import Conversation, Reply, Request
from aias.serving.refusals import UnknownPath

Public = Literal["public"]
PUBLIC: Final[Public] = "public"
"""Answered without a key. Only for probes that tell nothing but yes or no."""

SCOPES: Final = frozenset((*get_args(Scope), PUBLIC))

Answer = Callable[[Request], Reply | Conversation]

Envelope = Callable[[AiasError, str], bytes]
"""A fault and the request's id → the body that clients of a protocol expect."""


class Envelopes:
    """How each prefix of paths tells of faults; "" is for the rest."""

    def __init__(self, by_prefix: Mapping[str, Envelope]) -> None:
        self._longest_first = sorted(by_prefix.items(), reverse=True)

    def of(self, path: str) -> Envelope:
        return next(envelope for prefix, envelope in self._longest_first if path.startswith(prefix))


@dataclass(frozen=True, slots=True)
class Route:
    """`path` may leave parts open, as `/predict/{endpoint}`; the part called `endpoint` must name one.

    `names`: of a route whose path has no such part, the endpoint that a request means; it is asked before the body is
    read, or `names_in_body`. `wakes`: its model is loaded where it is not in memory; else there may be none.
    `once`: asked again, it must not be done again.
    """

    method: Literal["GET", "POST", "OPTIONS"]
    path: str
    scope: Scope | Public
    answer: Answer
    names: Callable[[Request], str] | None = None
    names_in_body: bool = False
    wakes: bool = True
    once: bool = False
    asks: bool = field(init=False)
    """Whether the handler yields what it asks of its model."""

    def place(self, request: Request) -> AiasError | None:
        """Note the endpoint that headers name, where this is such a route; why there is none, to be told to who may ask
        here."""
        try:
            if self.names is not None and not self.names_in_body:
                request.places = {"endpoint": self.names(request)}
        except AiasError as fault:
            return fault
        return None

    def __post_init__(self) -> None:
        object.__setattr__(self, "asks", inspect.isgeneratorfunction(self.answer))
        assert self.scope in SCOPES, f"{self.path} needs a scope of {sorted(SCOPES)}"
        assert self.path.startswith("/") or self.path == "*"


@dataclass(frozen=True, slots=True)
class Found:
    """The routes of one path by method, and what stood in its open parts."""

    routes: dict[str, Route]
    places: dict[str, str]

    def route(self, method: str) -> Route | None:
        """HEAD is a GET of which the body is not sent."""
        return self.routes.get("GET" if method == "HEAD" else method)

    @property
    def methods(self) -> str:
        return ", ".join(sorted(self.routes) + (["HEAD"] if "GET" in self.routes else []))


class RouteTable:
    """Paths are compared as they were sent: escapes are not undone, so no two spellings mean one path."""

    def __init__(self, routes: Iterable[Route]) -> None:
        self.routes = tuple(routes)
        self._whole: dict[str, dict[str, Route]] = {}
        self._open: dict[int, list[tuple[list[str], dict[str, Route]]]] = {}
        by_path: dict[str, dict[str, Route]] = {}
        for route in self.routes:
            methods = by_path.setdefault(route.path, {})
            assert route.method not in methods, f"two routes for {route.method} {route.path}"
            methods[route.method] = route
        for path, methods in by_path.items():
            if "{" in path:
                parts = path.split("/")
                self._open.setdefault(len(parts), []).append((parts, methods))
            else:
                self._whole[path] = methods

    def find(self, path: str) -> Found | None:
        """The routes of a path. A whole path comes before an open one."""
        if methods := self._whole.get(path):
            return Found(methods, {})
        parts = path.split("/")
        for pattern, methods in self._open.get(len(parts), ()):
            places = _places(pattern, parts)
            if places is not None:
                return Found(methods, places)
        return None

    def elsewhere(self, path: str) -> UnknownPath:
        """What is said of a path at which there is nothing: what was probably meant, or where predictions are in its
        dialect."""
        nothing = "there is nothing at this path"
        for version in ("/v1", "/v2"):
            if meant := self.find(f"{version}{path}"):
                place = next(iter(meant.routes.values())).path
                said = f"{nothing}; did you mean {_shown(place)}?"  # clients of OpenAI show no hints
                return UnknownPath(said, hint=f"if a client adds the path, end its base URL in {version}")
        dialect = path.split("/")[1:2]
        answering = (each.path for each in self.routes if (each.method, each.scope) == ("POST", "predict"))
        found = next((each for each in answering if each.split("/")[1:2] == dialect), "/predict/{endpoint}")
        return UnknownPath(nothing, hint=f"predictions are at {_shown(found)}")


def _shown(path: str) -> str:
    return path.replace("{", "<").replace("}", ">")


def _places(pattern: list[str], parts: list[str]) -> dict[str, str] | None:
    places: dict[str, str] = {}
    for expected, part in zip(pattern, parts, strict=True):
        if expected[:1] == "{":
            if not part:
                return None
            places[expected[1:-1]] = part
        elif expected != part:
            return None
    return places
