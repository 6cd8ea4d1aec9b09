"""How soon there is a model that can be deployed: from the start of the command to the first published version.

    python benchmarks/first_model.py [FOLDER] [--sets german_credit,churn] [--times 3] [--budget 10]

FOLDER holds the sets of `benchmarks/automl.py`, by default `../shared/data/tabular`; without it this says so and ends.
Each time `aias train SET --early` begins anew, in a process of its own and a home that is there already; imports count.
The whole training is waited for, and how long it took beside its budget is told, too.
"""

import argparse
import json
import os
import statistics
import subprocess
import sys
import tempfile
import time
from pathlib import Path
from typing import Final

import polars as pl
from automl.sets import all_sets

COMMAND: Final = "python benchmarks/first_model.py"
FIRST_SECONDS: Final = 3.0
OVERRUN: Final = (1.05, 2.0)
"""Times the budget, and seconds beside it: whichever is more."""


def main() -> int:
    asked = _arguments()
    if not asked.folder.is_dir():
        print(f"skipped: {asked.folder} is not here; name the folder of the data sets")
        return 0
    good = []
    with tempfile.TemporaryDirectory() as folder:
        subprocess.run([sys.executable, "-m", "aias", "ls"], env=at(Path(folder)), check=True, capture_output=True)
        for name in asked.sets.split(","):
            one = all_sets()[name]
            read = one.read(asked.folder)
            table, path = read if isinstance(read, pl.DataFrame) else read[0], Path(folder) / f"{name}.csv"
            table.write_csv(path)
            runs = [timed(path, one.target, asked.budget, home=Path(folder)) for _ in range(asked.times)]
            good += told(name, table, runs, asked.budget)
    print(f"({COMMAND} {' '.join(sys.argv[1:])})".replace(" )", ")"))
    return 0 if all(good) else 1


def at(home: Path) -> dict[str, str]:
    return os.environ | {"AIAS_HOME": str(home)}


def timed(path: Path, target: str, budget: float, *, home: Path) -> tuple[float, float]:
    """Seconds to the first published version, and to the end."""
    words = ["train", str(path), "--target", target, "--early", "--time", f"{budget:g}s", "--json"]
    began, first = time.perf_counter(), None
    process = subprocess.Popen(
        [sys.executable, "-m", "aias", *words], env=at(home), stdout=subprocess.PIPE,
        text=True,
    )  # fmt: skip
    assert process.stdout is not None, "it was asked for"
    for line in process.stdout:
        if first is None and json.loads(line)["event"] == "train.published":
            first = time.perf_counter() - began
    if process.wait() != 0 or first is None:
        raise SystemExit(f"training on {path.name} ended with {process.returncode}, {first} s to the first model")
    return first, time.perf_counter() - began


def told(name: str, table: pl.DataFrame, runs: list[tuple[float, float]], budget: float) -> list[bool]:
    """The median of the first models, and the latest end."""
    first, end = statistics.median(one for one, _ in runs), max(one for _, one in runs)
    most = max(OVERRUN[0] * budget, budget + OVERRUN[1])
    size = f"{len(table):,} rows × {table.width - 1} columns"
    times = ", ".join(f"{one:.2f}" for one, _ in runs)
    met = first <= FIRST_SECONDS, end <= most
    print(
        f"first_model/{name}/seconds  {first / FIRST_SECONDS:.2f} × {FIRST_SECONDS:g} s  ({size}: {times} s)"
        f"  goal ≤ 1 ×  {'ok' if met[0] else 'MISS'}\n"
        f"first_model/{name}/end  {end / budget:.2f} × the budget of {budget:g} s  (latest of {len(runs)})"
        f"  goal ≤ {most / budget:.2f} ×  {'ok' if met[1] else 'MISS'}",
        flush=True,
    )
    return list(met)


def _arguments() -> argparse.Namespace:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    usual = Path(__file__).resolve().parents[2] / "shared" / "data" / "tabular"
    parser.add_argument("folder", type=Path, nargs="?", default=usual)
    parser.add_argument("--sets", default="german_credit,churn", help="names with commas between")
    parser.add_argument("--times", type=int, default=3, help="how often for each")
    parser.add_argument("--budget", type=float, default=10, help="seconds for each training")
    return parser.parse_args()


if __name__ == "__main__":
    sys.exit(main())
