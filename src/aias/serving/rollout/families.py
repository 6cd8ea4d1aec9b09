"""The trials of a server in Prometheus' terms."""

from collections.abc import Iterable, Iterator
from typing import Any, Protocol

from aias.registry.rollout.evidence import Comparison, certain_at
from aias.registry.rollout.trial import WHOLE, Trial
from aias.serving.observability.metrics import family


class Shown(Protocol):
    """The part of a stage that is shown."""

    known: Any
    outcomes: Any


def held_families(held: Iterable[tuple[str, str]]) -> Iterator[Any]:
    """Versions that have ended processes, and how each is held."""
    from prometheus_client.core import GaugeMetricFamily

    said = "Versions that run apart, or not at all"
    yield family(GaugeMetricFamily, "aias_held", said, ("version", "how"), ((each, 1) for each in held))


def families(stage: Shown) -> Iterator[Any]:
    """Of trials that go on: shares, answers and evidence; and how those before have ended."""
    from prometheus_client.core import CounterMetricFamily, GaugeMetricFamily

    which = ("endpoint", "version")
    share = GaugeMetricFamily(
        "aias_trial_share", "Share of the callers, or of a shadow's requests", labels=(*which, "role")
    )
    answers = CounterMetricFamily("aias_trial_answers", "Answers compared", labels=(*which, "of", "test", "was"))
    evidence = GaugeMetricFamily("aias_trial_evidence", "Of 1, at which it is rolled back", labels=(*which, "test"))
    shadow = CounterMetricFamily("aias_shadow_requests", "Requests put before a shadow", labels=(*which, "was"))
    rows = CounterMetricFamily("aias_shadow_rows", "Rows compared", labels=(*which, "alike"))
    seconds = CounterMetricFamily("aias_shadow_seconds", "Seconds of the same work", labels=(*which, "of"))
    for trial in stage.known:
        labels = (trial.endpoint, str(trial.ref))
        share.add_metric((*labels, trial.role), trial.share / WHOLE)
        if trial.role == "canary":
            found = trial.evidence
            for test, seen in (
                ("errors", found.errors), ("slow", found.slow), ("alone", found.alone), ("late", found.late),
            ):  # fmt: skip
                evidence.add_metric((*labels, test), _nearness(trial, seen, alone=test in ("alone", "late")))
                for of, asked, bad in (("trial", seen.asked, seen.bad), ("live", seen.live_asked, seen.live_bad)):
                    answers.add_metric((*labels, of, test, "good"), asked - bad)
                    answers.add_metric((*labels, of, test, "bad"), bad)
            continue
        mirrored = trial.evidence.mirrored
        for was in ("requests", "failed", "live_failed", "dropped", "too_large"):
            shadow.add_metric((*labels, "compared" if was == "requests" else was), getattr(mirrored, was))
        rows.add_metric((*labels, "yes"), mirrored.alike)
        rows.add_metric((*labels, "no"), mirrored.rows - mirrored.alike)
        seconds.add_metric((*labels, "trial"), mirrored.seconds)
        seconds.add_metric((*labels, "live"), mirrored.live_seconds)
    yield from (share, answers, evidence, shadow, rows, seconds)
    ended = ((each, count) for *each, count in stage.outcomes)
    yield family(CounterMetricFamily, "aias_trials_ended", "Trials that ended, and how", ("endpoint", "outcome"), ended)


def _nearness(trial: Trial, seen: Comparison, *, alone: bool) -> float:
    """How near to certain it is that the version is worse: below 0 speaks against it."""
    wealth = seen.wealth_alone if alone else seen.wealth
    return wealth / certain_at(trial.guard.false_alarms, alone=alone)
