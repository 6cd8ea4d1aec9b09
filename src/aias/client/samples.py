"""Real data that comes with every installation, as files: for the demo, the docs and first tries."""

import ast
import csv
import importlib.util
import random
import re
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Final

PACKAGES: Final = ("numpy", "polars", "scipy", "sklearn", "sqlalchemy")
SENTENCES_EACH: Final = 500
HELD_OUT: Final = 20


@dataclass(frozen=True, slots=True)
class Sample:
    """A file to train on, and labelled rows that are not in it."""

    name: str
    question: str
    path: Path
    target: str
    rows: int
    held_out: list[tuple[dict[str, object], str]]


def measurements(folder: Path) -> Sample:
    """569 tumours in 30 measurements (Wolberg, Street and Mangasarian 1995), from scikit-learn."""
    spec = importlib.util.find_spec("sklearn")
    assert spec is not None and spec.origin is not None, "scikit-learn is a dependency"
    source = Path(spec.origin).parent / "datasets" / "data" / "breast_cancer.csv"
    with source.open(encoding="utf-8") as lines:
        _rows, width, *classes = next(csv.reader(lines))
        values = [line for line in csv.reader(lines) if line]
    names = [f"{part}_{what}" for part in ("mean", "error", "worst") for what in _MEASURED][: int(width)]
    rows: list[dict[str, object]] = [
        {name: float(value) for name, value in zip(names, line, strict=False)} | {"diagnosis": classes[int(line[-1])]}
        for line in values
    ]
    return _sample("demo-table", "is this tumour malignant or benign?", folder, rows, "diagnosis")


def docstrings(folder: Path) -> Sample:
    """Sentences from the documentation of installed packages, and the package of each."""
    rows: list[dict[str, object]] = []
    for package in PACKAGES:
        found: list[str] = []
        for sentence in _sentences(package):
            if sentence not in found:
                found.append(sentence)
            if len(found) == SENTENCES_EACH:
                break
        rows += [{"sentence": sentence, "package": package} for sentence in found]
    return _sample("demo-text", "which package does this sentence document?", folder, rows, "package")


def _sample(name: str, question: str, folder: Path, rows: list[dict[str, object]], target: str) -> Sample:
    random.Random(0).shuffle(rows)  # noqa: S311  not a secret
    held_out = [({k: v for k, v in row.items() if k != target}, str(row[target])) for row in rows[:HELD_OUT]]
    path = folder / f"{name}.csv"
    with path.open("w", encoding="utf-8", newline="") as out:
        writer = csv.DictWriter(out, list(rows[0]))
        writer.writeheader()
        writer.writerows(rows[HELD_OUT:])
    return Sample(name, question, path, target, len(rows) - HELD_OUT, held_out)


def _sentences(package: str) -> Iterator[str]:
    """First sentences of docstrings, file by file; the source is parsed, never imported."""
    spec = importlib.util.find_spec(package)
    if spec is None or spec.origin is None:
        return
    for path in sorted(Path(spec.origin).parent.rglob("*.py")):
        if "test" in str(path.relative_to(Path(spec.origin).parent)) or path.stat().st_size > FILE_BYTES_MAX:
            continue
        try:
            tree = ast.parse(path.read_text(encoding="utf-8"))
        except (SyntaxError, UnicodeDecodeError):
            continue
        for node in ast.walk(tree):
            if isinstance(node, (ast.FunctionDef, ast.ClassDef)):
                text = " ".join((ast.get_docstring(node) or "").split("\n\n")[0].split())
                sentence = re.split(r"(?<=[.!?])\s", text)[0]
                if 5 <= len(sentence.split()) <= 40 and package not in sentence.lower():
                    yield sentence


FILE_BYTES_MAX: Final = 300_000

_MEASURED: Final = (
    "radius", "texture", "perimeter", "area", "smoothness", "compactness", "concavity", "concave_points", "symmetry",
    "fractal_dimension",
)  # fmt: skip
