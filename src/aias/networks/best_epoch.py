"""Which epoch was best: by all rows that judge, and by each half of them for the other."""

import numpy as np

from aias.core.arrays import Floats


class BestEpoch:
    """`judged`: what the rows were answered, each half by the epoch that was best for the other half, so that no row
    helps to choose what scores it."""

    def __init__(self) -> None:
        self.best_epoch, self.best_loss, self.last_loss = 0, np.inf, np.nan
        self.judged: Floats | None = None
        self._best_of = [np.inf, np.inf]

    def better(self, epoch: int, answers: Floats, losses: Floats) -> bool:
        """Whether this epoch is the best so far, by what it answers, (rows, outputs), and what each row loses."""
        self.last_loss = float(losses.mean())
        if self.judged is None:
            self.judged = answers.copy()
        for half in (0, 1):
            loss = float(losses[half::2].mean()) if len(losses) > 1 else self.last_loss
            if loss < self._best_of[half]:
                self._best_of[half] = loss
                self.judged[1 - half :: 2] = answers[1 - half :: 2]
        if not self.last_loss < self.best_loss:
            return False
        self.best_loss, self.best_epoch = self.last_loss, epoch
        return True
