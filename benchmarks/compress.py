"""What `aias compress` makes of quality forms: times as fast and as small, with the loss that was proved.

    python benchmarks/compress.py [--data FOLDER] [--sets adult,pmlb,...] [--train 45s] [--time 80s] [--max-loss 0.5%]
                                  [--callers 4] [--results FILE] [--rows N] [--metric r2] [--report]

FOLDER holds the data sets, by default `../shared/data`; without them it says so. `pmlb` stands for all sets of
pmlb_dev_pack. The parent of each set is the quality form of one training. It and every candidate take turns in one
process, a row from a dict to the answer. What a set came to is written to the results at once, and a set that stands
there is not run again; `--report` only reads them. `--rows` trains on N rows drawn once.
"""

import argparse
import json
import sys
import tempfile
from collections.abc import Callable
from pathlib import Path
from typing import Any, Final

import msgspec
import polars as pl
from text.sets import SETS as TEXTS

import aias

COMMAND: Final = "python benchmarks/compress.py"

Goal = tuple[float, float]
"""Times as fast and times as small."""

ENSEMBLE: Final = (20.0, 20.0)
WORDS: Final = (1.0, 10.0)
NOT_SLOWER: Final = 0.95
"""In place of once as fast: by so much two runs of one model differ."""

PMLB: Final = (
    "197_cpu_act", "201_pol", "537_houses", "car", "churn", "connect_4", "diabetes", "kr_vs_kp", "magic", "phoneme",
    "satimage", "segmentation", "spambase",
)  # fmt: skip

Read = Callable[[Path], tuple[pl.DataFrame, str]]


def adult(data: Path) -> tuple[pl.DataFrame, str]:
    path = data / "tabular" / "adult_census" / "adult-train.csv"
    frame = pl.read_csv(path, has_header=False, new_columns=[f"c{i}" for i in range(15)])
    return frame.with_columns(pl.col(pl.String).str.strip_chars()), "c14"


def telco(data: Path) -> tuple[pl.DataFrame, str]:
    return pl.read_csv(data / "tabular" / "telco_churn" / "Telco-Customer-Churn.csv"), "Churn"


def diamonds(data: Path) -> tuple[pl.DataFrame, str]:
    return pl.read_parquet(data / "tabular" / "diamonds" / "diamonds.parquet").drop("rownames"), "price"


def pmlb(name: str) -> Read:
    def read(data: Path) -> tuple[pl.DataFrame, str]:
        path = data / "tabular" / "pmlb_dev_pack" / f"{name}.tsv.gz"
        return pl.read_csv(path, separator="\t", infer_schema_length=None), "target"

    return read


def texts(name: str) -> Read:
    """All of its rows; a fifth is set aside here as of every set."""

    def read(data: Path) -> tuple[pl.DataFrame, str]:
        return pl.concat(TEXTS[name].read(data / "text")), "label"

    return read


def sms(data: Path) -> tuple[pl.DataFrame, str]:
    path = data / "text" / "sms_spam" / "sms.tsv"
    return pl.read_csv(path, separator="\t", has_header=False, new_columns=["label", "text"], quote_char=None), "label"


SETS: Final[dict[str, tuple[Read, Goal]]] = {
    "adult": (adult, ENSEMBLE), "telco": (telco, ENSEMBLE), "diamonds": (diamonds, ENSEMBLE),
    **{name: (pmlb(name), ENSEMBLE) for name in PMLB},
    "sms_spam": (sms, WORDS), "online_shopping_10cats": (texts("online_shopping_10cats"), WORDS),
}  # fmt: skip

METRICS: Final = {"online_shopping_10cats": "accuracy"}
"""Where not the usual one: of half a per cent of its log loss 12,555 rows can say nothing; 106,123 could."""


def main() -> int:
    asked = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    asked.add_argument("--data", type=Path, default=Path(__file__).resolve().parents[2] / "shared" / "data")
    asked.add_argument("--sets", default=",".join(SETS))
    asked.add_argument("--train", default="45s")
    asked.add_argument("--time", default="80s")
    asked.add_argument("--max-loss", default="0.5%")
    asked.add_argument("--callers", type=int, default=4)
    asked.add_argument("--results", type=Path, default=Path("compress.json"))
    asked.add_argument("--rows", type=int)
    asked.add_argument("--metric", help="in place of the usual one, such as r2")
    asked.add_argument("--report", action="store_true")
    args = asked.parse_args()
    held = json.loads(args.results.read_text()) if args.results.exists() else {}
    if not args.report:
        if not args.data.is_dir():
            print(f"skipped: {args.data} is not here; name the folder of the data sets")
            return 0
        names = [each for name in args.sets.split(",") for each in (PMLB if name == "pmlb" else (name,))]
        for name in [each for each in names if each not in held]:
            held[name] = measured(name, args)
            kept(args.results, held)
    good = [reported(name, found) for name, found in held.items()]
    print(f"({COMMAND} {' '.join(sys.argv[1:])})")
    return 0 if all(good) else 1


def measured(name: str, args: argparse.Namespace) -> dict[str, Any]:
    """The frontier, and what its parent scores."""
    frame, target = SETS[name][0](args.data)
    frame = frame.sample(min(args.rows or frame.height, frame.height), seed=0)
    with tempfile.TemporaryDirectory() as home:
        metric = args.metric or METRICS.get(name)
        parent = aias.train(
            frame, target=target, name="parent", time=args.train, test=0.2, metric=metric, home=Path(home)
        ).quality
        found = parent.compress(data=frame, max_loss=args.max_loss, time=args.time, callers=args.callers)
    score = parent.manifest.measurements[0]
    said = {"score": msgspec.to_builtins(score), "frontier": msgspec.to_builtins(found.frontier)}
    return said | {"train": args.train, "time": args.time, "max_loss": args.max_loss, "rows": frame.height}


def kept(path: Path, held: dict[str, Any]) -> None:
    beside = path.with_suffix(".new")
    beside.write_text(json.dumps(held, indent=1))
    beside.replace(path)


def reported(name: str, found: dict[str, Any]) -> bool:
    frontier, goal = found["frontier"], SETS[name][1]
    score = found["score"]
    print(f"\n{name}: {score['metric']} {score['value']:.4f}; {frontier['verdict']}")
    for each in sorted(frontier["points"], key=lambda point: p50(point) or float("inf")):
        if each["pace"]:
            print(f"  {told(each, frontier['callers'])}")
    best = next((each for each in frontier["points"] if each["state"] == "published"), None)
    if best is None:
        print(f"{name}/certified  none  goal ≥ {goal[0]:g}× as fast, ≥ {goal[1]:g}× as small  MISS")
        return False
    speed, smaller = best["speed"]["value"], best["smaller"]
    fast = speed >= (NOT_SLOWER if goal[0] == 1 else goal[0])
    print(f"{name}/as_fast  {speed:.1f} × the quality form  goal ≥ {goal[0]:g}  {word(fast)}")
    print(f"{name}/as_small  {smaller:.1f} × the quality form  goal ≥ {goal[1]:g}  {word(smaller >= goal[1])}")
    return bool(fast and smaller >= goal[1])


def told(each: dict[str, Any], callers: int) -> str:
    pace, together, held = each["pace"], each["together"], each["footprint"]
    several = f"{together['pace']['p50']['value']:9.0f} µs by {callers}" if together else ""
    memory = f"{held['memory_bytes'] / 1e6:6.1f} MB, loaded in {held['load_ms']:6.1f} ms" if held else ""
    loss = each["certified"] or each["searched"]
    lost = f"loss {loss['value']:+.2g}" if loss else ""
    one = f"{pace['p50']['value']:8.0f} / {pace['p95']['value']:.0f} µs"
    return f"{one} {several} {each['size_bytes']:>11,} B {memory}  {each['state']:9} {each['name']}  {lost}"


def p50(point: dict[str, Any]) -> float | None:
    return point["pace"]["p50"]["value"] if point["pace"] else None


def word(good: bool) -> str:
    return "ok" if good else "MISS"


if __name__ == "__main__":
    sys.exit(main())
