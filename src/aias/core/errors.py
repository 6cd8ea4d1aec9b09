"""Errors: what failed, what was expected, what came, and what to do next.

Every room derives its own errors from `AiasError` and gives each a stable code `room.what-happened`.

    AiasError
    ├── UserError       the caller can mend it: bad input, bad settings        exit 2 · HTTP 4xx
    ├── NotFound        a name that does not exist                             exit 3 · HTTP 404
    ├── Refused         no key, or a key without the scope                     exit 4 · HTTP 401, 403
    ├── Conflict        somebody else was faster; look again and retry         exit 5 · HTTP 409
    ├── StorageFailed   the disk is full or failing; this step did not happen  exit 1 · HTTP 507
    ├── OutOfMemory     there was not enough memory for this step              exit 1
    └── Damaged         bytes are not what they were when they were sealed     exit 1 · HTTP 503
"""

from typing import ClassVar


class AiasError(Exception):
    """`str(error)` is the message; `code` is stable; `hint` says what to do next."""

    code: ClassVar[str] = "aias.failed"
    exit_status: ClassVar[int] = 1

    def __init__(self, message: str, *, hint: str = "") -> None:
        super().__init__(message)
        self.message = message
        self.hint = hint
        if hint:
            self.add_note(f"hint: {hint}")

    def as_dict(self) -> dict[str, str]:
        """The error as it stands in JSON: `code`, `message` and, when there is one, `hint`."""
        problem = {"code": self.code, "message": self.message}
        return problem | {"hint": self.hint} if self.hint else problem


class UserError(AiasError):
    code = "aias.bad-input"
    exit_status = 2


class NotFound(AiasError):
    code = "aias.not-found"
    exit_status = 3


class Refused(AiasError):
    code = "aias.refused"
    exit_status = 4


class Conflict(AiasError):
    code = "aias.conflict"
    exit_status = 5


class DatabaseBusy(Conflict):
    """Another program has held the database for too long"""

    code = "database.busy"


class StorageFailed(AiasError):
    code = "aias.storage-failed"


class OutOfMemory(AiasError):
    """There was not enough memory, or no more is allowed."""

    code = "aias.out-of-memory"


class Damaged(AiasError):
    code = "aias.damaged"


class BadValue(UserError):
    """One value that its field cannot take.

    Whoever knows the row adds it with `at`.
    """

    code = "data.bad-value"

    def __init__(self, message: str, *, field: str = "", row: int | None = None, hint: str = "") -> None:
        super().__init__(message, hint=hint)
        self.field = field
        self.row = row

    def at(self, *, field: str, row: int | None = None) -> "BadValue":
        """The same fault with its place: `row 3, field `age`: ...` (rows count from 0)."""
        place = f"field `{field}`" if row is None else f"row {row}, field `{field}`"
        return type(self)(f"{place}: {self.message}", field=field, row=row, hint=self.hint)

    def as_dict(self) -> dict[str, str]:
        extra = {"field": self.field} if self.field else {}
        if self.row is not None:
            extra["row"] = str(self.row)
        return super().as_dict() | extra


def shown(value: object) -> str:
    """A value as it stands in a message: at most 60 characters of it."""
    if isinstance(value, int | float | str):
        text = repr(value) if not isinstance(value, int) or abs(value) < 10**50 else "a number of over 50 digits"
        return text if len(text) <= 60 else f"{text[:57]}..."
    return f"a value of type {type(value).__name__}"
