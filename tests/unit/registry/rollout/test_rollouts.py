from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path

import pytest

import artifacts
from aias.access.idempotency import AskedOtherwise, IdempotencyKey
from aias.core.names import Ref
from aias.registry.lookup import UnknownEndpoint, VersionInUse
from aias.registry.registry import Registry
from aias.registry.rollout.evidence import Evidence
from aias.registry.rollout.rollouts import NothingBefore, NothingToPromote
from aias.registry.rollout.trial import BadTrial, Guard


@pytest.fixture
def registry(tmp_path: Path) -> Iterator[Registry]:
    """Three versions of `churn`; the endpoint `churn` answers with the first."""
    with Registry.open(tmp_path / "home") as opened:
        for seed in (1, 2, 3):
            opened.publish("churn", artifacts.files(seed), artifacts.manifest(seed=seed))
        opened.deploy("churn", Ref("churn", 1))
        yield opened


def failing(times: int) -> Evidence:
    seen = Evidence()
    for _ in range(times):
        seen.errors.see(asked=1, bad=1, live_asked=9, live_bad=0, bound=0.01)
    return seen


def fine(answers: int) -> Evidence:
    seen = Evidence()
    for _ in range(answers):
        seen.errors.see(asked=1, bad=0, live_asked=9, live_bad=0, bound=0.01)
    return seen


def test_a_canary_stands_beside_the_live_version_and_others_hear_of_it(registry: Registry) -> None:
    before = registry.generation()

    trial = registry.rollouts.start("churn", Ref("churn", 2), share=0.05, guard=Guard(promote_after=7))

    endpoint = registry.endpoint("churn")
    assert (endpoint.ref, endpoint.trials) == (Ref("churn", 1), (trial,))
    assert (trial.share, trial.part, trial.guard.promote_after) == (500, "5 %", 7)
    assert registry.endpoints() == [endpoint]
    assert registry.generation() > before


def test_a_version_on_trial_is_in_use(registry: Registry) -> None:
    registry.rollouts.start("churn", Ref("churn", 2), role="shadow", share=1.0)

    with pytest.raises(VersionInUse, match="churn@2 is on trial beside") as refused:
        registry.remove(Ref("churn", 2))

    assert "aias rollback churn" in refused.value.hint
    registry.deploy("other", Ref("churn", 2))
    with pytest.raises(VersionInUse, match="churn@2 answers for `other`"):
        registry.remove(Ref("churn", 2))


def test_evidence_of_workers_adds_up_and_the_one_that_makes_it_certain_ends_the_trial(registry: Registry) -> None:
    trial = registry.rollouts.start("churn", Ref("churn", 2), share=0.1)
    with Registry.open(registry.home) as other:
        first = registry.rollouts.report(trial.id, failing(1))
        before = registry.generation()
        second = other.rollouts.report(trial.id, failing(5))

    assert first is not None and first.ended_at is None
    assert second is not None and second.outcome == "rolled back"
    assert second.why.startswith("6 of 6 answers failed, of the live version 0 of 54")
    assert registry.generation() > before
    assert registry.endpoint("churn").trials == ()
    assert registry.rollouts.report(trial.id, failing(1)) is None
    assert registry.rollouts.outcomes() == [("churn", "rolled back", 1)]


def test_evidence_that_changes_nothing_tells_nobody(registry: Registry) -> None:
    trial = registry.rollouts.start("churn", Ref("churn", 2), share=0.1)
    before = registry.generation()

    registry.rollouts.report(trial.id, fine(3))

    assert registry.generation() == before
    assert registry.endpoint("churn").trials[0].evidence.errors.asked == 3


def test_who_promotes_where_only_a_shadow_is_is_told_how(registry: Registry) -> None:
    registry.rollouts.start("churn", Ref("churn", 2), role="shadow", share=1.0)

    with pytest.raises(NothingToPromote) as refused:
        registry.rollouts.promote("churn")

    assert refused.value.hint == (
        "on trial is churn@2, as a shadow: `aias promote churn churn@2`, "
        "in Python `aias.endpoint('churn').promote('churn@2')`"
    )


def test_a_canary_that_was_told_to_is_promoted_when_it_has_answered_enough(registry: Registry) -> None:
    trial = registry.rollouts.start("churn", Ref("churn", 2), share=0.1, guard=Guard(promote_after=50))
    registry.rollouts.report(trial.id, fine(49))
    assert registry.endpoint("churn").number == 1

    registry.rollouts.report(trial.id, fine(1))

    assert registry.endpoint("churn").number == 2
    assert [each.outcome for each in registry.rollouts.history("churn")] == ["promoted"]


def test_promoting_by_hand_moves_the_endpoint_and_ends_what_else_was_tried(registry: Registry) -> None:
    registry.rollouts.start("churn", Ref("churn", 2), share=0.1)
    registry.rollouts.start("churn", Ref("churn", 3), role="shadow", share=1.0)

    moved = registry.rollouts.promote("churn")

    assert (moved.ref, moved.revision) == (Ref("churn", 2), 2)
    assert registry.endpoint("churn") == moved
    ended = [(each.outcome, each.why) for each in registry.rollouts.history("churn")]
    assert ended == [("promoted", "by hand"), ("replaced", "`churn` answers with churn@2")]
    with pytest.raises(NothingToPromote):
        registry.rollouts.promote("churn")


def test_rolling_back_takes_trials_away_and_then_goes_to_the_version_before(registry: Registry) -> None:
    with pytest.raises(NothingBefore):
        registry.rollouts.rollback("churn")
    registry.deploy("churn", Ref("churn", 2))
    registry.rollouts.start("churn", Ref("churn", 3), share=0.1)

    now, ended = registry.rollouts.rollback("churn")
    assert (now.number, [each.ref for each in ended]) == (2, [Ref("churn", 3)])
    before, none = registry.rollouts.rollback("churn")

    assert (before.number, none) == (1, [])
    assert registry.endpoint("churn").number == 1
    with pytest.raises(UnknownEndpoint):
        registry.rollouts.rollback("chrun")


def test_moving_or_removing_an_endpoint_ends_its_trials(registry: Registry) -> None:
    registry.rollouts.start("churn", Ref("churn", 2), share=0.1)
    registry.deploy("churn", Ref("churn", 3))
    registry.rollouts.start("churn", Ref("churn", 2), share=0.1)
    registry.deploy("churn", Ref("churn", 2))
    registry.rollouts.start("churn", Ref("churn", 3), share=0.1)
    registry.undeploy("churn")

    outcomes = [(each.outcome, each.why) for each in registry.rollouts.history("churn")]
    assert outcomes == [
        ("replaced", "`churn` answers with churn@3"),
        ("promoted", "deployed"),
        ("replaced", "`churn` is no more"),
    ]


def test_another_share_of_the_same_version_is_a_new_trial(registry: Registry) -> None:
    first = registry.rollouts.start("churn", Ref("churn", 2), share=0.05)
    registry.rollouts.report(first.id, failing(1))

    second = registry.rollouts.start("churn", Ref("churn", 2), share=0.2)

    assert registry.endpoint("churn").trials == (second,)
    assert second.evidence.errors.asked == 0
    assert registry.rollouts.history("churn")[0].why == "its share is 20 % from here on"


def test_what_cannot_be_tried_is_refused_with_the_reason(registry: Registry) -> None:
    start = registry.rollouts.start
    other = artifacts.manifest("price")
    registry.publish("price", artifacts.files(9), msgspec_replace(other, classes=("cheap", "dear")))

    with pytest.raises(BadTrial, match="churn@1 is what `churn` answers with"):
        start("churn", Ref("churn", 1), share=0.1)
    with pytest.raises(BadTrial, match=r"0\.01 % to 100 %"):
        start("churn", Ref("churn", 2), share=0.0)
    with pytest.raises(BadTrial, match="price@1 does not answer what churn@1 answers"):
        start("churn", Ref("price", 1), share=0.1)
    with pytest.raises(BadTrial, match="tell callers apart"):
        start("churn", Ref("churn", 2), share=0.1, sticky="a header")
    with pytest.raises(UnknownEndpoint):
        start("shop", Ref("churn", 2), share=0.1)
    start("churn", Ref("churn", 2), share=0.6)
    with pytest.raises(BadTrial, match="110 %"):
        start("churn", Ref("churn", 3), share=0.5)
    with pytest.raises(BadTrial, match="apart by `key`"):
        start("churn", Ref("churn", 3), share=0.1, sticky="request")
    with pytest.raises(BadTrial, match=r"0\.01 % to 50 %"):
        Guard(error_share=0.9)


def msgspec_replace(manifest: artifacts.Manifest, *, classes: tuple[str, ...]) -> artifacts.Manifest:
    from dataclasses import replace

    return replace(manifest, task=replace(manifest.task, classes=classes))


def moved(registry: Registry) -> list[tuple[int | None, str]]:
    return [(each.number, each.how) for each in registry.history("churn")]


def test_rolling_back_twice_goes_two_versions_back_and_never_forth_again(registry: Registry) -> None:
    registry.deploy("churn", Ref("churn", 2))
    registry.rollouts.start("churn", Ref("churn", 3), share=0.1)
    registry.rollouts.promote("churn")

    back = [registry.rollouts.rollback("churn")[0].number for _ in range(2)]

    assert back == [2, 1]
    with pytest.raises(NothingBefore, match="no version before churn@1"):
        registry.rollouts.rollback("churn")
    deployed, promoted, rolled = "deployed", "promoted", "rolled back"
    assert moved(registry) == [(1, deployed), (2, deployed), (3, promoted), (2, rolled), (1, rolled)]


def test_what_was_gone_back_from_comes_again_only_where_it_is_deployed(registry: Registry) -> None:
    registry.deploy("churn", Ref("churn", 2))
    registry.rollouts.rollback("churn")
    registry.deploy("churn", Ref("churn", 3))

    assert registry.rollouts.rollback("churn")[0].number == 1

    registry.deploy("churn", Ref("churn", 2))
    assert registry.rollouts.rollback("churn")[0].number == 1


def test_deploying_an_earlier_version_is_a_step_like_any_other(registry: Registry) -> None:
    registry.deploy("churn", Ref("churn", 2))
    registry.deploy("churn", Ref("churn", 1))

    assert [registry.rollouts.rollback("churn")[0].number for _ in range(2)] == [2, 1]


def test_removed_versions_are_passed_over_and_named_where_none_is_left(registry: Registry) -> None:
    for number in (2, 3):
        registry.deploy("churn", Ref("churn", number))
    registry.remove(Ref("churn", 2))

    assert registry.rollouts.rollback("churn")[0].number == 1

    registry.deploy("churn", Ref("churn", 3))
    registry.remove(Ref("churn", 1))
    with pytest.raises(NothingBefore, match="`churn@1` is removed"):
        registry.rollouts.rollback("churn")


def test_a_rollback_and_a_promotion_that_are_asked_again_are_done_once(registry: Registry) -> None:
    registry.deploy("churn", Ref("churn", 2))
    registry.rollouts.start("churn", Ref("churn", 3), share=0.5)
    back, forth = (IdempotencyKey("giver", b"key", name) for name in (b"rollback", b"promote"))

    for _ in range(2):
        assert registry.rollouts.rollback("churn", once=back)[0].number == 2
    assert registry.endpoint("churn").trials == ()

    registry.rollouts.start("churn", Ref("churn", 3), share=0.5)
    with pytest.raises(AskedOtherwise):
        registry.rollouts.promote("churn", once=forth)
    for _ in range(2):
        assert registry.rollouts.promote("churn", once=replace(forth, name=b"another")).number == 3


def test_a_rollback_that_failed_was_not_done(registry: Registry) -> None:
    once = IdempotencyKey("giver", b"key", b"rollback")
    with pytest.raises(NothingBefore):
        registry.rollouts.rollback("churn", once=once)
    registry.deploy("churn", Ref("churn", 2))

    assert registry.rollouts.rollback("churn", once=once)[0].number == 1
