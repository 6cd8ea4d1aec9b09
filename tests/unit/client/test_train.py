"""What `aias.train` refuses before it looks at anything."""

from pathlib import Path
from typing import Any

import pytest

import aias
from aias.core.errors import AiasError
from chat_service import serving


@pytest.mark.parametrize(
    "wrong",
    [
        {"metric": "beauty"},
        {"learners": ("magic",)},
        {"latency": "fast"},
        {"test": 2.0},
        {"seed": -1},
        {"folds": 999},
        {"class_weights": {"good": float("nan")}},
        {"learners": None},
        {"learners": [None]},
    ],
    ids=str,
)
def test_what_needs_no_data_to_be_refused_is_refused_before_a_teacher_is_asked(
    tmp_path: Path, wrong: dict[str, Any]
) -> None:
    path = tmp_path / "rooms.csv"
    path.write_text("text,mood\n" + "".join(f"a room {i},{('good', 'bad', '')[i % 3]}\n" for i in range(40)))

    with serving(lambda _: "bad") as service, pytest.raises(AiasError):
        aias.train(path, target="mood", teacher=aias.Teacher(service.url, "tiny"), home=tmp_path, inline=True, **wrong)

    assert not service.asked


def test_a_share_of_the_rows_for_the_test_may_be_in_per_cent(tmp_path: Path) -> None:
    with pytest.raises(AiasError, match=r"^0\.95 of the rows cannot be the test"):
        aias.train({"x": [1.0], "y": ["a"]}, target="y", test="95%", home=tmp_path, inline=True)


def test_whoever_watches_nothing_is_warned_all_the_same(tmp_path: Path, caplog: pytest.LogCaptureFixture) -> None:
    rows = {"x": [float(i % 7) for i in range(80)], "after": [float(i % 2) for i in range(80)], "y": ["a", "b"] * 40}
    ask: dict[str, Any] = {"target": "y", "learners": "linear", "search": False, "inline": True, "home": tmp_path}

    aias.train(rows, name="loud", **ask)

    assert [each.message for each in caplog.records if each.name == "aias" and "may be a leak" in each.message]
    caplog.clear()
    aias.train(rows, name="quiet", watch=lambda _: None, **ask)
    assert not [each for each in caplog.records if each.name == "aias"]
