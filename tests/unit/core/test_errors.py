"""Every error has a code of its own, an exit status, and is written as JSON."""

import importlib
import pkgutil
import re
import traceback

import pytest

import aias
from aias.core.errors import AiasError, BadValue, Conflict, Damaged, NotFound, Refused, StorageFailed, UserError, shown


def every_error() -> list[type[AiasError]]:
    for module in pkgutil.walk_packages(aias.__path__, "aias."):
        if "migrations" not in module.name and not module.name.endswith("__main__"):
            importlib.import_module(module.name)
    found: list[type[AiasError]] = []
    todo: list[type[AiasError]] = [AiasError]
    while todo:
        kind = todo.pop()
        found.append(kind)
        todo += kind.__subclasses__()
    return [kind for kind in found if kind.__module__.startswith("aias.")]


def test_a_code_names_one_kind_of_error() -> None:
    codes = [kind.code for kind in every_error() if "code" in vars(kind)]

    assert sorted(codes) == sorted(set(codes))


def test_every_kind_of_error_has_a_code_of_its_own() -> None:
    assert not [kind for kind in every_error() if "code" not in vars(kind)]


def test_a_code_is_a_room_and_what_happened_there() -> None:
    assert not [kind.code for kind in every_error() if not re.fullmatch(r"[a-z]+\.[a-z-]+", kind.code)]


@pytest.mark.parametrize(
    ("kind", "status"),
    [(AiasError, 1), (UserError, 2), (NotFound, 3), (Refused, 4), (Conflict, 5), (Damaged, 1), (StorageFailed, 1)],
)
def test_the_exit_status_tells_what_sort_of_fault_it_was(kind: type[AiasError], status: int) -> None:
    assert kind.exit_status == status


def test_an_error_in_json_has_a_hint_only_when_there_is_one() -> None:
    assert UserError("no").as_dict() == {"code": "aias.bad-input", "message": "no"}
    assert UserError("no", hint="try yes").as_dict()["hint"] == "try yes"


def test_a_traceback_ends_with_the_hint() -> None:
    assert traceback.format_exception_only(UserError("no", hint="try yes"))[-1] == "hint: try yes\n"
    assert len(traceback.format_exception_only(UserError("no"))) == 1


def test_a_bad_value_learns_its_place_from_whoever_knows_it() -> None:
    fault = BadValue("'x' is not a number", hint="send 1").at(field="age", row=3)

    assert str(fault) == "row 3, field `age`: 'x' is not a number"
    assert fault.as_dict() == {
        "code": "data.bad-value", "message": str(fault), "hint": "send 1", "field": "age", "row": "3"
    }  # fmt: skip


def test_a_bad_value_without_a_row_names_the_field_alone() -> None:
    assert str(BadValue("no").at(field="age")) == "field `age`: no"


@pytest.mark.parametrize(
    ("value", "text"),
    [("a", "'a'"), (3.5, "3.5"), ([1], "a value of type list"), (10**60, "a number of over 50 digits")],
)
def test_a_value_is_shown_as_a_person_would_know_it(value: object, text: str) -> None:
    assert shown(value) == text


def test_a_long_value_is_shown_in_part() -> None:
    assert len(shown("x" * 10_000)) == 60
