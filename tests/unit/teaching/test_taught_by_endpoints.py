"""`teaching/taught.py`: endpoints as teachers, by every protocol; how sure they are, and what they say wrongly."""

from pathlib import Path
from typing import Any

import numpy as np
import polars as pl
import pytest
from msgspec.structs import replace

from aias.core.errors import UserError
from aias.data.teacher_labels import TeacherLabels
from aias.teaching.teacher import Teacher
from aias.teaching.teachers.contract import BadTeacher, TeacherRefused
from aias.teaching.wire import KEY
from live_server import Rule, Shelf, Squarer, live_server
from unit.teaching.test_taught import teach


def ages() -> pl.DataFrame:
    return pl.DataFrame({"age": [20.0, 30.0, 45.0, 60.0, 41.0], "left": [None, "no", None, None, "yes"]})


@pytest.mark.parametrize("path", ["/predict/churn", "/v2/models/churn"])
def test_endpoints_teach_by_both_protocols(path: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv(KEY, "predict-key")
    frame = ages().with_columns(plan=pl.lit("pro"))
    with live_server() as server:
        found, _ = teach(frame, Teacher(f"http://{server.address}{path}"), tmp_path, target="left")

    assert pl.read_parquet(found.rows)["left"].to_list() == ["no", "no", "yes", "yes", "yes"]
    assert found.facts["calls"] == 1


@pytest.mark.parametrize("path", ["/predict/area", "/v2/models/area"])
def test_endpoints_teach_numbers(path: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv(KEY, "predict-key")
    shelf = Shelf()
    shelf.deploy("area", 1, Squarer(), model="area")
    sides = np.arange(1.0, 30)
    frame = pl.DataFrame({"side": sides, "area": [None if i % 2 else float(s * s) for i, s in enumerate(sides)]})
    with live_server(shelf) as server:
        found, _ = teach(frame, Teacher(f"http://{server.address}{path}"), tmp_path, target="area")

    assert pl.read_parquet(found.rows)["area"].to_list() == (sides**2).tolist()
    assert found.facts["difference"] == 0.0


def test_an_endpoint_without_the_key_says_so_before_anything_is_asked(tmp_path: Path) -> None:
    with live_server() as server, pytest.raises(TeacherRefused, match="401"):
        teach(ages().with_columns(plan=pl.lit("pro")), Teacher(f"http://{server.address}/predict/churn"), tmp_path,
              target="left")  # fmt: skip


def known(path: Any) -> TeacherLabels:
    return TeacherLabels.load(Path(path))


def test_an_endpoint_teaches_how_sure_it_is(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv(KEY, "predict-key")
    with live_server() as server:
        found, events = teach(ages().with_columns(plan=pl.lit("pro")), Teacher(f"http://{server.address}/predict/churn"),
                              tmp_path, target="left")  # fmt: skip
        hot, _ = teach(
            ages().with_columns(plan=pl.lit("pro")), Teacher(f"http://{server.address}/predict/churn", temperature=2.0),
            tmp_path, target="left",
        )  # fmt: skip

    said = known(found.facts["opinions"])
    assert said.own.tolist() == [False, True, False, False, True] and said.labels == ("no", "yes")
    assert said.chances[0] == pytest.approx([0.75, 0.25])
    assert said.chances[1] == pytest.approx([0.875, 0.125])  # half of it is its own answer
    assert found.facts["soft"] == 3 and "as probabilities" in str(events)
    assert hot.facts["calls"] == 0 and 0.5 < known(hot.facts["opinions"]).chances[0, 0] < 0.75


def test_an_inference_server_teaches_so_where_its_classes_are_named_in_their_order(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv(KEY, "predict-key")
    frame = ages().with_columns(plan=pl.lit("pro"))
    with live_server() as server:
        named, _ = teach(frame, Teacher(f"http://{server.address}/v2/models/churn", classes=("no", "yes")), tmp_path,
                         target="left")  # fmt: skip
        other, _ = teach(frame, Teacher(f"http://{server.address}/v2/models/churn"), tmp_path, target="left")

    assert known(named.facts["opinions"]).chances[0] == pytest.approx([0.75, 0.25])
    assert other.facts["soft"] == 0 and known(other.facts["opinions"]).labels == ()


def test_an_endpoint_that_dies_halfway_leaves_what_it_answered(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv(KEY, "predict-key")
    monkeypatch.setattr("aias.teaching.asking.WAIT_SECONDS", 0.0)
    frame = pl.DataFrame({"age": np.arange(4_800) / 60, "plan": "pro", "left": [None] * 4_790 + ["no", "yes"] * 5})
    shelf = Shelf()
    shelf.deploy("churn", 1, dying := Dying(rows_left=900))
    with live_server(shelf) as server:
        teacher = Teacher(f"http://{server.address}/predict/churn")
        some, events = teach(frame, teacher, tmp_path, target="left")
        dying.rows_left = 10**9
        found, _ = teach(frame, teacher, tmp_path, target="left")

    told = next(each.message for each in events if each.name == "teach.unanswered")
    assert "4,028 rows got no answer and are left out: 5 requests in a row came to nothing" in told
    assert told.endswith("what was answered is kept: the same command asks later for the others")
    learned = pl.read_parquet(some.rows)
    assert learned.height == 772 and learned["age"].mean() == pytest.approx(40, abs=3)  # of 0 to 80, a sample
    assert found.facts["calls"] == 16  # of nineteen
    assert pl.read_parquet(found.rows).height == 4_800


class Dying(Rule):
    """Answers so many rows, and breaks at every further one."""

    def __init__(self, rows_left: int) -> None:
        super().__init__()
        self.rows_left = rows_left

    def predict(self, rows: Any) -> Any:
        if len(rows) > self.rows_left:
            raise ValueError("gone")
        self.rows_left -= len(rows)
        return super().predict(rows)


@pytest.mark.parametrize(
    ("endpoint", "said"),
    [("churn", "a row's `left` is 'No', which is none of no, yes"),
     ("area", "a row's `left` is 'No', which is no number, and area@1 at .* gives numbers")],
)  # fmt: skip
def test_labels_that_an_endpoint_does_not_know_are_named_before_it_is_asked(
    endpoint: str, said: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv(KEY, "predict-key")
    shelf = Shelf()
    shelf.deploy("churn", 1, Rule())
    shelf.deploy("area", 1, Squarer(), model="area")
    frame = ages().with_columns(pl.Series("left", [None, "No", None, None, "Yes"]), plan=pl.lit("pro"), side=2.0)
    with live_server(shelf) as server, pytest.raises(BadTeacher, match=said):
        teach(frame, Teacher(f"http://{server.address}/predict/{endpoint}"), tmp_path, target="left")

    assert not list(tmp_path.rglob("*.jsonl"))  # no answer is kept, so none was given


def test_who_writes_labels_otherwise_is_not_asked_to_the_end(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv(KEY, "predict-key")
    left = [None] * 590 + ["No", "Yes"] * 5
    frame = pl.DataFrame({"age": np.arange(600) / 6, "plan": "pro", "left": left})
    with (
        live_server() as server,
        pytest.raises(TeacherRefused, match=r"64 of 64 answers .* '(no|yes)'") as refused,
    ):
        teach(frame, Teacher(f"http://{server.address}/v2/models/churn"), tmp_path, target="left")

    assert "as the teacher writes them" in refused.value.hint


class Straying(Rule):
    """Says something else from some age on."""

    def __init__(self, above: float) -> None:
        super().__init__()
        self.above = above

    def predict(self, rows: Any) -> Any:
        found = super().predict(rows)
        odd = np.array([row["age"] > self.above for row in rows])
        return replace(found, predictions=np.where(odd, "maybe", np.array(found.predictions, object)))


@pytest.mark.parametrize(("above", "strays"), [(98.0, 11), (80.0, 0)])
def test_a_stray_label_is_left_out_and_one_that_nobody_named_is_told_early(
    above: float, strays: int, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv(KEY, "predict-key")
    age = np.random.default_rng(0).permutation(np.arange(600) / 6)
    frame = pl.DataFrame({"age": age, "plan": "pro", "left": [None] * 590 + ["no", "yes"] * 5})
    shelf = Shelf()
    shelf.deploy("churn", 1, Straying(above))
    with live_server(shelf) as server:
        asked = Teacher(f"http://{server.address}/v2/models/churn")
        if not strays:
            with pytest.raises(TeacherRefused, match=r"of (64|128) answers .* none that counts: 'maybe'") as refused:
                teach(frame, asked, tmp_path, target="left")
            assert "--classes" in refused.value.hint
            return
        found, events = teach(frame, asked, tmp_path, target="left")

    assert set(pl.read_parquet(found.rows)["left"]) == {"no", "yes"}
    assert found.facts["unanswered"] == strays == 590 - int(found.facts["answered"])  # type: ignore[call-overload]
    [warning] = [each.message for each in events if each.name == "teach.unanswered"]
    assert f"{strays} answers were none that counts, such as 'maybe'" in warning


def test_synthetic_rows_are_made_of_those_that_are_learned_from_and_are_nobodys_own(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv(KEY, "predict-key")
    rng = np.random.default_rng(0)
    age = rng.uniform(10, 80, 200)
    frame = pl.DataFrame(
        {"age": age, "plan": rng.choice(["pro", "free"], 200), "left": np.where(age > 40, "yes", "no")}
    )
    with live_server() as server:
        teacher = Teacher(f"http://{server.address}/predict/churn", synthetic=2.0)
        found, _ = teach(frame, teacher, tmp_path, target="left")
        with pytest.raises(UserError, match="nothing to ask") as refused:
            teach(frame, Teacher(teacher.source), tmp_path, target="left")

    assert found.test is not None and "--synthetic" in refused.value.hint
    learned, test, said = pl.read_parquet(found.rows), pl.read_parquet(found.test), known(found.facts["opinions"])
    assert test.height == 40 and learned.height == 160 + 320
    assert said.own.sum() == 160 and np.isfinite(said.chances).all()
    assert not set(learned["age"]) & set(test["age"])


def test_rows_of_another_file_are_asked_about_besides(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv(KEY, "predict-key")
    path = tmp_path / "more.csv"
    pl.DataFrame({"age": [15.0, 75.0], "plan": ["pro", "free"]}).write_csv(path)
    frame = ages().drop_nulls("left").with_columns(plan=pl.lit("pro"))
    frame.write_csv(tmp_path / "own.csv")
    with live_server() as server:
        teacher = Teacher(f"http://{server.address}/predict/churn", unlabelled=path)
        found, _ = teach(tmp_path / "own.csv", teacher, tmp_path, target="left")

    assert pl.read_parquet(found.rows)["left"].to_list() == ["no", "yes", "no", "yes"]
    assert known(found.facts["opinions"]).own.tolist() == [True, True, False, False]
