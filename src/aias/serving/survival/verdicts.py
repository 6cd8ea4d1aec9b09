"""What becomes of a connection whose worker has died: told by its slot and by what the kernel has counted.

    written == before                  nothing of the answer went out          repeat
    written == total                   the answer went out, wholly             go on with what comes next
    anything else                      a part of it went out, or of a stream   close
                                       that has no end yet, or too much was
                                       read for the text to hold it

Whether a request was noted as completed is not asked, but of a stream: a worker may die between the write and the note.

The bytes in the text are as many as were consumed since `start`, however the worker died: they were read by the kernel
into these very pages.
"""

from dataclasses import dataclass
from typing import Final, Literal

from aias.serving.survival.journal import (
    ANSWERED_SHIFT,
    BEFORE,
    COMPLETED,
    PAID,
    RUN,
    START,
    STREAMS,
    TEXT_BYTES,
    TOTAL,
    TRIES,
    Pages,
)
from aias.serving.survival.kernel import Counts

CONTINUE: Final = b"HTTP/1.1 100 Continue\r\n\r\n"
CONTINUE_BYTES: Final = len(CONTINUE)
"""Not an answer yet."""

PROBES_MAX: Final = 2
"""Of a caller that may have gone it is said so often: at once, and with the next sweep."""

_NOT_YET: Final = frozenset(CONTINUE_BYTES * times for times in range(PROBES_MAX + 2))
"""Said to who asked whether to go on, too; no answer is so short."""

Fate = Literal["kept", "lost"]


@dataclass(frozen=True, slots=True)
class SlotRecord:
    """A slot as its worker left it."""

    start: int
    before: int
    answered: int
    total: int
    completed: int
    place: int | None
    tries: int
    streams: bool = False
    paid: int = 0

    @classmethod
    def of(cls, pages: Pages, index: int) -> "SlotRecord":
        at = pages.layout.slot(index)
        words = pages.words[at : at + PAID + 1].tolist()
        packed, run = words[BEFORE], words[RUN]
        before, answered = packed & ((1 << ANSWERED_SHIFT) - 1), packed >> ANSWERED_SHIFT
        place = run - 1 if run else None
        return cls(
            words[START], before, answered, words[TOTAL], words[COMPLETED], place, words[TRIES], bool(words[STREAMS]),
            words[PAID],
        )  # fmt: skip

    def paid_by(self, skip: int) -> int:
        """What the first request after so many took of its quotas; nothing where that was the one before it."""
        return self.paid if skip == self.completed else 0


@dataclass(frozen=True, slots=True)
class Verdict:
    """`length`: of the text; `skip`: how many requests in it are answered."""

    fate: Fate
    length: int = 0
    skip: int = 0


def verdict_on(kept: SlotRecord, counted: Counts) -> Verdict:
    """What can be done for a connection, so that each request is answered exactly once."""
    length = counted.consumed - kept.start
    if not counted.is_open or not 0 <= length <= TEXT_BYTES:
        return Verdict("lost")
    if not length:
        return Verdict("kept") if counted.written == kept.total else Verdict("lost")
    if counted.written - kept.before in _NOT_YET:
        return Verdict("kept", length, kept.answered)
    if counted.written == kept.total and (kept.completed > kept.answered or not kept.streams):
        return Verdict("kept", length, kept.answered + 1)
    return Verdict("lost")
