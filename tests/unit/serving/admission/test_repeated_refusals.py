"""What is said again, and what is looked at anew."""

import json
import os
import weakref
from collections.abc import Sequence
from dataclasses import replace
from typing import Any, cast

import pytest

from aias.serving.admission.quotas import Charge
from aias.serving.admission.repeated_refusals import LIFE_SECONDS, RepeatedRefusals
from aias.serving.batching.costs import Cost
from aias.serving.batching.tickets import Flow
from aias.serving.http.heads import Head
from aias.serving.http.messages import Reply, Request
from aias.serving.http.routes import Route
from aias.serving.observability.logs import ACCESS
from aias.serving.observability.metrics import Metrics
from aias.serving.observability.recording import Recording
from aias.serving.refusals import NoKey, Overloaded, QuotaSpent

ROUTE = Route("POST", "/predict/{endpoint}", "predict", lambda _request: Reply(b""))


class Thing:
    """Something that may be let go of; a model as far as refusals know it."""

    version, number = "m@1", 1

    def __init__(self, objective_seconds: float = 1.0) -> None:
        self.flow = Flow("m@1", Cost(1e-5, 0.0), rows_max=1, objective_seconds=objective_seconds)


class Scene:
    def __init__(self, names: Sequence[str] = ("next2", "next3")) -> None:
        self.now, self.metrics, self.names = 100.0, Metrics(), list(names)
        self.refusals = RepeatedRefusals(Recording(self.metrics), iter(self.names).__next__, clock=lambda: self.now)
        self.head = Head("/predict/churn", {}, ROUTE, {"endpoint": "churn"}, 3)

    def refuse(self, fault: Exception, **more: object) -> None:
        request = Request("POST", "/predict/churn", "first", self.head.headers, self.head.places)
        for name, value in more.items():
            setattr(request, name, value)
        if life := self.refusals.life(self.head, request, fault):
            self.refusals.keep(self.head, request, Reply(b"", 503), b"id: first, body: first", life)


def test_a_refusal_is_said_again_under_another_name_and_counted() -> None:
    scene = Scene()
    scene.refuse(Overloaded())

    assert scene.refusals.of(scene.head) == b"id: next2, body: next2"
    assert scene.refusals.of(scene.head) == b"id: next3, body: next3"
    assert scene.metrics.refusals == {("serving.overloaded", "", ""): 2}
    assert scene.metrics.requests == {("", "", 503): 2}


def test_a_key_with_quotas_of_which_it_takes_nothing_hears_it_again_too() -> None:
    scene = Scene()
    scene.refuse(Overloaded(), charge=Charge(cast("Any", None)))

    assert scene.refusals.of(scene.head) == b"id: next2, body: next2"


def test_a_moment_later_it_is_looked_at_anew() -> None:
    scene = Scene()
    scene.refuse(Overloaded())
    scene.now += 1.01 * LIFE_SECONDS

    assert scene.refusals.of(scene.head) is None


def test_where_nobody_should_wait_for_long_the_queue_is_looked_at_anew_sooner() -> None:
    scene = Scene()
    scene.refuse(Overloaded(), model=Thing(objective_seconds=0.1))
    scene.now += 0.0049
    assert scene.refusals.of(scene.head) is not None
    scene.now += 0.0002

    assert scene.refusals.of(scene.head) is None


def test_under_a_longer_name_it_would_be_longer_than_it_says_and_is_looked_at_anew() -> None:
    scene = Scene(["longer"])
    scene.refuse(Overloaded())

    assert scene.refusals.of(scene.head) is None
    assert not scene.metrics.requests


def test_what_is_said_again_keeps_no_model_in_memory() -> None:
    scene, model = Scene(), Thing()
    kept = weakref.ref(model)
    scene.refuse(Overloaded(), model=model)
    del model

    assert scene.refusals.of(scene.head) is not None
    assert kept() is None


def test_what_is_not_said_any_more_is_let_go_of() -> None:
    scene = Scene()
    scene.refuse(Overloaded())
    scene.refusals.forget()
    assert scene.refusals.said
    scene.now += 1.01 * LIFE_SECONDS
    scene.refusals.forget()

    assert not scene.refusals.said


def test_what_is_said_again_counts_among_what_its_version_has_failed_to_answer() -> None:
    scene = Scene()
    scene.refuse(Overloaded(), model=Thing())
    scene.refusals.of(scene.head)
    scene.refusals.of(scene.head)
    (_, version, found), *others = scene.metrics.statistics.counted()

    assert (version, found.fail.count, others) == ("m@1", 2, [])
    assert found.last_at_ms > 0
    assert scene.metrics.refusals == {("serving.overloaded", "churn", "m@1"): 2}


def test_another_head_is_never_answered_with_it() -> None:
    scene = Scene()
    scene.refuse(Overloaded())
    other = Head("/predict/churn", {}, ROUTE, {"endpoint": "churn"}, 3)

    assert scene.refusals.of(other) is None


@pytest.mark.parametrize(
    ("fault", "more"),
    [
        (NoKey("this needs a key"), {}),
        (Overloaded(), {"split": object()}),
        (QuotaSpent(retry_seconds=1), {"charge": Charge(cast("Any", None))}),
        (Overloaded(), {"span": object()}),
    ],
)
def test_what_is_not_the_same_for_all_is_not_said_again(fault: Exception, more: dict[str, object]) -> None:
    scene = Scene()
    scene.refuse(fault, **more)

    assert scene.refusals.of(scene.head) is None


def test_who_has_a_deadline_is_neither_refused_as_others_are_nor_they_as_he_is() -> None:
    scene, headers = Scene(), {b"x-deadline-ms": b"50"}
    urgent = replace(scene.head, headers=headers, kind=scene.head)
    assert scene.refusals.life(urgent, Request("POST", "/predict/churn", "first", headers, {}), Overloaded()) == 0
    scene.refuse(Overloaded())

    assert scene.refusals.of(urgent) is None
    assert scene.refusals.of(scene.head) is not None


def test_who_names_a_request_hears_its_own_name_and_not_one_that_means_more() -> None:
    scene = Scene()
    first, other, longer, odd = (
        replace(scene.head, id=name, kind=scene.head) for name in ("first", "other", "longer", "code")
    )

    def keep(head: Head) -> None:
        request = Request("POST", "/predict/churn", head.id, {}, {"endpoint": "churn"})
        body = b'{"code":1,"request_id":"%b"}' % head.id.encode()
        scene.refusals.keep(
            head, request, Reply(body, 503), b"x-request-id: %b\r\n\r\n%b" % (head.id.encode(), body), 1
        )

    keep(first)
    keep(odd)

    assert scene.refusals.of(other) == b'x-request-id: other\r\n\r\n{"code":1,"request_id":"other"}'
    assert [scene.refusals.of(each) for each in (longer, odd, scene.head)] == [None] * 3


def test_bodies_of_very_other_sizes_are_looked_at_by_themselves() -> None:
    scene = Scene()
    scene.refuse(Overloaded())

    assert scene.refusals.of(replace(scene.head, body_bytes=300, kind=scene.head)) is None
    assert scene.refusals.of(replace(scene.head, body_bytes=2, kind=scene.head)) is not None


def test_what_is_said_again_has_its_line_in_the_access_log() -> None:
    scene = Scene()
    traced = {b"traceparent": b"00-%b-%b-01" % (b"ab" * 16, b"cd" * 8)}
    out, into = os.pipe()
    ACCESS.start(into)
    try:
        scene.refuse(Overloaded(), key="mine", path="/predict/churn")
        scene.refusals.of(replace(scene.head, headers=traced, kind=scene.head))
    finally:
        ACCESS.stop()
        os.close(into)
    with os.fdopen(out) as lines:
        [line] = [json.loads(each) for each in lines]

    assert (line["request"], line["trace"], line["key"]) == ("next2", "ab" * 16, "mine")
    assert (line["path"], line["status"]) == ("/predict/churn", 503)
