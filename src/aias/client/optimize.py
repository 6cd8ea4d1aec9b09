"""A published version → a better one, or the word that none was found."""

from collections.abc import Sequence
from dataclasses import dataclass
from threading import Event as Stop
from typing import TYPE_CHECKING, Any

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
    """`model`: the new version, or the old one where nothing was certain to be better."""

    model: "Model"
    better: bool
    gain: "Gain"
    """On rows that were not searched on, with 95 % confidence above `gain.low`."""
    axes: "tuple[AxisReport, ...]"
    """What each axis gave on the rows that were searched on."""

    def __repr__(self) -> str:
        return f"<Optimized {self.model.ref}: {'better' if self.better else 'not certain to be better'}, {self.gain}>"


def optimize(
    self: "Model", *, time: float | str = 60.0, data: Any = None, encoding: str | None = None, searcher: str = "tpe",
    axes: Sequence[str] = (), learners: Sequence[str] = (), inline: bool = False, stop: Stop | None = None,
    watch: Watch = logged,
) -> Optimized:  # fmt: skip
    """Search from where training ended, and publish what is certain to be better on rows not searched on.

    - `searcher`: what proposes settings: `"random"`, `"tpe"`, `"gp"`, `"cmaes"`, `"hyperopt"`, `"smac"`, `"ray"`
    - `axes`: of `"parameters"`, `"structure"` and `"strategy"` those to search along; by default all
    - `learners`: those that may join; by default all
    - `data`: the rows it was trained on, where they are no longer where they were; `encoding`: as in `train`

    Raises `NotFound`, `OtherRows`, `UserError`.
    """
    deadline = Deadline.after(seconds_of(time))
    from aias.client.model import check_trained, publish
    from aias.optimize.optimize import optimize as search
    from aias.training.parent import Parent, rows_of

    check_trained(self, "optimized")
    parent = Parent(self.ref, self.manifest, self.runtime)
    parent.check()
    dataset, test = rows_of(parent, data, encoding=encoding, watch=watch)
    outcome = search(
        parent, dataset, test=test, deadline=deadline, work=self.registry.home / WORK / self.version.name,
        searcher=searcher, axes=listed(axes), learners=listed(learners), number=self.version.number,
        inline=inline, stop=stop, watch=watch,
    )  # fmt: skip
    if outcome.results is None:
        return Optimized(self, False, outcome.gain, outcome.axes)
    serving = publish(self.registry, outcome.results, watch=watch)
    better = serving if self.manifest.form == "serving" else serving.quality
    return Optimized(better, True, outcome.gain, outcome.axes)
