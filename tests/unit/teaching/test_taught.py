"""`teaching/taught.py`: rows without answers get a teacher's; whose own answers judge; every kind of teacher."""

from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import polars as pl
import pytest

from aias.core.errors import AiasError, UserError
from aias.core.events import Event
from aias.data.opinions import Opinions
from aias.teaching.taught import Taught, taught
from aias.teaching.teacher import Teacher
from aias.teaching.teachers.contract import BadTeacher, TeacherRefused
from aias.teaching.wire import KEY
from chat_service import Service, completion, serving
from live_server import Rule, Shelf, Squarer, live_server

WARM, COLD = ("lovely warm", "friendly clean", "bright calm"), ("cold dirty", "rude broken", "loud slow")


def mood(text: str) -> str:
    return "good" if any(word in text for each in WARM for word in each.split()) else "bad"


def rows(count: int, *, own: int = 0) -> pl.DataFrame:
    """Texts of which the first `own` have their answers."""
    rng = np.random.default_rng(0)
    texts = [f"{(WARM if rng.random() < 0.5 else COLD)[rng.integers(3)]} room {i}" for i in range(count)]
    return pl.DataFrame({"text": texts, "mood": [mood(text) if i < own else None for i, text in enumerate(texts)]})


def teach(
    source: Any, teacher: Teacher, home: Path, *, target: str = "mood", **more: Any
) -> tuple[Taught, list[Event]]:
    events: list[Event] = []
    return taught(source, target, teacher, home=home, watch=events.append, **more), events


def teacher(service: Service, **more: Any) -> Teacher:
    return Teacher(service.url, model="tiny", **more)


def test_a_chat_service_answers_what_has_no_answer_and_own_answers_judge(tmp_path: Path) -> None:
    frame = rows(100, own=44)
    with serving(mood) as service:
        found, events = teach(frame, teacher(service), tmp_path)

    assert found.test is not None
    learned, test = pl.read_parquet(found.rows), pl.read_parquet(found.test)
    assert learned.height + test.height == 100 and test.height == 22
    assert set(test["text"]) <= set(frame["text"][:44])
    assert all(mood(text) == label for text, label in pl.concat([learned, test]).rows())
    assert found.facts["answered"] == 56 and found.facts["own"] == 44
    assert found.facts["agreement"] == 1.0 and found.facts["compared"] == 40  # 4 are examples
    assert found.facts["calls"] == len(service.asked) == 96
    assert found.facts["tokens_read"] == 7 * 96
    assert 2 <= service.at_once <= 8
    assert "teach.agreement" in [each.name for each in events]


def test_of_rows_without_an_answer_only_their_own_nonsense_is_told(tmp_path: Path) -> None:
    def rule(text: str) -> str:
        return "hm" if int(text.rpartition(" ")[2]) in {1, 2, 3, 4, 5, 6, 7, 8, 30, 31} else mood(text)

    with serving(rule) as service:
        found, events = teach(rows(60, own=20), teacher(service), tmp_path)

    assert found.facts["unanswered"] == 2
    [warning] = [each.message for each in events if each.name == "teach.unanswered"]
    assert warning == "2 rows got no answer and are left out: 2 answers were none that counts, such as 'hm'"


def test_asking_again_asks_nothing_and_gives_the_same_files(tmp_path: Path) -> None:
    with serving(mood) as service:
        first, _ = teach(rows(12, own=4), teacher(service), tmp_path)
        calls = len(service.asked)
        second, _ = teach(rows(12, own=4), teacher(service), tmp_path)

        assert len(service.asked) == calls
    assert first.rows == second.rows and second.facts["calls"] == 0
    assert first.facts["tokens_read"] == 7 * calls and second.facts["tokens_read"] == 0


def test_tokens_of_equal_rows_that_are_asked_once_count_once(tmp_path: Path) -> None:
    with serving(mood) as service:
        found, _ = teach(pl.concat([rows(12)] * 3), teacher(service, classes=("good", "bad")), tmp_path)

    assert found.facts["calls"] == len(service.asked) == 12 and found.facts["tokens_read"] == 7 * 12


def test_calls_that_are_allowed_are_all_that_is_spent_and_the_next_goes_on(tmp_path: Path) -> None:
    with serving(mood) as service:
        first, events = teach(rows(12), teacher(service, classes=("good", "bad"), calls=7), tmp_path)
        assert len(service.asked) == 7
        second, _ = teach(rows(12), teacher(service, classes=("good", "bad"), calls=7), tmp_path)
        assert len(service.asked) == 12

    assert pl.read_parquet(first.rows).height == 7 and pl.read_parquet(second.rows).height == 12
    (told,) = [each for each in events if each.name == "teach.unanswered"]
    assert "5 rows got no answer and are left out: no more calls were allowed" in told.message
    assert [each.name for each in events if each.level == "warning"] == ["teach.unanswered", "teach.judged"]


def test_a_file_without_the_column_gets_it_where_labels_are_named(tmp_path: Path) -> None:
    path = tmp_path / "rows.csv"
    rows(12).drop("mood").write_csv(path)
    with serving(mood) as service:
        found, _ = teach(path, teacher(service, classes=("good", "bad")), tmp_path)
        with pytest.raises(BadTeacher, match="the labels of `mood` are not known"):
            teach(path, teacher(service), tmp_path)

    assert found.test is None
    assert all(mood(text) == label for text, label in pl.read_parquet(found.rows).rows())


def test_rows_that_have_all_answers_need_no_teacher(tmp_path: Path) -> None:
    with pytest.raises(UserError, match="nothing to ask"):
        teach(rows(20, own=20), Teacher("http://127.0.0.1:9/v1", model="tiny"), tmp_path)


def test_labels_that_are_not_named_are_not_passed_over(tmp_path: Path) -> None:
    with pytest.raises(BadTeacher, match="'bad' in some rows, which the classes named are without"):
        teach(rows(20, own=10), Teacher("http://127.0.0.1:9/v1", "tiny", ("good", "evil")), tmp_path)


@pytest.mark.parametrize(
    "reply",
    [completion("As an assistant I cannot say."), (200, {}, b"<html>Welcome</html>"), (403, {}, b"no credit"),
     (200, {}, b"[" * 100_000)],
    ids=["nonsense", "HTML", "refusal", "depth"],
)  # fmt: skip
def test_a_service_that_gives_no_answers_gives_no_model(reply: Any, tmp_path: Path) -> None:
    with serving(mood, first=[reply] * 100) as service, pytest.raises(TeacherRefused):
        teach(rows(100, own=10), teacher(service), tmp_path)

    assert len(service.asked) <= 40  # and is not asked to the end


def test_a_service_that_is_busy_for_a_while_is_waited_for(tmp_path: Path) -> None:
    busy = (429, {"Retry-After": "0"}, b"slow down")
    with serving(mood, first=[busy] * 3) as service:
        found, _ = teach(rows(8), teacher(service, classes=("good", "bad")), tmp_path)

    assert found.facts["answered"] == 8 and found.facts["calls"] == 11


def test_no_secret_is_kept(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv(KEY, "sk-never-told-4711")
    with serving(mood) as service:
        found, events = teach(rows(8), teacher(service, classes=("good", "bad")), tmp_path)

    held = b"".join(path.read_bytes() for path in tmp_path.rglob("*") if path.is_file())
    assert set(service.keys) == {"Bearer sk-never-told-4711"}
    assert b"4711" not in held and "4711" not in str(events) + str(found)


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


@pytest.mark.parametrize("source", ["http://host/somewhere", "https://host"])
def test_an_address_that_says_not_what_it_is_is_asked_about(source: str, tmp_path: Path) -> None:
    with pytest.raises(BadTeacher, match="not a teacher"):
        teach(rows(20), Teacher(source), tmp_path)


def test_a_version_that_does_not_exist_is_not_found(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("AIAS_HOME", str(tmp_path))
    with pytest.raises(AiasError, match="nobody"):
        teach(rows(20), Teacher("nobody@3"), tmp_path)


@pytest.mark.parametrize("bad", [{"calls": 0}, {"classes": ("one",)}, {"classes": ("a", "a")}])
def test_a_wish_that_cannot_be_had_is_refused(bad: dict[str, Any]) -> None:
    with pytest.raises(BadTeacher):
        Teacher("big@1", **bad)


def known(path: Any) -> Opinions:
    return Opinions.load(Path(path))


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


def test_too_few_answers_are_kept_and_refused_with_how_many_are_enough(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("aias.teaching.asking.WAIT_SECONDS", 0.0)
    asked = {"classes": ("good", "bad")}
    with serving(mood, first=[completion("good")] * 30 + [(503, {}, b"gone")] * 100) as service:
        with pytest.raises(TeacherRefused, match="gone; 30 of 100 rows are answered, and 200 or half of") as refused:
            teach(rows(100), teacher(service, **asked), tmp_path)
        service.first.clear()
        found, _ = teach(rows(100), teacher(service, **asked), tmp_path)

    assert refused.value.hint == "what was answered is kept: the same command asks later for the others"
    assert found.facts["calls"] == 70 and found.facts["answered"] == 100


def test_who_answers_no_row_is_told_with_what_to_do(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("aias.teaching.asking.WAIT_SECONDS", 0.0)
    with (
        serving(mood, first=[(503, {}, b"gone")] * 100) as service,
        pytest.raises(TeacherRefused, match=r"answered no row: .* answers 503: gone") as refused,
    ):
        teach(rows(3), teacher(service, classes=("good", "bad")), tmp_path)

    assert "another teacher" in refused.value.hint


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


def test_rows_are_made_up_of_those_that_are_learned_from_and_are_nobodys_own(
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
