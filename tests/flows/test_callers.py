"""Keys and tenants over HTTP: made, bounded and shut out by a key that may; and what such a key may not do."""

import json
from collections.abc import Iterator
from contextlib import closing, contextmanager
from dataclasses import dataclass, replace
from datetime import timedelta
from functools import partial
from pathlib import Path
from typing import Any

import pytest

from aias.access.keys import Keys, utc_now
from aias.access.ledger import Ledger
from aias.core.events import Event, nobody
from aias.serving.admission.key_routes import KeyRoutes
from aias.serving.bounds import Bounds, SecondPort
from aias.serving.gateway import Gateway
from aias.serving.http.messages import Request
from aias.serving.refusals import BadKey
from live_server import BOUNDS, PATIENCE, LiveServer, Response, Rule, Shelf, eventually, live_server, running

ROWS = [{"age": 50}]


@dataclass
class Office:
    """A server of one home, and its keys."""

    server: LiveServer
    keys: Keys
    root: str

    def call(self, method: str, path: str, body: object = None, key: str | None = None) -> Response:
        return self.server.call(method, path, body, key=key or self.root)

    def make(self, **asked: object) -> Any:
        made = self.call("POST", "/keys", {"name": "shop"} | asked)
        assert made.status == 201, made.body
        return made.json

    def predicts(self, secret: str) -> int:
        return self.call("POST", "/predict/churn", ROWS, secret).status

    def predicts_by_grpc(self, secret: str) -> int:
        grpc = pytest.importorskip("grpc")
        from aias.serving.grpc.calls import message

        with grpc.insecure_channel(self.server.grpc) as channel:
            call = channel.unary_unary("/inference.GRPCInferenceService/ModelReady", response_deserializer=bytes)
            asked = message("ModelReadyRequest")(name="churn").SerializeToString()
            try:
                call(asked, metadata=(("authorization", f"Bearer {secret}"),), timeout=PATIENCE)
            except grpc.RpcError as fault:
                return 401 if fault.code() is grpc.StatusCode.UNAUTHENTICATED else 500
            return 200


@contextmanager
def serving(home: Path, bounds: Bounds = BOUNDS, *, grpc: bool = False) -> Iterator[Office]:
    keys, shelf = Keys.open(home), Shelf()
    shelf.deploy("churn", 1, Rule())
    shelf.generation = keys.database.generation  # type: ignore[method-assign]
    _, root = keys.create("root", ["admin", "predict", "read"])
    events: list[Event] = []
    gateway = Gateway(
        shelf, shelf.load, keys.ring, ledger=partial(Ledger.open, home), bounds=bounds, watch=events.append,
        keys=keys, second=SecondPort("127.0.0.1", 0) if grpc else None,
    )  # fmt: skip
    with running(gateway, shelf, events) as server:
        yield Office(server, keys, root)
    keys.close()


@pytest.fixture
def office(tmp_path: Path) -> Iterator[Office]:
    with serving(tmp_path) as made:
        yield made


def code(response: Response) -> tuple[int, str]:
    return response.status, json.loads(response.body)["error"]["code"]


def test_a_key_that_is_made_is_shown_once_and_opens_until_it_is_revoked(office: Office) -> None:
    made = office.make(scopes=["predict"], quotas=["100/second"])

    eventually(lambda: office.predicts(made["key"]) == 200)
    listed = office.call("GET", "/keys")
    assert [each["name"] for each in json.loads(listed.body)] == ["root", "shop"]
    assert made["key"].encode() not in listed.body
    assert json.loads(listed.body)[1] == {each: value for each, value in made.items() if each != "key"}
    assert (made["scopes"], made["quotas"]) == (["predict"], ["100 requests/second"])

    assert office.call("POST", f"/keys/{made['id']}/revoke").status == 200
    eventually(lambda: office.predicts(made["key"]) == 401)
    assert [event.message for event in office.server.events if event.name == "access.changed"] == [
        "`root` made the key `shop` (predict)", "`root` revoked the key `shop`",
    ]  # fmt: skip


def test_an_answer_that_shows_a_secret_is_kept_by_nobody(office: Office) -> None:
    assert office.call("POST", "/keys", {"name": "shop"}).headers["cache-control"] == "no-store"


def test_what_a_key_and_a_tenant_may_ask_is_set_and_holds_within_a_second(office: Office) -> None:
    made = office.make()
    assert office.call("POST", "/tenants", {"name": "acme", "quotas": ["1/day"]}).status == 201

    assert office.call("POST", f"/keys/{made['id']}/assign", {"tenant": "acme"}).json["tenant"] == "acme"  # type: ignore[call-overload,index]
    eventually(lambda: office.predicts(made["key"]) == 429)
    assert office.call("GET", "/tenants").json[0]["keys"] == [made["id"]]  # type: ignore[call-overload,index]
    assert office.call("POST", "/tenants/acme/limit", {"quotas": []}).status == 200
    eventually(lambda: office.predicts(made["key"]) == 200)
    assert office.call("POST", f"/keys/{made['id']}/limit", {"quotas": ["1 requests/day"]}).status == 200
    eventually(lambda: office.predicts(made["key"]) == 429)
    assert office.call("POST", f"/keys/{made['id']}/assign", {"tenant": None}).json["tenant"] == ""  # type: ignore[call-overload,index]


@pytest.mark.parametrize("scope", ["predict", "read"])
def test_a_key_without_admin_manages_nothing(office: Office, scope: str) -> None:
    _, secret = office.keys.create("other", [scope])  # type: ignore[list-item]
    eventually(lambda: office.call("GET", "/health", key=secret).status == 200)

    eventually(lambda: code(office.call("GET", "/keys", key=secret)) == (403, "serving.missing-scope"))
    assert code(office.call("POST", "/keys", {"name": "x"}, secret)) == (403, "serving.missing-scope")


def test_nobody_gives_away_or_changes_what_is_not_theirs(office: Office) -> None:
    key, deploys = office.keys.create("ci", ["admin"], expires_at=utc_now() + timedelta(days=2))
    shop = office.make()
    eventually(lambda: office.call("GET", "/keys", key=deploys).status == 200)

    for path, body in (
        ("/keys", {"name": "x"}),
        ("/keys", {"name": "x", "scopes": ["admin", "read"]}),
        (f"/keys/{shop['id']}/limit", {"quotas": []}),
        (f"/keys/{shop['id']}/revoke", {}),
    ):
        assert code(office.call("POST", path, body, deploys)) == (403, "serving.beyond-its-own")
    made: Any = office.call("POST", "/keys", {"name": "x", "scopes": ["admin"], "days": 30}, deploys).json
    assert key.expires_at is not None
    assert made["expires_at"] == key.expires_at.isoformat()


def test_a_key_opens_as_soon_as_it_is_made_here_or_elsewhere_and_not_when_it_is_revoked(tmp_path: Path) -> None:
    with serving(tmp_path, replace(BOUNDS, poll_seconds=PATIENCE), grpc=True) as office:
        made = office.make()
        assert office.predicts(made["key"]) == 200
        assert office.call("POST", f"/keys/{made['id']}/revoke").status == 200
        assert office.predicts(made["key"]) == 401

        for ask in (office.predicts, office.predicts_by_grpc):
            made, elsewhere = office.keys.create("elsewhere", ["predict"])
            assert ask(elsewhere) == 200
            office.keys.revoke(made.id)


def test_a_key_that_is_none_has_nobody_look(tmp_path: Path) -> None:
    with serving(tmp_path, replace(BOUNDS, poll_seconds=PATIENCE)) as office:
        made, revoked = office.make(), office.make()
        assert office.call("POST", f"/keys/{revoked['id']}/revoke").status == 200
        looks = list[int]()
        office.server.gateway.router._directory.generation = lambda: looks.append(1) or 0  # type: ignore[method-assign]

        for given in ("nobody", revoked["key"], made["key"][:-1] + "x", made["key"][:-7] + "A" + made["key"][-6:]):
            assert office.predicts(given) == 401
        assert not looks


def test_a_key_with_bounds_of_its_own_cannot_lift_them(office: Office) -> None:
    key, secret = office.keys.create("bounded", ["admin", "predict"], quotas=["1000/day"])
    eventually(lambda: office.call("GET", "/keys", key=secret).status == 200)

    for path, body in (
        (f"/keys/{key.id}/limit", {"quotas": []}),
        ("/keys", {"name": "x"}),
        ("/tenants", {"name": "x"}),
    ):
        assert code(office.call("POST", path, body, secret)) == (403, "serving.beyond-its-own")


def test_a_key_that_was_revoked_a_moment_ago_makes_no_other(tmp_path: Path) -> None:
    with closing(Keys.open(tmp_path)) as keys:
        root, _ = keys.create("root", ["admin", "predict"])
        # As it is let in by a worker that has not heard yet.
        request = Request("POST", "/keys", "1", {}, {}, b'{"name": "stays"}', tenant=root.id)
        keys.revoke(root.id)

        with pytest.raises(BadKey):
            KeyRoutes(keys, nobody).create_key(request)
        assert [each.name for each in keys.list()] == ["root"]


def test_a_name_without_end_is_not_repeated(office: Office) -> None:
    refused = office.call("POST", "/keys", {"name": "x" * 1_000_000})

    assert code(refused) == (400, "names.bad-name")
    assert len(refused.body) < 1_000


@pytest.mark.parametrize(
    ("path", "body", "expected"),
    [
        ("/keys", {}, (400, "serving.bad-body")),
        ("/keys", {"name": "x", "scopes": ["root"]}, (400, "serving.bad-body")),
        ("/keys", {"name": "x", "scopes": []}, (400, "access.bad-scope")),
        ("/keys", {"name": "../x"}, (400, "names.bad-name")),
        ("/keys", {"name": "x", "days": 0}, (400, "serving.bad-body")),
        ("/keys", {"name": "x", "days": 10**12}, (400, "serving.bad-body")),
        ("/keys", {"name": "x", "quotas": ["many"]}, (400, "access.bad-quota")),
        ("/keys", {"name": "x", "tenant": "nobody"}, (404, "access.unknown-tenant")),
        ("/keys", {"name": "x", "secret": "mine"}, (400, "serving.bad-body")),
        ("/keys/none/revoke", {}, (404, "access.unknown-key")),
        ("/keys/none/limit", {"quotas": ["1/day"]}, (404, "access.unknown-key")),
        ("/tenants/none/limit", {"quotas": []}, (404, "access.unknown-tenant")),
        ("/tenants", {"name": "twice"}, (409, "serving.already-there")),
    ],
)
def test_what_makes_no_sense_is_told(office: Office, path: str, body: object, expected: tuple[int, str]) -> None:
    office.keys.create_tenant("twice")

    assert code(office.call("POST", path, body)) == expected


def test_asked_again_under_one_name_a_key_is_made_once(office: Office) -> None:
    def ask(body: object, name: str) -> Response:
        return office.server.call("POST", "/keys", body, key=office.root, headers={"Idempotency-Key": name})

    first, again, other = (ask({"name": "shop"}, name) for name in ("a", "a", "b"))

    assert (first.status, again.status) == (201, 201)
    assert again.json == first.json
    assert other.json["id"] != first.json["id"]  # type: ignore[call-overload,index]
    assert code(ask({"name": "desk"}, "a")) == (422, "serving.asked-otherwise")
    assert code(ask({"name": "desk"}, "")) == (400, "serving.bad-request")
    assert code(ask({"name": "desk"}, 256 * "x")) == (400, "serving.bad-request")
    assert [each.name for each in office.keys.list()] == ["root", "shop", "shop"]


def test_a_server_that_only_follows_makes_no_keys() -> None:
    with live_server(Shelf()) as server:
        assert code(server.call("POST", "/keys", {"name": "x"})) == (501, "serving.not-supported")


def test_a_scope_that_there_is_not_is_named_beside_those_that_there_are(office: Office) -> None:
    refused = office.call("POST", "/keys", {"name": "shop", "scopes": ["root"]})
    problem = json.loads(refused.body)["error"]

    assert code(refused) == (400, "serving.bad-body")
    assert problem["message"].endswith("`scopes`: 'root' is not a scope")
    assert problem["hint"] == "choose from: admin, predict, read"
