"""What a caller says of a request's urgency."""

import time
from typing import Final

from aias.serving.http.messages import Request
from aias.serving.refusals import BadRequest

DEADLINE: Final = b"x-deadline-ms"
PRIORITY: Final = b"x-priority"

_PRIORITIES: Final = {b"high": 0, b"normal": 1, b"low": 2}


def read_urgency(request: Request) -> None:
    """`X-Deadline-Ms`: within how many milliseconds of the coming of its head an answer is of use. `X-Priority`: which
    of this caller's own requests go first. Raises `BadRequest`."""
    given = request.headers.get(DEADLINE)
    if given is not None:
        # Nine digits at most: `int` takes signs, blanks and underscores, and time for a million digits.
        if not given.isdigit() or len(given) > 9 or not int(given):
            raise BadRequest(
                "X-Deadline-Ms must be a number of milliseconds, 1 to 999999999", hint="send `X-Deadline-Ms: 500`"
            )
        came_at = time.monotonic() - request.late_seconds - request.dawdled_seconds
        request.deadline = came_at + int(given) / 1_000
    priority = request.headers.get(PRIORITY)
    if priority is not None:
        if priority not in _PRIORITIES:
            raise BadRequest("X-Priority must be high, normal or low", hint="leave it out for normal")
        request.priority = _PRIORITIES[priority]
