"""From a dataset to two published forms: prepare, fit a portfolio on folds, weigh, refit, prove, measure.

quality   the weighted mean of all members that help, each by its fits on the folds
serving   as many members as the latency allows, each refitted on all rows; with its fits on the folds if there is room
"""

import contextlib
import importlib
import shutil
import tempfile
import threading
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, field, replace
from functools import partial
from numbers import Integral
from pathlib import Path
from typing import Any, Final

from aias.core.catalog import check_members, member, members
from aias.core.cpus import cpus
from aias.core.deadline import Deadline
from aias.core.errors import UserError, shown
from aias.core.events import Event, Watch, nobody
from aias.core.load import Load, family
from aias.core.locks import locked
from aias.core.names import listed
from aias.core.schema import Field
from aias.core.task import MEDIAN, instead_of, is_metric, quantile_of
from aias.data.dataset import Dataset
from aias.data.teacher_labels import TeacherLabels
from aias.learners.contract import SettingRefused, check_settings
from aias.training.class_weights import ClassWeights
from aias.training.class_weights import checked as checked_weights
from aias.training.finish import Trained
from aias.training.forms import Forms
from aias.training.history import History, of_data
from aias.training.ledger import Ledger
from aias.training.ledger_folder import lock_of
from aias.training.prepare import Prepared, prepare
from aias.training.processes.forkserver import ForkServer
from aias.training.processes.memory import NO_MEMORY, Memory
from aias.training.processes.workers import InlineWorkers, Workers
from aias.training.selection.lead import lead
from aias.training.selection.leaderboard import Leaderboard
from aias.training.selection.members import Member
from aias.training.selection.plan import Plan
from aias.training.selection.portfolio import Shape, families, hindrance, portfolio
from aias.training.selection.screening import begins
from aias.training.selection.search import searched
from aias.training.table import Table
from aias.training.unit import UnitFitter

FOLDS_MAX: Final = 20
ONE_THREAD_VALUES: Final = 5_000_000
"""Up to this size a second thread hardly shortens a fit, and on a busy machine makes it ten times as long, because
threads wait for each other at every split. Two fits side by side always pay."""

SECONDS_MAX: Final = 30 * 86_400

TEST_MAX: Final = 0.9
"""The largest share of the rows; the others are for training."""

_TEXTS: Final = {"target": "price", "metric": "roc_auc", "split": "time:day"}

REASONS_SHOWN_MAX: Final = 4

First = Callable[[Trained], object]


class NoModel(UserError):
    """No learner gave a model in the time allowed."""

    code = "training.no-model"


@dataclass(frozen=True, slots=True)
class Recipe:
    """The settings of a training. With the same dataset and recipe it can be repeated."""

    target: str
    name: str
    metric: str | None = None
    seconds: float = 60.0
    split: str = "random"
    test: float | None = None
    """The share of rows set aside as the test; None sets aside as many as can be spared."""
    seed: int = 0
    learners: tuple[str, ...] = ()
    learner_settings: dict[str, dict[str, Any]] = field(default_factory=dict)
    """Fixed settings for some learners, which are then fitted with these only."""
    latency_us: float | None = None
    """Latency of one row in the serving form; None for the default, which depends on the sentence encoder."""
    folds: int | None = None
    class_weights: ClassWeights = None
    search: bool = True
    """Whether the time that the portfolio leaves is spent on a hyperparameter search."""
    encoder: str | None = None
    """A sentence encoder: its folder, or its name on the hub."""
    source: str | None = None
    """The file that was read, as it was given; `test_source`: the file of the test rows."""
    test_source: str | None = None
    encoding: str | None = None
    """The text encoding of the file, unless it is UTF-8; `test_encoding`: that of the test file."""
    test_encoding: str | None = None
    test_digest: str = ""
    """Of test rows that were given, as they were measured on."""
    teacher: dict[str, Any] = field(default_factory=dict)
    """Facts about the teacher: who it is, how many rows it labelled, how often it agrees with known labels; `opinions`
    is the file of its labels."""

    @property
    def teacher_labels(self) -> TeacherLabels | None:
        """Raises `NoSuchFile`."""
        path = self.teacher.get("opinions")
        return TeacherLabels.load(Path(path)) if path else None


@dataclass(frozen=True, slots=True)
class Results:
    """The two forms of a trained model."""

    quality: Trained
    serving: Trained


def train(
    dataset: Dataset,
    recipe: Recipe,
    *,
    deadline: Deadline | None = None,
    test: Dataset | None = None,
    work: Path | None = None,
    resume: bool = False,
    inline: bool = False,
    forkserver: ForkServer | None = None,
    first: First | None = None,
    learned: Callable[[Dataset, Sequence[Field]], object] | None = None,
    stop: threading.Event | None = None,
    watch: Watch = nobody,
) -> Results:
    """Train within the time.

    - `deadline`: the end of the time, if it is earlier than `recipe.seconds` from now
    - `test`: rows to measure on, instead of rows set aside
    - `work`: the folder of the ledger, so that `resume` can continue from it
    - `inline`: fit in this process
    - `forkserver`: the source of worker processes, if one is open already for `work`
    - `first`: called with the first model, proved, as soon as there is one
    - `learned`: called with the training rows and the fields that are inputs
    - `stop`: an event; once set, training finishes with what it has found

    Raises `UserError` if a model cannot be trained on the data, `NoModel` if none was ready in time, and
    `ParityBroken` if no graph could be proved.
    """
    check(recipe)
    watch = History(watch, notes=of_data(dataset, *filter(None, [test])))
    deadline, load = deadline or Deadline.after(recipe.seconds), Load(family)
    if resume and not (work and work.is_dir() and any(work.iterdir())):
        watch(Event("train.anew", "there is nothing to go on with: training begins anew"))
    rows = [dataset]
    del dataset  # so that a large file can be freed as soon as its rows are prepared
    with _room(work, resume=resume) as folder:
        ledger = Ledger(folder, of_home=work is not None)
        ledger.drop_cut()
        prepared = prepare(
            rows.pop(), target=recipe.target, metric=recipe.metric, how=recipe.split, test=recipe.test, given=test,
            seconds=recipe.seconds, spent=recipe.seconds - deadline.left, folds=recipe.folds,
            class_weights=recipe.class_weights, sentences=recipe.encoder,
            ledger=ledger, teacher_labels=recipe.teacher_labels, seed=recipe.seed, watch=watch,
        )  # fmt: skip
        if learned is not None:
            learned(prepared.dataset, prepared.encoder.fields)
        if test is not None:
            recipe = replace(recipe, test_digest=prepared.test.digest)
        if not inline:
            prepared = prepared.mapped(folder)
        job = _Job(recipe, prepared, folder, deadline, load, watch, stop or threading.Event(), first, forkserver)
        del prepared
        return job.run(inline=inline)


@dataclass(eq=False)
class _Job:
    recipe: Recipe
    prepared: Prepared
    folder: Path
    deadline: Deadline
    load: Load
    watch: History
    stop: threading.Event
    first: First | None
    forkserver: ForkServer | None = None
    board: Leaderboard = field(init=False)

    def run(self, *, inline: bool) -> Results:
        table, ledger = self.prepared.table, Ledger(self.folder)
        fitter = UnitFitter(table, ledger)
        forms = Forms(self.prepared, fitter, self.recipe, watch=self.watch)
        self.prepared = forms.prepared  # perhaps without the raw rows by now
        self.board = Leaderboard(
            forms, latency_us=forms.latency_us, latency_asked=forms.latency_asked, deadline=self.deadline,
            watch=self.watch, stop=self.stop, load=self.load, workers=fits_beside(table),
        )  # fmt: skip
        with workers_for(fitter, inline=inline, forkserver=self.forkserver) as workers:
            if not inline:  # takes half a second, while the first fit runs anyway
                threading.Thread(target=_at_hand).start()
            plan = Plan(
                table, ledger, workers, seed=self.recipe.seed, fit_ends_at=self.board.fit_ends_at,
                memory=Memory(), watch=self._heed, load=self.load,
            )  # fmt: skip
            shape = Shape.of(table, sentences=self.prepared.embedding is not None)
            only = {name: self.recipe.learner_settings.get(name, {}) for name in self.recipe.learners}
            searching = searched(self.board, seed=self.recipe.seed) if self.recipe.search else ()
            _heed_names(only, shape, self.watch)
            configurations = list(portfolio(shape, only=only))
            opening, others = families(configurations)
            if table.fold_count == 1 or not begins(opening, rows=table.rows, seconds=self.recipe.seconds):
                opening, others = [], configurations
            narrow = None if self.recipe.folds else self.board.narrow
            alone = self.first is not None and not inline
            ahead = partial(lead, self.board)
            plan.run(searching, self._take, opening=opening, others=others, narrow=narrow, lead=ahead, alone=alone)
            if not self.board.members:
                if self.stop.is_set():
                    raise KeyboardInterrupt("stopped before anything was fitted")
                raise NoModel(
                    f"no learner was ready within {self.recipe.seconds:g} s: {_reasons(self.watch.skipped)}",
                    hint=_instead(self.watch.skipped),
                )
            self.board.settle()
            return both_forms(plan, self.board)

    def _heed(self, event: Event) -> None:
        """Raises `SettingRefused` where a learner cannot be fitted at all with what was asked of it."""
        self.watch(event)
        learner, reason = (event.facts.get(each) for each in ("learner", "reason"))
        asked = self.recipe.learner_settings.get(f"{learner}")
        if asked and event.facts.get("first") and event.facts.get("fault") not in {"", "memory"}:
            said = ", ".join(f"{name}={shown(value)}" for name, value in asked.items())
            raise SettingRefused(f"`{learner}` cannot be fitted with {said}: {reason}", hint="change its settings")

    def _take(self, member: Member) -> bool:
        more = self.board.add(member)
        if self.first is not None and self.board.members:
            told, self.first = self.first, None
            told(self.board.forms.first(self.board))
        return more


def _heed_names(names: Iterable[str], shape: Shape, watch: Watch) -> None:
    """Tells which of the learners that were named cannot take part. Raises `NoModel` where that is all of them."""
    reasons = {name: hindrance(name, shape) for name in names}
    hindered = {name: reason for name, reason in reasons.items() if reason is not None}
    if hindered and len(hindered) == len(reasons):
        said = "; ".join(f"`{name}`: {reason}" for name, reason in hindered.items())
        raise NoModel(
            f"no learner that was named can take part: {said}", hint="name others, or none: then all are tried that can"
        )
    for name, reason in hindered.items():
        facts: dict[str, object] = {"configuration": name, "learner": name, "reason": reason}
        watch(Event("train.skipped", f"`{name}`, which was asked for, is left out: {reason}", "warning", facts))


def _at_hand() -> None:
    """Import what calibration needs."""
    with contextlib.suppress(ImportError, MemoryError):  # reported when it is needed
        importlib.import_module("scipy.optimize")


def both_forms(plan: Plan, board: Leaderboard) -> Results:
    """Refit the members of the serving form, then build both forms."""
    board.keep_to_time()
    serving, wanted = board.serving(), [board.members[place] for place in board.again()]
    until = board.deadline.ends_at - board.forms_seconds()
    refitted = {each.name for each in plan.refit(board.refits(until - board.deadline.clock()), until)}
    quality, judged = board.forms.quality(board, refitted)
    if late := [each.name for each in wanted if each.name not in refitted]:
        message = f"no time was left to fit {', '.join(late)} again on all rows: their fits of the folds answer"
        board.watch(Event("train.refit", message, "warning", {"configurations": late}))

    def reported(ends_at: float) -> Trained:
        until = Deadline.until(ends_at, board.deadline.clock)
        return board.forms.reported(quality, judged, board, board.weights, until)

    if not board.forms.beside:
        quality = reported(board.deadline.ends_at - board.serving_seconds())
        return Results(quality, board.forms.serving(board, serving, refitted))
    with ThreadPoolExecutor(1) as one:  # mostly runs of the graph, which release the interpreter lock
        waiting = one.submit(reported, board.deadline.ends_at)
        found = board.forms.serving(board, serving, refitted)
        return Results(waiting.result(), found)


def fits_beside(table: Table) -> int:
    """How many fits run side by side: of a large holdout one, by all threads."""
    values = table.rows * (table.encoder.layout.width + 1)
    return cpus() if table.fold_count > 1 or values <= ONE_THREAD_VALUES else 1


def workers_for(fitter: UnitFitter, *, inline: bool, forkserver: ForkServer | None = None) -> Workers | InlineWorkers:
    """Workers that read the table from the ledger's folder, forked from the `forkserver` if it serves this folder."""
    if inline:
        return InlineWorkers(fitter)
    fitter.table.save(fitter.ledger.table)
    count = fits_beside(fitter.table)
    threads, folder = cpus() // count, fitter.ledger.folder
    known = forkserver if forkserver is not None and forkserver.serves(folder, threads=threads) else None
    return Workers(folder, count=count, threads=threads, forkserver=known)


@contextlib.contextmanager
def _room(work: Path | None, *, resume: bool) -> Iterator[Path]:
    """The folder of the ledger: kept if it was given, else temporary."""
    if work is None:
        with tempfile.TemporaryDirectory(prefix="aias-") as folder:
            yield Path(folder)
        return
    work.parent.mkdir(parents=True, exist_ok=True)
    with locked(lock_of(work), wait=False) as ours:
        if not ours:
            raise UserError(
                f"`{work.name}` is being trained, optimised or compressed by another process just now",
                hint="wait for its end, or train under another name (`--name`, or `name=`)",
            )
        if not resume:
            shutil.rmtree(work, ignore_errors=True)
        work.mkdir(exist_ok=True)
        yield work


def _reasons(skipped: Mapping[str, str]) -> str:
    """Why each configuration that was tried gave no model."""
    said = [f"{name}, {reason}" for name, reason in list(skipped.items())[:REASONS_SHOWN_MAX]]
    more = len(skipped) - len(said)
    return "; ".join([*said, *([f"and {more:,} more"] if more else [])]) or "none had been begun"


def _instead(skipped: Mapping[str, str]) -> str:
    """A hint, by the reasons."""
    short = skipped and all(reason == NO_MEMORY for reason in skipped.values())
    return f"give more {'memory' if short else 'time'}, or fewer rows or columns"


def _is_count(given: object, most: int) -> bool:
    return isinstance(given, Integral) and not isinstance(given, bool) and 1 <= int(given) <= most


def check_seconds(seconds: float) -> None:
    """Raises `UserError` for an impossible time budget."""
    if not 0 < seconds <= SECONDS_MAX:
        raise UserError(f"a time budget of {seconds:g} s cannot be kept", hint="more than 0 s, and at most 30 days")


def check(recipe: Recipe) -> None:
    """Raises `UserError` or `NotFound` for settings that are wrong whatever the data is."""
    for what, said in (("target", recipe.target), ("metric", recipe.metric or ""), ("split", recipe.split)):
        if not isinstance(said, str):
            raise UserError(f"`{what}` is a text, not {shown(said)}", hint=f"for example {what}={_TEXTS[what]!r}")
    if recipe.metric is not None and not is_metric(recipe.metric):
        raise UserError(f"there is no metric `{recipe.metric}`", hint=instead_of(recipe.metric))
    check_seconds(recipe.seconds)
    if not isinstance(recipe.seed, Integral) or not 0 <= recipe.seed < 2**31:
        raise UserError(f"{recipe.seed} cannot be a seed", hint="any whole number from 0 to 2147483647")
    if recipe.latency_us is not None and not recipe.latency_us > 0:
        raise UserError(f"a latency of {recipe.latency_us:g} µs cannot be had", hint="for example 150us or 2ms")
    if recipe.folds is not None and not _is_count(recipe.folds, FOLDS_MAX):
        raise UserError(f"{shown(recipe.folds)} folds cannot be had", hint=f"from 1, a holdout, to {FOLDS_MAX}")
    if recipe.test is not None and not 0 <= recipe.test <= TEST_MAX:
        raise UserError(
            f"{recipe.test:g} of the rows cannot be the test", hint=f"a share from 0 to {TEST_MAX:g}, or a file"
        )
    checked_weights(recipe.class_weights)
    check_members("learners", listed(recipe.learners))
    for name, settings in recipe.learner_settings.items():
        if (takes := getattr(member("learners", name), "takes", None)) is not None:
            check_settings(name, takes(), settings)
    _check_quantile(recipe)


def _check_quantile(recipe: Recipe) -> None:
    """Raises `UserError` where a learner is named that answers with means, and a quantile is wanted."""
    if quantile_of(recipe.metric or "") in {None, MEDIAN}:
        return
    of_means = [name for name in members("learners") if getattr(member("learners", name), "means", False)]
    if named := [name for name in of_means if name in recipe.learners]:
        able = [name for name in members("learners") if name not in of_means]
        raise UserError(
            f"`{named[0]}` answers with means, and `{recipe.metric}` wants a quantile",
            hint=f"learners that fit quantiles: {', '.join(able)}",
        )
