import random

from aias.registry.rollout.evidence import Evidence
from aias.registry.rollout.trial import Guard
from aias.serving.rollout.collector import ALONE_AFTER, KINDS_MAX, EvidenceCollector, Seen

JSON = (b"application/json", 5, 0)


def seen(
    collector: EvidenceCollector, *, share: float, canary_seconds: float, live_seconds: float, count: int, seed: int = 3
) -> Evidence:
    """What is known after so many answers, of which the canary gives a share; each takes up to a tenth longer."""
    rng = random.Random(seed)
    known = Evidence()
    for _ in range(count):
        trial = rng.random() < share
        seconds = (canary_seconds if trial else live_seconds) * (1 + 0.1 * rng.random())
        known.add(collector.learn([Seen(trial, JSON, False, seconds)]))
    return known


def why(known: Evidence) -> str:
    return known.worse(error_share=0.01, slower=1.5, false_alarms=0.01)


def test_a_cell_is_learned_from_when_both_versions_have_been_asked() -> None:
    collector = EvidenceCollector(Guard())
    live = [Seen(False, JSON, False, 0.1)] * 5

    assert collector.learn(live).errors.live_asked == 0
    found = collector.learn([Seen(True, JSON, True, None)])

    assert (found.errors.asked, found.errors.bad, found.errors.live_asked, found.errors.live_bad) == (1, 1, 5, 0)


def test_nothing_is_slow_before_it_is_known_what_is_usual() -> None:
    known = seen(EvidenceCollector(Guard()), share=0.5, canary_seconds=9.0, live_seconds=0.001, count=60)

    assert known.errors.asked > 20
    assert known.slow.asked == 0


def test_a_canary_that_is_twice_as_slow_is_found_out_and_one_a_fifth_slower_is_not() -> None:
    assert "times the live p95" in why(
        seen(EvidenceCollector(Guard()), share=0.1, canary_seconds=2e-3, live_seconds=1e-3, count=900)
    )
    assert not why(seen(EvidenceCollector(Guard()), share=0.1, canary_seconds=1.2e-3, live_seconds=1e-3, count=1_500))


def test_large_bodies_are_compared_with_large_ones_only() -> None:
    """A caller whose bodies are large, and who is answered by the canary, does not make it slow."""
    collector, known, rng = EvidenceCollector(Guard()), Evidence(), random.Random(5)
    large = (b"application/json", 20, 0)
    for _ in range(1_500):
        trial = rng.random() < 0.1
        big = rng.random() < (0.9 if trial else 0.1)
        known.add(collector.learn([Seen(trial, large if big else JSON, False, 1.0 if big else 0.001)]))

    assert known.slow.asked > 100
    assert not why(known)


def test_a_machine_that_gets_slow_for_both_is_not_the_canarys_fault() -> None:
    collector, known, rng = EvidenceCollector(Guard()), Evidence(), random.Random(6)
    for at in range(2_000):
        busy = 20 if at // 250 % 2 else 1
        known.add(collector.learn([Seen(rng.random() < 0.2, JSON, False, busy * (1 + 0.1 * rng.random()))]))

    assert known.slow.bad + known.slow.live_bad > 50
    assert not why(known)


def test_kinds_without_end_take_room_for_a_few_only() -> None:
    collector = EvidenceCollector(Guard())

    collector.learn(Seen(at % 2 == 0, (b"x", at // 2, 0), False, 0.1) for at in range(10_000))

    assert len(collector._cells) <= KINDS_MAX + 1


def test_what_is_seen_on_one_thread_is_taken_by_another() -> None:
    collector = EvidenceCollector(Guard())
    assert collector.take() is None

    collector.see(Seen(False, JSON, False, 0.1))
    collector.see(Seen(True, JSON, False, 0.1))
    found = collector.take()

    assert found is not None
    assert found.errors.asked == found.errors.live_asked == 1


def told(known: Evidence, guard: Guard) -> str:
    return known.worse(error_share=guard.error_share, slower=1.5, false_alarms=0.01, seconds_max=guard.seconds_max)


def test_a_canary_of_everybody_that_always_fails_goes_at_its_first_answers() -> None:
    found = EvidenceCollector(Guard(), alone_after=0).learn([Seen(True, JSON, True, None)] * 4)

    assert told(found, Guard()).startswith("4 of 4 answers failed, with none of the live version beside them")


def test_one_of_everybody_that_fails_as_seldom_as_it_may_stays_and_its_answers_count_for_promotion() -> None:
    rng, collector, known = random.Random(1), EvidenceCollector(Guard(), alone_after=0), Evidence()
    for _ in range(5_000):
        known.add(collector.learn([Seen(True, JSON, rng.random() < 0.01, 0.001)]))

    assert told(known, Guard()) == ""
    assert 4_900 < known.good < 5_000


def test_it_is_judged_alone_only_after_many_answers_with_none_of_the_live_version() -> None:
    collector, bad = EvidenceCollector(Guard()), Seen(True, JSON, True, None)

    first = collector.learn([bad] * ALONE_AFTER)
    then = collector.learn([bad] * 5)
    beside = collector.learn([Seen(False, JSON, True, None), bad, bad])

    assert (first.alone.asked, then.alone.asked, beside.alone.asked) == (0, 5, 0)
    assert "none of the live version" in told(then, Guard())


def test_a_latency_that_was_stated_holds_whatever_the_live_version_takes() -> None:
    guard = Guard(seconds_max=0.05)
    slow, fast = (
        EvidenceCollector(guard).learn([Seen(at % 2 == 0, JSON, False, seconds) for at in range(200)])
        for seconds in (0.06, 0.04)
    )

    assert told(slow, guard).startswith("100 of 100 answers took over 50 ms")
    assert told(fast, guard) == ""
    assert told(EvidenceCollector(Guard()).learn([Seen(True, JSON, False, 9.0)] * 99), Guard()) == ""


def fates(canary: tuple[float, bool], live: tuple[float, bool], count: int = 1_200) -> Evidence:
    """What is known where of each version so many answers are late, or all of them are."""
    rng, collector, known = random.Random(4), EvidenceCollector(Guard()), Evidence()
    for at in range(count):
        share, always = canary if at % 2 else live
        late = always or rng.random() < share
        known.add(collector.learn([Seen(at % 2 == 1, JSON, False, 0.2 if late else 0.01, late)]))
    return known


def test_a_canary_whose_answers_come_too_late_is_slow() -> None:
    for often in ((0.9, False), (0.2, False), (0.0, True)):
        known = fates(often, (0.0, False))
        assert "or came too late" in why(known), often
        assert known.errors.bad == 0


def test_what_comes_too_late_from_both_is_not_the_canarys_fault() -> None:
    for often in ((0.03, False), (0.4, False), (0.0, True)):
        assert why(fates(often, often)) == "", often


def test_answers_that_came_too_late_are_no_answers_that_promote() -> None:
    known = fates((0.0, True), (0.0, False))

    assert (known.good, known.errors.asked) == (0, 0)
    assert known.slow.asked > 400


def test_of_an_answer_that_had_less_time_than_the_bound_nobody_knows_how_long_it_would_have_taken() -> None:
    guard = Guard(seconds_max=0.05)
    less, more = (
        EvidenceCollector(guard).learn([Seen(at % 2 == 0, JSON, False, given, True) for at in range(200)])
        for given in (0.02, 0.2)
    )

    assert (less.late.asked, less.late.bad) == (0, 0)
    assert told(more, guard).startswith("100 of 100 answers took over 50 ms")
