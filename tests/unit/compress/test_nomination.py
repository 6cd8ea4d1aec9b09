"""`compress/nomination.py`: who is judged on the last rows, and in which order."""

from types import SimpleNamespace
from typing import Any

import pytest

from aias.compress.gate.proportions import Proportions
from aias.compress.nomination import NOMINATED_MAX, Prospect

PROSPECT = Prospect(margin=0.005, rows=5_000)


def trial(name: str, lost: int, won: int, gain: float, *, rows: int = 5_000) -> Any:
    return SimpleNamespace(name=name, evidence=Proportions(lost, won, rows), gain=gain, reason="")


def test_the_safest_stands_first_and_who_gains_more_behind_it():
    bold, safe, slow = trial("bold", 70, 60, 30.0), trial("safe", 0, 0, 3.0), trial("slow", 1, 0, 2.0)

    assert [each.name for each in PROSPECT.nominate([bold, safe, slow])] == ["safe", "bold"]
    assert slow.reason == "others promise more together"


def test_who_is_surer_and_gains_more_makes_the_others_needless():
    best = trial("best", 0, 0, 40.0)
    assert PROSPECT.nominate([trial("other", 30, 20, 5.0), best]) == [best]


def test_what_would_hardly_be_certified_is_not_nominated_and_is_told_so():
    worse = trial("worse", 90, 10, 50.0)

    assert PROSPECT.nominate([worse]) == []
    assert "would certify it with a chance of 0 %" in worse.reason


def test_never_more_are_nominated_than_can_be_finished():
    many = [trial(str(i), 10 * i, 10 * i, 2.0 + i) for i in range(10)]
    found = PROSPECT.nominate(many)

    assert 0 < len(found) <= NOMINATED_MAX
    assert [each.gain for each in found] == sorted(each.gain for each in found)


def test_what_was_searched_on_few_rows_is_less_certain():
    few, many = (Proportions(rows // 100, rows // 100, rows) for rows in (200, 20_000))
    assert PROSPECT.chance(few) < PROSPECT.chance(many)
    assert PROSPECT.chance(Proportions(0, 0, 20_000)) == pytest.approx(1, abs=0.01)
