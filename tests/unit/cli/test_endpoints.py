import socket
import threading
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path

import msgspec
import pytest

import artifacts
import tiny_versions
from aias.access.keys import Keys
from aias.core.names import Ref
from aias.registry.registry import Registry
from aias.registry.rollout.evidence import Evidence
from aias.serving.processes.control_socket import ControlSocket, Question, Reply
from shell import Run


@pytest.fixture
def churn_home(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Registry]:
    """Two versions of `churn`, of which the endpoint answers with the first."""
    monkeypatch.setenv("AIAS_HOME", str(tmp_path / "home"))
    with Registry.open(tmp_path / "home") as registry:
        for seed in (1, 2):
            registry.publish("churn", artifacts.files(seed), artifacts.manifest(seed=seed))
        registry.deploy("churn", Ref("churn", 1))
        yield registry


def test_a_latency_of_nothing_is_no_way_to_say_that_there_is_no_bound(run: Run, churn_home: Registry) -> None:
    refused = run("deploy", "churn@2", "--canary", "5%", "--max-latency", "0ms")

    assert refused.status == 2 and "a latency of 0 s" in refused.err


def test_a_latency_says_its_unit(run: Run, churn_home: Registry) -> None:
    refused = run("deploy", "churn@2", "--canary", "5%", "--max-latency", "50")

    assert refused.status == 2 and "write 50ms or 50us" in refused.err


def test_a_canary_is_begun_shown_promoted_and_gone_back_from(run: Run, churn_home: Registry) -> None:
    begun = run(
        "deploy",
        "churn@2",
        "--canary",
        "5%",
        "--max-errors",
        "2%",
        "--max-slower",
        "3x",
        "--max-latency",
        "50ms",
        "--promote-after",
        "9",
    )
    shown = run("endpoints", "--json").json
    listed = run("ls")
    promoted = run("promote", "churn")
    back = run("rollback", "churn")
    history = run("endpoints", "churn", "--json").json["history"]

    assert "/predict/churn → churn@1; churn@2 answers 5 % of the callers" in begun.out
    guard = {"error_share": 0.02, "slower": 3.0, "false_alarms": 0.01, "promote_after": 9, "seconds_max": 0.05}
    assert [(each["share"], each["guard"]) for each in shown[0]["trials"]] == [(0.05, guard)]
    assert "churn (canary 5 %)" in " ".join(listed.out.split())
    assert promoted.out == "/predict/churn → churn@2\n"
    assert back.out == "/predict/churn → churn@1\n"
    assert [each["outcome"] for each in history] == ["promoted"]


def test_what_a_share_means_is_said_where_few_keys_ask(run: Run, churn_home: Registry) -> None:
    Keys(churn_home.database).create("shop", ("predict",))

    some = run("deploy", "churn@2", "--canary", "100%").err
    shown = run("endpoints", "churn")
    none = run("deploy", "churn@2", "--canary", "5%", "--sticky", "request").err

    assert "1 of 1 keys get the canary: shop. As only one of the two versions is asked" in some
    assert "keys get" not in none
    # Also later, as long as nobody has been answered.
    assert "no answer yet" in " ".join(shown.out.split())
    assert "1 of 1 keys get the canary: shop" in shown.err


def test_inputs_in_another_order_are_told_of_before_rows_without_names_are_read_in_it(
    run: Run, churn_home: Registry
) -> None:
    other = artifacts.manifest(seed=3)
    churn_home.publish("churn", artifacts.files(3), replace(other, inputs=other.inputs[::-1]))

    canary = " ".join(run("deploy", "churn@3", "--canary", "5%").err.split())
    same = run("deploy", "churn@2").err
    live = " ".join(run("deploy", "churn@3").err.split())

    said = "churn@3 takes its inputs in another order than churn@{}, `plan` where that has `age`: rows without names"
    assert said.format(1) in canary and "are read in its order once it is live." in canary
    assert "another order" not in same
    assert said.format(2) in live and "from now on" in live


def test_a_shadow_is_begun_and_how_it_fares_is_shown_in_words(run: Run, churn_home: Registry) -> None:
    assert "is compared on 20 %" in run("deploy", "churn@2", "--shadow", "20%").out
    assert run("endpoints", "churn").status == 0
    seen = Evidence()
    seen.mirrored.requests, seen.mirrored.rows, seen.mirrored.alike = 4, 8, 6
    churn_home.rollouts.report(churn_home.endpoint("churn").trials[0].id, seen)

    shown = " ".join(run("endpoints").out.split())
    gone = run("rollback", "churn")

    assert "shadow 20 %" in shown
    assert "75.00% of 8 rows" in shown
    assert gone.out == "/predict/churn → churn@1; churn@2 is no longer tried\n"
    assert "rolled back: by hand" in " ".join(run("endpoints", "churn").out.split())


@pytest.mark.parametrize("how", [(), ("--canary", "50%"), ("--shadow",)])
def test_a_version_that_does_not_answer_its_golden_rows_is_refused_and_who_answers_is_said(
    run: Run, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, how: tuple[str, ...]
) -> None:
    monkeypatch.setenv("AIAS_HOME", str(tmp_path / "home"))
    with Registry.open(tmp_path / "home") as registry:
        for golden_of in (2.0, 3.0):
            registry.publish("m", tiny_versions.files(2.0, golden_of=golden_of), tiny_versions.MANIFEST)
        assert run("deploy", "m@1").status == 0

        refused = run("deploy", "m@2", *how, "--json")
        moves = [move.ref for move in registry.history("m")]
        trials = registry.rollouts.history("m")
    nobody = run("deploy", "m@2", "--as", "fresh")

    assert (refused.status, refused.error["code"]) == (1, "runtimes.other-answers")
    assert refused.error["message"].startswith("m@2 cannot answer for `m`: it answers")
    assert refused.error["message"].endswith("; m@1 goes on answering")
    assert (moves, trials) == ([Ref("m", 1)], [])
    assert nobody.status == 1 and "nothing answers there" in " ".join(nobody.err.split())


@pytest.mark.parametrize(
    ("arguments", "status", "code"),
    [
        (["deploy", "churn@2", "--canary", "200%"], 2, "registry.bad-trial"),
        (["deploy", "churn@2", "--canary", "some"], 2, "aias.bad-input"),
        (["deploy", "churn@2", "--canary", "5%", "--shadow", "5%"], 2, "registry.bad-trial"),
        (["deploy", "churn@2", "--max-errors", "5%"], 2, "registry.bad-trial"),
        (["deploy", "churn@2", "--sticky", "request"], 2, "registry.bad-trial"),
        (["deploy", "churn@1", "--canary", "5%"], 2, "registry.bad-trial"),
        (["deploy", "churn@2", "--canary", "5%", "--as", "shop"], 3, "registry.unknown-endpoint"),
        (["promote", "churn"], 3, "registry.nothing-to-promote"),
        (["rollback", "churn"], 3, "registry.nothing-before"),
        (["rollback", "shop"], 3, "registry.unknown-endpoint"),
        (["endpoints", "shop"], 3, "registry.unknown-endpoint"),
    ],
)
def test_what_cannot_be_is_refused_with_a_code(
    run: Run, churn_home: Registry, arguments: list[str], status: int, code: str
) -> None:
    done = run(*arguments, "--json")

    assert done.status == status
    if code:
        assert done.error["code"] == code
    assert churn_home.endpoint("churn").trials == ()
    assert churn_home.endpoint("churn").ref == Ref("churn", 1)


def test_where_an_endpoint_has_pointed_is_shown_with_how_it_came_there(run: Run, churn_home: Registry) -> None:
    run("deploy", "churn@2")
    run("rollback", "churn")

    moves = run("endpoints", "churn", "--json").json["moves"]
    shown = run("endpoints", "churn").out

    assert [(each["number"], each["how"]) for each in moves] == [(1, "deployed"), (2, "deployed"), (1, "rolled back")]
    assert "rolled back" in shown


@pytest.fixture
def supervisor(churn_home: Registry, tmp_path: Path) -> Iterator[list[str]]:
    """One that holds `churn@1`; the list is what it was asked."""
    asked, quarantined, apart = list[str](), ["churn@1"], list[str]()
    control_socket = ControlSocket(tmp_path / "home", "127.0.0.1", 8000)
    control_socket.open()

    def answer(caller: socket.socket, question: Question) -> None:
        asked.append(f"{question.verb} {question.version}".strip())
        released = question.verb == "release" and question.version in quarantined
        if released:
            quarantined.remove(question.version)
            apart.append(question.version)
        with caller:
            told = Reply(quarantined=quarantined, apart=apart, released=released)
            told.failed = [("churn", "churn@2", "churn@2 cannot answer for `churn`: why; churn@1 goes on answering")]
            caller.send(msgspec.json.encode(told))

    thread = threading.Thread(target=control_socket.hear, args=(answer,))
    thread.start()
    yield asked
    control_socket.close()
    thread.join()


def test_what_is_quarantined_is_shown_and_released(run: Run, supervisor: list[str]) -> None:
    shown = " ".join(run("endpoints").out.split())
    before = run("endpoints", "--json").json[0]["held"]
    released = run("release", "churn@1").out
    after = run("endpoints", "churn", "--json").json["held"]
    again = run("release", "churn@1")

    assert "quarantined" in shown
    assert (before, after) == ({"churn@1": "quarantined"}, {"churn@1": "apart"})
    assert released == "churn@1 runs again, in a process of its own\n"
    assert supervisor == ["isolated", "isolated", "release churn@1", "isolated", "release churn@1"]
    assert again.status == 3 and "(serving.not-held)" in again.err


def test_what_is_deployed_and_does_not_answer_is_shown_with_why(run: Run, supervisor: list[str]) -> None:
    before = run("endpoints", "churn", "--json").json
    next_ = run("deploy", "churn@2").err
    shown, after = " ".join(run("endpoints").out.split()), run("endpoints", "--json").json[0]

    assert next_.endswith('curl -H "Authorization: Bearer $AIAS_KEY" 127.0.0.1:8000/predict/churn\n')
    assert "failed" not in before
    assert "cannot answer for" in shown
    assert after["failed"] == "churn@2 cannot answer for `churn`: why; churn@1 goes on answering"


def test_without_a_server_nothing_can_be_released(run: Run, churn_home: Registry) -> None:
    refused = run("release", "churn@1")

    assert refused.status == 3 and "no server of this home runs" in refused.err
    assert run("endpoints", "--json").json[0]["held"] == {}


def test_a_bound_for_a_canary_without_one_names_the_option(run: Run, churn_home: Registry) -> None:
    assert "`--canary 5%`" in run("deploy", "churn@2", "--max-errors", "5%").err
