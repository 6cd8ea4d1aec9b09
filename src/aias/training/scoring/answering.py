"""From the mean of scores to what is answered: calibrated probabilities, class weights for labels, intervals."""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any, Final

import numpy as np

from aias.core.arrays import Floats, Ints
from aias.core.graph import GraphWriter
from aias.core.task import Task
from aias.encoders.rows import Encoded
from aias.learners.contract import State
from aias.training.pipeline import Pipeline
from aias.training.scoring.calibration import Calibration, Isotonic, Offsets, Platt, fitting
from aias.training.scoring.conformal import Conformal
from aias.training.scoring.conformal import fit as fit_intervals
from aias.training.scoring.cross_fitting import CrossFitted, others
from aias.training.scoring.thresholds import decision_weights

UPRIGHT: Final = (Platt, Offsets, Isotonic)
"""Calibrations after which probabilities lean to no class."""


@dataclass(frozen=True, slots=True)
class Answering:
    """Each is None where it would not help, or does not apply."""

    calibration: Calibration | None = None
    label_weights: tuple[float, ...] | None = None
    intervals: Conformal | None = None

    @classmethod
    def fit(
        cls,
        task: Task,
        y: Any,
        scores: Floats,
        folds: Ints,
        *,
        seed: int,
        costs: Floats | None = None,
        groups: Ints | None = None,
        forward: bool = False,
    ) -> "tuple[Answering, CrossFitted]":
        """Fitted on out-of-fold scores; and what each row of these would be answered by what other folds say.

        `costs`: how much each class counts, (classes,), where somebody said so. Fitting leaned to them; once the
        probabilities are upright again, the labels still lean. `groups`: the number of each row's, where some belong
        together. `forward`: folds follow one another in time.
        """
        if task.type == "regression":
            return cls(intervals=fit_intervals(y, scores, groups=groups)), CrossFitted(scores)
        fit = fitting(y, scores, folds=folds, seed=seed, costs=costs)
        calibration = fit(y, scores) if fit else None
        honest = scores
        if fit is not None:
            honest = np.empty_like(scores)
            for fold in np.unique(folds):
                inside, outside = others(task, y, folds, fold, forward=forward), folds == fold
                honest[outside] = fit(y[inside], scores[inside]).apply(scores[outside])
        if (found := decision_weights(task, y, honest, folds, seed=seed, forward=forward)) is not None:
            return cls(calibration, found[0]), CrossFitted(honest, found[1])
        weights = None
        if costs is not None and isinstance(calibration, UPRIGHT):
            weights = tuple((costs / costs.sum()).tolist())
        return cls(calibration, weights), CrossFitted(honest, weights)


@dataclass(frozen=True, slots=True)
class Calibrated:
    """A pipeline whose probabilities come true."""

    pipeline: Pipeline
    calibration: Calibration

    @property
    def settings(self) -> Mapping[str, Any]:
        return self.pipeline.settings

    def scores(self, encoded: Encoded) -> Floats:
        return self.calibration.apply(self.pipeline.scores(encoded))

    def export(self, graph: GraphWriter) -> str:
        return self.calibration.export(graph, self.pipeline.export(graph))

    def state(self) -> State:
        return self.pipeline.state()
