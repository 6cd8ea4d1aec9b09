"""The fork server of workers in which extra trees take ever more memory, as `bounded_trainer.py` starts it."""

import sys
import time

import numpy as np

from aias.learners.extra_trees import ExtraTrees
from aias.training.processes import forkserver

BYTES_MAX = 4_000_000_000
"""Should nobody end it."""

TOUCHED = (250_000_000, 1_000_000)
"""At once, and in each fiftieth of a second from then on."""

ASKED = 50_000_000
"""Of addresses alone, which is all that `ulimit -v` counts."""


def touch(*_: object) -> None:
    taken = [np.ones(TOUCHED[0], np.uint8)]
    while sum(map(len, taken)) < BYTES_MAX:
        taken.append(np.ones(TOUCHED[1], np.uint8))
        time.sleep(0.02)


def ask(*_: object) -> None:
    taken = list[object]()
    while len(taken) < 100 * BYTES_MAX // ASKED:
        taken.append(np.empty(ASKED, np.uint8))


if __name__ == "__main__":
    ExtraTrees.fit = staticmethod({"touch": touch, "ask": ask}[sys.argv.pop(1)])  # type: ignore[assignment]
    forkserver.main()
