"""What is known of a request by its head alone, when its version is chosen and its place kept."""

import asyncio
from types import SimpleNamespace
from typing import Any, cast

import pytest

from aias.serving.admission.early_refusals import EarlyRefusals
from aias.serving.batching.tickets import Ticket
from aias.serving.bounds import Bounds
from aias.serving.http.heads import Head
from aias.serving.http.messages import Reply, Request
from aias.serving.http.routes import Route

IN_PATH = Route("POST", "/v2/models/{endpoint}/versions/{version}/infer", "predict", lambda _request: Reply(b""))
IN_HEADERS = Route("POST", "/invocations", "predict", lambda _request: Reply(b""), names=lambda _request: "churn")


class Scene:
    """An endpoint with a canary, whose queue is never empty. `chosen`: what a version was chosen for."""

    def __init__(self) -> None:
        self.chosen: list[Request] = []
        model = SimpleNamespace(
            version="m@1", flow=None, units_of=lambda _size: 1.0, runs_inline=lambda _size, _bounds: False
        )

        def choose(request: Request) -> None:
            self.chosen.append(request)
            request.model = cast("Any", model)

        def announce(request: Request, _units: float) -> None:
            request.coming = Ticket(cast("Any", None), "", 1, lambda *_: None, request_id=request.id)

        stage = SimpleNamespace(splits={"churn": SimpleNamespace(choose=choose)})
        router = SimpleNamespace(peek=lambda _endpoint: model, known=lambda _endpoint: model, stage=stage)
        self.look = EarlyRefusals(
            cast("Any", self),
            router=cast("Any", router),
            access=cast("Any", SimpleNamespace(check_caller=lambda _headers: None)),
            executor=cast("Any", SimpleNamespace(batcher=SimpleNamespace(is_pressed=True), announce=announce)),
            on_loop=cast("Any", None),
            response_cache=cast("Any", SimpleNamespace(are_likely=lambda *_: False)),
            lengths=cast("Any", None),
            bounds=Bounds(),
            let_in=lambda *_args, **_more: None,
        ).look

    isolated = None

    def request(self, head: Head, _slot: object) -> Request:
        return Request("POST", head.path, "drawn", head.headers, head.places)

    def ask(self, route: Route, places: dict[str, str]) -> Any:
        async def asked() -> object:
            return self.look(Head("/", {}, route, places, 3), (), None, whole=True, ends=False)

        return asyncio.run(asked())


@pytest.mark.parametrize(
    ("route", "places", "found"),
    [(IN_PATH, {"endpoint": "churn", "version": "2"}, {"version": "2"}), (IN_HEADERS, {}, {})],
)
def test_who_names_a_version_in_the_path_is_looked_at_for_that_one(
    route: Route, places: dict[str, str], found: dict[str, str]
) -> None:
    scene = Scene()
    scene.ask(route, places)

    assert [each.places for each in scene.chosen] == [{"endpoint": "churn"} | found]


def test_a_version_drawn_by_the_requests_name_is_drawn_by_the_same_one_when_the_rest_has_come() -> None:
    assert Scene().ask(IN_PATH, {"endpoint": "churn"}).request_id == "drawn"
