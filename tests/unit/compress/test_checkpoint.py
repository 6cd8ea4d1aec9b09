"""`compress/checkpoint.py`: what a run that was killed knew of its candidates, the next one knows too."""

from dataclasses import replace
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import numpy as np
import pytest

from aias.compress import checkpoint as keeping
from aias.compress.checkpoint import Checkpoint
from aias.compress.techniques.contract import Candidate
from aias.compress.trial import Trial
from aias.core.host import host
from aias.runtimes.latency import Estimate, LatencySummary, PairedLatency
from aias.training.ledger import Ledger


def fresh(name: str = "c") -> Trial:
    return Trial(Candidate(name, lambda _fold: None), "distill")


def known(name: str = "c") -> Trial:
    one, found = Estimate(2.0, 1.9, 2.1), fresh(name)
    latency = PairedLatency(LatencySummary(one, one, None, 90), LatencySummary(one, one, one, 90), one)
    found.known = {0: np.array([[0.25, 0.75]]), 3: np.array([[1.0, 0.0]])}
    found.alone, found.together = latency, replace(latency, callers=4)
    found.size_bytes, found.smaller, found.make_seconds = 10, 4.0, 0.5
    found.engine, found.engine_seconds = "openvino", 2.5
    return found


def test_a_candidate_is_found_again_as_it_was(tmp_path: Path):
    Checkpoint(Ledger(tmp_path), ("parent", "table", 0)).note(known())
    again = fresh()

    assert Checkpoint(Ledger(tmp_path), ("parent", "table", 0)).restore(again)

    assert {fold: scores.tolist() for fold, scores in again.known.items()} == {0: [[0.25, 0.75]], 3: [[1.0, 0.0]]}
    before = known()
    for name in ("alone", "together", "size_bytes", "smaller", "make_seconds", "fault", "engine", "engine_seconds"):
        assert getattr(again, name) == getattr(before, name)


def test_the_last_word_counts_and_a_fault_is_one_still(tmp_path: Path):
    kept, one = Checkpoint(Ledger(tmp_path), ()), fresh()
    kept.note(one)
    one.fault = "it could not be made"
    kept.note(one)

    assert kept.restore(again := fresh())
    assert again.fault == "it could not be made"


@pytest.mark.parametrize("other", ["parent", "name", "host"])
def test_what_another_parent_name_or_host_gave_is_not_taken(
    tmp_path: Path, other: str, monkeypatch: pytest.MonkeyPatch
):
    Checkpoint(Ledger(tmp_path), ("parent",)).note(known())
    if other == "host":
        here = host()
        monkeypatch.setattr(keeping, "host", lambda: replace(here, processor="another"))

    kept = Checkpoint(Ledger(tmp_path), ("another" if other == "parent" else "parent",))

    assert not kept.restore(fresh("d" if other == "name" else "c"))


def test_a_run_that_ended_leaves_nothing(tmp_path: Path):
    kept = Checkpoint(Ledger(tmp_path), ())
    kept.note(known())
    kept.forget([known()])

    assert not kept.restore(fresh())


def test_of_two_candidates_of_one_name_each_has_what_was_chosen_for_it(tmp_path: Path):
    kept, one, other = Checkpoint(Ledger(tmp_path), ()), known(), fresh()
    one.candidate, other.candidate = (
        replace(each.candidate, chosen=(at, 0.6)) for each, at in ((one, 0.4), (other, 0.41))
    )  # fmt: skip
    kept.note(one)

    assert not kept.restore(other)
    assert kept.restore(Trial(one.candidate, one.technique))


def test_what_it_took_and_what_it_is_made_of_is_known_too(tmp_path: Path):
    """By that it is said how long certifying it takes, and how much time would be enough."""
    trees: Any = SimpleNamespace(name="trees")
    one = known()
    one.spent, one.asked = 12.5, {"trees": trees, "gone": SimpleNamespace(name="gone")}  # type: ignore[dict-item]
    Checkpoint(Ledger(tmp_path), ()).note(one)

    again = fresh()
    assert Checkpoint(Ledger(tmp_path), (), {"trees": trees}).restore(again)

    assert (again.spent, again.restored, again.asked) == (12.5, 12.5, {"trees": trees})
