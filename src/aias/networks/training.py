"""Steps of a network down its loss, epoch after epoch, until epochs, patience or time are out."""

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any, Final

import numpy as np

from aias.core.deadline import Deadline
from aias.core.task import Task
from aias.networks.inputs import UNSEEN, Read
from aias.networks.losses import judged, loss_of
from aias.networks.network import Network
from aias.networks.schedule import Schedule
from aias.networks.tensors import Tensors
from aias.networks.updates import update

EPOCH_ROWS: Final = 50_000
"""An epoch is a pass over the rows, or so many of them: what is longer is judged in between."""

JUDGED_AT_ONCE: Final = 1 << 22
"""Numbers of one layer while judging: some 16 MB."""

UNSEEN_RATE: Final = 0.01
"""Of category codes, made unseen while training, so that the code of the unseen is known."""

GRADIENT_MAX: Final = 1.0
"""Norm to which longer gradients are cut."""

BATCH_ROWS_MIN: Final = 8

SPARE: Final = 0.05
"""Of the time left, kept when steps are planned: their speed varies."""


@dataclass(frozen=True, slots=True)
class Rows:
    """Tensors of rows; what `read.small` and `read.large` will be is computed from `codes`, batch by batch."""

    read: Read
    codes: Any  # (rows, categories) int32
    y: Any  # (rows,) standardised in a regression
    weight: Any  # (rows,) or None

    def __len__(self) -> int:
        return len(self.y)


class Training:
    """`after` is called when an epoch has been judged, with the training itself."""

    def __init__(
        self, network: Network, train: Rows, valid: Rows | None, *, task: Task, settings: dict[str, Any], seed: int,
        deadline: Deadline, after: Callable[["Training"], None],
    ) -> None:  # fmt: skip
        import torch

        self.network, self.train, self.valid = network, train, valid
        self.task, self.settings, self.deadline, self.after = task, settings, deadline, after
        self.generator = torch.Generator().manual_seed(seed)
        self.loss = loss_of(task, smoothing=settings["label_smoothing"])
        self.do = Tensors(dropout=settings["dropout"], generator=self.generator)
        self.batch_rows = int(settings["batch_rows"])
        self._flatten()
        self.step, self.epoch, self.best_epoch, self.best_loss, self.last_loss = 0, 0, 0, np.inf, np.nan
        self.judge_seconds = self.step_seconds = 0.0
        self.schedule = Schedule(settings["schedule"], settings["epochs"] * self.steps_an_epoch)
        self.started_at = deadline.clock()

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
            if self._stale() and not self.schedule.decay_now(self.step):
                break

    def fitted(self) -> Network:
        """The network with the best averaged weights so far."""
        flat = (self.best if self.best_epoch else self._averaged()).numpy()
        return self.network.with_weights(
            {
                name: np.ascontiguousarray(flat[start : start + size]).reshape(shape).copy()
                for name, start, size, shape in self._places
            }
        )

    def _flatten(self) -> None:
        """All weights in one vector, which the tensors of the network are views of; and so their gradients."""
        import torch

        self._places, start = [], 0
        for name, value in self.network.weights().items():
            self._places.append((name, start, value.size, value.shape))
            start += value.size
        self.flat, self.gradient = torch.empty(start), torch.zeros(start)
        decay = torch.zeros(start)
        leaves = {}
        for name, value in self.network.weights().items():
            self._view(self.flat, name).copy_(torch.from_numpy(np.ascontiguousarray(value)))
            leaves[name] = self._view(self.flat, name).detach().requires_grad_()
            leaves[name].grad = self._view(self.gradient, name)
            if name.endswith("weight") or name in ("head", "table"):
                self._view(decay, name).fill_(self.settings["weight_decay"])
        self.leaves = self.network.with_weights(leaves, torch.from_numpy)
        self.update = update(self.settings["update"], self.flat, decay)
        self.average, self.best = self.flat.clone(), self.flat.clone()
        self.judged_leaves = self._leaves_of(self.average)

    def _view(self, flat: Any, name: str) -> Any:
        start, size, shape = next(place[1:] for place in self._places if place[0] == name)
        return flat[start : start + size].view(shape)

    def _leaves_of(self, flat: Any) -> Network:
        import torch

        return self.network.with_weights(
            {place[0]: self._view(flat, place[0]) for place in self._places}, torch.from_numpy
        )

    def _shuffled(self) -> Any:
        import torch

        return torch.randperm(len(self.train), generator=self.generator)

    def _batches(self, order: Any) -> Any:
        rows = order[:EPOCH_ROWS]
        return rows.tensor_split(max(1, -(-len(rows) // self.batch_rows)))

    def _step(self, batch: Any) -> None:
        began_at = self.deadline.clock()
        self.gradient.zero_()
        each = self.loss(self.leaves.members(self.do, self._read(self.train, batch, noisy=True)), self.train.y[batch])
        if self.train.weight is not None:
            each = each * self.train.weight[batch]
        each.mean().backward()
        norm = self.gradient.norm()
        self.gradient.mul_((GRADIENT_MAX / norm).clamp(max=1.0).nan_to_num(0.0))
        self.update.step(self.gradient, self.settings["learning_rate"] * self.schedule.rate(self.step))
        self.step += 1
        horizon = max(10.0, self.settings["average_epochs"] * self.steps_an_epoch)
        self.average.lerp_(self.flat, max(1 / horizon, 1 - (1 + self.step) / (10 + self.step)))
        seconds = self.deadline.clock() - began_at
        self.step_seconds = max(0.9 * self.step_seconds, seconds)
        if self.step & (self.step - 1) == 0 and self.step > 2:
            self._plan()

    def _read(self, rows: Rows, batch: Any, *, noisy: bool = False) -> Read:
        """These rows as the network reads them; where it trains, some categories are made unseen."""
        import torch

        read, inputs = rows.read, self.network.inputs
        small = large = codes = None
        if rows.codes is not None:
            codes = rows.codes[batch]
            if noisy:
                unseen = torch.rand(codes.shape, generator=self.generator) < UNSEEN_RATE
                codes = codes.masked_fill(unseen, UNSEEN)
            small = codes[:, inputs.small_at].float() if len(inputs.small) else None
            large = codes[:, inputs.large_at] + torch.from_numpy(inputs.large_starts) if len(inputs.large) else None
        numbers = None if read.numbers is None else read.numbers[batch]
        return Read(numbers, None if read.flags is None else read.flags[batch], small, large)

    def _end_epoch(self) -> None:
        self.epoch += 1
        if self.valid is not None:
            began_at = self.deadline.clock()
            self.last_loss = self._judge(self.valid)
            self.judge_seconds = self.deadline.clock() - began_at
            if self.last_loss < self.best_loss:
                self.best_loss, self.best_epoch = self.last_loss, self.epoch
                self.best.copy_(self._averaged())
        self._plan()
        self.after(self)

    def _judge(self, rows: Rows) -> float:
        """The mean loss of the averaged weights."""
        import torch

        average = self._averaged()
        leaves = self.judged_leaves if average is self.average else self._leaves_of(average)
        do, total, weights = Tensors(), 0.0, 0.0
        at_once = max(256, JUDGED_AT_ONCE // (self.settings["members"] * self.settings["width"]))
        with torch.no_grad():
            for start in range(0, len(rows), at_once):
                part = slice(start, start + at_once)
                z = leaves.members(do, self._read(rows, part))
                if leaves.link == "sigmoid":
                    z = z.sigmoid()
                elif leaves.link == "softmax":
                    z = z.softmax(dim=-1)
                each = judged(self.task, z.mean(dim=0), rows.y[part])
                weight = torch.ones(len(each)) if rows.weight is None else rows.weight[part]
                total, weights = total + float((each * weight).sum()), weights + float(weight.sum())
        return total / weights

    def _averaged(self) -> Any:
        found = self.update.averaged()
        return self.average if found is None else found

    def _stale(self) -> bool:
        if self.valid is None:
            return False
        decaying = self.schedule.kind == "warmup_stable_decay" and self.step > self.schedule.decay_from
        return not decaying and self.epoch - self.best_epoch >= self.settings["patience"]

    def _late(self) -> bool:
        """Whether another step, and judging it, could end after the deadline; the first step is always made."""
        return self.step > 0 and self.deadline.left <= self.step_seconds + self.judge_seconds

    def _plan(self) -> None:
        """As many steps as the time left allows, at the speed so far."""
        if self.step < 4:
            return
        seconds = max((self.deadline.clock() - self.started_at) / self.step, 1e-9)
        left = max(0.0, (1 - SPARE) * self.deadline.left - self.judge_seconds)
        self.schedule.shrink(self.step + int(left / seconds), self.step)

    def _halve(self, fault: BaseException) -> None:
        """After memory ran out: smaller batches, and as many more steps. Raises what was something else."""
        out = isinstance(fault, MemoryError) or "out of memory" in str(fault) or "allocate memory" in str(fault)
        if not out or self.batch_rows <= BATCH_ROWS_MIN:
            raise fault
        self.batch_rows //= 2
        self.settings["batch_rows"] = self.batch_rows
        self.schedule = Schedule(self.schedule.kind, self.step + 2 * (self.schedule.total - self.step))
