"""How much memory there is, what a configuration would take of it, and when it is nearly gone."""

from dataclasses import dataclass, replace
from typing import Final

from aias.core.catalog import member
from aias.core.events import Event, Watch
from aias.core.memory import left_bytes, memory_bytes, own_left_bytes
from aias.training.selection.configuration import Configuration
from aias.training.table import Table

VALUE_BYTES: Final = 24.0
"""For each value of the matrix: a copy of it, the learner's own form, and what it works on."""

SCORE_BYTES: Final = 32.0
"""For each row and output: scores, gradients, and their sums."""

PROCESS_BYTES: Final = 300e6
"""A worker with its libraries."""

SAMPLE_ROWS_MIN: Final = 1_000
"""A configuration is left out rather than fitted on fewer of its rows."""

RESERVE_SHARE: Final = 0.05
"""Of all memory, or of the container's; with less left, the largest worker is ended before the system ends anything."""

NO_MEMORY: Final = "there is not enough memory"
"""Why a configuration was left out."""


@dataclass(eq=False)
class Memory:
    """Asked often; `shrink` lets one worker fewer work from now on."""

    _fewer: int = 0

    @property
    def available_bytes(self) -> float:
        """Of the machine, of the container or by `ulimit -v`, whatever is least."""
        return min(left_bytes(), own_left_bytes())

    @property
    def exhausted(self) -> bool:
        return left_bytes() < RESERVE_SHARE * memory_bytes()

    def workers_max(self, count: int) -> int:
        return max(1, count - self._fewer)

    def shrink(self) -> None:
        self._fewer += 1

    def rows_share(self, table: Table, configuration: Configuration) -> float | None:
        """On how many of a fold's rows one worker can fit it: 1 for all, halved as often as it takes, so that what was
        fitted is found again where there is a little less memory; None where that would be too few."""
        share, available = float(configuration.settings.get("rows_share", 1.0)), self.available_bytes
        while estimated_bytes(table, configuration, share) >= available:
            share /= 2
            if share * table.inside_rows < SAMPLE_ROWS_MIN:
                return None
        return share


def on_some_rows(configuration: Configuration, share: float, watch: Watch) -> Configuration:
    """The same, told where it is not fitted on all rows for want of memory."""
    before = configuration.settings.get("rows_share", 1.0)
    if share == before:
        return configuration
    said = f"1/{round(1 / share)} of the rows"
    message = f"{configuration.name} is fitted on {said}: there is not enough memory for more"
    watch(Event("train.sampled", message, facts={"configuration": configuration.name, "rows_share": share}))
    return replace(
        configuration, name=f"{configuration.name}, {said}", cost=configuration.cost * share / before,
        settings=configuration.settings | {"rows_share": share},
    )  # fmt: skip


def estimated_bytes(table: Table, configuration: Configuration, share: float) -> float:
    """What one worker takes to fit one unit on this share of the rows, and to answer all that judge."""
    rows = share * table.inside_rows + (table.rows - table.inside_rows)
    width = table.encoder.layout.width + 20 * len(configuration.derived)
    vectors = table.whole.encoded.vectors
    if vectors is not None and "sentences" in configuration.features:
        width += vectors.shape[1]
    # Of texts the matrix of all rows is there, whatever is fitted on.
    own = share if member("learners", configuration.learner).sparse else 0.0
    terms = len(table.whole.encoded.term_ids) * (1 + own)
    return PROCESS_BYTES + VALUE_BYTES * (rows * width + terms) + SCORE_BYTES * rows * table.task.outputs
