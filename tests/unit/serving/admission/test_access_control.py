from collections.abc import Iterator

import pytest

from aias.core.names import RESERVED
from aias.serving.admission.access_control import is_loopback
from aias.serving.http.routes import PUBLIC, Route, RouteTable
from live_server import LiveServer, live_server

KEYS = {None: 401, "wrong-key": 401}


@pytest.fixture(scope="module")
def server() -> Iterator[LiveServer]:
    with live_server(hosts=["models.example.org"]) as running:
        yield running


def routes(server: LiveServer) -> tuple[Route, ...]:
    return server.gateway.application.table.routes


def test_only_the_probes_are_public(server: LiveServer) -> None:
    public = {route.path for route in routes(server) if route.scope == PUBLIC}

    assert public == {"*", "/health/live", "/health/ready", "/v2/health/live", "/v2/health/ready", "/ping", "/health"}


def test_what_stands_where_an_endpoint_does_is_no_name_of_one(server: LiveServer) -> None:
    table, open_ = server.gateway.application.table, [each for each in routes(server) if "{endpoint}" in each.path]
    whole = [each.path.split("/") for each in routes(server) if "{" not in each.path]
    taken = {
        parts[at]
        for each in open_
        for parts in whole
        if len(parts) == len(pattern := each.path.split("/"))
        and all(a == b for a, b in zip(parts, pattern, strict=True) if b[:1] != "{")
        for at in (pattern.index("{endpoint}"),)
    }

    assert taken == RESERVED
    for name in ("models", "health", "versions", "infer", "repository"):
        assert all(
            (found := table.find(each.path.replace("{endpoint}", name).replace("{version}", "1"))) is not None
            and found.places["endpoint"] == name
            for each in open_
        )


def test_every_other_route_opens_only_to_a_key_with_its_scope(server: LiveServer) -> None:
    for route in routes(server):
        path = route.path.replace("{endpoint}", "churn").replace("{version}", "1").replace("{name}", "churn")
        for key, status in KEYS.items():
            response = server.call(route.method, path, key=key)
            assert response.status == (200 if route.scope == PUBLIC else status), (route, key)
        for scope in {"read", "predict", "admin"} - {route.scope}:
            other = server.call(route.method, path, key=f"{scope}-key").status
            assert other == (200 if route.scope == PUBLIC else 403), (route, scope)
        if route.scope != PUBLIC:
            # `churn` gives no vectors, so among OpenAI's models it is none; nor is it held, so as to be released.
            wrong = (401, 403) if path in ("/v1/models/churn", "/endpoints/churn/release") else (401, 403, 404)
            assert server.call(route.method, path, key=f"{route.scope}-key").status not in wrong, route


def test_a_refusal_says_how_to_come_in(server: LiveServer) -> None:
    without = server.call("GET", "/metrics", key=None)
    wrong = server.call("GET", "/metrics", key="wrong-key")

    assert without.headers["www-authenticate"] == 'Bearer realm="aias"'
    assert "invalid_token" in wrong.headers["www-authenticate"]
    assert "wrong-key" not in wrong.body.decode()


def test_who_sends_a_key_without_its_scheme_is_told_so_and_not_its_key(server: LiveServer) -> None:
    response = server.call("GET", "/metrics", key="", headers={"Authorization": "all-key"})

    assert response.json["error"]["message"] == "this needs a key; `Bearer` does not stand before it"  # type: ignore[index]
    assert b"all-key" not in response.body


@pytest.mark.parametrize("header", ["Basic YWxsLWtleTo=", "all-key", "Bearer", "Bearer ", "Bearer\tall-key", ""])
def test_anything_but_a_bearer_key_is_refused(server: LiveServer, header: str) -> None:
    assert server.call("GET", "/metrics", key=None, headers={"Authorization": header}).status == 401


def test_a_route_without_a_scope_cannot_be_written() -> None:
    with pytest.raises(TypeError):
        Route("GET", "/x", answer=None)  # type: ignore[call-arg, arg-type]
    with pytest.raises(AssertionError):
        Route("GET", "/x", "everything", None)  # type: ignore[arg-type]


def test_who_has_no_key_does_not_learn_which_endpoints_there_are(server: LiveServer) -> None:
    unknown, known = (server.call("POST", f"/predict/{name}", [], key=None) for name in ("chum", "churn"))

    assert unknown.status == known.status == 401
    problems = [response.json["error"] for response in (unknown, known)]  # type: ignore[index]
    assert problems[0]["message"] == problems[1]["message"]
    near = server.call("POST", "/predict/chum", [])
    assert near.status == 404
    assert near.json["error"]["hint"] == "did you mean `churn`?"  # type: ignore[index]


@pytest.mark.parametrize(
    "host", ["localhost", "localhost:", "127.0.0.1:8000", "[::1]:1", "LOCALHOST:9", "models.example.org:443"]
)
def test_the_names_that_the_server_goes_by_are_let_in(server: LiveServer, host: str) -> None:
    assert server.call("GET", "/health/live", headers={"Host": host}).status == 200


@pytest.mark.parametrize(
    "host",
    [
        *("evil.example", "localhost.evil.example", "evil.example:8000", "127.0.0.1.evil.example", "", "[::1", "0"),
        *("[::1].evil.example", "localhost:80:80", "localhost:x", "localhost:8000@evil.example", "localhost/"),
    ],
)
def test_a_name_of_somebody_else_is_refused_on_every_route(server: LiveServer, host: str) -> None:
    for path in ("/health/live", "/metrics", "/predict/churn", "/v2", "/none"):
        assert server.call("GET", path, headers={"Host": host}).status == 421


@pytest.mark.parametrize(
    ("origin", "status"),
    [
        ("http://localhost:3000", 200),
        ("https://models.example.org", 200),
        ("http://evil.example", 403),
        ("null", 403),
        ("file://", 403),
        ("http://localhost.evil.example", 403),
    ],
)
def test_only_pages_of_our_own_may_call(server: LiveServer, origin: str, status: int) -> None:
    for method, path in (("GET", "/predict/churn"), ("GET", "/health/live")):
        response = server.call(method, path, headers={"Origin": origin})
        assert response.status == status
        assert not [name for name in response.headers if name.startswith("access-control")]


def test_a_browser_that_says_it_comes_from_elsewhere_is_refused(server: LiveServer) -> None:
    assert server.call("GET", "/health/live", headers={"Sec-Fetch-Site": "cross-site"}).status == 403


@pytest.mark.parametrize("method", ["PUT", "DELETE", "PATCH", "OPTIONS", "TRACE", "POST"])
def test_a_wrong_method_is_told_the_right_ones(server: LiveServer, method: str) -> None:
    response = server.call(method, "/health/live")

    assert response.status == 405
    assert response.headers["allow"] == "GET, HEAD"


@pytest.mark.parametrize(
    "path",
    [
        *("/", "/predict", "/predict/", "/predict/churn/", "//predict/churn", "/predict/churn/x", "/predict/%63hurn"),
        *("/predict/../predict/churn", "/predict/%2e%2e/metrics", "/predict/churn%00", "/v2/models/../health/live"),
    ],
)
def test_one_path_has_one_spelling(server: LiveServer, path: str) -> None:
    assert server.call("POST", path, []).status == 404


def test_a_query_changes_nothing(server: LiveServer) -> None:
    assert server.call("POST", "/predict/churn?key=all-key", [], key=None).status == 401
    assert server.call("POST", "/predict/churn?x=%00&y", []).status == 200


def test_two_routes_for_one_path_cannot_be_written(server: LiveServer) -> None:
    with pytest.raises(AssertionError):
        RouteTable([*routes(server), routes(server)[0]])


@pytest.mark.parametrize(
    ("host", "only_here"),
    [
        *(("127.0.0.1", True), ("::1", True), ("localhost", True), ("127.8.0.1", True)),
        *(("0.0.0.0", False), ("192.168.0.1", False), ("example.org", False), ("::", False)),
    ],
)
def test_loopback_is_told_from_the_rest(host: str, *, only_here: bool) -> None:
    assert is_loopback(host) == only_here
