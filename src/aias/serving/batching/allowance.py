"""How long the run may take that a thread is at, for who can end one."""

from collections.abc import Iterator
from contextlib import contextmanager
from contextvars import ContextVar
from typing import Final, NamedTuple


class Allowance(NamedTuple):
    """`deadline`: of its caller, if it has one. `usual_seconds`: what its like take when they take long."""

    deadline: float | None = None
    usual_seconds: float = 0.0


_NONE: Final = Allowance()
_CURRENT: ContextVar[Allowance] = ContextVar("allowance", default=_NONE)


def allowance() -> Allowance:
    return _CURRENT.get()


@contextmanager
def allowed(deadline: float | None, usual_seconds: float) -> Iterator[None]:
    before = _CURRENT.set(Allowance(deadline, usual_seconds))
    try:
        yield
    finally:
        _CURRENT.reset(before)
