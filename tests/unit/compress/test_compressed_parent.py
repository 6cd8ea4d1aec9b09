"""`compress/compressed_parent.py`: what was compressed is found again as it was made, or not at all."""

from types import SimpleNamespace
from typing import Any

import numpy as np
import pytest

from aias.compress.compressed_parent import _as_it_was, _step
from aias.compress.context import Context
from aias.core.deadline import Deadline
from aias.core.errors import UserError
from aias.training.parent import NoTime


def opened(seconds: float, *, certifying: int) -> Context:
    nothing: Any = None
    context = Context(nothing, nothing, nothing, nothing, Deadline(1e9, seconds), (), np.zeros(0), 0)
    context.certifying = np.arange(certifying)
    return context


def made(technique: str, **more: Any) -> Any:
    settings = {"proof": {"technique": technique, **more}}
    manifest = SimpleNamespace(lineage=SimpleNamespace(settings=settings), leaderboard=[SimpleNamespace(name="c")])
    return SimpleNamespace(ref="m@2", manifest=manifest)


STUDENT = made("distill", seconds=600.0, threads=3)


def test_a_student_is_found_again_with_the_time_and_the_threads_that_it_was_taught_in() -> None:
    """Of these hangs how often its teacher could be asked, and so how good it is."""
    found = _as_it_was(opened(900.0, certifying=50), STUDENT)

    assert (found.deadline.ends_at, found.deadline.seconds, found.threads) == (1e9, 600.0, 3)


def test_with_less_time_folds_do_not_certify_what_would_be_compared_with_a_worse_one() -> None:
    with pytest.raises(NoTime, match=r"m@2 was made in 600 s") as refused:
        _as_it_was(opened(60.0, certifying=50), STUDENT)
    assert refused.value.enough == 600.0

    assert _as_it_was(opened(60.0, certifying=0), STUDENT).deadline.seconds == 60.0  # a test asks the version itself


@pytest.mark.parametrize("parent", [made("drop_members", seconds=600.0), made("distill")], ids=["no time", "not told"])
def test_what_does_not_hang_on_the_time_or_does_not_say_it_is_found_again_in_any(parent: Any) -> None:
    assert _as_it_was(opened(60.0, certifying=50), parent).deadline.seconds == 60.0


def test_what_combined_what_a_search_had_found_is_told_that_folds_do_not_find_it_again() -> None:
    proof = {"technique": "cascade"}
    wanted: Any = SimpleNamespace(ref="m@3", manifest=SimpleNamespace(
        lineage=SimpleNamespace(settings={"proof": proof}), leaderboard=[SimpleNamespace(name="small first")]
    ))  # fmt: skip
    context: Any = SimpleNamespace(parent=SimpleNamespace(ref="m@1"))

    with pytest.raises(UserError, match=r"m@3 is made by cascade .* cannot be compressed once more") as fault:
        _step(context, wanted)

    assert fault.value.hint.startswith("compress m@1 again")
