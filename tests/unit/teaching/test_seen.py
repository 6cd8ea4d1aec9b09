"""`teaching/seen.py`: a teacher that learned from the rows that judge is told of."""

import os
from pathlib import Path

import numpy as np
import polars as pl
import pytest

import aias
from aias.core.events import Event
from aias.core.schema import Schema
from aias.data.read import read
from aias.teaching.seen import seen
from aias.teaching.taught import taught
from aias.teaching.teacher import Teacher


def rows(seed: int, count: int = 200) -> pl.DataFrame:
    rng = np.random.default_rng(seed)
    age, plan = rng.uniform(10, 80, count), rng.choice(["pro", "free"], count)
    return pl.DataFrame({"age": age, "plan": plan, "left": np.where(age + 10 * (plan == "pro") > 45, "yes", "no")})


def without_labels(frame: pl.DataFrame) -> pl.DataFrame:
    return frame.with_columns(pl.lit(None, pl.String).alias("left"))


@pytest.fixture(scope="module")
def home(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("home")
    rows(0).write_csv(folder / "learned.csv")
    aias.train(folder / "learned.csv", target="left", name="big", learners=["linear"], time="600s", home=folder)
    return folder


def told(home: Path, own: pl.DataFrame, **more: object) -> list[Event]:
    events: list[Event] = []
    frame = pl.concat([own, without_labels(rows(2))])
    taught(frame, "left", Teacher("big@1"), home=home, watch=events.append, **more)  # type: ignore[arg-type]
    return [each for each in events if each.name == "teach.seen"]


def test_a_teacher_that_learned_from_the_rows_set_aside_is_told_of(home: Path) -> None:
    (found,) = told(home, rows(0)[:60])

    assert found.level == "warning" and found.facts == {"rows": 30, "of": 30}
    assert "30 of the 30 rows that judge are among those that big@1 was trained on" in found.message
    assert told(home, rows(1)[:60]) == []


def test_so_it_is_of_rows_that_were_given(home: Path) -> None:
    given = pl.concat([rows(0)[:10], rows(3)[:40]])

    (found,) = told(home, rows(1)[:60], set_aside=False, given=given)

    assert found.facts == {"rows": 10, "of": 50}
    assert told(home, rows(0)[:60], set_aside=False, given=rows(3)) == []


def known(model: aias.Model, frame: pl.DataFrame, *, home: Path) -> int:
    return seen(model.manifest, read(frame, schema=Schema(model.manifest.inputs)), home=home)


def test_rows_are_known_again_whatever_became_of_their_file(home: Path) -> None:
    model, file = aias.load("big@1", home=home), home / "learned.csv"
    rows(5).write_csv(file)
    os.utime(file, (0, 0))  # as whoever unpacks an archive

    assert known(model, rows(5), home=home) == 0, "other rows under the old name were taken for those learned"
    assert known(model, pl.concat([rows(0)[:40], rows(5)]), home=home) == 40
    file.unlink()
    assert known(model, rows(0), home=home) == 200


def test_of_a_table_in_memory_its_rows_are_known_again(tmp_path: Path) -> None:
    model = aias.train(rows(0), target="left", name="held", learners=["linear"], time="600s", home=tmp_path)

    for each in (model, model.quality):
        assert known(each, rows(0)[:50], home=tmp_path) == 50
        assert known(each, pl.concat([rows(0)[:5], rows(1)[:20]]), home=tmp_path) == 5

    (kept,) = (tmp_path / "learned").iterdir()
    kept.write_bytes(b"torn")
    assert known(model, rows(0), home=tmp_path) == 0


def test_rows_that_were_set_aside_were_not_learned(tmp_path: Path) -> None:
    model = aias.train(rows(0), target="left", test=0.25, learners=["linear"], time="600s", home=tmp_path)

    assert known(model, rows(0), home=tmp_path) == 150


def test_where_rows_cannot_be_kept_the_version_is_there_all_the_same(tmp_path: Path) -> None:
    (tmp_path / "learned").write_text("no folder")

    model = aias.train(rows(0), target="left", name="held", learners=["linear"], time="600s", home=tmp_path)

    assert model.ref == "held@2" and known(model, rows(0), home=tmp_path) == 0
