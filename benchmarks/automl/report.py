"""What the runs say: a table of scores and ranks, and a line for each goal of issue 3."""

import statistics
from collections import defaultdict
from collections.abc import Callable, Iterator, Sequence
from typing import Any, Final

from automl.results import Run
from automl.scores import better

OURS: Final = "aias"

SHARES: Final = {"autogluon_best": 0.60, "autogluon_medium": 0.60, "flaml": 0.75, "lightgbm": 0.90}
"""On how many of the sets we want to be at least as good."""

ROW_TIMES: Final = 500
SIZE_TIMES: Final = 10
OVERRUN_MAX: Final = 0.05
BUSY_MAX: Final = 0.1

Scores = dict[str, dict[str, float]]
"""By set and system."""

Pair = tuple[str, float, float]


def report(runs: Sequence[Run]) -> bool:
    """Prints everything, budget by budget; whether all goals are met."""
    good = True
    for budget in sorted({run["budget_seconds"] for run in runs}):
        now = [run for run in runs if run["budget_seconds"] == budget]
        print(f"\n## {budget:g} s, seeds {sorted({run['seed'] for run in now})}\n")
        table(now)
        print()
        costs(now)
        print()
        found = [met for goal in (ranks, shares, row_times, sizes, overruns) for met in goal(now)]
        good = good and all(found)
    return good


def table(runs: Sequence[Run]) -> None:
    """Score and rank of each system on each set; more seeds than one are averaged."""
    scores, metrics = _scores(runs), {run["set"]: run["metric"] for run in runs}
    systems = sorted({run["system"] for run in runs}, key=lambda name: (name != OURS, name))
    print("".join(["set".ljust(16), "metric".ljust(10), *(name.rjust(22) for name in systems)]))
    for one in sorted(scores):
        place = _ranks(scores[one], metrics[one])
        cells = [f"{scores[one][name]:.5g} ({place[name]:g})" if name in place else "-" for name in systems]
        print("".join([one.ljust(16), metrics[one].ljust(10), *(cell.rjust(22) for cell in cells)]))
    for run in runs:
        if "failed" in run:
            print(f"failed: {run['system']} on {run['set']}: {run['failed'].splitlines()[-1][:120]}")
        elif run["busy_before"] > BUSY_MAX:
            print(f"not alone: {run['system']} on {run['set']} began with {run['busy_before']:.0%} of the cores busy")


def costs(runs: Sequence[Run]) -> None:
    """Of each run and form: what it takes to fit, to load and to answer one row."""
    names = ("fit s", "overrun", "peak MB", "form", "score", "load s", "row ms", "size MB")
    print("".join(["set".ljust(16), "system".ljust(18), *(name.rjust(12) for name in names)]))
    for run in sorted((run for run in runs if "failed" not in run), key=lambda run: (run["set"], run["system"])):
        seconds, budget = run["fit_seconds"], run["budget_seconds"]
        head = (f"{seconds:.1f}", f"{seconds / budget - 1:+.1%}", f"{run['peak_mb']:.0f}")
        for form, each in run["forms"].items():
            size_mb = each["size_bytes"] / 1e6
            tail = (form, f"{each['score']:.5g}", f"{each['load_seconds']:.2f}", f"{each['row_ms']:.3g}")
            cells = (*head, *tail, f"{size_mb:.3g}")
            print("".join([run["set"].ljust(16), run["system"].ljust(18), *(cell.rjust(12) for cell in cells)]))


def ranks(runs: Sequence[Run]) -> Iterator[bool]:
    """Mean rank among all systems, on the sets that all of them have run on; who fails is last."""
    scores, metrics = _scores(runs), {run["set"]: run["metric"] for run in runs}
    systems = {run["system"] for run in runs}
    tried = {one: {run["system"] for run in runs if run["set"] == one} for one in metrics}
    whole = [one for one in metrics if tried[one] == systems]
    if OURS not in systems or not whole:
        return
    places = [_ranks(scores.get(one, {}), metrics[one]) for one in whole]
    mean = {name: statistics.mean(place.get(name, len(systems)) for place in places) for name in systems}
    for peer in sorted(systems & {"autogluon_best", "autogluon_medium"}):
        yield _line(
            f"automl/mean_rank/{peer}", mean[OURS] / mean[peer], f"{mean[peer]:.2f}",
            f"{mean[OURS]:.2f} on {len(whole)} sets", "< 1 ×", mean[OURS] < mean[peer],
        )  # fmt: skip


def shares(runs: Sequence[Run]) -> Iterator[bool]:
    """On how many sets we are at least as good; a peer that failed has lost, and so have we where we failed."""
    metrics = {run["set"]: run["metric"] for run in runs}
    for number, form in enumerate(_forms(runs)):
        scores = _scores(runs, form)
        for peer, goal in SHARES.items():
            both = [one for one in metrics if {OURS, peer} <= {run["system"] for run in runs if run["set"] == one}]
            if not both:
                continue
            wins = sum(_at_least(scores.get(one, {}), peer, metrics[one]) for one in both)
            share, subject = wins / len(both), f"automl/as_good/{form}/{peer}"
            if number == 0:
                told, wanted = f"{wins} of {len(both)} sets", f"≥ {goal:.2f} ×"
                yield _line(subject, share, "all sets", told, wanted, share >= goal)
            else:
                print(f"{subject}  {share:.3f} × all sets  ({wins} of {len(both)} sets)  no goal")


def row_times(runs: Sequence[Run]) -> Iterator[bool]:
    """A single row beside AutoGluon's `predict` as loaded, and (no goal) with its models kept in memory."""
    for form in _forms(runs):
        for theirs, goal in (("as_loaded", ROW_TIMES), ("persisted", None)):
            pairs = _pairs(runs, "autogluon_best", lambda run, name: run["forms"][name]["row_ms"], form, theirs)
            yield from _ratios(f"automl/autogluon_best_{theirs}/row_ms/{form}", pairs, goal, "ms")


def sizes(runs: Sequence[Run]) -> Iterator[bool]:
    for form in _forms(runs):
        pairs = _pairs(
            runs, "autogluon_best", lambda run, name: run["forms"][name]["size_bytes"] / 1e6, form, "persisted"
        )
        yield from _ratios(f"automl/autogluon_best/size_mb/{form}", pairs, SIZE_TIMES, "MB")


def overruns(runs: Sequence[Run]) -> Iterator[bool]:
    """The worst of each system; ours has a goal."""
    worst: dict[str, tuple[float, str]] = {}
    for run in runs:
        if "failed" not in run:
            over = run["fit_seconds"] / run["budget_seconds"] - 1
            worst[run["system"]] = max(worst.get(run["system"], (over, run["set"])), (over, run["set"]))
    for system, (over, one) in sorted(worst.items()):
        subject = f"automl/worst_overrun/{system}"
        if system != OURS:
            print(f"{subject}  {over:+.1%} of the budget on {one}")
        else:
            yield _line(subject, 1 + over, "budget", f"{over:+.1%} on {one}", "≤ 1.05 ×", over <= OVERRUN_MAX)


def _scores(runs: Sequence[Run], form: str = "") -> Scores:
    """Of each system's first form; of ours, of this one where it is there."""
    found: dict[str, dict[str, list[float]]] = defaultdict(lambda: defaultdict(list))
    for run in runs:
        if "failed" not in run:
            first = next(iter(run["forms"].values()))
            chosen = run["forms"].get(form, first) if run["system"] == OURS else first
            found[run["set"]][run["system"]].append(chosen["score"])
    return {one: {name: statistics.mean(each) for name, each in found[one].items()} for one in found}


def _ranks(scores: dict[str, float], metric: str) -> dict[str, float]:
    """1 for the best; equals share the mean of their ranks."""
    place = {}
    for name, own in scores.items():
        against = [better(metric, other, own) for rival, other in scores.items() if rival != name]
        place[name] = 1 + against.count(1) + against.count(0) / 2
    return place


def _at_least(scores: dict[str, float], peer: str, metric: str) -> bool:
    if OURS not in scores:
        return False
    return peer not in scores or better(metric, scores[OURS], scores[peer]) >= 0


def _forms(runs: Sequence[Run]) -> list[str]:
    """Ours, in the order in which they are first met."""
    return list(dict.fromkeys(form for run in runs if run["system"] == OURS for form in run.get("forms", ())))


def _pairs(runs: Sequence[Run], peer: str, figure: Callable[[Run, str], float], ours: str, theirs: str) -> list[Pair]:
    """The set, our figure and the peer's, of each set and seed that both have done."""
    found: dict[tuple[str, int], dict[str, Any]] = defaultdict(dict)
    for run in runs:
        if "failed" not in run:
            found[run["set"], run["seed"]][run["system"]] = run
    return [
        (one, figure(by[OURS], ours), figure(by[peer], theirs))
        for (one, _), by in sorted(found.items())
        if OURS in by and peer in by and ours in by[OURS]["forms"]
    ]


def _ratios(subject: str, pairs: list[Pair], goal: int | None, unit: str) -> Iterator[bool]:
    """How many times more than ours theirs is, set by set and at the median."""
    if not pairs:
        return
    ours, theirs = statistics.median(pair[1] for pair in pairs), statistics.median(pair[2] for pair in pairs)
    rows = [(one, other / own, own, other) for one, own, other in pairs]
    for one, ratio, own, other in [*rows, ("median", statistics.median(row[1] for row in rows), ours, theirs)]:
        told = f"{subject}/{one}  {ratio:,.1f} × ours of {own:.4g} {unit}  ({other:.4g} {unit})"
        word = "no goal" if goal is None else f"goal ≥ {goal} ×  {'ok' if ratio >= goal else 'MISS'}"
        print(f"{told}  {word}")
        if goal is not None:
            yield ratio >= goal


def _line(subject: str, ratio: float, baseline: str, told: str, goal: str, good: bool) -> bool:
    print(f"{subject}  {ratio:,.3f} × {baseline}  ({told})  goal {goal}  {'ok' if good else 'MISS'}")
    return good
