"""The folder that a training works in: gone on with, shared with nobody, missed when it is gone."""

import shutil
from dataclasses import replace
from pathlib import Path

import pytest

from aias.core.errors import StorageFailed, UserError
from aias.core.events import Event
from aias.data.read import read
from aias.training.ledger_folder import room
from aias.training.table import digest_in
from aias.training.train import train
from trainings import LINEAR, table


def test_what_was_fitted_is_not_fitted_again_on_resuming(tmp_path: Path) -> None:
    told: list[Event] = []
    train(read(table()), LINEAR, work=tmp_path, inline=True)

    train(read(table()), replace(LINEAR, seconds=900), work=tmp_path, resume=True, inline=True, watch=told.append)

    assert "train.candidate" in {event.name for event in told}
    assert not {"train.round", "train.anew"} & {event.name for event in told}


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
