"""Steps of a network down its loss, epoch after epoch, until epochs, patience or time are out."""

from collections.abc import Callable
from math import isfinite
from typing import Any, Final

import numpy as np

from aias.core.arrays import Floats
from aias.core.deadline import Deadline
from aias.core.task import Task
from aias.networks.best_epoch import BestEpoch
from aias.networks.flat import Flat
from aias.networks.losses import judged, loss_of
from aias.networks.network import Network
from aias.networks.optimizers import GRADIENT_MAX, optimizer
from aias.networks.rows import Rows
from aias.networks.schedule import Schedule
from aias.networks.tensors import Tensors

EPOCH_ROWS: Final = 50_000
"""An epoch is a pass over the rows, or so many of them: what is longer is judged in between."""

JUDGED_AT_ONCE: Final = 1 << 22
"""Numbers of one layer while judging: some 16 MB."""

BATCH_ROWS_MIN: Final = 8

SLOW_STEPS: Final = 2
"""The first ones find nothing ready, and say nothing about the pace."""

PACED_STEPS: Final = 16
"""From so many on, the pace is believed."""

FORWARD_SHARE: Final = 1.0
"""Of a step, that judging as many rows takes: an upper bound, until it has been measured."""

PATIENCE_GROWS: Final = 6
"""An epoch more of patience for every so many that it took to the best one."""

WHOLE_SHARE: Final = 0.9
"""Of the steps planned: a schedule shortened by less, whose rate has come down like that of the whole, is as good."""

SPARE: Final = 0.05
"""Of the time left, kept when steps are planned: their speed varies."""


class Training:
    """`after` is called when an epoch has been judged, with the training itself."""

    def __init__(
        self, network: Network, train: Rows, valid: Rows | None, *, task: Task, settings: dict[str, Any], seed: int,
        deadline: Deadline, after: Callable[["Training"], None],
    ) -> None:  # fmt: skip
        import torch

        self.train, self.valid = train, valid
        self.task, self.settings, self.deadline, self.after = task, settings, deadline, after
        self.generator = torch.Generator().manual_seed(seed)
        self.loss = loss_of(task, smoothing=settings["label_smoothing"])
        self.do = Tensors(dropout=settings["dropout"], generator=np.random.default_rng(seed))
        self.batch_rows = int(settings["batch_rows"])
        self.flat = Flat(network)
        self.weights, self.gradient = self.flat.start(), torch.zeros(self.flat.size)
        self.network = self.flat.learning(self.weights, self.gradient)
        self.optimizer = optimizer(settings["update"], self.weights, self.flat.decay(settings["weight_decay"]))
        self.average, self.best = self.weights.clone(), self.weights.clone()
        self.step = self.epoch = 0
        self.choice = BestEpoch()
        self.judge_seconds = self.step_seconds = 0.0
        self.schedule = Schedule(settings["schedule"], settings["epochs"] * self.steps_an_epoch)
        self.started_at = self.pace_from = deadline.clock()

    @property
    def steps_an_epoch(self) -> int:
        return max(1, -(-min(len(self.train), EPOCH_ROWS) // self.batch_rows))

    def run(self) -> None:
        order = self._shuffled()
        while self.step < self.schedule.total and not self._late():
            if len(order) == 0:
                order = self._shuffled()
            try:
                for batch in self._batches(order):
                    self._step(batch)
                    if self.step >= self.schedule.total or self._late():
                        break
            except (MemoryError, RuntimeError) as fault:
                self._halve(fault)
                continue
            order = order[EPOCH_ROWS:]
            self._end_epoch()
            if self._stale():  # the averaged weights are as good as a decay from here would make them
                break

    def fitted(self) -> Network:
        """The network with the best averaged weights so far."""
        return self.flat.copy(self.best if self.choice.best_epoch else self._averaged())

    @property
    def is_short(self) -> bool:
        """Whether time has left it much less than was planned; what stops getting better has learned enough."""
        return self.step < WHOLE_SHARE * self.schedule.planned and not self._stale()

    def _shuffled(self) -> Any:
        import torch

        return torch.randperm(len(self.train), generator=self.generator)

    def _batches(self, order: Any) -> Any:
        rows = order[:EPOCH_ROWS]
        return rows.tensor_split(max(1, -(-len(rows) // self.batch_rows)))

    def _step(self, batch: Any) -> None:
        began_at = self.deadline.clock()
        self.gradient.zero_()
        read = self.train.read(batch, generator=self.generator)
        each = self.loss(self.network.members(self.do, read), self.train.y[batch])  # (members, rows)
        if self.train.weight is not None:
            each = each * self.train.weight[batch]
        each.mean().backward()
        norm = float(self.gradient.norm())
        if isfinite(norm):  # a step to nowhere is not made
            self.gradient.mul_(min(1.0, GRADIENT_MAX / max(norm, 1e-12)))
            self.optimizer.step(self.gradient, self.settings["learning_rate"] * self.schedule.rate(self.step))
        self.step += 1
        horizon = max(10.0, self.settings["average_epochs"] * self.steps_an_epoch)
        self.average.lerp_(self.weights, max(1 / horizon, 1 - (1 + self.step) / (10 + self.step)))
        self.step_seconds = max(0.9 * self.step_seconds, self.deadline.clock() - began_at)
        if self.step == SLOW_STEPS:
            self.step_seconds, self.pace_from = 0.0, self.deadline.clock()
        if self.step & (self.step - 1) == 0:
            self._plan()

    def _end_epoch(self) -> None:
        self.epoch += 1
        if self.valid is not None:
            began_at = self.deadline.clock()
            if self.choice.better(self.epoch, *self._judge(self.valid)):
                self.best.copy_(self._averaged())
            self.judge_seconds = self.deadline.clock() - began_at
        self._plan()
        self.after(self)

    def _judge(self, rows: Rows) -> tuple[Floats, Floats]:
        """What the averaged weights answer, (rows, outputs), and each row's loss times its weight, (rows,)."""
        import torch

        network = self.flat.over(self._averaged())
        do, answers, losses = Tensors(), [], []
        at_once = max(256, JUDGED_AT_ONCE // (self.settings["members"] * self.settings["width"]))
        with torch.no_grad():
            for start in range(0, len(rows), at_once):
                part = slice(start, start + at_once)
                answer = network.answer(do, network.members(do, rows.read(part)))
                each = judged(self.task, answer, rows.y[part], span=network.range)
                answers.append(answer.numpy())
                losses.append((each if rows.weight is None else each * rows.weight[part]).numpy())
        return np.concatenate(answers), np.concatenate(losses)

    def _averaged(self) -> Any:
        found = self.optimizer.averaged()
        return self.average if found is None else found

    def _stale(self) -> bool:
        if self.valid is None:
            return False
        decaying = self.schedule.kind == "warmup_stable_decay" and self.step >= self.schedule.decay_from
        best = self.choice.best_epoch
        return not decaying and self.epoch - best >= self.settings["patience"] + best // PATIENCE_GROWS

    def _late(self) -> bool:
        """Whether another step, and judging it, could end after the deadline; the first step is always made."""
        return self.step > 0 and self.deadline.left <= self.step_seconds + self._judge_seconds()

    def _judge_seconds(self) -> float:
        if self.judge_seconds or self.valid is None:
            return self.judge_seconds
        return FORWARD_SHARE * self.step_seconds * len(self.valid) / self.batch_rows  # never judged yet

    def _plan(self) -> None:
        """As many steps as the time left allows, at the speed so far."""
        if self.step < PACED_STEPS:
            return
        pace = max((self.deadline.clock() - self.pace_from) / (self.step - SLOW_STEPS), 1e-9)
        left = max(0.0, (1 - SPARE) * self.deadline.left - self._judge_seconds())
        self.schedule.fit(self.step + int(left / pace), self.step)

    def _halve(self, fault: BaseException) -> None:
        """After memory ran out: smaller batches, and as many more steps. Raises what was something else."""
        out = isinstance(fault, MemoryError) or "out of memory" in str(fault) or "allocate memory" in str(fault)
        if not out or self.batch_rows <= BATCH_ROWS_MIN:
            raise fault
        self.batch_rows //= 2
        self.settings["batch_rows"] = self.batch_rows
        self.schedule = Schedule(self.schedule.kind, self.step + 2 * (self.schedule.total - self.step))
