"""A tenant's admin goes through every door that there is, and hears no word of another tenant."""

import json
import re
from collections.abc import Iterator
from contextlib import closing
from functools import partial
from pathlib import Path

import pytest

from aias.access.keys import Key, Keys
from aias.access.ledger import Ledger
from aias.core.names import Ref
from aias.registry.registry import Registry
from aias.serving.gateway import Gateway
from aias.serving.versions.loading import loader
from live_server import BOUNDS, LiveServer, Response, eventually, running
from tiny_versions import MANIFEST, files

OTHERS = ("umbrella", "hive-lab", "t-virus")
"""A tenant, and the names of two of its keys; no word of Aias' own."""


class Building:
    """A server with two tenants, both of whom have asked for something: `acme`, and one that it must not hear of."""

    def __init__(self, server: LiveServer, keys: Keys) -> None:
        self.server, self.keys = server, keys
        keys.create_tenant("acme", ["1000/day"])
        keys.create_tenant("umbrella", ["777000777/day"])
        _, self.root = keys.create("root", ["admin", "predict", "read"])
        self.own, self.admin = keys.create("desk", ["admin", "predict", "read"], quotas=["900/day"], tenant="acme")
        self.theirs, self.other = keys.create(
            "hive-lab", ["admin", "predict", "read"], quotas=["777000777/day"], tenant="umbrella"
        )
        gone, _ = keys.create("t-virus", ["predict"], tenant="umbrella")
        keys.revoke(gone.id)
        for secret in (self.admin, self.other):
            eventually(lambda secret=secret: self.ask("POST", "/predict/m", secret, [{"n": 1.0}]).status == 200)

    def ask(self, method: str, path: str, key: str, body: object = None) -> Response:
        return self.server.call(method, path, body, key=key)

    def words(self) -> list[str]:
        """Of the other tenant, which nobody else may hear."""
        ids = (each.id for each in self.keys.list() if each.tenant == "umbrella")
        return [*OTHERS, "777000777", "777,000,777", *ids]


@pytest.fixture
def building(tmp_path: Path) -> Iterator[Building]:
    with Registry.open(tmp_path) as registry, closing(Keys(registry.database)) as keys:
        for number in (1, 2):
            registry.publish("m", files(2.0, golden_of=2.0 * number / number), MANIFEST)
        registry.deploy("m", Ref("m", 1))
        gateway = Gateway(
            registry, loader(registry, tmp_path, lambda _event: None), keys.ring, ledger=partial(Ledger.open, tmp_path),
            bounds=BOUNDS, keys=keys, control=registry, rollouts=registry.rollouts,
        )  # fmt: skip
        with running(gateway, registry, []) as server:  # type: ignore[arg-type]
            yield Building(server, keys)


def doors(building: Building) -> list[tuple[str, str]]:
    """Every route, with what exists in its open parts: of this tenant, of the other, and of nobody."""
    found = []
    for route in building.server.gateway.application.table.routes:
        for key, tenant in ((building.own.id, "acme"), (building.theirs.id, "umbrella"), ("aaaaaaaa", "nobody")):
            place = {"id": key, "endpoint": "m", "version": "1", "name": tenant if "tenant" in route.path else "m"}
            found.append((route.method, re.sub(r"{(\w+)}", lambda part, place=place: place[part[1]], route.path)))
    return list(dict.fromkeys(found))


BODIES: tuple[object, ...] = (
    None, {}, {"quotas": []}, {"tenant": "umbrella"}, {"tenant": "acme"}, {"name": "umbrella"},
)  # fmt: skip


def test_a_tenants_admin_hears_no_word_of_another_tenant_behind_any_door(building: Building) -> None:
    asked = 0
    for method, path in doors(building):
        for body in BODIES if method == "POST" else BODIES[:1]:
            answer = building.ask(method, path, building.admin, body)
            asked += 1
            told = json.dumps(answer.headers) + answer.body.decode("utf-8", "replace")
            said = path + json.dumps(body)
            # What it says itself it may hear again.
            assert not [word for word in building.words() if word in told and word not in said], (path, body, told)
    assert asked > 100


def test_what_is_of_another_tenant_is_refused_as_what_is_not_there(building: Building) -> None:
    def answers(key: str, tenant: str) -> list[tuple[int, str]]:
        asked = [
            (f"/keys/{key}/revoke", {}), (f"/keys/{key}/limit", {"quotas": []}),
            (f"/keys/{key}/assign", {"tenant": tenant}), (f"/tenants/{tenant}/limit", {"quotas": []}),
            ("/tenants", {"name": tenant}), ("/keys", {"name": "x", "tenant": tenant}),
        ]  # fmt: skip
        found = [building.ask("POST", path, building.admin, body) for path, body in asked]
        return [(each.status, json.loads(each.body)["error"]["message"]) for each in found]

    assert answers(building.theirs.id, "umbrella") == answers("aaaaaaaa", "nobody")
    assert [each.revoked_at for each in building.keys.list() if each.id == building.theirs.id] == [None]


def test_a_tenant_is_shown_its_own_and_the_owner_of_the_server_all(building: Building) -> None:
    def names(path: str, key: str) -> list[str]:
        return [each["name"] for each in json.loads(building.ask("GET", path, key).body)]

    eventually(lambda: building.ask("GET", "/keys", building.root).status == 200)
    assert names("/keys", building.admin) == ["desk"]
    assert names("/keys", building.root) == ["root", "desk", "hive-lab", "t-virus"]
    assert names("/tenants", building.admin) == ["acme"]
    assert names("/tenants", building.root) == ["acme", "umbrella"]
    own, all_of_it = (building.ask("GET", "/metrics", key).body.decode() for key in (building.admin, building.root))
    for each in ("aias_quota_used{", "aias_tenant_quota_used{", "aias_requests_total{"):
        assert each in own
    assert 'tenant="umbrella"' in all_of_it
    assert 'name="hive-lab"' in all_of_it


def test_a_key_that_changes_hands_sees_what_its_new_tenant_has(building: Building) -> None:
    key: Key = building.keys.assign(building.own.id, "umbrella")

    assert key.tenant == "umbrella"
    assert [each["name"] for each in json.loads(building.ask("GET", "/keys", building.admin).body)] == [
        "desk", "hive-lab", "t-virus",
    ]  # fmt: skip
