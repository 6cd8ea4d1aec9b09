"""`compress/nomination.py`: who is judged on the last rows, and in which order."""

from types import SimpleNamespace
from typing import Any

import numpy as np
import pytest

from aias.compress.frontier import FELL, Point
from aias.compress.gate.proportions import Proportions
from aias.compress.gate.studentised import mean_loss
from aias.compress.gate.verdict import Claim, judge
from aias.compress.job import Job
from aias.compress.nomination import NOMINATED_MAX, Assurance

ASSURANCE = Assurance(margin=0.005, rows=5_000)


def trial(name: str, lost: int, won: int, gain: float, *, rows: int = 5_000) -> Any:
    found = Proportions(lost, won, rows)
    return SimpleNamespace(name=name, evidence=found, gain=gain, reason="", milder_than=None, pooled=None)


def test_the_safest_stands_first_and_who_gains_more_behind_it():
    bold, safe, slow = trial("bold", 70, 60, 30.0), trial("safe", 0, 0, 3.0), trial("slow", 40, 30, 2.0)

    assert [each.name for each in ASSURANCE.nominate([bold, safe, slow])] == ["safe", "bold"]
    assert slow.reason == "others were nominated, which together promise more"


def test_who_is_surer_and_gains_more_makes_the_others_needless():
    best = trial("best", 0, 0, 40.0)
    assert ASSURANCE.nominate([trial("other", 30, 20, 5.0), best]) == [best]


def test_what_would_hardly_be_certified_is_not_nominated_and_is_told_so():
    worse = trial("worse", 90, 10, 50.0)

    assert ASSURANCE.nominate([worse]) == []
    assert "would certify it with a chance of 0 %" in worse.reason
    assert Point("worse", "distill", FELL, worse.reason).verdict == "not tested"


def test_who_cannot_be_certified_in_time_takes_nobodys_place():
    long, short = trial("long", 0, 0, 40.0), trial("short", 0, 0, 30.0)

    found = ASSURANCE.nominate([long, short], late=lambda each: "it takes too long" if each is long else "")

    assert found == [short]
    assert long.reason == "it takes too long"


def test_who_turns_out_to_be_slow_leaves_its_place_to_others():
    best, other, third = trial("best", 0, 0, 40.0), trial("other", 0, 0, 30.0), trial("third", 0, 0, 20.0)

    def timed_again(nominated):
        for each in nominated:
            each.reason = "it is slow" if each is not third else ""
        return [each for each in nominated if not each.reason]

    job: Any = SimpleNamespace(assurance=ASSURANCE, _late=lambda _: "", _finished=timed_again)

    assert Job._ready(job, [best, other, third]) == [third]
    assert best.reason == other.reason == "it is slow"
    assert Job._ready(job, [best, other]) == []


def test_behind_the_best_stands_who_would_be_the_best_without_it():
    """All are as good as certain, so the expected gain is that of the last; there may be no time for it."""
    gains = [40.0, 8.0, 6.0, 5.0, 35.0, 7.0]
    found = Assurance(margin=0.02, rows=5_000).nominate([trial(str(gain), 0, 0, gain) for gain in gains])

    assert [each.gain for each in found] == [8.0, 35.0, 40.0]


def test_a_milder_form_is_safer_though_by_chance_it_lost_more():
    harsh, mild = trial("harsh", 70, 60, 80.0), trial("mild", 62, 50, 60.0)
    assert ASSURANCE.of(harsh) > ASSURANCE.of(mild)
    mild.milder_than = harsh, 1

    assert [each.name for each in ASSURANCE.nominate([harsh, mild])] == ["mild", "harsh"]
    assert harsh.pooled == mild.pooled == pytest.approx(11 / 5_000)


def test_of_a_milder_form_that_lost_less_the_rows_say_it_themselves():
    harsh, mild = trial("harsh", 70, 50, 80.0), trial("mild", 62, 55, 60.0)
    mild.milder_than = harsh, 0

    ASSURANCE.nominate([harsh, mild])

    assert harsh.pooled == pytest.approx(harsh.evidence.value) and mild.pooled == pytest.approx(mild.evidence.value)


def test_never_more_are_nominated_than_can_be_finished():
    many = [trial(str(i), 10 * i, 10 * i, 2.0 + i) for i in range(10)]
    found = ASSURANCE.nominate(many)

    assert 0 < len(found) <= NOMINATED_MAX
    assert [each.gain for each in found] == sorted(each.gain for each in found)


def test_what_was_searched_on_few_rows_is_less_certain():
    few, many = (Proportions(rows // 100, rows // 100, rows) for rows in (200, 20_000))
    assert ASSURANCE.chance(few) < ASSURANCE.chance(many)
    assert ASSURANCE.chance(Proportions(0, 0, 20_000)) == pytest.approx(1, abs=0.01)


def test_the_chance_reckons_with_rows_not_seen_as_the_gate_does():
    """Six rows gain, by a little, and none loses: what was seen says next to nothing of the rows that would certify."""
    before = np.random.default_rng(0).exponential(size=1_000)
    found = mean_loss(before, before - np.where(np.arange(1_000) < 6, 0.5, 0.0))
    within = found.value + 2.5 * found.spread / np.sqrt(found.rows)

    assert within < found.limit(0.96)
    assert Assurance(margin=within, rows=1_000).chance(found) < 0.2
    assert Assurance(margin=2 * found.limit(0.96), rows=1_000).chance(found) > 0.9
    assert Assurance(margin=within, rows=20_000).chance(found) > 0.8


def test_of_searches_among_candidates_worse_by_the_margin_at_most_one_in_twenty_certifies_any():
    """The whole way: the best of twenty on the search rows, in their order, judged once on rows of their own."""
    runs, rows, rng = 400, ASSURANCE.rows, np.random.default_rng(0)
    chances = [0.02 + ASSURANCE.margin / 2, 0.02 - ASSURANCE.margin / 2, 0.96]
    passed = nominated = 0
    for searched in rng.multinomial(2_000, chances, (runs, 20)):
        trials = [trial(str(i), int(lost), int(won), 2.0 + i, rows=2_000) for i, (lost, won, _) in enumerate(searched)]
        chosen = ASSURANCE.nominate(trials)
        claims = [
            Claim(each.name, Proportions(int(lost), int(won), rows))
            for each, (lost, won, _) in zip(chosen, rng.multinomial(rows, chances, len(chosen)), strict=True)
        ]
        found = judge(claims, metric="accuracy", margin=ASSURANCE.margin, part_margin=1.0)
        nominated += bool(chosen)
        passed += any(each.certified for each in found)

    assert nominated > 0.9 * runs  # the search takes the luckiest for good ones
    assert passed / runs <= 0.05
