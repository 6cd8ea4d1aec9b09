"""`compress/conclusion.py`: the last word where nobody was timed and judged."""

import math
from types import SimpleNamespace
from typing import Any

import polars as pl

from aias.compress.conclusion import Conclusion, nearest
from aias.compress.enough import Spent
from aias.compress.frontier import FELL, Frontier, Point
from aias.compress.gate.power import Power
from aias.compress.goals import Goals
from aias.compress.halving import LATE, NO_TIME
from aias.core.events import nobody
from aias.core.host import host
from aias.data.read import read
from aias.training.prepare import prepare


def said(**known: Any) -> str:
    usual: dict[str, Any] = {"trials": [], "fallen": [], "spent": Spent(10.0, 9.0), "enough": {}, "stopped": False,
                             "turns": 0, "_power": SimpleNamespace(enough=True)}  # fmt: skip
    one: Any = SimpleNamespace(**usual | known)
    one._more = lambda: Conclusion._more(one)
    return Conclusion._none_ready(one)


def late(name: str, reason: str = NO_TIME, **known: Any) -> Any:
    usual: dict[str, Any] = {
        "fault": "", "technique": name, "evidence": None, "alone": None, "loses": False, "spent": 0.0, "enough": 0.0,
        "certify_seconds": 0.0, "restored": 0.0,
    }  # fmt: skip
    return SimpleNamespace(name=name, reason=reason, **usual | known)


def test_where_the_time_was_short_it_is_said_how_much_more_is_needed() -> None:
    never = [late("int8", "there was no time for it")]
    assert said(trials=never).endswith("of 10 s 9 were over before the first was tried; give at least 27 s")
    assert said(trials=never, spent=Spent(60.0, 4.0)).endswith("give at least 120 s")


def test_where_no_candidate_can_be_served_the_reason_is_told() -> None:
    broken = SimpleNamespace(name="int8", fault="a row differs")
    assert said(trials=[broken]) == "no candidate could be served: of int8, a row differs"


def test_where_no_technique_can_help_their_reasons_are_told() -> None:
    fallen = [Point("int8", "int8", FELL, "it has no sentence encoder")]
    assert said(fallen=fallen) == "no technique can help: int8: it has no sentence encoder"
    assert said() == "no technique can help: none has anything to try"


def test_where_what_fitted_again_had_no_time_other_reasons_do_not_stand_for_it() -> None:
    fallen = [Point("int8", "int8", FELL, "it has no sentence encoder"), Point("trees", "smaller_model", FELL, NO_TIME)]
    assert said(fallen=fallen).startswith("no candidate was ready in time: of 10 s 9 were over")
    assert said(fallen=fallen, stopped=True).startswith("it was stopped before any candidate was ready")


def trial(
    name: str,
    loss: float,
    row_us: float,
    size_bytes: int,
    *,
    alone: object = True,
    helps: bool = True,
    gain: float = 1.0,
) -> Any:
    evidence = SimpleNamespace(value=loss)
    return SimpleNamespace(
        name=name, evidence=evidence, row_us=row_us, size_bytes=size_bytes, alone=alone, helps=helps, gain=gain,
        reason="", technique="", spent=0.0, enough=0.0, certify_seconds=0.0, restored=0.0,
    )  # fmt: skip


def chance(each: Any) -> float:
    left = 0.01 - float(each.evidence.value)
    return left if left > 0 else 0.0


def named(wanted: Goals, trials: list[Any]) -> str:
    return nearest(trials, wanted=wanted, margin=0.005, chance=chance).name


FAR = [
    trial("two of four", 0.0001, 35, 500_773), trial("100 trees", 0.0002, 9, 40_896),
    trial("50 trees", 0.001, 7, 20_960), trial("stumps", 0.012, 6, 4_950), trial("untimed", 0.3, 0, 0, alone=None),
]  # fmt: skip


def test_who_came_nearest_is_who_misses_least_of_what_was_asked_for() -> None:
    assert named(Goals(size_bytes=1_000), FAR) == "50 trees"
    assert named(Goals(latency_us=8), FAR) == "50 trees"
    assert named(Goals(latency_us=20, size_bytes=100_000), FAR) == "100 trees"
    assert named(Goals(), FAR) == "two of four"


def test_who_is_hardly_faster_came_no_nearer_than_who_was_worth_it() -> None:
    assert named(Goals(), [trial("fitted once", 0.0, 130, 500_000, helps=False), *FAR[1:]]) == "100 trees"


def test_where_none_is_worth_it_who_gains_most_came_nearest() -> None:
    slow = trial("400 trees", 0.0, 130, 500_000, helps=False, gain=0.1)
    assert named(Goals(), [slow, trial("20 trees", 0.001, 90, 400_000, helps=False, gain=1.4)]) == "20 trees"


def test_where_some_had_no_time_it_is_said_how_many_and_how_much_more_is_needed() -> None:
    slow = trial("fitted once", 0.0, 130, 500_000, helps=False)
    slow.evidence.spread, slow.reason, slow.loses = math.inf, "1.02× as fast is not worth it", False
    never = late("distilled")
    fallen = [Point("vocabulary", "vocabulary", FELL, "it has no texts"), Point("400 trees", "distill", FELL, NO_TIME)]
    unused: Any = dict.fromkeys(("last", "runs", "parent_bytes", "parent_footprint", "before"))
    found = Conclusion(
        SimpleNamespace(context=SimpleNamespace(parent=SimpleNamespace(ref="m@1"))), [slow, never], (),  # type: ignore[arg-type]
        power=Power("roc_auc", 0.005, 0.05, 1_000), wanted=Goals(), fallen=fallen, chance=chance,
        spent=Spent(10.0, 3.0, 7.0), enough={"400 trees": 0.0}, **unused,
    )  # fmt: skip
    assert found.verdict() == (
        "nothing is worth it, because even the nearest candidate, fitted once, fell: 1.02× as fast is not worth it; "
        "for 2 others there was no time: give at least 20 s"
    )
    slow.reason, never.reason = f"{LATE} left to certify it, which takes about 4 s", "certain to lose more"
    fallen.clear()
    found.enough.clear()  # type: ignore[attr-defined]
    assert found.verdict().endswith("which takes about 4 s; give at least 20 s")
    slow.certify_seconds = 4.0
    assert found.verdict().endswith("which takes about 4 s; about 14 s would be enough")


def test_where_the_rows_are_too_few_as_well_more_time_alone_is_not_said_to_be_enough() -> None:
    slow = trial("fitted once", 0.0, 130, 500_000, helps=False)
    slow.evidence.spread, slow.reason, slow.loses = math.inf, "1.02× as fast is not worth it", False
    unused: Any = dict.fromkeys(("last", "runs", "parent_bytes", "parent_footprint", "before"))
    few = Power("roc_auc", 0.005, 0.5, 1_000)
    found = Conclusion(
        SimpleNamespace(context=SimpleNamespace(parent=SimpleNamespace(ref="m@1"))), [slow, late("distilled")], (),  # type: ignore[arg-type]
        power=few, wanted=Goals(), fallen=(), chance=chance, spent=Spent(10.0, 3.0, 7.0), enough={}, **unused,
    )  # fmt: skip
    both = "give at least 20 s, and the rows are too few as well"

    assert f"; for another there was no time: {both}: 1,000 rows can tell a loss of 0.041" in found.verdict()
    assert f"; give at least 27 s, and the rows are too few as well: {Goals().told(few)}" in said(
        trials=[late("int8")], _power=few, wanted=Goals()
    )
    slow.reason, slow.loses = "may lose too much", True
    assert found.verdict().endswith(f'(`max_loss="4.1%"`)); for another there was no time: {both}')


def test_who_stopped_it_is_not_asked_for_more_time() -> None:
    assert said(trials=[late("int8")], stopped=True) == (
        "it was stopped before any candidate was ready: the same command goes on"
    )
    slow = trial("fitted once", 0.0, 130, 500_000, helps=False)
    slow.evidence.spread, slow.reason, slow.loses = math.inf, "1.02× as fast is not worth it", False
    unused: Any = dict.fromkeys(("last", "runs", "parent_bytes", "parent_footprint", "before"))
    found = Conclusion(
        SimpleNamespace(context=SimpleNamespace(parent=SimpleNamespace(ref="m@1"))), [slow, late("distilled")], (),  # type: ignore[arg-type]
        power=Power("roc_auc", 0.005, 0.5, 1_000), wanted=Goals(), fallen=(), chance=chance,
        spent=Spent(10.0, 3.0, 7.0), enough={}, stopped=True, **unused,
    )  # fmt: skip
    assert found.verdict().endswith("; it was stopped before all were tried: the same command goes on")
    assert found._why(NO_TIME) == "it was stopped before its turn" and found._why("it is slow") == "it is slow"


def test_where_all_lose_too_much_the_likeliest_came_nearest() -> None:
    assert named(Goals(size_bytes=1_000), [trial("a", 0.009, 5, 9_000), trial("b", 0.02, 5, 2_000)]) == "a"


def test_where_nobody_has_a_chance_who_loses_least_came_nearest() -> None:
    lost = [trial("linear", 1.9, 5, 900), trial("odd", float("nan"), 5, 900), trial("trees", 0.28, 6, 9_000)]
    assert named(Goals(), lost) == "trees"
    assert named(Goals(), lost[::-1]) == "trees"


def test_of_what_was_not_timed_no_latency_is_explained() -> None:
    found = Frontier("m@1", "rmse", 0.005, 0.1, "no row was looked at", "nothing", (), host(), 0, 0, 4)
    assert found.timed() == "Nothing was timed."


def test_where_a_verdict_says_how_many_rows_would_do_no_other_number_of_them_stands_beside_it() -> None:
    near = trial("int8", 0.004, 9, 40_896)
    near.evidence.spread, near.loses = math.inf, False
    unused: Any = dict.fromkeys(("last", "runs", "parent_bytes", "parent_footprint", "before"))
    unused |= {"fallen": (), "spent": Spent(10.0, 3.0, 7.0), "enough": {}, "wanted": Goals(), "chance": chance}
    why = "a loss of 0.005 cannot be ruled out; if that is what it loses, 9,000 rows that certify would be enough"
    parent: Any = SimpleNamespace(context=SimpleNamespace(parent=SimpleNamespace(ref="m@1")))

    def said(needed: int) -> str:
        verdict = SimpleNamespace(certified=False, reason=why, rows_needed=needed)
        decided: Any = SimpleNamespace(finished=SimpleNamespace(trial=near), verdict=verdict)
        return Conclusion(parent, [near], [decided], power=Power("roc_auc", 0.005, 0.5, 1_000), **unused).verdict()

    assert said(9_000).endswith(f"int8, fell: {why}")
    assert said(0).endswith('and so would `--max-loss 4.1%` (`max_loss="4.1%"`))')


def test_folds_that_do_not_judge_are_not_counted() -> None:
    rows = read(pl.DataFrame({"a": [i * i % 31 / 7 for i in range(80)], "y": [i % 7 / 3 for i in range(80)]}))
    found = prepare(
        rows, target="y", metric=None, how="random", test=0.0, given=None, seconds=10, folds=8, judging=6, seed=0,
        watch=nobody,
    )  # fmt: skip
    assert found.reason.endswith("cross-validated in 6 folds")


def test_power_is_reckoned_by_how_who_came_nearest_was_seen_to_differ() -> None:
    near = trial("100 trees", 0.0002, 9, 40_896)
    near.evidence.spread, near.reason, near.loses = 0.05, "may lose too much", True
    near.evidence.rows, near.evidence.limit = 1_000, lambda _: 0.00297  # 1.75 standard errors above its value
    known: Any = {"decided": (), "trials": [near], "wanted": Goals(), "chance": chance}
    known["judged"] = SimpleNamespace(context=SimpleNamespace(parent=SimpleNamespace(ref="m@1")))
    unused: Any = dict.fromkeys(("last", "runs", "parent_bytes", "parent_footprint", "before"))
    unused |= {"fallen": (), "spent": Spent(10.0, 3.0, 7.0), "enough": {}}
    guessed = Power("roc_auc", 0.005, 0.5, 1_000)

    assert "a chance of" in str(guessed)
    assert "1,000 rows can tell a loss of 0.0041 in" in str(Conclusion(power=guessed, **known, **unused)._power)
    assert Conclusion(power=guessed, **known, **unused).verdict() == (
        "nothing is worth it, because even the nearest candidate, 100 trees, fell: may lose too much"
    )
    near.evidence.spread = math.inf
    assert Conclusion(power=guessed, **known, **unused)._power == guessed
    assert (
        Conclusion(power=guessed, **known, **unused)
        .verdict()
        .endswith('rows would be enough, and so would `--max-loss 4.1%` (`max_loss="4.1%"`))')
    )
    near.reason, near.loses = "it is slower", False
    assert Conclusion(power=guessed, **known, **unused).verdict().endswith("it is slower")
