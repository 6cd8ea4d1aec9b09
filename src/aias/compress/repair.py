"""A fast candidate that loses too much is repaired: milder forms of it, each slower and nearer to the parent.

A technique lists them (`Candidate.milder`), the harshest first: layers given back their precision, most of the loss
per microsecond first, or the next sizes of a ladder. A milder one loses less, so the harshest that is good enough is
found by halving the list, not by trying one after another.
"""

from collections import Counter
from collections.abc import Callable, Iterator, Sequence
from contextlib import suppress
from typing import Final

from aias.compress.nomination import Assurance
from aias.compress.techniques.contract import Candidate
from aias.compress.trial import Trial

REPAIRED_MAX: Final = 2
"""Candidates that are repaired, of those that would gain more than what there is: who gains much and loses little comes
first, one of each technique before a second of any."""

TRIES_MAX: Final = 3
"""For each of them."""


def repaired(
    trials: Sequence[Trial],
    assurance: Assurance,
    *,
    attempt: Callable[[Trial], None],
    over: Callable[[], bool],
) -> Iterator[Trial]:
    """The trials of milder forms, each after it was tried; what is on trial already is not tried again."""
    good = assurance.likely
    known = {(each.technique, each.name): each for each in trials}
    best = max((each.gain for each in trials if each.alone and good(each)), default=0.0)
    lost = [
        each for each in trials
        if each.candidate.milder and each.alone and each.helps and each.gain > best
        and (each.loses or not (each.reason or good(each)))
    ]  # fmt: skip
    for trial in _one_of_each(sorted(lost, key=lambda each: -assurance.mendable(each)))[:REPAIRED_MAX]:
        if over():
            return
        assert trial.candidate.milder is not None
        options = list[Candidate]()
        with suppress(Exception):  # forms are made, and may raise anything: then this one is not repaired
            options += trial.candidate.milder()
        low, high = 0, len(options)
        for _ in range(TRIES_MAX):
            if low >= high or over():
                break
            middle = (low + high) // 2
            child = known.get((trial.technique, options[middle].name))
            if child is None:
                child = known[trial.technique, options[middle].name] = Trial(options[middle], trial.technique)
                child.milder_than = trial, middle
                attempt(child)
                yield child
            low, high = (low, middle) if good(child) else (middle + 1, high)


def _one_of_each(trials: Sequence[Trial]) -> list[Trial]:
    """In their order, but for the second of a technique, which comes after the first of all, and so on."""
    seen = Counter[str]()
    ranked: list[tuple[int, Trial]] = []
    for each in trials:
        ranked.append((seen[each.technique], each))
        seen[each.technique] += 1
    return [each for _, each in sorted(ranked, key=lambda pair: pair[0])]
