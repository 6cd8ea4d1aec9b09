"""`compress/halving.py`, `repair.py`: who is tried on how many rows, and what becomes of who loses too much."""

from dataclasses import dataclass, field
from itertools import pairwise
from typing import Any

import numpy as np

from aias.compress.gate.proportions import Proportions
from aias.compress.halving import LEFT_MIN, NO_TIME, Halving
from aias.compress.nomination import Assurance
from aias.compress.repair import TRIES_MAX, repaired
from aias.compress.techniques.contract import Candidate
from aias.compress.trial import Judged, Trial
from aias.runtimes.latency import Estimate, LatencySummary, PairedLatency


@dataclass
class Rows:
    """Rows to be judged on, in place of `Judged`."""

    searched: Any = field(default_factory=lambda: np.arange(1_600))

    def samples(self) -> list[Any]:
        return [np.arange(size) for size in (200, 400, 800, 1_600)]


def trial(name: str, *, known: bool = False, speed: float = 2.0) -> Trial:
    between = Estimate(speed, 0.95 * speed, 1.05 * speed)
    pace = LatencySummary(between, between, None, 100)
    found = Trial(Candidate(name, lambda _fold: None, np.zeros((1, 1)) if known else None), "some")
    found.alone, found.smaller = PairedLatency(pace, pace, between), 2.0
    return found


class Attempts:
    """Notes who was tried on how many rows; whoever is called bad loses."""

    def __init__(self, *, time_for: int = 10_000) -> None:
        self.log: list[tuple[str, int]] = []
        self.time_for = time_for

    def __call__(self, each: Trial, rows: Any) -> None:
        self.log.append((each.name, len(rows)))
        each.evidence = Proportions(0, 0, len(rows))
        if each.name.startswith("bad"):
            each.reason, each.loses = "it loses", True

    def over(self) -> bool:
        return len(self.log) >= self.time_for


def raced(trials: list[Trial], attempts: Attempts) -> None:
    rows: Any = Rows()
    Halving(rows, attempts, attempts.over, lambda each: float(each.name.split()[-1])).run(trials)


def test_samples_grow_and_the_better_half_goes_on():
    trials = [trial(f"c {i}") for i in range(24)]
    attempts = Attempts()

    raced(trials, attempts)

    counts = {size: sum(rows == size for _, rows in attempts.log) for size in (200, 400, 800, 1_600)}
    assert counts == {200: 24, 400: 12, 800: LEFT_MIN, 1_600: LEFT_MIN}
    left = [each.name for each in trials if not each.reason]
    assert left == [f"c {i}" for i in range(18, 24)]
    assert "after 200 rows" in trials[0].reason


def test_who_certainly_loses_is_asked_no_more_and_who_is_known_costs_nobody_a_place():
    trials = [
        trial("bad 99"),
        *[trial(f"known {i}", known=True) for i in range(9)],
        *[trial(f"c {i}") for i in range(6)],
    ]
    attempts = Attempts()

    raced(trials, attempts)

    assert [rows for name, rows in attempts.log if name == "bad 99"] == [200]
    assert [rows for name, rows in attempts.log if name == "known 3"] == [1_600]
    assert sum(not each.reason for each in trials) == 15


def test_when_the_time_is_over_each_stands_on_what_it_was_judged_on():
    trials = [trial(f"c {i}") for i in range(8)]
    attempts = Attempts(time_for=5)

    raced(trials, attempts)

    assert [each.reason for each in trials] == [""] * 5 + [NO_TIME] * 3
    assert [each.evidence.rows for each in trials[:5]] == [200] * 5


def harsh(milder: list[str], *, technique: str = "some", speed: float = 9.0, lost: int = 20) -> Trial:
    found = trial("bad 1", speed=speed)
    found.technique = technique
    found.candidate = Candidate("bad", lambda _fold: None, None, lambda: [trial(name).candidate for name in milder])
    found.reason, found.loses, found.evidence = "it loses", True, Proportions(lost, 0, 1_000)
    return found


class ByReason(Assurance):
    """Whoever did not fall is good."""

    def likely(self, trial: Trial) -> bool:
        return not trial.reason


def tried(trials: list[Trial], attempts: Attempts) -> list[Trial]:
    def attempt(each: Trial) -> None:
        attempts(each, np.arange(10))
        each.alone = trial("x").alone

    return list(repaired(trials, ByReason(margin=0.01, rows=1_000), attempt=attempt, over=attempts.over))


def test_the_harshest_form_that_is_good_enough_is_found_by_halving():
    attempts = Attempts()
    forms = [f"bad {i}" for i in range(3)] + [f"good {i}" for i in range(4)]

    found = tried([first := harsh(forms)], attempts)

    assert [name for name, _ in attempts.log] == ["good 0", "bad 1", "bad 2"]
    assert [each.milder_than for each in found] == [(first, 3), (first, 1), (first, 2)]
    assert len(found) <= TRIES_MAX
    assert [each.name for each in found if not each.reason] == ["good 0"]


def test_a_milder_form_that_is_on_trial_already_is_not_tried_again():
    attempts, known = Attempts(), trial("bad 9", speed=1.5)
    known.reason = "it loses"

    found = tried([harsh(["bad 9", "good 0"]), harsh(["bad 9", "good 0"]), known], attempts)

    assert [each.name for each in found] == [name for name, _ in attempts.log] == ["good 0"]


def test_where_milder_forms_cannot_be_told_the_others_are_repaired():
    attempts, broken = Attempts(), harsh([])

    def fail():
        raise RuntimeError("no more memory")

    broken.candidate = Candidate("bad", lambda _fold: None, None, fail)

    assert [each.name for each in tried([broken, harsh(["good 0"])], attempts)] == ["good 0"]


def test_what_would_gain_less_than_what_there_is_is_left_as_it_is():
    attempts = Attempts()
    better = trial("c 1", speed=20.0)

    assert tried([harsh(["good 0"]), better], attempts) == []
    assert tried([harsh([])], attempts) == []
    assert tried([harsh(["good 0"])], Attempts(time_for=0)) == []


def test_of_two_that_are_repaired_no_technique_has_both_while_another_has_one():
    fast, slower = harsh(["bad fast"]), harsh(["bad slower"], speed=8.0)

    both = tried([slower, fast], Attempts())
    other = tried([slower, fast, harsh(["bad other"], technique="other", speed=3.0)], Attempts())

    assert [each.name for each in both] == ["bad fast", "bad slower"]
    assert [each.name for each in other] == ["bad fast", "bad other"]


def test_who_loses_little_is_repaired_before_who_is_faster_and_loses_much():
    """The margin is 10 of 1,000."""
    far, near = harsh(["bad far"], speed=12.0, lost=140), harsh(["bad near"], technique="other", speed=8.0, lost=17)
    another = harsh(["bad third"], technique="third", speed=9.0, lost=30)

    assert [each.name for each in tried([far, near, another], Attempts())] == ["bad near", "bad third"]


def test_samples_of_real_rows_go_fold_after_fold():
    class Few(Judged):
        def __init__(self) -> None:
            self.seed = 0
            self.folds = np.repeat(np.arange(5), 450)
            self.searched = np.flatnonzero(self.folds != 1)

    sizes = [rows.tolist() for rows in Few().samples()]

    assert [len(each) for each in sizes] == [450, 1_350]
    assert all(set(before) <= set(after) for before, after in pairwise(sizes))
    assert set(np.repeat(np.arange(5), 450)[sizes[0]]) == {0}


def test_of_a_large_fold_the_first_sample_is_drawn():
    class Many(Judged):
        def __init__(self) -> None:
            self.seed = 0
            self.folds = np.repeat(np.arange(3), 2_000)
            self.searched = np.arange(6_000)

    first, *others = (rows.tolist() for rows in Many().samples())

    assert [len(first), *map(len, others)] == [800, 3_200, 6_000]
    assert 320 < sum(row < 1_000 for row in first) < 480  # as many of either half
