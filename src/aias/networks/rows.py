"""Rows to learn from, as tensors: read once, so that a step only picks its batch."""

from dataclasses import dataclass
from typing import Any, Final

import numpy as np

from aias.core.arrays import Floats, Ints
from aias.core.task import Task
from aias.networks.arithmetic import Numpy
from aias.networks.inputs import UNSEEN, Inputs, Read

READ_AT_ONCE: Final = 1 << 16
"""Rows; bounds the float64 copies made on the way."""

UNSEEN_RATE: Final = 0.01
"""Of category codes, made unseen while training, so that the code of the unseen is known."""

UNSEEN_ROWS: Final = 2.0
UNSEEN_RATE_MAX: Final = 0.3
"""Codes of few rows are learned by heart: the rate is so many rows over the mean rows of a code, up to a maximum."""


@dataclass(frozen=True, slots=True)
class Rows:
    """Answers are class indices, or standardised values."""

    inputs: Inputs
    numbers: Any  # (rows, numbers) or None
    flags: Any  # (rows, flagged) or None
    codes: Any  # (rows, categories) int32, or None
    unseen: Any  # (categories,) the rate at which codes are made unseen, or None
    y: Any  # (rows,)
    weight: Any  # (rows,) or None

    def __len__(self) -> int:
        return len(self.y)

    def read(self, batch: Any, *, generator: Any = None) -> Read:
        """These rows as a network reads them; a generator makes some categories unseen."""
        import torch

        small = large = None
        if self.codes is not None:
            codes = self.codes[batch]
            if generator is not None:
                codes = codes.masked_fill(torch.rand(codes.shape, generator=generator) < self.unseen, UNSEEN)
            if len(self.inputs.small):
                small = codes[:, self.inputs.small_at].float()
            if len(self.inputs.large):
                large = codes[:, self.inputs.large_at] + torch.from_numpy(self.inputs.large_starts)
        numbers = None if self.numbers is None else self.numbers[batch]
        return Read(numbers, None if self.flags is None else self.flags[batch], small, large)


def rows_of(
    inputs: Inputs, x: Floats, y: Floats | Ints, weight: Floats | None, *, task: Task, span: Floats
) -> Rows:  # fmt: skip
    """`span`: of a regression, what is taken from answers and what they are divided by; (4,), as `Network.range`."""
    import torch

    starts = range(0, len(x), READ_AT_ONCE)
    parts = [inputs.read(Numpy(), np.asarray(x[start : start + READ_AT_ONCE], np.float64)) for start in starts]
    answers: Any = y
    if task.type == "regression":
        answers = (y - span[0]) / span[1]
        if task.metric == "mape":  # the error of a small answer counts for more
            each = (1.0 if weight is None else weight) / np.maximum(np.abs(y), 1e-9)
            weight = each / each.mean()
    codes = torch.from_numpy(x[:, inputs.categories].astype(np.int32)) if len(inputs.categories) else None
    return Rows(
        inputs, _joined([part.numbers for part in parts]), _joined([part.flags for part in parts]),
        codes, None if codes is None else _unseen(codes),
        torch.as_tensor(answers).to(torch.int64 if task.type == "multiclass" else torch.float32),
        None if weight is None else torch.as_tensor(weight, dtype=torch.float32),
    )  # fmt: skip


def _unseen(codes: Any) -> Any:
    rates = UNSEEN_ROWS * (codes.amax(dim=0) + 1) / max(1, len(codes))
    return rates.clamp(UNSEEN_RATE, UNSEEN_RATE_MAX)


def _joined(parts: list[Any]) -> Any:
    import torch

    return None if parts[0] is None else torch.from_numpy(np.ascontiguousarray(np.concatenate(parts)))
