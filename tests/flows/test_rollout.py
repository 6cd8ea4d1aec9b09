"""Versions beside the live one, over HTTP: shares, callers who stay, rescue, rollback and promotion by themselves."""

import http.client
import json
import sqlite3
import threading
from collections.abc import Iterator
from contextlib import closing
from functools import partial
from pathlib import Path

import pytest

from aias.access.ledger import Ledger
from aias.access.quotas import checked
from aias.core.errors import Damaged
from aias.core.names import Ref
from aias.database.engine import FILE
from aias.registry.registry import Registry
from aias.registry.rollout.trial import Guard
from aias.registry.values import Endpoint
from aias.runtimes.golden import OtherAnswers
from live_server import PATIENCE, LiveServer, Response, Rule, eventually, live_server, samples
from rollout_home import GUARD, ROWS, Breaks, Home, ask, home_at, outcomes, serving, share, start, version_of

TRIED = {"version": "churn@2", "canary": 0.1}


@pytest.fixture
def home(tmp_path: Path) -> Iterator[Home]:
    with home_at(tmp_path / "home") as made:
        yield made


def test_who_deploys_while_another_program_holds_the_database_is_told_to_come_again(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("aias.database.engine.DATABASE_WAIT_SECONDS_MAX", 0.01)
    with Registry.open(tmp_path / "home") as registry, serving(home := Home(registry)) as server:
        home.publish(1)
        with closing(sqlite3.connect(tmp_path / "home" / FILE, isolation_level=None)) as other:
            other.execute("BEGIN IMMEDIATE")
            held = server.call("POST", "/endpoints/churn", {"version": "churn@1"})
        free = server.call("POST", "/endpoints/churn", {"version": "churn@1"})

    assert (held.status, held.headers["retry-after"], free.status) == (503, "1", 200)
    assert held.json["error"]["code"] == "serving.busy"  # type: ignore[index]
    assert str(tmp_path).encode() not in held.body


def test_a_canary_that_has_been_quarantined_is_rolled_back(home: Home) -> None:
    with serving(home) as server:
        start(home, server)
        server.gateway._isolate(frozenset(("churn@2",)), frozenset())
        eventually(lambda: outcomes(home) == ["rolled back"])
        eventually(lambda: server.gateway.router.peek("churn") is not None)

        assert version_of(ask(server)) == 1
        assert [each.facts["version"] for each in server.events if each.name == "serve.trial-ended"] == ["churn@2"]


def test_a_canary_answers_its_share_and_each_caller_stays_with_one_version(home: Home) -> None:
    with serving(home) as server:
        start(home, server, share=0.3)
        users = [f"user-{at}" for at in range(60)]

        first = [version_of(ask(server, X_Aias_Sticky=user)) for user in users]
        again = [version_of(ask(server, X_Aias_Sticky=user)) for user in users]

        assert first == again
        assert 6 <= first.count(2) <= 32
        assert len({version_of(ask(server)) for _ in range(10)}) == 1
        eventually(lambda: home.registry.endpoint("churn").trials[0].evidence.errors.asked >= first.count(2))


def test_what_a_canary_cannot_answer_the_live_version_answers_and_the_canary_goes_by_itself(home: Home) -> None:
    home.rules[2] = Breaks()
    with serving(home) as server:
        start(home, server)
        Breaks.ready.set()

        seen = [version_of(ask(server, X_Aias_Sticky=f"user-{at}")) for at in range(40)]
        eventually(lambda: home.registry.endpoint("churn").trials == ())
        eventually(lambda: not server.gateway.router.stage.splits)
        Breaks.ready.clear()

        assert seen == [1] * 40
        assert outcomes(home) == ["rolled back"]
        assert "answers failed" in home.registry.rollouts.history("churn")[0].why
        assert "serve.trial-ended" in [event.name for event in server.events]


def test_a_canary_of_everybody_that_always_fails_goes_by_itself_too(home: Home) -> None:
    home.rules[2] = Breaks()
    with serving(home) as server:
        start(home, server, share=1.0)
        Breaks.ready.set()

        seen = [version_of(ask(server)) for _ in range(5)]
        eventually(lambda: home.registry.endpoint("churn").trials == ())
        Breaks.ready.clear()

        assert seen == [1] * 5
        assert "none of the live version beside them" in home.registry.rollouts.history("churn")[0].why


def test_what_neither_version_can_answer_is_the_callers_fault(home: Home) -> None:
    with serving(home) as server:
        start(home, server)

        wrong = [
            server.call("POST", "/predict/churn", [{"agee": 1}], headers={"X-Aias-Sticky": f"user-{at}"})
            for at in range(12)
        ]
        for at in range(12):
            ask(server, X_Aias_Sticky=f"user-{at}")
        eventually(lambda: home.registry.endpoint("churn").trials[0].evidence.errors.asked > 0)

        assert {each.status for each in wrong} == {422}
        assert home.registry.endpoint("churn").trials[0].evidence.errors.bad == 0


def test_a_canary_that_was_told_to_is_promoted_under_load_without_being_loaded_again(home: Home) -> None:
    with serving(home) as server:
        start(home, server, guard=Guard(slower=100.0, promote_after=8))
        for at in range(60):
            version_of(ask(server, X_Aias_Sticky=f"user-{at}"))

        eventually(lambda: home.registry.endpoint("churn").number == 2)
        eventually(lambda: version_of(ask(server)) == 2)

        assert outcomes(home) == ["promoted"]
        assert home.loads == 2


def test_a_canary_that_goes_on_with_another_share_is_not_loaded_again(home: Home) -> None:
    with serving(home) as server:
        start(home, server, share=0.0001)

        home.registry.rollouts.start("churn", Ref("churn", 2), share=1.0, guard=GUARD)
        eventually(lambda: version_of(ask(server)) == 2)

        assert home.loads == 2
        assert len(list(server.gateway.router.stage.models())) == 1


def test_who_names_the_version_in_sagemakers_header_gets_it_and_says_nothing_about_the_canary(home: Home) -> None:
    with serving(home) as server:
        start(home, server, share=0.5, sticky="request")

        answers = [
            server.call("POST", "/invocations", ROWS, headers={"X-Amzn-SageMaker-Target-Variant": named})
            for named in ("churn@1", "1", "churn@2", "2", "churn@3") * 4
        ]
        for at in range(12):
            ask(server, X_Aias_Sticky=f"user-{at}")
        eventually(lambda: home.registry.endpoint("churn").trials[0].evidence.errors.asked > 0)

        assert [each.headers.get("x-amzn-invoked-production-variant") for each in answers[:5]] == [
            "churn@1", "churn@1", "churn@2", "churn@2", None,
        ]  # fmt: skip
        assert {each.status for each in answers[4::5]} == {400}
        assert home.registry.endpoint("churn").trials[0].evidence.errors.bad == 0


def test_rows_that_the_live_version_answers_in_a_canarys_place_count_once(home: Home, tmp_path: Path) -> None:
    home.rules[2] = Breaks()
    rollouts, quotas = home.registry.rollouts, {"few": checked(["4 rows/day"])}
    with live_server(home, rollouts=rollouts, quotas=quotas, ledger=partial(Ledger.open, tmp_path)) as server:  # type: ignore[arg-type]
        start(home, server, share=1.0)
        Breaks.ready.set()
        rescued = server.call("POST", "/predict/churn", ROWS * 3, key="few")
        Breaks.ready.clear()

        assert (rescued.status, rescued.headers["x-aias-version"]) == (200, "churn@1")
        assert '"rows-day";r=1;' in rescued.headers["ratelimit"]


def test_a_rollback_by_hand_takes_a_canary_away_at_once(home: Home) -> None:
    with serving(home) as server:
        start(home, server, share=1.0)
        assert version_of(ask(server)) == 2

        home.registry.rollouts.rollback("churn")
        eventually(lambda: server.gateway.router.peek("churn") is not None)

        assert version_of(ask(server)) == 1


def fail(home: Home, fault: Exception) -> None:
    """Loading the second version does."""

    def load(endpoint: Endpoint) -> Rule:
        if endpoint.number == 2:
            raise fault
        return Rule(share(1))

    home.load = load  # type: ignore[method-assign, assignment]


def test_a_canary_that_cannot_be_loaded_is_taken_away_and_the_log_says_why(home: Home) -> None:
    fail(home, OSError("no such disk"))
    with serving(home) as server:
        home.registry.rollouts.start("churn", Ref("churn", 2), share=1.0)
        eventually(lambda: outcomes(home) == ["rolled back"])

        assert version_of(ask(server)) == 1
        assert "no such disk" in home.registry.rollouts.history("churn")[0].why
        assert server.gateway.ready


def test_over_http_a_version_that_cannot_be_asked_is_refused_with_the_reason(home: Home) -> None:
    fail(home, OtherAnswers("golden row 3: it answered 0.9, and 0.1 when it was published"))
    with serving(home) as server:
        for role in ("canary", "shadow"):
            refused = server.call("POST", "/endpoints/churn", {"version": "churn@2", role: 0.5})

            assert (refused.status, "golden row 3" in refused.body.decode()) == (503, True)
        assert server.call("GET", "/endpoints/churn").json["trials"] == []  # type: ignore[index, call-overload]
    assert outcomes(home) == []


@pytest.mark.parametrize("damaged", [1, 2])
def test_over_http_is_told_which_file_of_a_version_is_damaged(home: Home, damaged: int) -> None:
    with serving(home) as server:
        file = home.registry.folder(home.registry.version(Ref("churn", damaged))) / "model.onnx"
        file.chmod(0o600)
        file.write_bytes(b"something else")
        refused = server.call("POST", "/endpoints/churn", {"version": "churn@2", "canary": 0.5})

    assert (refused.status, "model.onnx" in refused.body.decode()) == (503, True)


def test_over_http_is_told_how_trials_ended_where_it_has_pointed_and_why_a_version_does_not_answer(home: Home) -> None:
    home.publish(3)
    loads = home.load

    def load(endpoint: Endpoint) -> Rule:
        if endpoint.number == 3:
            raise Damaged("/home/me/.aias/versions/4f/model.onnx is not what was sealed")
        return loads(endpoint)

    home.load = load  # type: ignore[method-assign]
    with serving(home) as server:
        start(home, server)
        home.registry.rollouts.rollback("churn")
        home.registry.rollouts.start("churn", Ref("churn", 3), role="canary", share=0.5)
        eventually(lambda: not home.registry.rollouts.active())
        home.registry.deploy("churn", Ref("churn", 3))
        eventually(lambda: "failed" in server.call("GET", "/endpoints/churn").json)  # type: ignore[operator]
        found = server.call("GET", "/endpoints/churn").json
        home.registry.deploy("churn", Ref("churn", 1))
        eventually(lambda: "failed" not in server.call("GET", "/endpoints/churn").json)  # type: ignore[operator]

        assert isinstance(found, dict)
        assert (found["version"], found["answers"]) == ("churn@3", "churn@1")
        assert found["failed"] == "model.onnx is not what was sealed"
        assert [(each["version"], each["outcome"], each["why"]) for each in found["history"]] == [
            ("churn@2", "rolled back", "by hand"),
            ("churn@3", "rolled back", "it could not be loaded: model.onnx is not what was sealed"),
        ]
        assert [(each["number"], each["how"]) for each in found["moves"]] == [(1, "deployed"), (3, "deployed")]


def test_who_asks_for_a_version_by_name_gets_it(home: Home) -> None:
    with serving(home) as server:
        start(home, server, share=0.0001)
        paths = [f"/v2/models/churn/versions/{number}" for number in (1, 2)]

        found = [server.call("GET", path).headers["x-aias-version"] for path in paths]

        assert found == ["churn@1", "churn@2"]
        missing = server.call("GET", "/v2/models/churn/versions/3")
        assert (missing.status, missing.json["error"]) == (404, "`churn` is not at version 3 (it is at 1 and 2)")  # type: ignore[index, call-overload]


def test_descriptions_are_of_the_live_version_and_name_all_that_can_be_asked(home: Home) -> None:
    with serving(home) as server:
        start(home, server, share=0.5, sticky="request")
        for path in ("/predict/churn", "/v2/models/churn", "/v2/models/churn/config"):
            assert {server.call("GET", path).headers["x-aias-version"] for _ in range(20)} == {"churn@1"}, path
        config = server.call("GET", "/v2/models/churn/config").json
        named = [server.call("GET", f"/v2/models/churn{path}").json["versions"] for path in ("", "/versions/2")]  # type: ignore[index, call-overload]

        assert named == [["1", "2"]] * 2
        assert config["version_policy"] == {"specific": {"versions": [1, 2]}}  # type: ignore[index, call-overload]


def test_an_endpoint_with_one_version_has_nothing_to_choose(home: Home) -> None:
    with serving(home) as server:
        assert version_of(ask(server)) == 1
        assert server.gateway.router.stage.splits == {}


class Client(threading.Thread):
    """Asks on one connection, each time for somebody else, and keeps what went wrong."""

    def __init__(self, server: LiveServer, seed: int) -> None:
        super().__init__()
        self.server, self.seed, self.enough = server, seed, threading.Event()
        self.seen: list[int] = []
        self.faults: list[str] = []

    def run(self) -> None:
        connection = http.client.HTTPConnection("127.0.0.1", self.server.port, timeout=PATIENCE)
        while not self.enough.is_set():
            who = f"user-{self.seed}-{len(self.seen) % 50}"
            headers = {"Authorization": "Bearer all-key", "X-Aias-Sticky": who, "Content-Type": "application/json"}
            try:
                connection.request("POST", "/predict/churn", json.dumps(ROWS), headers)
                answer = connection.getresponse()
                got = {name.lower(): value for name, value in answer.getheaders()}
                self.seen.append(version_of(Response(answer.status, got, answer.read())))
            except Exception as fault:
                self.faults.append(repr(fault))
                return
        connection.close()


def test_a_hundred_swaps_under_load_fail_nobody_and_every_answer_is_of_one_version(home: Home) -> None:
    rollouts, deploy = home.registry.rollouts, home.registry.deploy
    steps = (
        lambda: rollouts.start("churn", Ref("churn", 2), share=0.5, guard=GUARD),
        lambda: rollouts.promote("churn"),
        lambda: deploy("churn", Ref("churn", 1)),
        lambda: rollouts.start("churn", Ref("churn", 2), share=0.2, guard=GUARD),
        lambda: rollouts.rollback("churn"),
    )
    with serving(home) as server:
        clients = [Client(server, seed) for seed in range(2)]
        for client in clients:
            client.start()
        for at in range(100):
            steps[at % len(steps)]()
            eventually(lambda: server.gateway.router._generation == home.generation())
        for client in clients:
            client.enough.set()
        for client in clients:
            client.join()

    assert [fault for client in clients for fault in client.faults] == []
    assert {number for client in clients for number in client.seen} == {1, 2}


def test_over_http_keys_that_may_deploy_try_promote_and_roll_back_and_others_look(home: Home) -> None:
    with serving(home) as server:
        tried = server.call("POST", "/endpoints/churn", {"version": "churn@2", "canary": 0.25}, key="admin-key")
        shown = server.call("GET", "/endpoints", key="read-key").json
        told = samples(server)
        loaded = {dict(labels)["version"] for name, labels in told if name == "aias_loaded"}
        promoted = server.call("POST", "/endpoints/churn/promote", key="admin-key").json
        back = server.call("POST", "/endpoints/churn/rollback", key="admin-key").json
        direct = server.call("POST", "/endpoints/churn", {"version": "churn@2"}, key="admin-key").json
        gone = [
            server.call("POST", f"/endpoints/{name}/undeploy", key="admin-key") for name in ("churn", "churn", "chum")
        ]

        assert tried.status == 200, tried.body
        assert shown == [tried.json]
        assert [(each["version"], each["share"]) for each in tried.json["trials"]] == [("churn@2", 0.25)]  # type: ignore[index, call-overload]
        assert told["aias_trial_share", (("endpoint", "churn"), ("role", "canary"), ("version", "churn@2"))] == 0.25
        assert loaded == {"churn@1", "churn@2"}
        assert [each["answers"] for each in (promoted, back, direct)] == ["churn@2", "churn@1", "churn@2"]  # type: ignore[index, call-overload]
        assert [each.status for each in gone] == [200, 200, 404]
        assert ask(server).status == 404
        ended = "aias_trials_ended_total", (("endpoint", "churn"), ("outcome", "promoted"))
        assert samples(server)[ended] == 1


@pytest.mark.parametrize(
    ("path", "body", "key", "status", "code"),
    [
        ("/endpoints/churn", {"version": "churn@2"}, "predict-key", 403, "serving.missing-scope"),
        ("/endpoints/churn/rollback", {}, "read-key", 403, "serving.missing-scope"),
        ("/endpoints/churn", {"version": "churn@9"}, "admin-key", 404, "registry.unknown-version"),
        ("/endpoints/shop/promote", {}, "admin-key", 404, "registry.unknown-endpoint"),
        ("/endpoints/churn/promote", {}, "admin-key", 404, "registry.nothing-to-promote"),
        ("/endpoints/churn/rollback", {}, "admin-key", 404, "registry.nothing-before"),
        ("/endpoints/churn", {"version": "churn@2", "canary": 2}, "admin-key", 400, "registry.bad-trial"),
        ("/endpoints/churn", TRIED | {"max_latency_ms": 0}, "admin-key", 400, "registry.bad-trial"),
        ("/endpoints/churn", TRIED | {"shadow": 1}, "admin-key", 400, "registry.bad-trial"),
        ("/endpoints/churn", {"version": "churn@2", "sticky": "request"}, "admin-key", 400, "registry.bad-trial"),
        ("/endpoints/churn", {"version": "churn@2", "max_errors": 0.1}, "admin-key", 400, "registry.bad-trial"),
        ("/endpoints/churn", {"version": "churn@2", "canry": 0.1}, "admin-key", 400, "serving.bad-body"),
        ("/endpoints/churn", "no json", "admin-key", 400, "serving.bad-body"),
    ],
)
def test_over_http_what_cannot_be_is_refused_and_nothing_moves(
    running: LiveServer, path: str, body: object, key: str, status: int, code: str
) -> None:
    refused = running.call("POST", path, body, key=key)

    assert (refused.status, refused.json["error"]["code"]) == (status, code)  # type: ignore[index, call-overload]
    assert running.call("GET", "/endpoints/churn").json["trials"] == []  # type: ignore[index, call-overload]


@pytest.fixture(scope="module")
def running(tmp_path_factory: pytest.TempPathFactory) -> Iterator[LiveServer]:
    with home_at(tmp_path_factory.mktemp("home")) as made, serving(made) as server:
        yield server
