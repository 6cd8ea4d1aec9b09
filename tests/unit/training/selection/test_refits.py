"""Which members are fitted once more: those for whom time is kept, then others as far as it goes."""

from dataclasses import replace

import numpy as np

from aias.core.schema import Field
from aias.core.task import Task
from aias.encoders.rows import RowEncoder
from aias.training.selection.configuration import Configuration, Unit
from aias.training.selection.members import Member
from aias.training.selection.refits import SHARES, Refits
from aias.training.table import Part, Table

ROWS = 100
VALUES = {"a": np.arange(ROWS, dtype=float)}
ENCODER = RowEncoder.fit([Field("a", "number")], VALUES)
TABLE = Table(
    Task("y", "regression", "rmse"), ENCODER, Part(ENCODER.columns(VALUES, ROWS), np.arange(ROWS, dtype=float)),
    np.where(np.arange(ROWS) < 20, 0, -1).astype(np.int16),
)  # fmt: skip
SHARE = SHARES["boosted_trees"] * ROWS / 80


def member(name: str, seconds: float, learner: str = "boosted_trees") -> Member:
    unit = Unit(Configuration(name, learner), 0, 0)
    return Member(unit.configuration, (unit,), np.zeros((20, 1)), unit, seconds)


def test_of_a_holdout_time_is_kept_for_what_takes_little_of_it() -> None:
    several = replace(TABLE, folds=(np.arange(ROWS) % 5).astype(np.int16))
    in_time = replace(TABLE, blocks=np.zeros(ROWS, np.int16))  # where the latest rows are always fitted on in the end
    members = [member("short", 4.0), member("long", 40.0)]
    for workers, both in ((1, 44.0), (2, 40.0)):
        refits = Refits(workers, 60.0)
        assert refits.seconds(members, TABLE) == 4 * SHARE < refits.seconds(members, several)
        assert (
            refits.seconds(members, in_time) > 20.0 and Refits(workers, 600.0).seconds(members, TABLE) == both * SHARE
        )


def test_what_takes_longer_is_fitted_again_where_there_is_time_after_all() -> None:
    refits, short, long, longer = Refits(1, 60.0), member("short", 4.0), member("long", 40.0), member("longer", 60.0)
    names = {
        left: [each.name for each in refits.possible([longer, long, short], TABLE, left * SHARE)]
        for left in (1, 45, 65, 105)
    }
    assert names == {1: ["short"], 45: ["short", "long"], 65: ["short", "longer"], 105: ["short", "longer", "long"]}


def test_a_network_that_came_late_fits_again_in_half_of_its_time() -> None:
    refits, network, trees = Refits(1, 600.0), member("network", 40.0, "mlp"), member("trees", 40.0)
    assert refits.seconds([network, trees], TABLE) > 70.0
    for each in (network, trees):
        refits.comes_late(each)
    assert refits.seconds([network, trees], TABLE) == 0.0
    assert refits.possible([network, trees], TABLE, 25.0) == [network] and not refits.possible([trees], TABLE, 25.0)
