"""`teaching/asking.py` and `teaching/answer_cache.py`: nothing is asked twice, nothing paid for is lost."""

import threading
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import pytest

from aias.core.events import Event, nobody
from aias.teaching.answer_cache import AnswerCache, key_of
from aias.teaching.asking import FAILURES_MAX, TRIES, Answers, ask
from aias.teaching.teachers.contract import Busy, Row, Said, TeacherRefused, Unanswered


class Rule:
    """Says `even` or `odd`; `faults` are raised first, in turn."""

    who, identity, schema, reads, classes = "rule", ("rule",), None, None, None

    def __init__(self, faults: Sequence[Exception] = (), *, rows_at_once: int = 1, concurrent: int = 1) -> None:
        self.faults, self.asked = list(faults), list[Row]()
        self.rows_at_once, self.concurrent = rows_at_once, concurrent

    def ask(self, rows: Sequence[Row]) -> list[Said]:
        if self.faults:
            raise self.faults.pop(0)
        self.asked += rows
        return [Said(("even", "odd")[row["n"] % 2], 3, 1) for row in rows]


def rows(*numbers: int) -> list[Row]:
    return [{"n": number} for number in numbers]


def asked(rule: Rule, some: list[Row], folder: Path, **more: Any) -> tuple[Answers, list[float]]:
    waits: list[float] = []
    settings: dict[str, Any] = {"calls_max": 1_000, "stop": threading.Event(), "watch": nobody} | more
    found = ask(rule, some, AnswerCache(folder, rule.identity), wait_for=waits.append, **settings)  # type: ignore[arg-type]
    return found, waits


def test_equal_rows_are_asked_once_and_each_gets_its_answer(tmp_path: Path) -> None:
    rule = Rule(rows_at_once=2, concurrent=3)

    found, _ = asked(rule, rows(1, 2, 1, 4, 2), tmp_path)

    assert [each.answer for each in found.said if each] == ["odd", "even", "odd", "even", "even"]
    assert sorted(row["n"] for row in rule.asked) == [1, 2, 4]
    assert found.calls == 2


def test_what_was_answered_is_not_asked_again_by_anybody(tmp_path: Path) -> None:
    first, _ = asked(Rule(), rows(1, 2, 3), tmp_path, calls_max=2)
    second, _ = asked(again := Rule(), rows(1, 2, 3), tmp_path)

    assert [each.answer if each else None for each in first.said] == ["odd", "even", None]
    assert first.calls == 2 and first.why == "no more calls were allowed"
    assert again.asked == rows(3) and second.calls == 1


def test_a_service_that_is_busy_is_asked_again_later_each_time_or_when_it_says(tmp_path: Path) -> None:
    found, waits = asked(Rule([Busy("429"), Busy("429"), Busy("503", seconds=7), Busy("x", seconds=900)]), rows(1),
                         tmp_path)  # fmt: skip

    assert [each.answer for each in found.said if each] == ["odd"]
    assert waits == [1, 2, 7, 60]
    assert found.calls == 5


def test_tries_are_calls_and_none_more_than_allowed(tmp_path: Path) -> None:
    found, _ = asked(Rule([Busy("429")] * 100), rows(1, 2), tmp_path, calls_max=3)

    assert found.said == (None, None) and found.calls == 3


def test_one_row_without_an_answer_leaves_the_others_theirs(tmp_path: Path) -> None:
    found, _ = asked(Rule([Unanswered("it was filtered")]), rows(1, 2), tmp_path)

    assert [each.answer if each else None for each in found.said] == [None, "even"]
    assert found.why == "it was filtered"


@pytest.mark.parametrize("fault", [Unanswered("no JSON"), Busy("hangs")])
def test_asking_ends_when_nothing_comes_of_it(fault: Exception, tmp_path: Path) -> None:
    tries = TRIES if isinstance(fault, Busy) else 1
    rule = Rule([fault] * FAILURES_MAX * tries)

    with pytest.raises(TeacherRefused, match=f"{FAILURES_MAX} requests in a row"):
        asked(rule, rows(*range(50)), tmp_path)

    assert not rule.faults and len(rule.asked) <= 1


def test_who_is_refused_asks_no_more_and_keeps_what_was_answered(tmp_path: Path) -> None:
    rule = Rule()
    plain = rule.ask
    rule.ask = lambda some: plain(some) if some[0]["n"] < 3 else _refuse()  # type: ignore[method-assign]

    found, _ = asked(rule, rows(1, 2, 3, 4, 5), tmp_path)

    assert [each.answer if each else None for each in found.said] == ["odd", "even", None, None, None]
    assert found.calls == 3 and found.why == "401"
    assert found.refused is not None and found.refused.hint == "a key that it knows"
    kept = AnswerCache(tmp_path, rule.identity)
    assert [kept.get(key_of(row)) is not None for row in rows(1, 2, 3)] == [True, True, False]


def _refuse() -> list[Said]:
    raise TeacherRefused("401", hint="a key that it knows")


def test_who_takes_long_or_is_asked_again_is_told_of_once(tmp_path: Path) -> None:
    told, seconds = list[Event](), iter(range(0, 1_000, 2))
    rule = Rule([Busy("gave no answer in 60 s")] * 2)

    asked(rule, rows(*range(20)), tmp_path, watch=told.append, clock=lambda: float(next(seconds)))

    assert [(each.name, each.level) for each in told] == [("teach.again", "warning"), ("teach.pace", "info")]
    assert told[0].message.startswith("gave no answer in 60 s: it is asked again, up to 4 times; what was answered")
    assert told[1].message.startswith("3 rows took 6 s, so the other 17 take about 34 s")


def test_who_answers_and_then_no_more_is_not_asked_whether_it_is_there(tmp_path: Path) -> None:
    rule = Rule()
    plain, gone = rule.ask, Busy("gave no answer in 60 s", hint="is it there?")
    rule.ask = lambda some: plain(some) if some[0]["n"] < 3 else _raise(gone)  # type: ignore[method-assign]

    found, _ = asked(rule, rows(*range(20)), tmp_path)

    assert [each is not None for each in found.said] == [True] * 3 + [False] * 17
    assert found.calls == 3 + FAILURES_MAX * TRIES
    assert found.refused is not None and "5 requests in a row" in found.refused.message and not found.refused.hint


def test_what_was_answered_before_is_given_by_who_is_gone_since(tmp_path: Path) -> None:
    asked(Rule(), rows(1, 2), tmp_path)

    found, _ = asked(Rule([Busy("gone")] * 100), rows(*range(1, 20)), tmp_path)

    assert [each.answer for each in found.said if each] == ["odd", "even"] and found.refused is not None


def _raise(fault: Exception) -> list[Said]:
    raise fault


def test_nonsense_is_not_paid_for_to_the_end(tmp_path: Path) -> None:
    rule = Rule()
    rule.ask = lambda some: [Said("", came="as an assistant, ...") for _ in some]  # type: ignore[method-assign]

    with pytest.raises(TeacherRefused, match="20 of 20 answers of rule are none that counts, such as 'as an assistant"):
        asked(rule, rows(*range(100)), tmp_path)


def test_who_stops_it_goes_on_with_what_there_is(tmp_path: Path) -> None:
    stop, rule = threading.Event(), Rule()
    plain = rule.ask

    def ask_two(some: Sequence[Row]) -> list[Said]:
        if some[0]["n"] == 2:
            stop.set()
        return plain(some)

    rule.ask = ask_two  # type: ignore[method-assign]
    found, _ = asked(rule, rows(1, 2, 3, 4), tmp_path, stop=stop)

    assert [each is not None for each in found.said] == [True, True, False, False]
    assert found.why == "it was stopped"


def test_too_few_answers_are_no_answer(tmp_path: Path) -> None:
    rule = Rule(rows_at_once=2)
    rule.ask = lambda some: [Said("even")]  # type: ignore[method-assign]

    found, _ = asked(rule, rows(1, 2), tmp_path)

    assert found.said == (None, None) and "1 answers to 2 rows" in found.why


def test_a_line_that_a_kill_tore_is_asked_again_and_nothing_else(tmp_path: Path) -> None:
    kept = AnswerCache(tmp_path, ("rule",))
    kept.put([("a", Said("even")), ("b", Said("odd"))])
    (path,) = tmp_path.iterdir()
    path.write_bytes(path.read_bytes()[:-9] + b"")

    torn = AnswerCache(tmp_path, ("rule",))
    torn.put([("c", Said("odd"))])
    again = AnswerCache(tmp_path, ("rule",))

    assert [bool(again.get(key)) for key in "abc"] == [True, False, True]
    assert path.stat().st_mode & 0o077 == 0


def test_another_question_has_answers_of_its_own(tmp_path: Path) -> None:
    AnswerCache(tmp_path, ("chat", "a")).put([("row", Said("even"))])

    assert AnswerCache(tmp_path, ("chat", "a")).get("row") and not AnswerCache(tmp_path, ("chat", "b")).get("row")
