"""How long the end takes, by what was measured on the way: all in seconds of a processor."""

from dataclasses import dataclass
from typing import Final

from aias.training.scoring.report import report_seconds

FINISH_SECONDS: Final = 0.25
"""What finishing takes even for the smallest model: both forms, with their reports, .2 to .8 s on five sets."""

FINISH_SHARE: Final = 0.01
"""Of the whole time, for what nobody foresees."""

JUDGEMENTS: Final = 14
"""Until it is tried, calibrating and measuring a form is taken for so many judgements of a member, and one more for
each class."""

CROSS_FITTED_SHARE: Final = 0.7
"""Of weighing all, for what the other folds say of the rows of one (`weights.cross_fitted`)."""

TOGETHER_SHARE: Final = 1.5
"""Of what its members took one by one, that the quality form takes to compile, to prove on ten times the rows, and to
time."""

TESTED_SHARE: Final = 0.5
"""Of what a row takes by itself, that it takes among all test rows: .26 to .66 on ten sets of 500 rows and more."""

REPORT_SHARE: Final = 0.5
"""Of what the report of the last form has, for that of the quality form, where it comes before it."""

PUBLISH_SECONDS: Final = 0.1
PUBLISH_SHARE: Final = 0.35
"""For both forms together, when the last is ready; and of what their members took one by one, since both are loaded
once more. Of nine sets .1 to .6 s, at most .33 of that."""

FILE_SECONDS: Final = 7e-4
"""To write a file of an artifact, one for each different table of its encoders: 5,000 took 3 to 3.8 s a form, twenty
nothing."""


LATE_SECONDS: Final = 1.0
LATE_SHARE: Final = 0.02
"""Of the whole time; a member that makes finishing later than both is left out."""


@dataclass(eq=False)
class FinishingTime:
    """`budget`: of the whole training; `files`: of a form; `judge_seconds`: the longest that a member took to be
    judged; `weigh_seconds`: to weigh all; `row_seconds`: to calibrate and measure a form, by the rows that judge, None
    until it was tried."""

    budget: float
    files: int = 0
    judge_seconds: float = 0.0
    weigh_seconds: float = 0.0
    row_seconds: float | None = None

    @property
    def lateness(self) -> float:
        """By how much finishing may be late for the sake of a member."""
        return max(LATE_SECONDS, LATE_SHARE * self.budget)

    def form(self, *, rows: int, classes: int, folds: int) -> float:
        """For what every form asks, whatever is in it."""
        guessed = self.judge_seconds * (JUDGEMENTS + classes)
        told = guessed if self.row_seconds is None else self.row_seconds * rows
        return FINISH_SECONDS + told + self.weigh_seconds * folds * CROSS_FITTED_SHARE

    def quality(self, form: float, *, used: float, beside: bool) -> float:
        """`used`: what its members took one by one to compile, prove and time; `beside`: whether it is reported on
        while the other is made."""
        return form + TOGETHER_SHARE * used + (0.0 if beside else REPORT_SHARE * report_seconds(self.budget))

    def serving(self, form: float, *, used: float, each: float) -> float:
        """To the end, with both forms published. `each`: as `used`, of the serving form; it may be made twice."""
        publishing = PUBLISH_SECONDS + PUBLISH_SHARE * (used + each) + 2 * FILE_SECONDS * self.files
        return form + 2 * each + publishing + FINISH_SHARE * self.budget + report_seconds(self.budget)
