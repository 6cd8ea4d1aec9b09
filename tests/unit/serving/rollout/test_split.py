import asyncio
import subprocess
import sys
import time
from dataclasses import replace

import pytest

import artifacts
from aias.core.events import nobody
from aias.registry.rollout.trial import Guard, Trial, point
from aias.serving.http.bodies import Bodies
from aias.serving.http.messages import Reply, Request
from aias.serving.observability.metrics import Metrics
from aias.serving.observability.recording import asked as request_came_to
from aias.serving.refusals import TooLate
from aias.serving.rollout.blame import blame, refuse
from aias.serving.rollout.collector import EvidenceCollector
from aias.serving.rollout.split import Canary, Split
from aias.serving.survival.journal import Death, Journal, Layout, Pages
from aias.serving.versions.model import Model, warm
from aias.serving.versions.router import Router
from live_server import AT, BOUNDS, Rule, Shelf


def model(number: int) -> Model:
    return warm(Rule(), version=f"churn@{number}", number=number)


LIVE, TWO, THREE = model(1), model(2), model(3)


def split(*shares: int, sticky: str = "key", revision: int = 1) -> Split:
    canaries, upper = [], 0
    for share, each in zip(shares, (TWO, THREE), strict=False):
        upper += share
        trial = Trial(each.number, "churn", "churn", each.number, "d", "canary", share, sticky, Guard(), AT)
        canaries.append(Canary(trial, each, EvidenceCollector(trial.guard), upper))
    return Split("churn", revision, live=LIVE, canaries=canaries)


def asked(
    split: Split, *, tenant: str = "k", headers: dict[bytes, bytes] | None = None, id_: str = "1", version: str = ""
) -> Request:
    places = {"endpoint": "churn"} | ({"version": version} if version else {})
    request = Request("POST", "/predict/churn", id_, headers or {}, places, tenant=tenant)
    split.choose(request)
    return request


def numbers(split: Split, count: int = 2_000) -> list[int]:
    return [asked(split, tenant=f"tenant-{at}").asked.number for at in range(count)]


def test_each_version_is_given_its_share_of_callers() -> None:
    found = numbers(split(500, 2_000))

    assert found.count(2) / len(found) == pytest.approx(0.05, abs=0.015)
    assert found.count(3) / len(found) == pytest.approx(0.20, abs=0.03)


def test_who_was_answered_by_a_canary_still_is_when_its_share_grows() -> None:
    few, many = numbers(split(500)), numbers(split(2_000))

    assert {at for at, number in enumerate(few) if number == 2} < {at for at, number in enumerate(many) if number == 2}


def test_after_a_move_others_go_first() -> None:
    first, second = numbers(split(500)), numbers(split(500, revision=2))

    both = sum(a == b == 2 for a, b in zip(first, second, strict=True))
    assert both < 0.3 * first.count(2)


def test_the_same_caller_stands_at_the_same_point_in_every_process() -> None:
    script = "from aias.registry.rollout.trial import point; print(point('churn', 3, b'key abc'))"
    told = subprocess.run(
        [sys.executable, "-c", script],
        capture_output=True,
        env=artifacts.importable() | {"PYTHONHASHSEED": "77"},
        check=True,
    )

    assert int(told.stdout) == point("churn", 3, b"key abc")


def test_a_caller_may_say_for_whom_it_asks_and_each_of_them_stays_with_one_version() -> None:
    half = split(5_000)
    users = [{b"x-aias-sticky": b"user-%d" % at} for at in range(400)]

    first = [asked(half, headers=user).asked.number for user in users]
    again = [asked(half, headers=user, tenant="another").asked.number for user in users]

    assert first == again
    assert 0.35 < first.count(2) / len(first) < 0.65
    assert len({asked(half).asked.number for _ in range(20)}) == 1


def test_a_header_of_the_operators_choice_tells_callers_apart() -> None:
    half = split(5_000, sticky="x-user")

    found = [asked(half, headers={b"x-user": b"%d" % at}).asked.number for at in range(400)]

    assert 0.35 < found.count(2) / len(found) < 0.65


def test_by_request_one_key_meets_both_versions() -> None:
    half = split(5_000, sticky="request")

    found = [asked(half, id_=str(at)).asked.number for at in range(400)]

    assert 0.35 < found.count(2) / len(found) < 0.65


def test_who_names_a_version_gets_it_and_is_not_counted() -> None:
    none = split(1)

    found = [asked(none, version=named) for named in ("2", "1", "7")]

    assert [each.asked.number for each in found] == [2, 1, 1]
    assert [each.split for each in found] == [None] * 3


def test_answers_of_versions_in_processes_of_their_own_are_counted_too() -> None:
    whole = split(10_000)
    for each in (LIVE, TWO):
        request = asked(whole)
        request.model = replace(each)
        whole.note(request, Reply(b"[]", phases=(0.1, 0.1, 0.1)))

    [canary] = whole.canaries
    found = canary.collector.take()
    assert found is not None
    assert (found.errors.live_asked, found.errors.asked) == (1, 1)


def test_in_whose_run_a_worker_died_the_canary_is_not_tried_again_and_what_comes_of_it_is_no_evidence() -> None:
    everyone, slot = split(10_000), Journal(Pages.make(Layout(threads=1, slots=1))).take()
    assert slot is not None
    # By the worker before the last: that one ended for another reason.
    slot.open(7, start=0, written=0, tries=1)
    kept = Request("POST", "/predict/churn", "1", {}, {"endpoint": "churn"}, tenant="k", slot=slot)
    again = Request("POST", "/predict/churn", "1", {}, {"endpoint": "churn"}, tenant="k", death=Death("churn@2"))
    for each in (again, kept):
        everyone.choose(each)

    assert asked(everyone).asked.number == 2
    assert [(each.asked.number, each.split) for each in (again, kept)] == [(1, None)] * 2


def staged(*shares: int) -> tuple[Router, list[EvidenceCollector]]:
    """A router that knows of trials, and has none of their models in memory; what is seen of each."""
    trials = tuple(
        Trial(at, "churn", "churn", at, f"churn-{at}", "canary", share, "request", Guard(), AT)
        for at, share in enumerate(shares, 2)
    )
    shelf = Shelf()
    shelf.deploy("churn", 1, Rule())
    shelf.pointers["churn"] = replace(shelf.pointers["churn"], trials=trials)
    router = Router(shelf, shelf.load, metrics=Metrics(), watch=nobody)
    router.follow()
    return router, [router.stage._collector(trial) for trial in trials]


@pytest.mark.parametrize(
    ("version", "found"),
    [("churn@2", [[(True, True)], []]), ("churn@1", [[(False, True)], [(False, True)]]), ("churn@9", [[], []])],
)
def test_a_death_is_evidence_of_the_version_that_ran_whether_it_is_in_memory_or_not(
    version: str, found: list[list[tuple[bool, bool]]]
) -> None:
    router, collectors = staged(5_000, 100)
    request = Request("POST", "/predict/churn", "1", {}, {"endpoint": "churn"}, tenant="k", death=Death(version))

    blame(request, router)

    assert [[(each.trial, each.failed) for each in one._seen] for one in collectors] == found


@pytest.mark.parametrize("places", [{"endpoint": "churn"}, {}])
def test_who_is_told_of_a_death_is_counted_for_the_version_that_ran(places: dict[str, str]) -> None:
    router, [seen] = staged(5_000)
    death = Death("churn@2", TooLate("it did not end"))
    # In chunks: how long it is, shows when it is there.
    headers = {b"transfer-encoding": b"chunked"}
    request = Request("POST", "/predict/churn", "1", headers, places, model=LIVE, death=death)
    left = [{"type": "http.request", "body": b"x" * 1_000, "more_body": False}]

    async def receive() -> dict[str, object]:
        return left.pop()

    with pytest.raises(TooLate):
        asyncio.run(refuse(request, death, router, bodies=Bodies(BOUNDS), receive=receive))
    blame(request, router)

    assert request_came_to(request) == ("churn", "churn@2")
    assert [each.kind for each in seen._seen] == [(b"", 10, 0)]


def test_a_death_is_told_by_what_was_asked_when_that_is_known() -> None:
    """Two endpoints run the version, and the body, which was packed, has named one of them."""
    router, [seen] = staged(5_000)
    router.stage.endpoints = [*router.stage.endpoints, replace(router.stage.endpoints[0], name="other")]
    request = Request(
        "POST", "/v1/embeddings", "1", {b"content-length": b"30"}, {}, death=Death("churn@2"), body=b"x" * 1_000
    )
    blame(request, router)
    before = len(seen._seen)
    request.places = {"endpoint": "churn"}
    blame(request, router)

    assert (before, [each.kind for each in seen._seen]) == (0, [(b"", 10, 0)])


def test_a_death_of_a_version_that_was_named_is_no_evidence() -> None:
    router, [seen] = staged(5_000)
    places = {"endpoint": "churn", "version": "2"}

    blame(Request("POST", "/v2", "1", {}, places, death=Death("churn@2")), router)
    by_header = Request("POST", "/invocations", "1", {}, {"endpoint": "churn"}, named_version="2")
    by_header.death = Death("churn@2")
    blame(by_header, router)

    assert not seen._seen


def test_who_names_a_number_gets_the_live_version_also_beside_a_canary_of_another_model_with_that_number() -> None:
    other = warm(Rule(), version="trees@1", number=1)
    trial = Trial(9, "churn", "trees", 1, "d", "canary", 10_000, "key", Guard(), AT)
    both = Split("churn", 1, live=LIVE, canaries=[Canary(trial, other, EvidenceCollector(trial.guard), 10_000)])
    found = []
    for named in ("1", "churn@1", "trees@1", "trees@2"):
        request = Request("POST", "/invocations", "1", {}, {"endpoint": "churn"}, tenant="k", named_version=named)
        both.choose(request)
        found.append((request.asked.version, request.split))

    assert asked(both).asked is other
    assert found == [("churn@1", None), ("churn@1", None), ("trees@1", None), ("churn@1", None)]


def came(split: Split, model: Model, status: int, *, given_ms: int = 0, body: bytes = b"[{}]") -> None:
    request = asked(
        split, headers={b"content-length": b"4"} | ({b"x-deadline-ms": b"%d" % given_ms} if given_ms else {})
    )
    request.model, request.body, request.deadline = model, body, time.monotonic() if given_ms else None
    split.note(request, Reply(b"[]", status, phases=(0.0, 0.01, 0.0) if status == 200 else None))


@pytest.mark.parametrize("status", [503, 504])
def test_a_canary_too_slow_for_its_callers_deadlines_is_found_out(status: int) -> None:
    half = split(5_000)
    for at in range(600):
        came(half, LIVE, 200, given_ms=200)
        # Refused at the door, its body is never read.
        came(half, TWO, status if at % 10 else 200, given_ms=200, body=b"" if status == 503 and at % 10 else b"[{}]")
    found = half.canaries[0].collector.take()

    assert found is not None
    assert "came too late" in found.worse(error_share=0.01, slower=1.5, false_alarms=0.01)


def test_who_allows_little_time_is_compared_with_who_allows_as_little() -> None:
    half = split(5_000)
    for _ in range(600):
        came(half, LIVE, 200)
        came(half, TWO, 504, given_ms=5)
        came(half, LIVE, 200, given_ms=5_000)
    found = half.canaries[0].collector.take()

    assert found is not None
    assert (found.slow.asked, found.worse(error_share=0.01, slower=1.5, false_alarms=0.01)) == (0, "")


def test_what_came_too_late_is_no_failure_and_is_not_shown_to_a_shadow() -> None:
    class Kept:
        def __init__(self) -> None:
            self.offered: list[Request] = []

        def offer(self, request: Request) -> None:
            self.offered.append(request)

    mirror = Kept()
    both = Split("churn", 1, live=LIVE, canaries=split(5_000).canaries, mirrors=[mirror])
    for status in (503, 504, 200):
        came(both, TWO, status, given_ms=200)

    assert [(each.failed, each.late) for each in both.canaries[0].collector._seen] == [
        (False, True), (False, True), (False, False)
    ]  # fmt: skip
    assert len(mirror.offered) == 1


def test_a_shadow_is_not_shown_what_came_too_late_or_did_not_end() -> None:
    class Mirrored:
        def __init__(self) -> None:
            self.offered = list[str]()

        def offer(self, request: Request) -> None:
            self.offered.append(request.id)

    mirror = Mirrored()
    shadowed = Split("churn", 1, live=LIVE, canaries=[], mirrors=[mirror])
    for id_, status in (("answered", 200), ("failed", 500), ("did not end", 504), ("refused", 503)):
        shadowed.note(asked(shadowed, id_=id_), Reply(b"", status, phases=(0.1, 0.1, 0.1) if status == 200 else None))

    assert mirror.offered == ["answered", "failed"]
