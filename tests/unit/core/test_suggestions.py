"""The nearest of many names is found without comparing with all of them, and not looked for twice."""

import difflib
from collections.abc import Sequence

import pytest

from aias.core.suggestions import CANDIDATES_MAX, did_you_mean, nearest

NAMES = [f"customer-churn-model-{at:04d}" for at in range(900)]


@pytest.mark.parametrize(
    "asked", ["customer-chrun-model-0042", "Customer-churn-model-0042 ", "custmer-churn-model-0042"]
)
def test_the_nearest_of_very_many_names_is_found(asked: str) -> None:
    assert did_you_mean(asked, NAMES) == "did you mean `customer-churn-model-0042`?"


def test_few_are_compared_as_a_whole_and_who_asks_again_is_told_the_same(monkeypatch: pytest.MonkeyPatch) -> None:
    compared, compare = list[int](), difflib.get_close_matches

    def counted(name: str, among: Sequence[str], n: int) -> list[str]:
        compared.append(len(among))
        return compare(name, among, n=n)

    monkeypatch.setattr(difflib, "get_close_matches", counted)

    assert {nearest("customer-churn-model-x", list(NAMES)) for _ in range(3)} <= {*NAMES}
    assert nearest("customer-churn-model-x", ["something else"]) is None
    assert compared == [CANDIDATES_MAX, 1]
