"""The folder that a training works in: gone on with, shared with nobody, missed when it is gone."""

import shutil
from dataclasses import replace
from itertools import count
from pathlib import Path

import numpy as np
import pytest

from aias.core.deadline import Deadline
from aias.core.errors import StorageFailed, UserError
from aias.core.events import Event, nobody
from aias.data.read import read
from aias.training.ledger import Entry, Ledger
from aias.training.ledger_folder import room
from aias.training.prepare import prepare
from aias.training.selection.configuration import Configuration, Unit
from aias.training.table import digest_in
from aias.training.train import train
from aias.training.unit import UnitFitter
from trainings import LINEAR, table


def test_what_was_fitted_is_not_fitted_again_on_resuming(tmp_path: Path) -> None:
    told: list[Event] = []
    train(read(table()), LINEAR, work=tmp_path, inline=True)
    Ledger(tmp_path).put("cut", Entry({}, 0.0, True, {}, np.zeros((0, 0))))

    train(read(table()), replace(LINEAR, seconds=900), work=tmp_path, resume=True, inline=True, watch=told.append)

    assert "train.candidate" in {event.name for event in told}
    assert not {"train.round", "train.anew"} & {event.name for event in told}
    assert not Ledger(tmp_path).has("cut")


def test_what_time_cut_short_and_what_read_it_is_fitted_again_on_resuming(tmp_path: Path) -> None:
    prepared = prepare(
        read(table(600)), target="y", metric=None, how="random", test=0.0, given=None, seconds=100, folds=3, seed=0,
        watch=nobody,
    )  # fmt: skip
    cut, whole = (
        Unit(Configuration("trees", "boosted_trees", {"rounds": 3}, derived), 0, 0) for derived in (("text_sums",), ())
    )
    left, anew = (UnitFitter(prepared.table, Ledger(tmp_path / name)) for name in ("left", "anew"))
    looks = count()
    short = left.fit(cut, deadline=Deadline.after(100, lambda: next(looks)), threads=1, watch=nobody)
    left.fit(whole, deadline=Deadline.after(600), threads=1, watch=nobody)
    expected = anew.fit(cut, deadline=Deadline.after(600), threads=1, watch=nobody)
    assert not short.cut and short.settings["rounds"] == 3  # only the model of the texts had no time
    assert not np.array_equal(expected.scores, short.scores)

    left.ledger.drop_cut()

    assert left.ledger.has(whole.key(prepared.table.digest)) and not left.ledger.has(cut.key(prepared.table.digest))
    again = left.fit(cut, deadline=Deadline.after(600), threads=1, watch=nobody)
    np.testing.assert_array_equal(expected.scores, again.scores)


def test_of_two_that_make_the_same_columns_at_once_the_first_is_believed(tmp_path: Path) -> None:
    prepared = prepare(
        read(table(600)), target="y", metric=None, how="random", test=0.0, given=None, seconds=100, folds=3, seed=0,
        watch=nobody,
    )  # fmt: skip
    unit = Unit(Configuration("trees", "boosted_trees", {"rounds": 3}, ("text_sums",)), 0, 0)
    fitter, looks = UnitFitter(prepared.table, Ledger(tmp_path)), count()

    class Second(Ledger):
        """Just before it puts what it has made, another does."""

        def put(self, key: str, entry: Entry) -> None:
            if entry.settings.get("C") and not fitter.ledger.has(key):
                fitter.fit(unit, deadline=Deadline.after(600), threads=1, watch=nobody)
            super().put(key, entry)

    other = replace(unit, configuration=replace(unit.configuration, settings={"rounds": 2}))
    second = UnitFitter(prepared.table, Second(tmp_path))
    entry = second.fit(other, deadline=Deadline.after(100, lambda: next(looks)), threads=1, watch=nobody)

    judged = second.pipeline(other).scores(prepared.table.whole.encoded.take(prepared.table.outside(0)))
    np.testing.assert_allclose(judged, entry.scores)


def test_nobody_clears_the_folder_that_another_training_is_at_work_in(tmp_path: Path) -> None:
    work, refused = tmp_path / "work" / "m", list[str]()

    def watch(event: Event) -> None:
        if event.name == "train.candidate" and not refused:
            with pytest.raises(UserError, match="`m` is being trained, optimised or compressed") as fault:
                train(read(table()), LINEAR, work=work, inline=True)
            refused.append(str(fault.value))
            with room(work, digest_in(work / "table") or "") as other:
                assert other != work

    train(read(table()), LINEAR, work=work, watch=watch)
    assert refused
    with room(work, digest_in(work / "table") or "") as same, room(work, digest_in(work / "table") or "") as also:
        assert same == also == work
        with pytest.raises(UserError, match="by another process"):
            train(read(table()), LINEAR, work=work, inline=True)
    assert train(read(table()), LINEAR, work=work, inline=True).quality


def test_a_folder_that_is_deleted_meanwhile_is_told_of(tmp_path: Path) -> None:
    def watch(event: Event) -> None:
        if event.name == "train.candidate":
            shutil.rmtree(tmp_path / "work")

    with pytest.raises(StorageFailed, match=f"no longer whole in {tmp_path}"):
        train(read(table()), LINEAR, work=tmp_path / "work", inline=True, watch=watch)


def test_a_training_that_goes_on_with_nothing_says_so(tmp_path: Path) -> None:
    told: list[Event] = []
    train(read(table()), LINEAR, work=tmp_path / "none", resume=True, inline=True, watch=told.append)
    assert "train.anew" in {event.name for event in told}
