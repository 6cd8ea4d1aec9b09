"""Our server beside others: each in its own environment, with the same model file, the same load, the same cores.

    python benchmarks/serving.py [--rows row,alone,sentences,many] [--systems aias,floor_wsgi,...] [--report]

The server has core 0, with all of its processes, and the load generator core 1. `row`: one row of JSON to a model of
200 trees over 14 numbers, at 1, 32 and 128 connections; ours with keys, quotas and metrics on. `alone`: what ours takes
to be ready, holds, and adds to a call. `sentences`: short and long texts, with and without runs in common
(`batching.py`). `many`: ten models asked, alone and beside 490 that nobody asks.

The systems take turns, so that a busy hour of the machine meets all of them; what stands in the file of results is not
run again. Environments are made when they are missing (minutes, and 3 GB for all).
"""

import argparse
import os
import statistics
import sys
import tempfile
from pathlib import Path
from typing import Final

import batching
from own_server import QUOTAS, key_of
from serving import alone, many
from serving.load import WrongAnswer
from serving.model import Work, make
from serving.picture import picture
from serving.report import markdown
from serving.results import Results
from serving.runs import DidNotStart, measured, running
from serving.systems import SYSTEMS

REPOSITORY: Final = Path(__file__).resolve().parents[1]
ROWS: Final = ("row", "alone", "sentences", "many")
COMMAND: Final = "python benchmarks/serving.py"


def main() -> int:
    asked = _arguments()
    results = Results(asked.out)
    if not asked.report:
        with tempfile.TemporaryDirectory() as folder:
            home = Path(folder, "home")
            home.mkdir()
            _run_all(asked, results, home)
    text = markdown(results)
    asked.out.with_suffix(".md").write_text(text + "\n")
    if (drawn := picture(results)) is not None:
        asked.out.with_suffix(".svg").write_bytes(drawn)
    print(f"{text}\n({COMMAND} {' '.join(sys.argv[1:])})".replace(" )", ")"))
    return 1 if "MISS" in text else 0


def _run_all(asked: argparse.Namespace, results: Results, home: Path) -> None:
    rows, systems = asked.rows.split(","), asked.systems.split(",")
    if {"row", "alone", "many"} & set(rows):
        work, key = make(home, home.parent / "trees.onnx"), key_of(home, QUOTAS)
        if "row" in rows:
            for turn in range(asked.turns):
                for system in systems:
                    _row(asked, results, work, key=key, system=system, turn=turn)
        if "alone" in rows and not results.has(row="alone"):
            results.add({"row": "alone", "found": alone.measure(work, environments=asked.environments, key=key)})
        if "many" in rows and not results.has(row="many"):
            results.add({"row": "many", "found": many.measure(work, environments=asked.environments, many=asked.many)})
    if "sentences" in rows and not results.has(row="sentences"):
        results.add({"row": "sentences", "found": batching.measure()})


def _row(asked: argparse.Namespace, results: Results, work: Work, *, key: str, system: str, turn: int) -> None:
    left = [
        connections for connections in map(int, asked.connections.split(","))
        if not results.has(row="row", system=system, turn=turn, connections=connections)
    ]  # fmt: skip
    if not left:
        return
    try:
        with running(system, work, environments=asked.environments, key=key) as job:
            for connections in left:
                found = measured(job, connections=connections, seconds=asked.seconds)
                what = {"row": "row", "system": system, "turn": turn, "connections": connections}
                results.add(what | {"load": statistics.fmean(os.getloadavg()[:1]), "found": found})
                print(f"{what} {found['per_s']:,.0f}/s, {found['cpu_us']:.0f} µs", file=sys.stderr, flush=True)
    except (DidNotStart, WrongAnswer) as fault:
        print(f"{system}: {fault}", file=sys.stderr, flush=True)


def _arguments() -> argparse.Namespace:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--rows", default=",".join(ROWS), help="names with commas between")
    parser.add_argument("--systems", default=",".join(SYSTEMS), help="names with commas between")
    parser.add_argument("--connections", default="1,32,128")
    parser.add_argument("--seconds", type=float, default=4, help="of each measurement")
    parser.add_argument("--turns", type=int, default=3)
    parser.add_argument("--many", type=int, default=many.MANY, help="models of the row `many`")
    parser.add_argument("--environments", type=Path, default=REPOSITORY.parent, help="where the peers' are or come")
    parser.add_argument("--out", type=Path, default=REPOSITORY.parent / "results" / "serving.json")
    parser.add_argument("--report", action="store_true", help="run nothing, print what the file says")
    return parser.parse_args()


if __name__ == "__main__":
    sys.exit(main())
