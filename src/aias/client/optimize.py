"""`Model.optimize`: a published version → a better one, if one is certain to be better."""

from collections.abc import Sequence
from dataclasses import dataclass
from threading import Event as Stop
from typing import TYPE_CHECKING, Any

from aias.client.compress import FRONTIERS
from aias.client.judged_again import counted
from aias.core.deadline import Deadline
from aias.core.events import Watch, logged
from aias.core.names import listed
from aias.core.quantities import seconds_of
from aias.core.settings import WORK

if TYPE_CHECKING:
    from aias.artifact.optimised import Gain
    from aias.client.model import Model
    from aias.optimize.outcome import AxisReport


@dataclass(frozen=True, slots=True, repr=False)
class Optimized:
    """`model`: the new version, or the old one if none was certain to be better."""

    model: "Model"
    better: bool
    gain: "Gain"
    """On rows that the search did not use; with 95 % confidence it is above `gain.low`."""
    axes: "tuple[AxisReport, ...]"
    """The gain of each axis on the search rows."""

    def __repr__(self) -> str:
        return f"<Optimized {self.model.ref}: {'better' if self.better else 'not certain to be better'}, {self.gain}>"


def optimize(
    self: "Model", *, time: float | str = 60.0, data: Any = None, test: Any = None, encoding: str | None = None,
    searcher: str = "tpe", axes: Sequence[str] = (), learners: Sequence[str] = (), inline: bool = False,
    stop: Stop | None = None, watch: Watch = logged,
) -> Optimized:  # fmt: skip
    """Continue the search where training ended; publish a version that is certainly better on rows it did not use.

    - `searcher`: what proposes settings: `"random"`, `"tpe"`, `"gp"`, `"cmaes"`, `"hyperopt"`, `"smac"`, `"ray"`
    - `axes`: what to vary: any of `"parameters"`, `"structure"` and `"strategy"`; by default all
    - `learners`: names of the learners that may join; by default all
    - `data`: the training rows, if they have moved
    - `test`: the test rows that were given to `train`, if they have moved or were a table
    - `encoding`: of `data` and `test`, as in `train`

    Raises `NotFound`, `OtherRows`, `UserError`.
    """
    deadline = Deadline.after(seconds_of(time))
    from aias.client.model import check_trained, publish
    from aias.optimize.optimize import optimize as search
    from aias.training.parent import Parent, rows_of

    check_trained(self, "optimized")
    parent = Parent(self.ref, self.manifest, self.runtime)
    parent.check()
    dataset, measured = rows_of(parent, data, test=test, encoding=encoding, watch=watch)
    outcome = search(
        parent, dataset, test=measured, deadline=deadline, work=self.registry.home / WORK / self.version.name,
        searcher=searcher, axes=listed(axes), learners=listed(learners), number=self.version.number,
        inline=inline, stop=stop, watch=watch,
        opened=counted(
            self.registry.home / FRONTIERS, self, parent, dataset.digest, verb="optimize",
            passes="something that is no better is called better", watch=watch,
        ),
    )  # fmt: skip
    if outcome.results is None:
        return Optimized(self, False, outcome.gain, outcome.axes)
    serving = publish(self.registry, outcome.results, watch=watch)
    better = serving if self.manifest.form == "serving" else serving.quality
    return Optimized(better, True, outcome.gain, outcome.axes)
