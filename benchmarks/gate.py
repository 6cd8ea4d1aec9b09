"""How often the gate passes candidates that are worse by the margin, and how often those that lose nothing.

    python benchmarks/gate.py [--runs 1000]

Of mean losses: some rows differ, by losses of a known shape, and a row that differs is so many spreads of the first
model's own losses off as `apart` says. Beside each figure what it would be by what was seen alone (`studentised`).
Where nothing is lost the margin is such that what was seen alone passes 80 %.
"""

import argparse

import numpy as np

from aias.compress.gate.studentised import mean_loss
from aias.compress.gate.verdict import SPENT

ROWS = (100, 1_000, 10_000)
SHAPES = {
    "equal": lambda _, n: np.ones(n),
    "exponential": lambda rng, n: rng.exponential(size=n),
    "normal + ½": lambda rng, n: 0.5 + rng.normal(size=n),
    "Student 3 + ½": lambda rng, n: 0.5 + rng.standard_t(3, n),
    "1½ - exponential": lambda rng, n: 1.5 - rng.exponential(size=n),
    "lognormal 1": lambda rng, n: rng.lognormal(size=n),
    "gains, few great losses": lambda rng, n: np.where(rng.random(n) < 0.1, 10 * rng.exponential(size=n), -0.5),
    "Pareto 2.5": lambda rng, n: rng.pareto(2.5, n),
    "lognormal 1.5": lambda rng, n: rng.lognormal(sigma=1.5, size=n),
}


def drawn(rng, shape, rows, differing, root, apart, signs):
    before = rng.exponential(size=rows) * root / apart
    more = np.where(rng.random(rows) < differing / rows, SHAPES[shape](rng, rows), 0.0)
    return before, before + (more * rng.choice([-1, 1], rows) if signs else more)


def shares(shape, rows, differing, apart, runs):
    """Worse by the margin, by what was seen and by the gate; losing nothing, by the gate."""
    rng = np.random.default_rng(0)
    known = SHAPES[shape](rng, 2_000_000)
    margin, root = known.mean() * differing / rows, np.sqrt((known**2).mean())
    worse = [mean_loss(*drawn(rng, shape, rows, differing, root, apart, False)) for _ in range(runs)]
    equal = [mean_loss(*drawn(rng, shape, rows, differing, root, apart, True)) for _ in range(runs)]
    usual = np.quantile([each.seen.limit(1 - SPENT) for each in equal], 0.8)
    return [
        100 * np.mean([1 - each.confidence(at) < SPENT for each in found])
        for found, at in (([each.seen for each in worse], margin), (worse, margin), (equal, usual))
    ]


def main():
    parser = argparse.ArgumentParser()
    parser.add_argument("--runs", type=int, default=1_000)
    runs = parser.parse_args().runs
    for apart in (2, 5):
        print(f"\nA row that differs is {apart} spreads off: pass though worse, by what was seen → by the gate; "
              "pass of those that lose nothing, 80 → by the gate")  # fmt: skip
        for differing in (3, 6, 20, 60, None):
            for shape in SHAPES:
                cells = []
                for rows in ROWS:
                    count = differing or rows
                    if count <= rows / 5 or not differing:
                        few = max(200, runs * 1_000 // max(rows, 1_000))
                        seen, gate, power = shares(shape, rows, count, apart, few)
                        cells.append(f"{rows}: {seen:4.1f} → {gate:4.1f}; {power:3.0f}")
                print(f"{differing or 'all':>4} {shape:24}", " | ".join(cells), flush=True)


if __name__ == "__main__":
    main()
