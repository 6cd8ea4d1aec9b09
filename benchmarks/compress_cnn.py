"""What `aias compress` makes of a small network of convolutions: times as fast and as small, with the loss proved.

    python benchmarks/compress_cnn.py [--data FILE] [--time 60s] [--max-loss 0.5%] [--epochs 16] [--width 96]
                                      [--metric roc_auc_ovr] [--technique int8 ...]

FILE holds 8 × 8 digits, 64 columns and a label, by default `../shared/data/images/digits_8x8/digits.csv.gz`. PyTorch
trains the network on a fifth of them and writes ONNX; `aias import --like` takes that, and the others teach and judge.
Both are timed turn about in one process, a row from a dict to the answer. By 700 rows a loss of .5 % of accuracy
cannot be ruled out unless hardly an answer changes; of the AUC it can, and the answers that change are told.
"""

import argparse
import sys
import tempfile
from pathlib import Path
from typing import Any, Final

import numpy as np
import polars as pl
from compress import word

import aias

COMMAND: Final = "python benchmarks/compress_cnn.py"
GOAL: Final = (2.0, 3.5)
SIDE: Final = 8


def main() -> int:
    asked = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    default = Path(__file__).resolve().parents[2] / "shared" / "data" / "images" / "digits_8x8" / "digits.csv.gz"
    asked.add_argument("--data", type=Path, default=default)
    asked.add_argument("--time", default="60s")
    asked.add_argument("--max-loss", default="0.5%")
    asked.add_argument("--epochs", type=int, default=16)
    asked.add_argument("--width", type=int, default=96)
    asked.add_argument("--metric", default="roc_auc_ovr")
    asked.add_argument("--technique", action="append", default=[])
    args = asked.parse_args()
    if not args.data.is_file():
        print(f"skipped: {args.data} is not here; name a file of digits")
        return 0
    names = [f"p{place:02}" for place in range(SIDE * SIDE)]
    frame = pl.read_csv(args.data, has_header=False, new_columns=[*names, "digit"]).sample(
        fraction=1.0, shuffle=True, seed=0
    )
    cut = frame.height // 5
    with tempfile.TemporaryDirectory() as folder:
        path, home = Path(folder) / "cnn.onnx", Path(folder) / "home"
        exported(frame[:cut], names, path, width=args.width, epochs=args.epochs)
        rows = frame[cut:]
        parent = aias.import_model(
            path, like=rows, target="digit", columns=names, classes=[str(each) for each in range(10)], scores="logits",
            metric=args.metric, home=home,
        )  # fmt: skip
        found = parent.compress(data=rows, max_loss=args.max_loss, time=args.time, techniques=args.technique)
    value = parent.manifest.measurements[0]
    print(f"cnn: {value.metric} {value.value:.4f} on {value.n:,} rows; {found.frontier.verdict}")
    for each in found.frontier.points:
        if each.speed and each.loss:
            flips = f", {each.flips.all.rows} of {each.flips.all.of} answers change" if each.flips else ""
            print(
                f"  {each.name}: {each.speed.value:.2f} × as fast, {each.smaller:.2f} × as small, loss "
                f"{each.loss.value:+.4f}{flips}  {each.state}  {each.reason}"
            )
        elif each.reason:
            print(f"  {each.name}: {each.reason}")
    published = next((each for each in found.frontier.points if each.state == "published"), None)
    speed, smaller = (published.speed.value, published.smaller) if published and published.speed else (0.0, 0.0)
    told = [("as_fast", speed, GOAL[0]), ("as_small", smaller, GOAL[1])]
    for what, value_, goal in told:
        print(f"cnn/{what}  {value_:.2f} × the network in float32  goal ≥ {goal:g}  {word(value_ >= goal)}")
    print(f"({COMMAND} {' '.join(sys.argv[1:])})")
    return 0 if all(value_ >= goal for _, value_, goal in told) else 1


def exported(rows: pl.DataFrame, names: list[str], path: Path, *, width: int, epochs: int) -> None:
    """Two convolutions, a pool, one more, and two layers on top."""
    import torch
    from torch import nn

    torch.manual_seed(0)
    torch.set_num_threads(1)
    net = nn.Sequential(
        nn.Conv2d(1, width, 3, padding=1), nn.ReLU(), nn.Conv2d(width, width, 3, padding=1), nn.ReLU(), nn.MaxPool2d(2),
        nn.Conv2d(width, 2 * width, 3, padding=1), nn.ReLU(), nn.Flatten(),
        nn.Linear(2 * width * SIDE * SIDE // 4, 128), nn.ReLU(), nn.Linear(128, 10),
    )  # fmt: skip
    x = torch.tensor(rows.select(names).to_numpy().astype(np.float32).reshape(-1, 1, SIDE, SIDE) / 16)
    y = torch.tensor(rows["digit"].to_numpy().astype(np.int64))
    steps = torch.optim.AdamW(net.parameters(), lr=2e-3, weight_decay=1e-2)
    for _ in range(epochs):
        for part in torch.randperm(len(x)).split(64):
            loss = nn.functional.cross_entropy(net(x[part]), y[part])
            steps.zero_grad()
            loss.backward()
            steps.step()
    with torch.no_grad():
        net[0].weight /= 16  # the file is asked for pixels from 0 to 16
    _write(net.eval(), x[:1], path)


def _write(net: Any, example: Any, path: Path) -> None:
    import torch

    torch.onnx.export(
        net, (example,), str(path), input_names=["image"], output_names=["logits"], opset_version=17, dynamo=False,
        dynamic_axes={"image": {0: "rows"}, "logits": {0: "rows"}},
    )  # fmt: skip


if __name__ == "__main__":
    sys.exit(main())
