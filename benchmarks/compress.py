"""What `aias compress` makes of quality forms: times as fast and as small, with the loss that was proved.

    python benchmarks/compress.py [--data FOLDER] [--sets adult,telco,diamonds,sms] [--train 45s] [--time 80s]

FOLDER holds the data sets, by default `../shared/data`; without them it says so. The parent of each is the quality
form of one training; both are timed turn about in one process, a row from a dict to the answer.
"""

import argparse
import sys
import tempfile
from collections.abc import Callable
from pathlib import Path
from typing import Final

import polars as pl

import aias

COMMAND: Final = "python benchmarks/compress.py"
MAX_LOSS: Final = "0.5%"

Goal = tuple[float, float]
"""Times as fast and times as small."""


def adult(data: Path) -> tuple[pl.DataFrame, str]:
    path = data / "tabular" / "adult_census" / "adult-train.csv"
    frame = pl.read_csv(path, has_header=False, new_columns=[f"c{i}" for i in range(15)])
    return frame.with_columns(pl.col(pl.String).str.strip_chars()), "c14"


def telco(data: Path) -> tuple[pl.DataFrame, str]:
    return pl.read_csv(data / "tabular" / "telco_churn" / "Telco-Customer-Churn.csv"), "Churn"


def diamonds(data: Path) -> tuple[pl.DataFrame, str]:
    return pl.read_parquet(data / "tabular" / "diamonds" / "diamonds.parquet"), "price"


def sms(data: Path) -> tuple[pl.DataFrame, str]:
    path = data / "text" / "sms_spam" / "sms.tsv"
    return pl.read_csv(path, separator="\t", has_header=False, quote_char=None, new_columns=["label", "text"]), "label"


SETS: Final[dict[str, tuple[Callable[[Path], tuple[pl.DataFrame, str]], Goal]]] = {
    "adult": (adult, (20.0, 20.0)), "telco": (telco, (20.0, 20.0)), "diamonds": (diamonds, (20.0, 20.0)),
    "sms": (sms, (1.0, 10.0)),
}  # fmt: skip


def main() -> int:
    asked = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    asked.add_argument("--data", type=Path, default=Path(__file__).resolve().parents[2] / "shared" / "data")
    asked.add_argument("--sets", default=",".join(SETS))
    asked.add_argument("--train", default="45s")
    asked.add_argument("--time", default="80s")
    args = asked.parse_args()
    if not args.data.is_dir():
        print(f"skipped: {args.data} is not here; name the folder of the data sets")
        return 0
    good = [measured(name, args) for name in args.sets.split(",")]
    print(f"({COMMAND} --sets {args.sets} --train {args.train} --time {args.time})")
    return 0 if all(good) else 1


def measured(name: str, args: argparse.Namespace) -> bool:
    read, goal = SETS[name]
    frame, target = read(args.data)
    with tempfile.TemporaryDirectory() as home:
        parent = aias.train(frame, target=target, name=name, time=args.train, test=0.2, home=Path(home)).quality
        found = parent.compress(data=frame, max_loss=MAX_LOSS, time=args.time)
    published = next((each for each in found.frontier.points if each.state == "published"), None)
    print(f"{name}: {found.frontier.verdict}")
    if published is None or published.speed is None or published.pace is None:
        print(f"{name}/certified  none  goal {goal[0]:g}× as fast, {goal[1]:g}× as small  MISS")
        return False
    told = [("as fast", published.speed.value, goal[0]), ("as small", published.smaller, goal[1])]
    for what, value, wanted in told:
        print(
            f"{name}/{what.replace(' ', '_')}  {value:.1f} × {parent.ref}  goal ≥ {wanted:g}  {word(value >= wanted)}"
        )
    print(f"  {published.pace.p50.value:.0f} µs a row, {published.size_bytes:,} bytes")
    return all(value >= wanted for _, value, wanted in told)


def word(good: bool) -> str:
    return "ok" if good else "MISS"


if __name__ == "__main__":
    sys.exit(main())
