"""Rows without answers and a teacher → rows with them, to learn from; and rows of one's own answers, to be judged by.

look     which rows hold their answer; which labels there are
part     where most answers will be the teacher's, half of one's own are set aside: they judge what was learned
make up  more rows, if that is wanted (`data.more_rows`)
ask      the teacher of the others, and of some whose answer is known: how often do the two agree?
mix      what is learned of each row (`teaching.mixed`)
"""

import threading
from collections import Counter
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Any, Final

import numpy as np

from aias.core.arrays import Ints
from aias.core.catalog import member, members
from aias.core.errors import AiasError, BadValue, UserError
from aias.core.events import Event, Watch
from aias.core.schema import Schema
from aias.data.dataset import Dataset
from aias.data.labelled import columns_of, keep_labelled, raw
from aias.data.more_rows import below, beneath, synthetic
from aias.data.read import read
from aias.data.schema_file import read_schema
from aias.data.target import label_of, task_for
from aias.data.teacher_labels import TeacherLabels
from aias.teaching.agreement import compared_on, number_of
from aias.teaching.answer_cache import AnswerCache
from aias.teaching.asking import KEPT, Answers, ask
from aias.teaching.mixed import mixed
from aias.teaching.seen import seen
from aias.teaching.teacher import Teacher
from aias.teaching.teachers.contract import BadTeacher, Labeller, Question, Said, TeacherRefused

ENOUGH_ROWS: Final = 200
"""Or half of those that had no answer: who answers fewer, and then no more, teaches too little to go on with."""

KNOWN_ROWS_MAX: Final = 200
"""That the teacher is compared on with their own answers: a share is then known to some percent."""

OWN_TEST_ROWS: Final = (20, 2_000)
"""Of one's own answers that judge, where most are the teacher's; fewer tell nothing."""

OWN_TEST_SHARES: Final = (0.5, 0.2)
"""Of these, where most real rows have none; and where synthetic rows outnumber them."""

EXAMPLES_EACH: Final = 2
EXAMPLES_MAX: Final = 20
"""For a label, and of all: rows with their answers that a chat service is shown."""

TAUGHT: Final = "taught"
ANSWERS: Final = "answers"


@dataclass(frozen=True, slots=True)
class Taught:
    """`rows`, `test`: files; `test` is None where nothing was set aside. `facts`: for the lineage."""

    rows: Path
    test: Path | None
    facts: dict[str, object] = field(default_factory=dict)


def taught(
    source: Any, target: str, asked: Teacher, *, home: Path, schema: Schema | Path | None = None,
    set_aside: bool = True, given: Any = None, seed: int = 0, stop: threading.Event | None = None, watch: Watch,
) -> Taught:  # fmt: skip
    """`set_aside`: whether own answers may be kept for judging; what was answered is kept in the home either way.
    `given`: rows that judge, where they are in a file or table of their own.

    Raises `BadTeacher`, `TeacherRefused`, and what reading the rows raises.
    """
    known = read_schema(schema) if isinstance(schema, Path) else schema
    if asked.unlabelled is not None:
        source = below(raw(source, known, target), raw(asked.unlabelled, known, target), target=target)
    has_target = target in columns_of(source, schema=known, target=target)
    dataset = read(source, target=target if has_target else None, schema=known)
    job = _Job(source, target, asked, dataset, known, has_target, home / TAUGHT, seed, stop or threading.Event(), watch)
    found = job.run(set_aside=set_aside)
    job.warn_of_seen(found.test if given is None else given, home)
    return found


@dataclass(eq=False)
class _Job:
    source: Any
    target: str
    asked: Teacher
    dataset: Dataset
    schema: Schema | None
    has_target: bool
    folder: Path
    seed: int
    stop: threading.Event
    watch: Watch

    def run(self, *, set_aside: bool) -> Taught:
        own = self._own()
        mine = np.array([each is not None for each in own])
        if mine.all() and not self.asked.synthetic:
            raise UserError(
                f"every row has its `{self.target}`: there is nothing to ask",
                hint=f"leave `{self.target}` empty where the teacher shall answer, give more rows "
                "(`--unlabelled FILE`, or `unlabelled=`), or let some be made (`--synthetic 3`, or `synthetic=3`)",
            )
        rng = np.random.default_rng(self.seed)
        known = rng.permutation(np.flatnonzero(mine))
        test = self._test(known, len(mine) - len(known)) if set_aside else known[:0]
        if self.asked.synthetic:
            own, mine = self._more(own, test)
        shown = self._examples(known, own)
        teacher = self.teacher = self._teacher(own, shown)
        compared = known[~np.isin(known, shown)][:KNOWN_ROWS_MAX]
        asked = np.concatenate([compared, rng.permutation(np.flatnonzero(~mine))])  # a sample, should asking end early
        if teacher.rows_at_once > 1:  # of the rows that are learned from it tells how sure it is
            asked = np.concatenate([asked, np.setdiff1d(known, np.concatenate([compared, test]))])
        found = self._asked(teacher, asked)
        said, told = found.said, dict(zip(asked.tolist(), found.said, strict=True))
        answers = self._answers(own, told)
        facts = self._facts(teacher, found, [told[row] for row in np.flatnonzero(~mine)], answers, mine)
        pairs = [
            (own[row] or "", each.answer) for row, each in zip(compared.tolist(), said, strict=False)
            if each and each.answer
        ]  # fmt: skip
        if pairs:
            agreed = compared_on(pairs, teacher.who, numbers=self.classes == ())
            facts |= agreed.facts
            self.watch(agreed)
        held = mixed(own, told, numbers=self.classes == (), temperature=self.asked.temperature)
        return self._parted(answers, test, held, facts, set_aside=set_aside)

    def warn_of_seen(self, judging: Any, home: Path) -> None:
        """By heart a teacher knows better."""
        manifest = getattr(self.teacher, "manifest", None)
        if judging is None or manifest is None:
            return
        try:
            judges = read(judging, schema=Schema(manifest.inputs))
        except AiasError:  # who trains on them will say so
            return
        rows, of = seen(manifest, judges, home=home), judges.rows
        if rows:
            message = (
                f"{rows:,} of the {of:,} rows that judge are among those that {self.teacher.who} was trained on, so "
                "what is learned may look better than it is: judge by rows that it never saw (`--test FILE`, or "
                "`test=`)"
            )
            self.watch(Event("teach.seen", message, "warning", {"rows": rows, "of": of}))

    # Before asking

    def _own(self) -> list[str | None]:
        """The answers that the rows hold, as texts."""
        if not self.has_target:
            return [None] * self.dataset.rows
        return [label_of(each) or None for each in self.dataset.values(self.target)]

    def _numbers(self, own: Sequence[str | None]) -> bool:
        """Whether answers are amounts, as far as rows show it: as in training, many different numbers are."""
        if self.asked.classes or not self.has_target or self.dataset.schema[self.target].kind != "number":
            return False
        labelled = self.dataset.take(np.flatnonzero([each is not None for each in own]))
        return labelled.rows > 1 and task_for(labelled, self.target).task.type == "regression"

    def _classes(self, own: Sequence[str | None]) -> tuple[str, ...] | None:
        present = sorted({each for each in own if each is not None})
        if self._numbers(own):
            return ()
        if self.asked.classes:
            named = tuple(map(label_of, self.asked.classes))
            if odd := [each for each in present if each not in named]:
                raise BadTeacher(f"`{self.target}` is {odd[0]!r} in some rows, which the classes named are without")
            return named
        return tuple(present) if len(present) > 1 else None

    def _test(self, known: Ints, unanswered: int) -> Ints:
        """Those of one's own that are set aside, where most that is learned will be the teacher's."""
        least, most = OWN_TEST_ROWS
        outnumbered = unanswered > len(known)
        count = min(int(len(known) * OWN_TEST_SHARES[not outnumbered]), most)
        if count < least or not (outnumbered or self.asked.synthetic):
            return known[:0]
        return np.sort(known[:count])

    def _more(self, own: list[str | None], test: Ints) -> tuple[list[str | None], Any]:
        """With synthetic rows, made of those that are learned from, below the others."""
        rows = raw(self.source, self.schema, self.target)
        learned = rows[np.setdiff1d(np.arange(rows.height), test)]
        count = max(1, round(self.asked.synthetic * learned.height))
        more = synthetic(learned, self.dataset.schema, count=count, target=self.target, seed=self.seed)
        self.source = beneath(rows, more)
        self.dataset = read(self.source, target=self.target if self.has_target else None, schema=self.schema)
        own = [*own, *[None] * count]
        return own, np.array([each is not None for each in own])

    def _examples(self, known: Ints, own: Sequence[str | None]) -> Ints:
        """Some rows of each label, where enough are left to compare by."""
        counts, found = Counter[str | None](), list[int]()
        for row in np.sort(known).tolist():
            if counts[own[row]] < EXAMPLES_EACH and len(found) < min(EXAMPLES_MAX, len(known) // 2):
                counts[own[row]] += 1
                found.append(row)
        return np.array(found, np.int64)

    def _teacher(self, own: Sequence[str | None], shown: Ints) -> Labeller:
        source = self.asked.source
        known = [member("teaching.teachers", name) for name in members("teaching.teachers")]
        fitting = [each for each in known if each.fits(source)]
        if not fitting and self.asked.model:
            fitting = [member("teaching.teachers", "chat")]
        if not fitting:
            raise BadTeacher(
                f"{source!r} is not a teacher that can be asked",
                hint="a version such as big@2, http://HOST/predict/NAME of Aias, http://HOST/v2/models/NAME of any "
                "Open Inference server, or https://HOST/v1 of a chat service with `--teacher-model`, or `model=`",
            )
        fields = tuple(each for each in self.dataset.schema if each.name != self.target)
        names = [each.name for each in fields if each.role == "input"]
        rows = self.dataset.take(shown).frame.select(names).to_dicts()
        examples = tuple((row, own[place] or "") for row, place in zip(rows, shown.tolist(), strict=True))
        question = Question(
            self.target, fields, self._classes(own), self.asked.instructions, examples, self.asked.model,
            ordered=bool(self.asked.classes), home=self.folder.parent,
        )  # fmt: skip
        found: Labeller = fitting[0].open(source, question)
        self.classes = found.classes if found.classes is not None else question.classes
        for answer in dict.fromkeys(own):  # before anything is paid for
            if answer is not None and (wrong := self._wrong(answer, found)):
                hint = "are the rows' labels written as the teacher writes them?"
                raise BadTeacher(f"a row's `{self.target}` is {answer!r}, which is {wrong}", hint=hint)
        return found

    def _wrong(self, answer: str, teacher: Labeller) -> str:
        """What it is instead of one of the labels or, where these are amounts, of a number."""
        if self.classes == ():
            try:
                number_of(answer)
            except BadValue:
                return f"no number, and {teacher.who} gives numbers"
        return f"none of {', '.join(self.classes[:10])}" if self.classes and answer not in self.classes else ""

    # Asking

    def _asked(self, teacher: Labeller, places: Ints) -> Answers:
        dataset = self.dataset
        if teacher.schema is not None:
            dataset = read(self.source, schema=teacher.schema)
        names = teacher.reads or [each.name for each in dataset.schema.inputs if each.name != self.target]
        rows = dataset.take(places).frame.select(names).to_dicts()
        self.watch(Event("teach.begun", f"{teacher.who} is asked for `{self.target}` of {len(rows):,} rows"))
        cache = AnswerCache(self.folder / ANSWERS, teacher.identity)
        found = ask(
            teacher, rows, cache, calls_max=self.asked.calls, stop=self.stop, watch=self.watch,
            counts=lambda answer: bool(answer) and not self._wrong(answer, teacher),
        )  # fmt: skip
        return replace(found, said=tuple(each and self._counted(each, teacher) for each in found.said))

    def _counted(self, each: Said, teacher: Labeller) -> Said:
        """As it came, or no answer where that is none of the labels."""
        if not each.answer or not self._wrong(each.answer, teacher):
            return each
        return Said("", each.read, each.written, each.answer)

    def _answers(self, own: Sequence[str | None], said: dict[int, Said | None]) -> list[str | float | None]:
        """Own ones first, and the teacher's where they are some that count."""
        numbers = self.classes == ()
        found: list[str | float | None] = []
        for row, answer in enumerate(own):
            told = said.get(row)
            text = answer if answer is not None else told.answer if told else ""
            found.append((number_of(text) if numbers else text) if text else None)
        return found

    # Afterwards

    def _facts(
        self, teacher: Labeller, found: Answers, taught: Sequence[Said | None], answers: Sequence[str | float | None],
        mine: Any,
    ) -> dict[str, object]:  # fmt: skip
        answered = sum(each is not None for each, own in zip(answers, mine, strict=True) if not own)
        missing, nonsense = int((~mine).sum()) - answered, [each.came for each in taught if each and not each.answer]
        if not answered:
            raise TeacherRefused(
                f"{teacher.who} answered no row: {found.why or 'nothing that it said counts'}",
                hint="try again later, with more calls, or ask another teacher",
            )
        later = f"{KEPT}: the same command asks later for the others" if found.refused else ""
        if found.refused and answered < min(ENOUGH_ROWS, len(taught) / 2):
            raise TeacherRefused(
                f"{found.refused.message}; {answered:,} of {len(taught):,} rows are answered, and "
                f"{ENOUGH_ROWS} or half of them are the fewest to learn from",
                hint="; ".join(filter(None, [found.refused.hint, later])),
            )
        facts: dict[str, object] = {
            "who": teacher.who, "answered": answered, "own": int(mine.sum()), "unanswered": missing,
            "calls": found.calls, "tokens_read": found.read, "tokens_written": found.written,
            "soft": sum(bool(each.chances) for each in taught if each), "agreement": None, "compared": 0,
        }  # fmt: skip
        self.watch(_answered(facts))
        if missing:
            came = f", such as {nonsense[0]!r}" if any(nonsense[:1]) else ""
            reasons = [f"{len(nonsense):,} answers were none that counts{came}"] * bool(nonsense)
            told = "; ".join(filter(None, [*reasons, found.why, later])) or "it gave none"
            message = f"{missing:,} rows got no answer and are left out: {told}"
            self.watch(Event("teach.unanswered", message, "warning", {"rows": missing}))
        return facts

    def _parted(
        self, answers: list[str | float | None], test: Ints, held: TeacherLabels, facts: dict[str, object], *,
        set_aside: bool,
    ) -> Taught:  # fmt: skip
        have = np.array([each is not None for each in answers])
        learned = np.setdiff1d(np.flatnonzero(have), test)
        parts = [learned, test] if len(test) else [learned]
        files = keep_labelled(self.source, self.target, answers, parts, folder=self.folder, schema=self.schema)
        facts |= {"test": len(test), "opinions": str(held.take(learned).keep(self.folder))}
        if len(test):
            message = f"{len(test):,} rows with answers of their own are set aside and judge what is learned"
            self.watch(Event("teach.test", message, facts={"rows": len(test)}))
        elif set_aside and int(held.own.sum()) < int(facts["answered"]):  # type: ignore[call-overload]
            message = (
                "what is learned is judged by the teacher's own answers, right or wrong: answer at least "
                f"{2 * OWN_TEST_ROWS[0]} rows by yourself, or give rows that judge "
                "(`--test FILE`, or `test=`)"
            )
            self.watch(Event("teach.judged", message, "warning"))
        return Taught(files[0], files[1] if len(test) else None, facts)


def _answered(facts: Mapping[str, Any]) -> Event:
    read, wrote = facts["tokens_read"], facts["tokens_written"]
    tokens = f", {read:,} tokens read and {wrote:,} written" if read or wrote else ""
    how = ", as probabilities," if facts["soft"] else ""
    message = f"{facts['who']} answered {facts['answered']:,} rows{how} in {facts['calls']:,} new calls{tokens}"
    return Event("teach.answered", message, facts=dict(facts))
