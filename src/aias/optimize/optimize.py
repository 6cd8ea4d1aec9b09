"""A trained version → a better one: search from where training ended, along three axes; publish what is certain.

parameters   where fitting starts, how it moves, what is worth keeping
structure    members, leaves, rounds, layers: more, fewer, or two made one
strategy     rates and schedules, batches and samples, seeds and averages

Everything that is tried is a unit of training, on the same folds, through the same ledger.
"""

import threading
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field, replace
from functools import cache
from itertools import cycle
from pathlib import Path
from typing import Any, Final

import msgspec
import numpy as np

from aias.artifact.optimised import Gain, gained
from aias.compress.comparison import Answered
from aias.core.arrays import Floats, Ints
from aias.core.catalog import check_members
from aias.core.deadline import Deadline
from aias.core.errors import NotFound
from aias.core.events import Event, Watch, nobody
from aias.core.load import Load, family
from aias.core.task import Task
from aias.data.dataset import Dataset
from aias.optimize.certify import certify
from aias.optimize.columns import asked_of
from aias.optimize.context import Axis, SearchContext
from aias.optimize.outcome import AxisReport, Outcome, reports
from aias.optimize.parameters import parameters
from aias.optimize.strategy import strategy
from aias.optimize.structure import structure
from aias.training.finish import Trained, described
from aias.training.forms import Forms
from aias.training.held_out import HeldOut, hold_out, unseen
from aias.training.history import History
from aias.training.ledger import Ledger
from aias.training.ledger_folder import room
from aias.training.parent import NoTime, Parent, test_scores
from aias.training.prepare import Prepared
from aias.training.processes.memory import Memory
from aias.training.scoring.answering import Answering
from aias.training.scoring.calibration import from_dict
from aias.training.selection.configuration import Configuration, Unit
from aias.training.selection.leaderboard import Leaderboard
from aias.training.selection.members import Member
from aias.training.selection.plan import Plan
from aias.training.selection.portfolio import Shape
from aias.training.selection.search import searcher_of
from aias.training.selection.weights import mix
from aias.training.table import Table
from aias.training.train import Results, both_forms, check_seconds, fits_beside, workers_for
from aias.training.unit import UnitFitter

AXES: Final[Mapping[str, Axis]] = {"parameters": parameters, "structure": structure, "strategy": strategy}
"""In the order in which they take turns."""


def optimize(
    parent: Parent, dataset: Dataset, *, deadline: Deadline, test: Dataset | None = None, work: Path | None = None,
    searcher: str = "tpe", axes: Sequence[str] = (), learners: Sequence[str] = (), number: int = 0,
    inline: bool = False, stop: threading.Event | None = None, watch: Watch = nobody,
    opened: Callable[[], int] = lambda: 1,
) -> Outcome:  # fmt: skip
    """`dataset`: the rows that the parent was trained on; `test`: those it was measured on, if they were a file.
    `work`: where training kept its ledger; what lies there is not fitted again. `axes`, and `learners`
    that may join: by default all. `number`: of the parent; other versions are judged on other folds. `opened`: counts
    the runs that the rows that certify have judged, with this one; called just before.

    Raises `OtherRows` when the rows are not the parent's, `NoTime`, and `UserError` when there is too little data.
    """
    check_seconds(deadline.seconds)
    searcher_of(searcher)
    if unknown := [name for name in axes if name not in AXES]:
        raise NotFound(f"there is no axis `{unknown[0]}`", hint=f"choose from: {', '.join(AXES)}")
    check_members("learners", learners)
    kept = Ledger(work, of_home=True) if work is not None and work.is_dir() else None
    prepared = parent.prepared(dataset, test, ledger=kept, seconds=deadline.left, watch=watch)
    certifying = unseen(prepared, "optimize", watch, alone=True)
    held = replace(hold_out(certifying, seed=parent.recipe.seed + number), prepared=prepared)
    with room(work, prepared.table.digest) as folder:
        chosen = tuple(name for name in AXES if name in axes or not axes)
        job = _Job(
            parent,
            held,
            certifying,
            Ledger(folder),
            deadline,
            searcher,
            chosen,
            tuple(learners),
            number,
            stop or threading.Event(),
            History(watch),
            opened,
        )
        return job.run(inline=inline)


@dataclass(eq=False)
class _Job:
    parent: Parent
    held: HeldOut
    certifying: Prepared
    """The same rows with the test that certifies: without what was learned from."""
    ledger: Ledger
    deadline: Deadline
    searcher: str
    axes: tuple[str, ...]
    learners: tuple[str, ...]
    number: int
    stop: threading.Event
    watch: History
    opened: Callable[[], int]
    load: Load = field(default_factory=lambda: Load(family))
    whole: dict[str, Floats] = field(default_factory=dict)
    """Out-of-fold scores of each member, those of the reserved rows too."""
    axis_of: dict[str, str] = field(default_factory=dict)
    spent: set[str] = field(default_factory=set)
    """Axes along which nothing, or nothing more, could be tried."""
    runs: int = 0

    def __post_init__(self) -> None:
        self.recipe = replace(self.parent.recipe, learners=())
        self.table, self.task = self.held.prepared.table, self.held.prepared.task
        self.fitter = UnitFitter(self.table, self.ledger)
        forms = Forms(self.held.searched, self.fitter, self.recipe, watch=self.watch)
        self.board = Leaderboard(
            forms, latency_us=forms.latency_us, latency_asked=forms.latency_asked, deadline=self.deadline,
            watch=self.watch, stop=self.stop, load=self.load, workers=fits_beside(self.table),
        )  # fmt: skip

    def run(self, *, inline: bool) -> Outcome:
        with workers_for(self.fitter, inline=inline) as workers:
            plan = Plan(
                self.table, self.ledger, workers, seed=self.recipe.seed, fit_ends_at=self.board.fit_ends_at,
                memory=Memory(), watch=self.watch, load=self.load,
            )  # fmt: skip
            plan.run(self._parents(), self._take)
            if missing := self.parent.weights.keys() - self.whole.keys():
                raise NoTime(
                    f"there was no time to fit `{min(missing)}` of {self.parent.ref} again", hint="give more time"
                )
            plan.run(self._proposals(), self._take)
            return self._outcome(plan)

    def _parents(self) -> Iterator[Configuration]:
        """What the parent is made of; of what else was tried, what need not be fitted again."""
        for each in self.parent.configurations:
            first = Unit(each, 0, self.recipe.seed).key(self.table.digest)
            if each.name in self.parent.weights or self.ledger.has(first):
                yield each

    def _proposals(self) -> Iterator[Configuration]:
        """Of each axis in turn; never one name twice."""
        sentences = self.held.prepared.embedding is not None
        shape = Shape.of(self.table, sentences=sentences, known=self.held.apart)
        context = SearchContext(
            self.board, shape, self.recipe.seed + self.number, self.searcher, self.learners,
            cache(lambda: asked_of(self.held, deadline=self.deadline, seed=self.recipe.seed)),
        )  # fmt: skip
        axes = {name: AXES[name] for name in self.axes}
        waiting = {name: axis(context) for name, axis in axes.items()}
        known, idle = set(self.whole), 0
        for name, axis in cycle(axes.items()):
            found = next((each for each in waiting[name] if each.name not in known), None)
            if found is None:
                self.spent.add(name)
                waiting[name] = axis(context)  # when its turn comes again, others may be the best
                idle += 1
                if idle == len(axes):
                    return
                continue
            idle = 0
            known.add(found.name)
            self.axis_of[found.name] = name
            yield found

    def _take(self, member: Member) -> bool:
        self.whole[member.name] = member.scores
        self.board.add(self.held.seen(member))
        return not self.stop.is_set()

    def _outcome(self, plan: Plan) -> Outcome:
        """With test rows the published graphs are compared on them; else the means of out-of-fold scores."""
        self.board.settle()
        serving = self.parent.manifest.form == "serving"
        weights = self.board.serving_weights() if serving else self.board.weights
        axes = reports(self.board, self.axis_of, self.axes, weights, spent=self.spent)
        self._tell(axes)
        results: Results | None = None
        self.runs = self.opened() if any(each.tried for each in axes) else 0
        if self.certifying.test.rows:
            results = both_forms(plan, self.board)
            gain = self._gain_on_test(results.serving if serving else results.quality)
        else:
            gain = self._gain_on_reserved(weights, serving=serving)
        facts = msgspec.to_builtins(gain) | {"of": self.parent.ref, "certain": gain.certain}
        said = _verdict(self.parent.ref, gain, tried=any(each.tried for each in axes))
        self.watch(Event("optimize.gain", said, facts=facts))
        if not gain.certain:
            return Outcome(axes, gain, None)
        results = results or both_forms(plan, self.board)
        forms = (self._child(each, gain, axes) for each in (results.quality, results.serving))
        return Outcome(axes, gain, Results(*forms))

    def _tell(self, axes: tuple[AxisReport, ...]) -> None:
        for each in axes:
            gave = "none finished in time" if each.gain is None else f"{gained(each.gain)} where it was searched"
            message = f"{each.axis}: {len(each.tried)} tried, {gave}, {len(each.kept)} kept"
            if not each.tried:
                message = f"{each.axis}: nothing was tried"
            if each.empty:
                message = f"{each.axis}: there is nothing to try with these learners"
            self.watch(Event("optimize.axis", message, facts=msgspec.to_builtins(each)))

    def _gain_on_test(self, child: Trained) -> Gain:
        prepared, parent = self.certifying, self.parent
        before = Answered(parent.scores(prepared), parent.manifest.label_weights or None)
        after = Answered(test_scores(child.runtime, prepared), child.manifest.label_weights or None)
        return certify(
            self.task, prepared.test_y, before, after, seed=self.recipe.seed, groups=prepared.test_clusters,
            classes=_classes(self.task, self.table, prepared.test_y),
        )  # fmt: skip

    def _gain_on_reserved(self, weights: Floats, *, serving: bool) -> Gain:
        """Each as it answers: with its own calibration and its own weights of labels."""
        board, rows = self.board, np.flatnonzero(self.held.held)
        names = [each.name for each in board.members]
        held = np.stack([self.whole[name][rows] for name in names])
        old = np.array([self.parent.weights.get(name, 0.0) for name in names])
        manifest = self.parent.manifest
        before = mix(held, old)
        if manifest.calibration:
            before = from_dict(manifest.calibration).apply(before)
        answering, _ = Answering.fit(
            self.task, board.y, board.honest(serving=serving), board.folds, seed=self.recipe.seed,
            costs=self.table.class_costs, groups=board.groups, forward=board.forward,
        )  # fmt: skip
        after = mix(held, weights)
        if answering.calibration:
            after = answering.calibration.apply(after)
        y, groups = self.table.whole.y[self.table.judged[rows]], self.table.judged_clusters
        return certify(
            self.task, y, Answered(before, manifest.label_weights or None), Answered(after, answering.label_weights),
            seed=self.recipe.seed, groups=None if groups is None else groups[rows],
            classes=_classes(self.task, self.table, y),
        )  # fmt: skip

    def _child(self, trained: Trained, gain: Gain, axes: tuple[AxisReport, ...]) -> Trained:
        """With its lineage: what it was made from, how, and what it gained."""
        manifest = trained.manifest
        settings = {
            **manifest.lineage.settings, "seconds": self.deadline.seconds, "searcher": self.searcher,
            "better_than": self.parent.ref, "compared": self.parent.manifest.form,
            "gain": msgspec.to_builtins(gain), "axes": msgspec.to_builtins(axes), "runs": self.runs,
        }  # fmt: skip
        lineage = replace(manifest.lineage, verb="optimize", settings=settings, parents=(self.parent.manifest.digest,))
        return described(trained, replace(manifest, lineage=lineage))


def _verdict(ref: str, gain: Gain, *, tried: bool) -> str:
    if gain.certain:
        return f"better than {ref} on rows not searched on: {gain}"
    if not tried:
        return f"nothing was tried, so {ref} stays"
    return f"nothing is certain to be better than {ref} on rows not searched on: {gain}"


def _classes(task: Task, table: Table, y: Any) -> Ints | None:
    """All that there are, also those of which none is among these rows; of amounts none."""
    return np.unique(np.concatenate([y, table.whole.y[table.judged]])).astype(np.int64) if task.classes else None
