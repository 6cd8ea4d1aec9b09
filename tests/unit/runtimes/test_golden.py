import json
from dataclasses import replace
from types import SimpleNamespace
from typing import Any, cast

import numpy as np
import pytest

from aias.artifact.manifest import Parity
from aias.core.errors import Damaged
from aias.core.schema import Field
from aias.runtimes.golden import ROWS, OtherAnswers, check, golden_rows, record
from aias.runtimes.onnxruntime import OnnxRuntime
from live_server import Rule


def runtime(rule: Any) -> OnnxRuntime:
    return cast("OnnxRuntime", rule)


def test_a_version_that_answers_as_it_did_passes() -> None:
    assert check(runtime(Rule()), record(runtime(Rule()))) == ROWS


def test_a_version_that_says_something_else_is_refused() -> None:
    recorded = record(runtime(Rule(0.75)))

    with pytest.raises(OtherAnswers, match="0 labels differ, scores by up to 2e-05"):
        check(runtime(Rule(0.75002)), recorded)
    with pytest.raises(OtherAnswers, match="labels differ"):
        check(runtime(Rule(0.25)), recorded)


def test_a_difference_within_parity_is_none() -> None:
    assert check(runtime(Rule(0.750001)), record(runtime(Rule(0.75)))) == ROWS


def test_on_another_host_it_may_be_off_by_what_a_batch_was() -> None:
    there, here = Rule(0.75), Rule(0.75002)
    here.session = SimpleNamespace(reads_tokens=False)  # type: ignore[attr-defined]
    here.manifest = replace(here.manifest, parity=Parity(100, 0, 0.0, 1e-4))

    assert check(runtime(here), record(runtime(there)), moved=True) == ROWS
    with pytest.raises(OtherAnswers, match="2e-05"):
        check(runtime(here), record(runtime(there)))


def test_what_was_no_number_must_be_none_again() -> None:
    recorded = json.loads(record(runtime(Rule())))
    recorded["scores"][1] = [None, None]

    with pytest.raises(OtherAnswers, match="inf"):
        check(runtime(Rule()), json.dumps(recorded).encode())
    with pytest.raises(Damaged, match=r"golden\.json"):
        check(runtime(Rule()), b"[")


def test_the_rows_hold_nothing_but_what_the_manifest_tells() -> None:
    fields = (
        Field("age", "number", example=41),
        Field("plan", "category", categories=("basic", "pro"), example="pro"),
        Field("note", "text", example="late again"),
        Field("at", "time", example="2026-01-01"),
        Field("odd", "number"),
    )

    rows = golden_rows(fields)

    assert len(rows) == ROWS
    assert rows[:2] == [{"age": 41, "plan": "pro", "note": "late again", "at": "2026-01-01"}, {}]
    assert {row.get("plan") for row in rows} == {"basic", "pro", None}
    assert all("late again".startswith(row.get("note") or "") for row in rows)
    assert len({row.get("age") for row in rows if row.get("age") is not None}) >= 3
    assert np.isfinite([row["age"] for row in rows if row.get("age") is not None]).all()
