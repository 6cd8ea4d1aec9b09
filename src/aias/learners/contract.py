"""The promise of a learner: fit on some rows, stop by looking at others, be stored, and write itself into a graph."""

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from math import inf, isfinite
from numbers import Integral, Real
from typing import Any, ClassVar, Final, Protocol

import numpy as np
import numpy.typing as npt

from aias.core.arrays import Floats, Ints
from aias.core.deadline import Deadline
from aias.core.errors import UserError, shown
from aias.core.events import Event, Watch
from aias.core.forest import Forest
from aias.core.graph import GraphWriter
from aias.core.suggestions import choices, did_you_mean
from aias.core.task import Task

State = Mapping[str, npt.NDArray[Any]]
"""A fitted learner as named arrays (a model's own text or bytes as uint8); no Python objects, ever."""


class SettingRefused(UserError):
    """A learner has no such setting, or the setting cannot have that value."""

    code = "learners.setting-refused"


@dataclass(frozen=True, slots=True)
class Number:
    """A number from `least` to `most`; with `above`, greater than the least."""

    least: float = 0.0
    most: float = inf
    above: bool = False
    whole: bool = False

    def __contains__(self, value: object) -> bool:
        kind = Integral if self.whole else Real
        if not isinstance(value, kind) or isinstance(value, bool):
            return False
        return self.least <= float(value) <= self.most and value != inf and not (self.above and value == self.least)

    def __str__(self) -> str:
        said = f"a {'whole ' if self.whole else ''}number {'above' if self.above else 'from'} {self.least:g}"
        return said if self.most == inf else f"{said} to {self.most:g}"


@dataclass(frozen=True, slots=True)
class OneOf:
    values: tuple[Any, ...]

    def __contains__(self, value: object) -> bool:
        return any(value is each or (isinstance(value, str) and value == each) for each in self.values)

    def __str__(self) -> str:
        return "one of " + ", ".join(map(repr, self.values))


Kind = Number | OneOf

COUNT: Final = Number(1, whole=True)
FLAG: Final = OneOf((False, True))

TOLD_MAX: Final = 40
"""Settings that a hint lists; of more it names the nearest."""


def check_settings(name: str, takes: Mapping[str, Kind | None], settings: Mapping[str, Any]) -> None:
    """Raises `SettingRefused` at the first that the learner does not have, or that is not what it may be."""
    for setting, value in settings.items():
        if setting not in takes:
            tell = choices if len(takes) <= TOLD_MAX else did_you_mean
            raise SettingRefused(f"`{name}` has no setting `{setting}`", hint=tell(f"{setting}", sorted(takes)))
        kind = takes[setting]
        if kind is not None and value not in kind:
            raise SettingRefused(
                f"`{name}` takes as `{setting}` {kind}, not {shown(value)}", hint=f"for example {_example(kind)}"
            )


def _example(kind: Kind) -> str:
    if isinstance(kind, OneOf):
        return repr(kind.values[0])
    return f"{min(1, kind.most):g}" if kind.most < 8 else "8"


CURVE_POINTS_MAX: Final = 200
"""Of one fit: more than a plot can show."""


@dataclass(frozen=True, slots=True)
class Examples:
    """Rows with their answers. `y`: class indices (int64) or values (float64)."""

    x: Any  # (rows, width) a CSR matrix or an array
    y: Floats | Ints  # (rows,)
    weight: Floats | None = None
    """How much each row counts, (rows,), of mean 1; None counts all alike."""

    def take(self, rows: Any) -> "Examples":
        return Examples(self.x[rows], self.y[rows], None if self.weight is None else self.weight[rows])


@dataclass(frozen=True, slots=True)
class Fit:
    """How to fit. `settings` override the learner's own choices.

    Without `valid` rows there is no early stopping: `settings` then hold everything that was chosen before.
    """

    task: Task
    seed: int
    deadline: Deadline
    threads: int
    watch: Watch
    settings: dict[str, Any] = field(default_factory=dict)
    categories: tuple[int, ...] = ()
    """Which columns of `x` hold category codes: 0 missing, 1 unseen or rare, 2 and up known."""
    category_sizes: tuple[int, ...] = ()
    """For each of these columns, one more than its largest code."""
    score: Callable[[Any, Floats], float] | None = None
    """The task's metric of `y` and scores, to be told as fitting goes on."""
    keep: Callable[[Callable[[], "Fitted"]], None] | None = None
    """Call it now and then with how to make the best state so far; a fit that has to be killed is then not lost."""
    start: State | None = None
    """A state fitted on the same rows to go on from, where the learner can: boosters and networks."""
    folds: Ints | None = None
    """Where few rows judge, the part of each row of `train`, (rows,): left out in turn, they judge a choice, too."""
    copies: Ints | None = None
    """Where rows of several of these parts are copies of one another, the number of each row's, (rows,)."""
    cuts: list[str] = field(default_factory=list)
    """Whoever ends early so as not to be late adds its name: with more time the fit would be another."""

    def tell(
        self, message: str, valid: Examples | None, scores: Callable[[Any], Floats] | Floats | None, **facts: object
    ) -> None:
        """Of a round that is over, and how good the `scores` of the `valid` rows, or what gives them, are by the task's
        metric. `facts`: the `round`, and what is `counted` so where it is no round of boosting."""
        facts["seconds_left"] = self.deadline.left
        if self.score is not None and valid is not None and scores is not None:
            facts["score"] = self.score(valid.y, scores(valid.x) if callable(scores) else scores)
            message += f", {self.task.metric} {facts['score']:.4f}"
        self.watch(Event("train.round", message, "debug", facts))

    def tell_curve(self, losses: Mapping[int, float], **facts: object) -> None:
        """Of a fit that is over: the validation loss after each round; of many rounds, those at equal distances."""
        known = [each for each in losses.items() if isfinite(each[1])]
        if not known:
            return
        count = min(len(known), CURVE_POINTS_MAX)
        kept = [known[place * (len(known) - 1) // max(count - 1, 1)] for place in range(count)]
        rounds, values = zip(*kept, strict=True)
        facts |= {"rounds": [*rounds], "validation_losses": [*values]}
        self.watch(Event("train.curve", f"{len(known)} rounds", "debug", facts))


class Fitted(Protocol):
    """A fitted learner: it answers rows, writes itself into a graph, and is stored as named arrays."""

    settings: dict[str, Any]
    """Everything that was chosen while fitting; given back as `Fit.settings`, no validation rows are needed."""

    judged: Floats | None
    """Scores of the validation rows, each by a state that was chosen without it; None when nothing was chosen, or one
    of a few values for all folds alike."""

    def scores(self, x: Any) -> Floats:
        """Probabilities (rows, classes), or predictions (rows, 1)."""

    def export(self, graph: GraphWriter, x: str) -> str:
        """Write `scores` of the columns `x`, (rows, width) float64, into the graph; gives the scores' tensor."""

    def state(self) -> State:
        """Everything fitted; with `settings`, `Learner.load` gives an equal one."""


class Trees(Fitted, Protocol):
    """What a family of trees promises besides, so that the trees of many models become one node of the graph."""

    link: str
    """From sums to scores: `identity`, `sigmoid` (one output: the second class) or `softmax`. A binary `identity` has
    one output too: the probability of the second class."""

    def forest(self) -> Forest: ...


class Learner(Protocol):
    """`sparse`: whether it wants a CSR matrix of features or the encoded columns as they are.

    `needs`: the modules of an optional dependency, which must be there for this learner to take part. `loads`, where it
    is there: what a worker is started with to fit it, if that is not what it needs. `shared`: the
    settings that are chosen on the first fold for all of them. `rows_min`, `rows_max`, `classes_max`, where there
    are any: beyond them it does not take part. `paced`, where it is True: the learner fits its schedule to the time it
    is given.
    `means`, where it is True: the answer to a regression is the mean of what can happen, whatever the metric.
    `thins`, where it is True: what it fits is a mean of parts fitted independently, and `thinned(n)` gives every nth of
    them; n fits of n folds, each thinned, are as good as one and no larger.
    `rounds_max`, where it boosts: how many rounds it makes where the settings name none, with a single tree each, and
    with one for each of several classes.
    `merges`, where it is True: the mean of the weights of several fits is one that answers as their mean would.
    `takes`, where it is there: a function that gives the settings that there are, each with what it may be, or with
    None where only a library knows. `asked_only`, where it is True: it takes part only where
    it is asked for by name.
    """

    name: ClassVar[str]
    sparse: ClassVar[bool]
    needs: ClassVar[tuple[str, ...]]
    shared: ClassVar[tuple[str, ...]]

    @staticmethod
    def fit(train: Examples, valid: Examples | None, how: Fit) -> Fitted:
        """Stops early by `valid`, and in any case by `how.deadline` with the best state so far.

        May raise what its library does where nothing can be learned; it is then left out.
        """

    @staticmethod
    def load(state: State, task: Task, settings: dict[str, Any]) -> Fitted:
        """The fitted learner that `state` and `settings` are of."""


def halves(valid: Examples) -> list[Examples]:
    """The validation rows in two: what judges one half is chosen by the other, so that no row chooses for itself."""
    if len(valid.y) < 2:
        return [valid]
    return [
        Examples(valid.x[i::2], valid.y[i::2], None if valid.weight is None else valid.weight[i::2]) for i in (0, 1)
    ]


def joined(scores: Sequence[Floats]) -> Floats:
    """Scores of the halves as those of all rows, in their order."""
    if len(scores) == 1:
        return scores[0]
    whole = np.empty((sum(map(len, scores)), scores[0].shape[1]))
    whole[0::2], whole[1::2] = scores
    return whole


def text_state(text: str) -> npt.NDArray[np.uint8]:
    """A model's own text as an array."""
    return np.frombuffer(text.encode(), np.uint8)


def state_text(array: npt.NDArray[Any]) -> str:
    return bytes(array.astype(np.uint8)).decode()
