"""What training costs as rows grow: seconds and memory for 1,000 to 1,000,000 rows of 20 columns.

    python benchmarks/scaling.py [--rows 1000,10000,100000,1000000] [--budget 600] [--learners linear,boosted_trees]
                                 [--out out/scaling]

16 numbers and 4 categories, drawn here, in a Parquet file; each size is trained in a process of its own. What is
measured is a fixed work: reading, one fit of each learner with fixed settings on all rows but those that judge, another
on all rows, both forms compiled, proved and published. Its cost is the time of processors that this process and its
children had, so that others' work on the machine has no part in it. Memory is their peak (shared pages count once),
beside the table's size in memory. A fit that has used up its budget says nothing of growth, and is told so.

Each size that is measured stays in `points.json`: begun again, only what is missing is run, or what another commit has
measured. `seconds.svg` and `memory.svg` are drawn anew after each.
"""

import argparse
import json
import subprocess
import sys
import tempfile
import time
from dataclasses import asdict, dataclass
from itertools import pairwise
from pathlib import Path
from typing import Any, Final

import numpy as np
import polars as pl
from automl.memory import PeakMemory
from automl.results import commit

from aias.plots.frame import Axis
from aias.plots.lines import Line, line_chart

GROWTH_MAX: Final = 1.3
"""How much more ten times the rows may cost than ten times as much; sorting alone asks for 1.2."""

MEMORY_TIMES, MEMORY_BEYOND_MB = 3, 500
BUDGET_SPENT: Final = 0.95
COMMAND: Final = "python benchmarks/scaling.py"
SETTINGS: Final[dict[str, dict[str, Any]]] = {
    "linear": {"C": 1.0}, "boosted_trees": {"learning_rate": 0.05, "rounds": 150}, "extra_trees": {"trees": 100},
}  # fmt: skip


@dataclass(frozen=True, slots=True)
class Point:
    rows: int
    seconds: float
    """Of processors, all processes together."""
    wall_seconds: float
    peak_mb: float
    data_mb: float
    score: str


def main() -> int:
    if sys.argv[1:2] == ["fit"]:
        fit(json.loads(sys.argv[2]))
        return 0
    asked = _arguments()
    kept = Kept(Path(asked.out), budget=asked.budget, learners=asked.learners)
    points: list[Point] = []
    with tempfile.TemporaryDirectory() as folder:
        for rows in sorted(int(text) for text in asked.rows.split(",")):
            point = kept.get(rows) or kept.put(measured(rows, Path(folder), asked))
            points.append(point)
            show(point)
            draw(points, Path(asked.out))
    good = [*growth(points, asked.budget), *memory(points)]
    print(f"({COMMAND} {' '.join(sys.argv[1:])})".replace(" )", ")"))
    return 0 if all(good) else 1


class Kept:
    """The points of before, by their rows; only those that were measured alike."""

    def __init__(self, folder: Path, **alike: Any) -> None:
        self.path = folder / "points.json"
        self.alike = {**alike, "commit": commit(Path(__file__).parent)}
        held = json.loads(self.path.read_text()) if self.path.exists() else []
        self.all: list[dict[str, Any]] = [each for each in held if each["alike"] == self.alike]

    def get(self, rows: int) -> Point | None:
        return next((Point(**each["point"]) for each in self.all if each["point"]["rows"] == rows), None)

    def put(self, point: Point) -> Point:
        self.all.append({"alike": self.alike, "point": asdict(point)})
        self.path.parent.mkdir(parents=True, exist_ok=True)
        new = self.path.with_suffix(".new")
        new.write_text(json.dumps(self.all, indent=1))
        new.replace(self.path)
        return point


def measured(rows: int, folder: Path, asked: argparse.Namespace) -> Point:
    data = table(rows)
    path, told = folder / f"{rows}.parquet", folder / f"{rows}.json"
    data.write_parquet(path)
    what = {
        "path": str(path), "told": str(told), "home": str(folder / f"home-{rows}"), "budget": asked.budget,
        "learners": asked.learners.split(","),
    }  # fmt: skip
    process = subprocess.Popen([sys.executable, __file__, "fit", json.dumps(what)])
    seen = PeakMemory(process.pid)
    seen.start()
    code = process.wait()
    peak_mb = seen.stop()
    if code != 0:
        raise SystemExit(f"training on {rows:,} rows ended with {code}; what it said stands above")
    found = json.loads(told.read_text())
    return Point(rows, seen.processor_seconds, found["seconds"], peak_mb, data.estimated_size("mb"), found["score"])


def fit(what: dict[str, Any]) -> None:
    """In the child: from the file to the published version."""
    import aias

    began = time.perf_counter()
    model = aias.train(
        what["path"], target="y", name="scaling", time=what["budget"], folds=1, search=False,
        learners={name: SETTINGS[name] for name in what["learners"]}, home=Path(what["home"]),
    )  # fmt: skip
    seconds = time.perf_counter() - began
    best = model.quality.manifest.measurements[0]
    told = {"seconds": seconds, "score": f"{best.metric} {best.value:.4f}"}
    Path(what["told"]).write_text(json.dumps(told))


def table(rows: int) -> pl.DataFrame:
    rng = np.random.default_rng(rows)
    numbers = {f"n{i}": rng.normal(size=rows) for i in range(16)}
    categories = {f"c{i}": rng.choice(list("uvwxyz"), size=rows) for i in range(4)}
    sums = numbers["n0"] * numbers["n1"] + numbers["n2"] + np.isin(categories["c0"], ["u", "v"])
    y = np.where(sums + rng.normal(scale=0.5, size=rows) > 0.4, "yes", "no")
    return pl.DataFrame(numbers | categories | {"y": y})


def show(point: Point) -> None:
    """A line of the curve, with a bar on a logarithmic scale."""
    bar = "█" * max(1, round(8 * np.log10(1 + point.seconds)))
    print(
        f"{point.rows:>9,} rows {point.seconds:8.1f} s {1e6 * point.seconds / point.rows:9.0f} µs/row"
        f" {point.peak_mb:7.0f} MB of {point.data_mb:5.0f} MB data  {point.score}  {bar}",
        flush=True,
    )


def draw(points: list[Point], folder: Path) -> None:
    """Both curves, each beside what it is held against, on axes of powers of ten."""
    if len(points) < 2:
        return
    folder.mkdir(parents=True, exist_ok=True)
    rows = np.array([float(point.rows) for point in points])
    seconds = np.array([point.seconds for point in points])
    megabytes = np.array([point.peak_mb for point in points])
    allowed = np.array([MEMORY_TIMES * point.data_mb + MEMORY_BEYOND_MB for point in points])
    drawn = {
        "seconds": ("Processor seconds of training", "dashed: as the rows grow", seconds, seconds[0] * rows / rows[0]),
        "memory": ("Memory of training at its peak", f"dashed: {MEMORY_TIMES} × data + {MEMORY_BEYOND_MB} MB",
                   megabytes, allowed),
    }  # fmt: skip
    for name, (title, note, values, beside) in drawn.items():
        x, main, faint = (np.log10(np.maximum(each, 1e-3)) for each in (rows, values, beside))
        lines = [Line(x, faint, "guide"), Line(x, main, dots=True)]
        across, up = _powers("rows", x), _powers("MB" if name == "memory" else "s", np.concatenate([main, faint]))
        (folder / f"{name}.svg").write_bytes(line_chart(title, note, across, up, lines))


def _powers(name: str, logs: Any) -> Axis:
    low, high = float(np.floor(logs.min())), float(np.ceil(logs.max()))
    return Axis(name, low, max(high, low + 1), powers=True)


def growth(points: list[Point], budget: float) -> list[bool]:
    """Each size beside the next smaller one."""
    good = []
    for small, large in pairwise(points):
        subject = f"scaling/{small.rows}_to_{large.rows}/seconds"
        times = large.rows / small.rows
        if large.wall_seconds >= BUDGET_SPENT * budget:
            print(f"{subject}  the budget of {budget:g} s was used up: no growth to tell")
        else:
            good.append(_linear(subject, small.seconds, large.seconds, times))
    return good


def _linear(subject: str, before: float, after: float, times: float) -> bool:
    ratio, met = after / (before * times), after <= before * times * GROWTH_MAX
    print(f"{subject}  {ratio:.2f} × {before * times:.1f} s linear  goal ≤ {GROWTH_MAX} ×  {'ok' if met else 'MISS'}")
    return met


def memory(points: list[Point]) -> list[bool]:
    good = []
    for point in points:
        allowed = MEMORY_TIMES * point.data_mb + MEMORY_BEYOND_MB
        met = point.peak_mb <= allowed
        print(
            f"scaling/{point.rows}/peak_mb  {point.peak_mb / allowed:.2f} × {allowed:.0f} MB, which is"
            f" {MEMORY_TIMES} × data + {MEMORY_BEYOND_MB} MB  ({point.peak_mb:.0f} MB)  goal ≤ 1 ×"
            f"  {'ok' if met else 'MISS'}"
        )
        good.append(met)
    return good


def _arguments() -> argparse.Namespace:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--rows", default="1000,10000,100000,1000000", help="sizes with commas between")
    parser.add_argument("--budget", type=float, default=600, help="seconds for each fit, more than it should need")
    parser.add_argument("--learners", default="linear,boosted_trees", help=f"of {', '.join(SETTINGS)}")
    parser.add_argument("--out", default="out/scaling", help="the folder where points and curves are kept")
    return parser.parse_args()


if __name__ == "__main__":
    sys.exit(main())
