"""The leaderboard: members as they come, what each is worth, in which form it is, and how long finishing takes."""

import threading
import time
from collections.abc import Iterable
from dataclasses import dataclass, field
from functools import cached_property
from typing import Any, Final

import numpy as np

from aias.artifact.encoder_tables import encoder_entries, encoder_tables
from aias.core.arrays import Floats, Ints
from aias.core.deadline import Deadline
from aias.core.errors import Damaged
from aias.core.events import Event, Watch
from aias.core.failpoints import failpoint
from aias.core.load import Load
from aias.core.task import Measurement
from aias.graph.parity import ParityBroken
from aias.training.finish import Timed
from aias.training.forms import Forms
from aias.training.scoring import metrics
from aias.training.scoring.cross_fitting import parted
from aias.training.scoring.thresholds import decision_weights
from aias.training.scoring.upright import upright
from aias.training.selection.chance import chance
from aias.training.selection.finishing_time import TESTED_SHARE, FinishingTime
from aias.training.selection.members import Member
from aias.training.selection.refits import Refits
from aias.training.selection.weights import able, cross_fitted, greedy, mix, ranking, worth
from aias.training.table import Table

PATIENCE: Final = (8, 16)
"""Members in a row that did not help, after which no more are fitted: on few rows; and from `PATIENT_ROWS` on, where
what helps is less likely luck."""

PATIENT_ROWS: Final = 2_500

HELPED: Final = 1e-4
"""The relative gain from which a member is said to have helped."""

QUALITY_US_MAX: Final = 20_000.0
"""Of one row; a model slower than this is of no use to anybody who waits for it."""

SAVED_SHARE: Final = 0.5
"""Of what finishing would be late, that leaving out the sentence encoder has to save: a busy machine is late anyway."""

AFTER_SHARE_MAX: Final = 0.5
"""Of the whole time, for all that comes after fitting; when fitting again would take more, the time goes into more
members, and the serving form is what folds left."""

FIRST_SHARE: Final = 0.5
FIRST_SECONDS: Final = 2.0
"""Of the whole time, and of a processor, that the first member has at least, however late it begins: a late model is
better than none."""

LOST_SHARE: Final = 0.005
"""Of what all members together leave to a perfect score, that the serving form may leave besides where nobody asked for
a latency: while the usual one costs more, twice the time is allowed; for four times it has to cost twice as much."""

NEARLY: Final = 1e-4
"""Beside a perfect score."""


@dataclass(eq=False)
class Leaderboard:
    forms: Forms
    latency_us: float
    deadline: Deadline
    watch: Watch
    stop: threading.Event
    latency_asked: bool = True
    load: Load = field(default_factory=Load)
    workers: int = 1
    """How many fits run side by side."""
    members: list[Member] = field(default_factory=list)
    timed: list[Timed] = field(default_factory=list)
    scores: list[Measurement] = field(default_factory=list)
    _best: float = -np.inf
    _stale: int = 0
    _late: set[int] = field(default_factory=set)
    """The places of members that nothing can be made of in time."""
    _serving: dict[int, int] = field(default_factory=dict)
    _stretch: float = 1.0
    """How many times the usual latency the serving form may take."""
    weights: Floats = field(default_factory=lambda: np.zeros(0))

    def __post_init__(self) -> None:
        self._judge_by(self.forms.prepared.table)
        encoder = self.forms.prepared.encoder
        _, files = encoder_tables(encoder_entries(encoder), encoder)
        self._ending = FinishingTime(self.deadline.seconds, files=len(files))
        self._began_at = self.deadline.clock()
        self._ranking = ranking(self.task)
        self._refits = Refits(self.workers, self.deadline.seconds)
        self._direction = 1.0 if self.task.direction == "higher" else -1.0

    def _judge_by(self, table: Table) -> None:
        self.table, self.task, self.class_costs = table, table.task, table.class_costs
        self.y, self.groups = table.whole.y[table.judged], table.judged_clusters
        self.folds = parted(table.folds[table.judged].astype(np.int64), table.kin(table.judged))

    def narrow(self, count: int) -> None:
        """From now on only the first `count` folds judge."""
        kept = self.folds < count
        self.forms.narrow(count)
        self._judge_by(self.forms.prepared.table)
        self.members = [each.narrowed(count, kept) for each in self.members]
        self.scores = [self._judged(each.scores) for each in self.members]
        self.__dict__.pop("_chance", None)
        self._best, self._stale = -np.inf, 0
        if self.members:
            self._weigh()

    def _judged(self, scores: Floats) -> Measurement:
        even, label_weights = upright(self.task, scores, self.class_costs), self._label_weights(scores)
        return metrics.judge(self.task, self.y, even, seed=0, label_weights=label_weights, groups=self.groups)

    def _label_weights(self, scores: Floats) -> Floats | None:
        """Those that other folds say, where labels are decided afterwards."""
        own = self._ranking != self.task
        found = decision_weights(self.task, self.y, scores, self.folds, seed=0, forward=self.forward) if own else None
        return found[1] if found else None

    def worths(self) -> Floats:
        """What each member is worth by itself, (members,); more is better."""
        if self._ranking != self.task:
            return np.array([worth(self._ranking, self.y, each.scores, self.class_costs) for each in self.members])
        return np.array([each.value for each in self.scores]) * self._direction

    @cached_property
    def _chance(self) -> float:
        return chance(self._ranking, self.y)

    def add(self, member: Member) -> bool:
        """Take a new member in; False when no more are wanted."""
        began = time.thread_time()
        score = self._judged(member.scores)
        self._ending.judge_seconds = max(self._ending.judge_seconds, time.thread_time() - began)
        try:
            timed = self.forms.timed(member)
        except (Damaged, ParityBroken) as fault:  # one faulty export must not cost all the others
            facts: dict[str, object] = {"configuration": member.name, "reason": fault.message}
            message = f"{member.name} is left out, its graph is not what was fitted: {fault.message}"
            self.watch(Event("train.skipped", message, "warning", facts))
            return not self.stop.is_set()
        if self.members and self._ending.row_seconds is None:  # not before the first model is out
            self._ending.row_seconds = self.forms.told_seconds(self, member.scores) / len(self.y)
        before = self._after_seconds() if self.members else None
        self.members.append(member)
        self.timed.append(timed)
        self.scores.append(score)
        self._weigh()
        if before is not None and self._is_late(before) and self.table.holds_out:
            self._refits.comes_late(member)
        gone = self._make_room() if before is not None and self._is_late(before) else []
        self._tell(member, score, timed)
        if gone:
            self._tell_late(gone)
        failpoint("train.after_candidate")
        return self._wants_more(self._mixed(self.weights)) and not self.stop.is_set()

    def _is_late(self, before: float) -> bool:
        return self._after_seconds() > max(before, self.deadline.left + self._ending.lateness)

    def _make_room(self) -> list[str]:
        """There is no time to finish with all: the newest member goes, or all others, whichever leaves the better.
        Gives the names of those that go."""
        newest, before = len(self.members) - 1, set(self._late)
        self._late = before | {newest}
        self._weigh()
        if self.worths()[newest] > self._mixed(self.weights):
            self._late = set(range(newest))
            self._weigh()
        return [self.members[place].name for place in sorted(self._late - before)]

    def _tell_late(self, gone: list[str]) -> None:
        message = f"{', '.join(gone)} {'is' if len(gone) == 1 else 'are'} not used: there is no time to finish with all"
        self.watch(Event("train.late", message, "warning", {"configurations": gone}))

    def settle(self) -> None:
        """Before anything is made of them: nothing hangs any more on which member was there first."""
        order = sorted(range(len(self.members)), key=lambda place: self.members[place].name)
        self.members, self.timed = [self.members[place] for place in order], [self.timed[place] for place in order]
        self.scores = [self.scores[place] for place in order]
        self._late = {order.index(place) for place in self._late}
        self._weigh()

    def keep_to_time(self) -> None:
        """Before finishing: without time for the sentence encoder others answer, unless about as late."""
        self.forms.feel_load()
        late = self._late
        readers = {place for place, each in enumerate(self.timed) if each.shared_us} - late
        others = set(range(len(self.members))) - readers - late
        after = self._after_seconds(refits=False)
        if readers and others and after > self.deadline.left + self._ending.lateness:
            self._late = late | readers
            self._weigh()
            if after - self._after_seconds(refits=False) >= SAVED_SHARE * (after - self.deadline.left):
                self._tell_late([self.members[place].name for place in sorted(readers)])
            else:
                self._late = late
                self._weigh()

    def fit_ends_at(self) -> float:
        """When fitting must be over, so that refitting and finishing end in time."""
        if self.stop.is_set():
            return 0.0
        if not self.members:
            least = max(FIRST_SHARE * self.deadline.seconds, FIRST_SECONDS * self.load.stretch)
            return max(self.deadline.ends_at - self.serving_seconds(), self._began_at + least)
        after = self._after_seconds() + self._adding_seconds()
        if after > AFTER_SHARE_MAX * self.deadline.seconds:
            after = min(self._after_seconds(refits=False), AFTER_SHARE_MAX * self.deadline.seconds)
        return self.deadline.ends_at - after

    @property
    def limit_us(self) -> float:
        """What a row may take in the serving form."""
        return min(self.latency_us * self._stretch, max(self.latency_us, QUALITY_US_MAX))

    def serving(self) -> dict[int, int]:
        """By the places of the serving form's members: how many fits of each the latency allows."""
        return self._serving

    @property
    def forward(self) -> bool:
        """Whether rows are parted by time: what has seen the latest of them then answers best, in both forms."""
        return self.table.blocks is not None

    def again(self) -> list[int]:
        """The places of members to be fitted again on all rows."""
        if self.forward:
            return list(dict.fromkeys([*self._serving, *np.flatnonzero(self.weights).tolist()]))
        return [place for place in self._serving if not (self.members[place].knows_all or self.table.seen_whole)]

    def refits(self, left: float) -> list[Member]:
        """Whom there is time to fit again, in so many seconds."""
        return self._refits.possible([self.members[place] for place in self.again()], self.table, left)

    def _after_seconds(self, *, refits: bool = True) -> float:
        """For all that comes after the folds."""
        again = [self.members[place] for place in self.again() if refits]
        return self._refits.seconds(again, self.table) + self.forms_seconds()

    def _adding_seconds(self) -> float:
        """For members whose last fold is through when fitting is over, before any is fitted again."""
        own = self._ending.judge_seconds + self._ending.weigh_seconds + max(each.seconds for each in self.timed)
        return self.load.stretch * own if self.again() else 0.0

    def forms_seconds(self) -> float:
        """For both forms, after the last fit."""
        return self._quality_seconds() + self.serving_seconds()

    def serving_seconds(self) -> float:
        """For the serving form, and to publish both."""
        each = sum(fits * self.timed[place].seconds for place, fits in self._serving.items())
        tested = self._tested_seconds(sum(fits * self.timed[place].row_us for place, fits in self._serving.items()))
        alone = self._ending.serving(self._form_seconds(), used=self._used_seconds(), each=each) + tested
        return self.load.stretch_of(1 + self.forms.beside) * alone + self._shared_seconds(self._serving)

    def _form_seconds(self) -> float:
        folds = len(np.unique(self.folds))
        return self._ending.form(rows=len(self.y), classes=len(self.task.classes), folds=folds)

    def serving_weights(self) -> Floats:
        weights = np.zeros(len(self.members))
        weights[list(self._serving)] = self._serving_weights
        return weights

    def honest(self, *, serving: bool) -> Floats:
        """Out-of-fold scores of the whole ensemble, in which no row helped to weigh its own answer."""
        costs = self._serving_costs() if serving else self._quality_costs()
        limit = self._serving_limit() if serving else self._quality_limit()
        members = self._stack()[places := self._able(costs, limit)]
        return cross_fitted(
            self.y, members, self.folds, task=self.task, costs=costs[places], cost_max=limit, leaning=self.class_costs,
            seed=0, forward=self.forward,
        )  # fmt: skip

    def _weigh(self) -> None:
        self.weights = self._greedy(self._quality_costs(), self._quality_limit())
        self._choose_serving()

    def _choose_serving(self) -> None:
        self._stretch = 1.0
        self._choose_within()
        together, perfect = self._mixed(self.weights), float(self._ranking.direction == "higher")
        # Where nothing is known beyond chance, or the metric cannot be had, more time cannot keep more of it.
        known = together > self._chance
        left = abs(perfect - together)
        while not self.latency_asked and known and self.limit_us < QUALITY_US_MAX:
            most = (1 + LOST_SHARE * self._stretch) * left + NEARLY * abs(together)
            if abs(perfect - self._mixed(self.serving_weights())) <= most:
                break
            self._stretch *= 2
            self._choose_within()

    def _choose_within(self) -> None:
        """Whom the latency allows; then, of the heaviest first, as many fits as it still allows."""
        costs, limit = self._serving_costs(), self._serving_limit()
        weights = self._greedy(costs, limit)
        places = [int(place) for place in np.flatnonzero(weights)]
        self._serving, self._serving_weights = dict.fromkeys(places, 1), weights[places]
        left = limit - costs[places].sum()
        for place in sorted(places, key=lambda place: -weights[place]):
            if not self.members[place].merges and not self.forward:
                more = min(len(self.table.together), int(max(left, 0.0) / costs[place]))
                self._serving[place] += more
                left -= more * costs[place]

    def _greedy(self, costs: Floats, limit: float) -> Floats:
        began, places = time.thread_time(), self._able(costs, limit)
        weights = np.zeros(len(self.members))
        weights[places] = greedy(
            self.y, self._stack()[places], task=self.task, costs=costs[places], cost_max=limit, seed=0,
            leaning=self.class_costs,
        )  # fmt: skip
        self._ending.weigh_seconds = time.thread_time() - began
        return weights

    def _able(self, costs: Floats, limit: float) -> Ints:
        """The places of members that know nearly as much as the best that can be paid; what others add on few rows is
        luck."""
        payable = costs <= max(limit, float(costs.min()))
        payable[list(self._late)] = False
        return able(np.where(payable, self.worths(), -np.inf), self._chance)

    def _stack(self) -> Floats:
        return np.stack([member.scores for member in self.members])

    def _quality_costs(self) -> Floats:
        """Beyond the sentence encoder."""
        fits: Ints = np.array([1 if each.merges else len(self.table.together) for each in self.members])
        return np.array([each.row_us - each.shared_us for each in self.timed]) * fits

    def _quality_limit(self) -> float:
        return QUALITY_US_MAX - min(max((each.shared_us for each in self.timed), default=0.0), QUALITY_US_MAX / 2)

    def _serving_costs(self) -> Floats:
        """Beyond what members pay together."""
        return np.array([max(each.row_us - self._shared_us(each), 0.1) for each in self.timed])

    def _serving_limit(self) -> float:
        shared = max((self._shared_us(each) for each in self.timed), default=self.forms.base.shared_us)
        return max(self.limit_us - shared, 1.0)

    def _shared_us(self, each: Timed) -> float:
        """Of encoding a row and, where the latency allows that at all, of reading it by the sentence encoder."""
        return max(self.forms.base.shared_us, each.shared_us if each.shared_us < self.limit_us else 0.0)

    def _shared_seconds(self, places: Iterable[int]) -> float:
        return self.forms.shared_seconds if any(self.timed[place].shared_us for place in places) else 0.0

    def _quality_seconds(self) -> float:
        counts = self._quality_counts()
        tested = self._tested_seconds(float(counts @ [each.row_us - each.shared_us for each in self.timed]))
        alone = self._ending.quality(self._form_seconds(), used=self._used_seconds(), beside=self.forms.beside) + tested
        shared = self._shared_seconds(np.flatnonzero(counts).tolist())
        return self.load.stretch_of(1 + self.forms.beside) * alone + shared

    def _used_seconds(self) -> float:
        """What all that is in the quality form took, one by one, to compile, prove and time."""
        return float(self._quality_counts() @ [each.seconds for each in self.timed])

    def _quality_counts(self) -> Ints:
        return np.array(self.forms.counts(self, {self.members[place].name for place in self.again()}))

    def _tested_seconds(self, row_us: float) -> float:
        """For the answers to the test's rows."""
        return TESTED_SHARE * 1e-6 * row_us * self.forms.prepared.test.rows

    def _mixed(self, weights: Floats) -> float:
        return worth(self._ranking, self.y, mix(self._stack(), weights), self.class_costs)

    def _wants_more(self, value: float) -> bool:
        if value > self._best + HELPED * abs(self._best) or not np.isfinite(self._best):
            self._best, self._stale = value, 0
        else:
            self._stale += 1
        perfect = self._ranking.direction == "higher" and value >= 1.0
        return self._stale < PATIENCE[len(self.y) >= PATIENT_ROWS] and not perfect

    def _tell(self, member: Member, score: Measurement, timed: Timed) -> None:
        mixed = mix(self._stack(), self.weights)
        even, label_weights = upright(self.task, mixed, self.class_costs), self._label_weights(mixed)
        together = metrics.measure(self.task, self.y, even, label_weights=label_weights).value
        facts: dict[str, Any] = {
            "learner": member.configuration.learner, "configuration": member.name, "metric": score.metric,
            "validation": score.value, "low": score.low, "high": score.high, "fit_seconds": member.seconds,
            "row_us": timed.row_us, "size_bytes": timed.graph_bytes, "seconds_left": self.deadline.left,
            "ensemble": together,
            "weights": {each.name: float(w) for each, w in zip(self.members, self.weights, strict=True) if w > 0},
        }  # fmt: skip
        used = "" if len(self.members) - 1 not in self._late else "; not used"
        message = f"{member.name}: {score.metric} {score.written}, {timed.row_us:.0f} µs a row{used}"
        self.watch(Event("train.candidate", message, facts=facts))
