"""AutoGluon `best_quality` as the teacher of a served form: times as fast on one row, with the loss that is proved.

    python benchmarks/distil_autogluon.py [--python PATH] [--data FOLDER] [--sets adult,telco,diamonds]
                                          [--teach 60] [--learn 60s] [--rows N] [--parts 2]

PATH is a Python that has AutoGluon, by default `../peers-autogluon/bin/python`; it runs in a process of its own and is
timed turn about with ours: AutoGluon's frame of one row is ready made, ours begins with a dict. The student learns what
the teacher says of made-up rows (a tenth of the columns from another row) and, of the training rows, the mean of what
it says out of fold and what is true; of two classes the probability. The rows are cut in `--parts`, from two on: each
judges a teacher and a student that have seen none of it, so that all rows together prove the loss.
"""

import argparse
import json
import subprocess
import sys
import tempfile
import time
from itertools import pairwise
from pathlib import Path
from typing import Any, Final

import numpy as np
import polars as pl
from compress import SETS, word

import aias
from aias.compress.comparison import Answered, evidence
from aias.compress.gate.verdict import Claim, judge
from aias.core.task import Task
from aias.training.scoring.metrics import measure

COMMAND: Final = "python benchmarks/distil_autogluon.py"
FASTER: Final = 200.0
MAX_LOSS: Final = 0.005
FROM_OTHERS: Final = 0.1
MADE_UP: Final = (5, 50_000)
"""Times the rows, and at most: to be asked for more takes AutoGluon minutes."""

TRUTH: Final = 0.5
"""Of what is learned of a real row: where the teacher errs, the student need not."""

BLOCKS, CALLS = 6, 10


def main() -> int:
    asked = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    beside = Path(__file__).resolve().parents[2]
    asked.add_argument("--data", type=Path, default=beside / "shared" / "data")
    asked.add_argument("--python", type=Path, default=beside / "peers-autogluon" / "bin" / "python")
    asked.add_argument("--sets", default="adult,telco,diamonds")
    asked.add_argument("--teach", type=int, default=60)
    asked.add_argument("--learn", default="60s")
    asked.add_argument("--rows", type=int)
    asked.add_argument("--parts", type=int, default=2)
    args = asked.parse_args()
    if args.parts < 2:
        asked.error("--parts: from 2 on, as each part judges what was learned from the others")
    if not args.data.is_dir() or not args.python.exists():
        print(f"skipped: {args.data} or {args.python} is not here; name them")
        return 0
    good = [measured(name, args) for name in args.sets.split(",")]
    print(f"({COMMAND} {' '.join(sys.argv[1:])})")
    return 0 if all(good) else 1


def measured(name: str, args: argparse.Namespace) -> bool:
    read, _ = SETS[name]
    frame, target = read(args.data)
    frame = frame.drop_nulls(target)
    frame = frame.sample(min(frame.height, args.rows or frame.height), shuffle=True, seed=0)
    ends = [frame.height * part // args.parts for part in range(args.parts + 1)]
    lessons = []
    for number, (begin, end) in enumerate(pairwise(ends)):
        with tempfile.TemporaryDirectory() as folder:
            lessons.append(lesson := Lesson(name, frame, (begin, end), target, Path(folder), args))
            lesson.learn(timed=number == 0)
    return judged(name, lessons)


def judged(name: str, lessons: "list[Lesson]") -> bool:
    """By all that their parts say together."""
    first = lessons[0]
    true, teacher, ours = (np.concatenate(each) for each in zip(*(lesson.said for lesson in lessons), strict=True))
    before, after = (Answered(first.scores(each), None) for each in (teacher, ours))
    metric = float(measure(first.task, true, first.scores(teacher)).value)
    found = evidence(first.task, true, before, after, seed=0)
    (verdict,) = judge(
        [Claim("student", found, {})], metric=first.task.metric, margin=MAX_LOSS * metric, part_margin=np.inf
    )
    print(
        f"{name}: {first.task.metric} {metric:.5g} on {len(true):,} rows, loss {verdict.loss.value:+.4g} "
        f"[{verdict.loss.low:+.4g}, {verdict.loss.high:+.4g}], {first.smaller:,.0f} × as small"
    )
    good = first.faster >= FASTER and verdict.certified
    proved = "certified" if verdict.certified else verdict.reason
    print(f"{name}/as_fast  {first.faster:,.0f} × AutoGluon best_quality, {proved}  goal ≥ {FASTER:g}  {word(good)}")
    return good


class Lesson:
    """What one teacher and its student say of a part of the rows that neither has seen."""

    def __init__(
        self, name: str, frame: pl.DataFrame, part: tuple[int, int], target: str, folder: Path, args: argparse.Namespace
    ) -> None:
        self.name, self.target, self.folder, self.args = name, target, folder, args
        begin, end = part
        self.test, self.train = frame[begin:end], pl.concat([frame[:begin], frame[end:]])
        self.classes = tuple(sorted(frame[target].unique().to_list())) if frame[target].dtype == pl.String else ()
        metric = "roc_auc" if self.classes else "rmse"
        self.task = Task(target, "binary" if self.classes else "regression", metric, self.classes)
        self.faster = self.smaller = 0.0

    def learn(self, *, timed: bool) -> None:
        teacher, told = self._taught()
        try:
            rows = self.train.drop(self.target)
            real, more = (pl.read_parquet(self.folder / f"{part}_said.parquet") for part in ("train", "made_up"))
            real = real.with_columns(said=TRUTH * self._true(self.train) + (1 - TRUTH) * pl.col("said"))
            lesson = pl.concat([rows, self.made_up]).with_columns(pl.concat([real, more])["said"])
            known = lesson.filter(pl.col("said").is_finite())
            student = aias.train(
                known, target="said", name="student", time=self.args.learn, metric="rmse", test=0.0,
                home=self.folder / "home",
            )  # fmt: skip
            teacher_said = pl.read_parquet(self.folder / "test_said.parquet")["said"].to_numpy()
            ours = np.asarray(student.predict(self.test.drop(self.target)), np.float64)
            self.said = self._true(self.test).to_numpy(), teacher_said, ours
            print(
                f"{self.name}: {told['model']}, one of {told['models']} models, answered {rows.height:,} rows "
                f"{told['how']} and {self.made_up.height:,} made-up ones"
            )
            if timed:
                self.faster = self._faster(teacher, student)
                self.smaller = told["bytes"] / student.version.size_bytes
        finally:
            teacher.kill()
            teacher.wait()

    def _taught(self) -> tuple[subprocess.Popen[str], dict[str, Any]]:
        rng, rows = np.random.default_rng(0), self.train.drop(self.target)
        count = min(MADE_UP[0] * rows.height, MADE_UP[1])
        own, other = rng.integers(0, rows.height, (2, count))
        self.made_up = pl.DataFrame([
            each[np.where(rng.random(count) < FROM_OTHERS, other, own)] for each in rows.iter_columns()
        ])  # fmt: skip
        for name, part in (("train", self.train), ("made_up", self.made_up), ("test", self.test.drop(self.target))):
            part.write_parquet(self.folder / f"{name}.parquet")
        metric = {"roc_auc": "roc_auc", "rmse": "root_mean_squared_error"}[self.task.metric]
        job = {"target": self.target, "kind": self.task.type, "metric": metric, "seconds": self.args.teach, "cores": 1}
        (self.folder / "job.json").write_text(json.dumps(job))
        child = subprocess.Popen(
            [self.args.python, Path(__file__).with_name("autogluon_teacher.py"), self.folder], text=True,
            stdin=subprocess.PIPE, stdout=subprocess.PIPE, cwd=self.folder,
        )  # fmt: skip
        return child, answered(child)

    def _true(self, rows: pl.DataFrame) -> pl.Series:
        y = rows[self.target]
        return y.eq(self.classes[1]).cast(pl.Int64) if self.classes else y

    def scores(self, said: Any) -> Any:
        if not self.classes:
            return said[:, None]
        chance = np.clip(said, 0, 1)
        return np.column_stack([1 - chance, chance])

    def _faster(self, teacher: subprocess.Popen[str], student: aias.Model) -> float:
        """The ratio of the medians of single rows, A-B-B-A."""
        rows = self.test.drop(self.target).head(60).to_dicts()
        theirs: list[float] = []
        ours: list[float] = []
        for block in range(BLOCKS):
            turns = [self._theirs, self._ours] if block % 2 else [self._ours, self._theirs]
            for turn in turns:
                (theirs if turn == self._theirs else ours).extend(turn(teacher, student, rows))
        print(
            f"{self.name}: a row takes {1e3 * np.median(theirs):.1f} ms there and {1e6 * np.median(ours):.0f} µs here"
        )
        return float(np.median(theirs) / np.median(ours))

    def _theirs(self, teacher: subprocess.Popen[str], _student: aias.Model, _rows: Any) -> list[float]:
        assert teacher.stdin is not None
        teacher.stdin.write(f"time {CALLS}\n")
        teacher.stdin.flush()
        return list(answered(teacher))

    @staticmethod
    def _ours(_teacher: object, student: aias.Model, rows: list[dict[str, Any]]) -> list[float]:
        spent = []
        for row in rows:
            began = time.perf_counter()
            student.runtime.predict([row])
            spent.append(time.perf_counter() - began)
        return spent


def answered(child: subprocess.Popen[str]) -> Any:
    """The next line of JSON; AutoGluon's own lines stand between."""
    assert child.stdout is not None
    for line in child.stdout:
        if line[:1] in "{[":
            return json.loads(line)
    raise SystemExit("AutoGluon ended; its words stand above")


if __name__ == "__main__":
    sys.exit(main())
