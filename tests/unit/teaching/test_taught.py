"""`teaching/taught.py`: rows without answers get a teacher's; whose own answers judge; every kind of teacher."""

from pathlib import Path
from typing import Any

import numpy as np
import polars as pl
import pytest

from aias.core.errors import AiasError, UserError
from aias.core.events import Event
from aias.teaching.taught import Taught, taught
from aias.teaching.teacher import Teacher
from aias.teaching.teachers.contract import BadTeacher, TeacherRefused
from aias.teaching.wire import KEY
from chat_service import Service, completion, serving

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
