"""Aias beside AutoGluon, FLAML and LightGBM on tables: the same minutes, the same two cores, the same rows.

    python benchmarks/automl.py [--sets reported] [--budget 60] [--systems aias,autogluon_best,...] [--report]

Each run is alone in a process, in its system's own environment, which is made when it is missing (minutes, and 3 GB for
AutoGluon). Runs that stand in the file of results are not repeated, so what was interrupted goes on where it stopped;
`--again aias` repeats those of the systems named. The machine must be idle: runs that began on a busy one are told.
"""

import argparse
import os
import signal
import sys
from collections.abc import Iterable
from itertools import product
from pathlib import Path
from typing import Final

from automl.report import report
from automl.results import Results, commit
from automl.runs import Place, run
from automl.sets import Set, all_sets, others, reported
from automl.systems import SYSTEMS

REPOSITORY: Final = Path(__file__).resolve().parents[1]
CORES: Final = 2
COMMAND: Final = "python benchmarks/automl.py"


def main() -> int:
    signal.signal(signal.SIGTERM, lambda *_: sys.exit(143))  # so that the run under way is ended, too
    asked = _arguments()
    results = Results(asked.out)
    sets, systems = _sets(asked.sets), _known(asked.systems, SYSTEMS)
    if not asked.report:
        if not asked.data.is_dir():
            print(f"skipped: {asked.data} is not here; name the folder of the data sets by --data")
            return 0
        _run_all(asked, results, sets, systems)
    names = {one.name for one in sets}
    told = [each for each in results.runs if each["set"] in names and each["system"] in systems]
    good = report([each for each in told if each["seed"] in asked.seeds])
    print(f"({COMMAND} {' '.join(sys.argv[1:])})".replace(" )", ")"))
    return 0 if good else 1


def _run_all(asked: argparse.Namespace, results: Results, sets: list[Set], systems: list[str]) -> None:
    """Set by set and split by split, so that peers run close to each other in time."""
    cores = tuple(sorted(os.sched_getaffinity(0))[:CORES])
    place = Place(asked.data, asked.environments, asked.out.parent / "work", cores)
    again = asked.again.split(",")
    for one, seed, system in product(sets, asked.seeds, systems):
        what = {"set": one.name, "system": system, "budget_seconds": asked.budget, "seed": seed}
        if results.has(**what) and system not in again:
            continue
        found = run(system, one, place, budget_seconds=asked.budget, seed=seed)
        results.add(found | ({"commit": commit(REPOSITORY)} if system == "aias" else {}))
        print(_told(found), file=sys.stderr, flush=True)


def _told(found: dict[str, object]) -> str:
    what = f"{found['set']} {found['system']}"
    if "failed" in found:
        return f"{what}: failed after {found['wall_seconds']:.0f} s"
    forms: dict[str, dict[str, float]] = found["forms"]  # type: ignore[assignment]
    told = "; ".join(
        f"{name} {form['score']:.5g}, {form['row_ms']:.4g} ms a row, {form['size_bytes'] / 1e6:.3g} MB"
        for name, form in forms.items()
    )
    return f"{what}: {found['fit_seconds']:.1f} s, {found['peak_mb']:.0f} MB; {told}"


def _sets(text: str) -> list[Set]:
    groups = {"reported": reported(), "others": others(), "all": tuple(all_sets().values())}
    if text in groups:
        return list(groups[text])
    return [all_sets()[name] for name in _known(text, all_sets())]


def _known(text: str, names: Iterable[str]) -> list[str]:
    found = text.split(",")
    if unknown := set(found) - set(names):
        raise SystemExit(f"unknown: {', '.join(sorted(unknown))}; there are {', '.join(names)}")
    return found


def _seeds(text: str) -> list[int]:
    return [int(seed) for seed in text.split(",")]


def _arguments() -> argparse.Namespace:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--sets", default="reported", help="reported, others, all, or names with commas between")
    parser.add_argument("--systems", default=",".join(SYSTEMS), help="names with commas between")
    parser.add_argument("--budget", type=float, default=60, help="seconds for each fit")
    parser.add_argument(
        "--seeds", type=_seeds, default=[0], help="of the split and of the systems that take one, with commas between"
    )
    parser.add_argument("--data", type=Path, default=REPOSITORY.parent / "shared" / "data")
    parser.add_argument("--environments", type=Path, default=REPOSITORY.parent, help="where the peers' are or come")
    parser.add_argument("--out", type=Path, default=REPOSITORY.parent / "results" / "automl.json")
    parser.add_argument("--again", default="", help="systems whose runs are repeated")
    parser.add_argument("--report", action="store_true", help="run nothing, print what the file says")
    return parser.parse_args()


if __name__ == "__main__":
    sys.exit(main())
