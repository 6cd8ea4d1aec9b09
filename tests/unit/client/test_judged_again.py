"""How often the same rows have judged."""

from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pytest

from aias.client.judged_again import counted
from aias.core.events import Event


def model(ref: str, *, test: int = 100, share: float = 0.2, seed: int = 0, digest: str = "") -> Any:
    recipe = SimpleNamespace(target="y", split="random", test=share, seed=seed, test_digest=digest)
    manifest = SimpleNamespace(rows={"test": test} if test else {})
    return SimpleNamespace(ref=ref, recipe=recipe, manifest=manifest)


def runs(home: Path, one: Any, told: list[Event], *, verb: str = "compress", rows: str = "a" * 64) -> int:
    return counted(home, one, one, rows, verb=verb, passes="what is worse passes", watch=told.append)()


@pytest.mark.parametrize(
    ("other", "rows", "count"),
    [
        (model("renamed@1"), "a" * 64, 2),  # what it is called does not make the rows others
        (model("multi@2", seed=1), "a" * 64, 1),
        (model("multi@2", share=0.3), "a" * 64, 1),
        (model("multi@2"), "b" * 64, 1),
        (model("multi@2", digest="c" * 64), "a" * 64, 1),
    ],
)
def test_the_same_test_part_is_the_same_whoever_is_judged(tmp_path: Path, other: Any, rows: str, count: int) -> None:
    told: list[Event] = []
    assert runs(tmp_path, model("multi@1"), told) == 1
    assert runs(tmp_path, other, told, rows=rows) == count


def test_a_test_part_of_its_own_is_known_by_itself(tmp_path: Path) -> None:
    told: list[Event] = []
    of_a_file = model("multi@5", digest="sha256:5e1f")
    assert [runs(tmp_path, of_a_file, told, rows=rows) for rows in ("a" * 64, "b" * 64)] == [1, 2]


def test_what_is_optimised_and_compressed_by_the_same_rows_is_counted_together(tmp_path: Path) -> None:
    told: list[Event] = []
    runs(tmp_path, model("multi@1"), told)
    assert not told
    runs(tmp_path, model("multi@1"), told, verb="optimize")
    assert [(each.name, each.facts) for each in told] == [("optimize.judged-again", {"runs": 2})]
    assert told[0].message.endswith("in one of so many what is worse passes with a chance of up to 10 %")


def test_reserved_folds_are_a_versions_own(tmp_path: Path) -> None:
    told: list[Event] = []
    assert [runs(tmp_path, model(ref, test=0), told) for ref in ("m@1", "m@2", "m@1")] == [1, 1, 2]
