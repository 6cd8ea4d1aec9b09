"""The promise of `tuning/contract.py`, for every searcher whose libraries are here."""

import importlib.util
import math

import pytest

from aias.core.catalog import member, members
from aias.tuning.contract import Choice, Float, Int, Trial, fits

SPACE = {
    "rate": Float(1e-3, 1.0, log=True),
    "share": Float(-2.0, 3.0),
    "leaves": Int(2, 200, log=True),
    "layers": Int(1, 4),
    "kind": Choice(("plain", True, 2, None)),
}


STEPS = {"gp": 12, "smac": 16}
"""Of a walk that is to end well, for those that take half a second for each."""


def loss_of(settings):
    """Lowest, 0, at a rate of 0.03, a share of 1, 20 leaves, 2 layers and `True`."""
    return (
        math.log10(settings["rate"] / 0.03) ** 2 + (settings["share"] - 1) ** 2 / 4
        + math.log10(settings["leaves"] / 20) ** 2 + 0.1 * abs(settings["layers"] - 2)
        + (0.0 if settings["kind"] is True else 0.2)
    )  # fmt: skip


def start(name, **kwargs):
    searcher = member("tuning", name)
    for module in searcher.needs:
        if not _is_here(module):
            pytest.skip(f"{module} is not installed")
    return searcher.start(SPACE, **kwargs)


def _is_here(module):
    try:
        return importlib.util.find_spec(module) is not None
    except ModuleNotFoundError:
        return False


def walk(search, steps):
    asked = []
    for _ in range(steps):
        settings = search.ask()
        search.tell(settings, loss_of(settings))
        asked.append(settings)
    return asked


@pytest.mark.parametrize("name", members("tuning"))
def test_a_searcher_asks_within_the_space(name):
    search = start(name, seed=0)
    for settings in walk(search, 7):
        assert fits(SPACE, settings)


@pytest.mark.parametrize("name", members("tuning"))
def test_a_searcher_ends_up_better_than_where_chance_began(name):
    losses = [loss_of(each) for each in walk(start(name, seed=3), STEPS.get(name, 35))]
    assert min(losses) < min(losses[:5])


@pytest.mark.parametrize("name", members("tuning"))
def test_the_same_seed_asks_the_same(name):
    assert walk(start(name, seed=7), 7) == walk(start(name, seed=7), 7)


@pytest.mark.parametrize("name", members("tuning"))
def test_a_searcher_goes_on_from_trials_told(name):
    good = {"rate": 0.03, "share": 1.0, "leaves": 20, "layers": 2, "kind": True}
    trials = [Trial(each, loss_of(each)) for each in walk(member("tuning", "random").start(SPACE, seed=1), 8)]
    trials += [Trial(good, 0.0), Trial({**good, "share": 2.5}, None)]
    asked = walk(start(name, seed=5, trials=trials), 2)
    assert all(fits(SPACE, each) for each in asked)
    assert asked == walk(start(name, seed=5, trials=trials), 2)


@pytest.mark.parametrize("name", members("tuning"))
def test_a_searcher_may_be_asked_twice_and_told_of_failures(name):
    search = start(name, seed=2)
    first, second = search.ask(), search.ask()
    search.tell(second, None)
    search.tell(first, 1.0)
    search.tell({"rate": 0.5, "share": 0.0, "leaves": 9, "layers": 1, "kind": "plain"}, 2.0)
    for settings in walk(search, 3):
        assert fits(SPACE, settings)


def test_values_are_found_again_at_their_places():
    for dimension in (Float(0.1, 10, log=True), Float(-1, 1), Int(1, 99, log=True), Int(0, 5)):
        for value in (dimension.low, dimension.high, dimension.at(0.3)):
            assert dimension.at(dimension.place(value)) == pytest.approx(value)


def test_settings_fit_by_kind_and_limits_and_names():
    good = {"rate": 0.03, "share": 1, "leaves": 20, "layers": 2, "kind": None}
    assert fits(SPACE, good)
    assert not fits(SPACE, good | {"kind": 1})
    assert not fits(SPACE, good | {"leaves": 20.5})
    assert not fits(SPACE, good | {"rate": 0.0})
    assert not fits(SPACE, good | {"more": 0})
