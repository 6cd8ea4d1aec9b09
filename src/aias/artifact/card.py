"""The card: what a person should know about a model, in Markdown, made of its manifest and its report."""

import json
import re
from collections import Counter
from collections.abc import Iterable, Mapping, Sequence
from functools import partial
from typing import Any, Final

from aias.artifact.manifest import Candidate, Manifest
from aias.artifact.optimised import optimised
from aias.artifact.report import PLOTS, Report, SliceScore
from aias.core.schema import Field
from aias.core.task import EXACT, TINY, Measurement

_PARTS: Final = {"train": "to learn from", "judging": "of them validate", "test": "to test"}
_CATEGORIES_SHOWN_MAX: Final = 8
_CHARS_SHOWN_MAX: Final = 80
"""The rest is in the manifest; a card is read by people."""

_NUMBERS: Final = frozenset({
    "value", "95 % interval", "rows", "score", "weight", "fitted in", "µs/row", "size", "bytes", "tried", "gain",
})  # fmt: skip
"""Columns that stand at the right."""
_FIELDS_SHOWN_MAX: Final = 15
_SLICES_SHOWN_MAX: Final = 6

_SPECIAL: Final = re.compile(r"([\\`*_{}\[\]<>#|~!&])")

_ROWS_FEW: Final = 1_000
"""Below this, a percentage point of accuracy is less than the width of its interval."""

PLOTTED: Final = {
    "roc": "ROC curve", "precision_recall": "Precision-recall curve", "calibration": "Calibration",
    "confusion": "Confusion matrix", "predicted_actual": "Predicted and actual", "residuals": "Errors by prediction",
    "importance": "Feature importance", "frontier": "Frontier", "learning_curve": "Learning curve",
    "ensemble": "Score over time",
}  # fmt: skip
"""Every plot, `plots/<name>.svg`, in the order of the card."""

_FORMS: Final = {
    "first": "the *first* form: one model, published while training went on",
    "quality": "the *quality* form: the weighted mean of everything that helped",
    "serving": "the *serving* form: fitted again on all rows, of as many models as the latency allows",
    "imported": "an *imported* form: trained elsewhere, and proved to answer as the library that made it",
    "compressed": "a *compressed* form: smaller or faster than what it was made from, proved no worse than was asked",
}

_STOPPED: Final = (
    "What it was made of was stopped by these rows, so on others it is somewhat worse: compare it with what it came "
    "from by the loss in the frontier, where both were stopped alike."
)


def card(
    manifest: Manifest, *, sizes: Mapping[str, int] | None = None, report: Report | None = None, frontier: str = ""
) -> str:
    """Write the card. `sizes` are the bytes of the files to come, for a manifest that does not list them yet;
    `frontier`: what a compression came to, in Markdown."""
    sizes = {entry.path: entry.size_bytes for entry in manifest.files} if sizes is None else sizes
    report = report or Report()
    plots = [name for name in PLOTTED if f"{PLOTS}{name}.svg" in sizes]
    said, _, table = frontier.partition("\n\n")
    of_scores = [name for name in plots if name not in {"importance", "frontier", "learning_curve", "ensemble"}]
    of_training = [name for name in plots if name in {"learning_curve", "ensemble"}]
    drawn = _images(name for name in plots if name == "frontier")
    trained = f"{_leaderboard(manifest)}{_images(of_training)}{_settings(manifest.leaderboard)}"
    sections = {
        _judged(manifest): f"{_measured(manifest)}{_images(of_scores)}",
        "Feature importance": _importance(manifest, report, plots) if report.importance else "",
        "Slices": _slices(report.slices) if report.slices else "",
        "Frontier": f"{said}{drawn}\n\n{table.rstrip()}" if frontier else "",
        "What optimising gave": _optimised(manifest),
        "Leaderboard": trained if manifest.leaderboard else "",
        "Data": _data(manifest),
        "Noticed": "\n".join(f"- {_marked(each)}" for each in manifest.notes),
        "Proof": _proof(manifest),
        "Sizes": _sizes(sizes),
        "How to call it": _call(manifest),
        "Limits": _limits(manifest),
        "Where it comes from": _lineage(manifest),
    }
    parts = [f"# {_text(manifest.name)}\n\n{_summary(manifest)}"]
    parts += [f"## {title}\n\n{text}" for title, text in sections.items() if text]
    return "\n\n".join(parts) + "\n"


def _summary(manifest: Manifest) -> str:
    task = manifest.task
    answer = {
        "binary": f"one of two classes, {_classes(task.classes)}, with their probabilities",
        "multiclass": f"one of {len(task.classes)} classes, {_classes(task.classes)}, with their probabilities",
        "regression": "a number",
    }[task.type]
    lines = [
        f"Predicts {_code(task.target)}: {answer}.\n{_chosen(manifest)}",
        _taught(manifest),
        f"This is {_FORMS[manifest.form]}." if manifest.form in _FORMS else "",
        _late(manifest.not_refitted),
        f"A row takes {manifest.row_us:,.0f} µs from a dict to the answer, on the machine that trained it."
        if manifest.row_us else "",
    ]  # fmt: skip
    return "\n\n".join(line for line in lines if line)


def _chosen(manifest: Manifest) -> str:
    file, task = manifest.lineage.settings.get("file"), manifest.task
    if manifest.form == "imported":
        return f"Imported from {_code(str(file))}, a model of {_text(str(manifest.lineage.settings.get('format')))}."
    return f"Chosen by {_code(task.metric)} ({task.direction} is better)."


def _taught(manifest: Manifest) -> str:
    """Whose answers it learned from, where not all were in the rows."""
    facts = manifest.lineage.settings.get("teacher")
    if not isinstance(facts, Mapping) or not facts.get("answered"):
        return ""
    agreed = facts.get("agreement")
    beside = (
        f" On {facts['compared']:,} rows that had answers of their own it says the same on {100 * float(agreed):.0f} %."
        if isinstance(agreed, float) else ""
    )  # fmt: skip
    return (
        f"It was taught: {_text(str(facts['who']))} gave the answers of {facts['answered']:,} rows"
        f"{', as probabilities' if facts.get('soft') else ''}, "
        f"{facts['own']:,} rows had their own.{beside}"
    )


def _late(names: Sequence[str]) -> str:
    if not names:
        return ""
    late = ", ".join(map(_code, names))
    return f"There was no time to fit {late} again: what answers was fitted on a part of the rows."


def _judged(manifest: Manifest) -> str:
    if manifest.judged == "given":
        if not manifest.measurements:
            return "Not measured"
        return f"Measured on the {_measured_rows(manifest):,} rows that it was imported with"
    if manifest.judged == "agreement":
        return f"Compared with the version that it was made from, on {_measured_rows(manifest):,} rows without labels"
    if manifest.judged == "test":
        return f"Measured on {manifest.rows.get('test', 0):,} test rows"
    return f"Measured on {_measured_rows(manifest):,} rows out of fold"


def _measured(manifest: Manifest) -> str:
    if manifest.judged != "given":
        proof = manifest.lineage.settings.get("proof")
        stopped = isinstance(proof, Mapping) and proof.get("stopped")
        return (f"{_STOPPED}\n\n" if stopped else "") + _measurements(manifest.measurements)
    if not manifest.measurements and not manifest.rows.get("given"):
        return "It came without rows: `aias evaluate` measures it on labelled ones."
    if not manifest.measurements:
        return "The rows that it was imported with held no answers."
    known = "Whether it was fitted on these very rows is not known: if it was, it is worse on others."
    return f"{known}\n\n{_measurements(manifest.measurements)}"


def _measured_rows(manifest: Manifest) -> int:
    if manifest.judged == "test" or not manifest.measurements:
        return manifest.rows.get("test", 0)
    return manifest.measurements[0].n


def _images(names: Iterable[str]) -> str:
    shown = "\n".join(f"![{PLOTTED[name]}]({PLOTS}{name}.svg)" for name in names)
    return f"\n\n{shown}" if shown else ""


def _importance(manifest: Manifest, report: Report, plots: Sequence[str]) -> str:
    """The table is for whoever cannot see the plot."""
    metric = _code(manifest.task.metric)
    most = max(abs(each.drop) for each in report.importance)  # all are written to the digits that it has
    number = partial(_number, like=most)
    rows = (
        (_code(each.field), number(each.drop), f"{number(each.low)} to {number(each.high)}")
        for each in report.importance[:_FIELDS_SHOWN_MAX]
    )
    which = "given rows" if manifest.judged == "given" else "rows that it was not fitted on"
    said = (
        f"How much worse {metric} gets when one field is permuted among {report.importance_rows:,} {which}. Where "
        "fields are correlated, each looks less important than it is."
    )
    table = _table(("field", f"importance ({metric})", "95 % interval"), rows)
    return f"{said}{_images(name for name in plots if name == 'importance')}\n\n{table}"


def _slices(slices: Sequence[SliceScore]) -> str:
    """Of each column the largest parts; `report.json` holds all."""
    seen = Counter[str]()
    rows = []
    for each in slices:
        seen[each.column] += 1
        if seen[each.column] <= _SLICES_SHOWN_MAX:
            one = each.measurement
            score = (_code(one.metric), _number(one.value), _interval(one), f"{one.n:,}")
            rows.append((_code(each.column), _code(each.value), *score))
    more = f"\n\n{len(slices) - len(rows):,} smaller slices are in `report.json`." if len(slices) > len(rows) else ""
    return _table(("column", "slice", "metric", "score", "95 % interval", "rows"), rows) + more


def _data(manifest: Manifest) -> str:
    rows = ", ".join(f"{count:,} {_PARTS.get(part, part)}" for part, count in manifest.rows.items())
    columns = _table(("column", "kind", "may be missing", "values", "why"), map(_column, manifest.inputs))
    ignored = _table(("left out", "why"), ((_code(each.name), _marked(each.reason)) for each in manifest.ignored))
    return "\n\n".join(part for part in (f"Rows: {rows}.", columns, ignored if manifest.ignored else "") if part)


def _column(field: Field) -> tuple[str, ...]:
    categories = field.categories or ()
    shown = ", ".join(_code(_short(each)) for each in categories[:_CATEGORIES_SHOWN_MAX])
    more = len(categories) - _CATEGORIES_SHOWN_MAX
    values = f"{shown} and {more} more" if more > 0 else shown
    unit = f" ({_text(field.unit)})" if field.unit else ""
    return _code(field.name), field.kind + unit, "yes" if field.nullable else "no", values, _marked(field.reason)


def _measurements(measurements: Iterable[Measurement]) -> str:
    rows = ((_code(each.metric), _number(each.value), _interval(each), f"{each.n:,}") for each in measurements)
    return _table(("metric", "value", "95 % interval", "rows"), rows)


def _optimised(manifest: Manifest) -> str:
    if (found := optimised(manifest)) is None:
        return ""
    said = (
        f"With 95 % confidence better than {_code(found.better_than)}: {_text(str(found.gain))}, on rows that were not "
        f"searched on. What was compared is the {_text(found.compared)} form."
    )
    rows = (
        (axis, tried, gave, ", ".join(map(_text, held)) or "none")
        for axis, tried, gave, held in found.rows(manifest)
    )  # fmt: skip
    below = (
        f"The gain is that of {_code(found.better_than)} with all that the axis tried, by {_code(found.gain.metric)}, "
        "on the rows that were searched on; above 0 is better."
    )
    return f"{said}\n\n{_table(('axis', 'tried', 'gain', 'in this form'), rows)}\n\n{below}"


def _leaderboard(manifest: Manifest) -> str:
    rows = (
        (
            f"{each.weight:.2f}" if each.chosen and each.weight else "yes" if each.chosen else "",
            f"**{_text(each.name or each.learner)}**" if each.chosen else _text(each.name or each.learner),
            f"{_code(each.validation.metric)} {_number(each.validation.value)}",
            _interval(each.validation),
            f"{each.fit_seconds:.1f} s",
            f"{each.row_us:,.0f}" if each.row_us else "",
            _bytes(each.size_bytes) if each.size_bytes else "",
        )
        for each in manifest.leaderboard
    )
    head = ("weight", "model", "score", "95 % interval", "fitted in", "µs/row", "size")
    return f"Judged on rows that it was not fitted on; the weight is the share in this form.\n\n{_table(head, rows)}"


def _settings(candidates: Iterable[Candidate]) -> str:
    rows = [
        (_text(each.name or each.learner), _code(json.dumps(each.settings, ensure_ascii=False, sort_keys=True)))
        for each in candidates
        if each.settings
    ]
    return f"\n\n{_table(('model', 'settings'), rows)}" if rows else ""


def _proof(manifest: Manifest) -> str:
    proof = manifest.parity
    source, rows = "the pipeline it was made from", "held-out"
    if manifest.form == "imported":
        source, rows = "the answers of the library that made it", "given"
    return (
        f"The graph was compared with {source} on {proof.rows:,} {rows} and difficult rows: "
        f"{proof.label_differences} different answers, scores apart by at most {proof.score_difference_max:.2g}, "
        f"the same row alone and in a batch by at most {proof.batch_difference_max:.2g}."
    )


def _files(count: int) -> str:
    return "1 file" if count == 1 else f"{count:,} files"


def _sizes(sizes: Mapping[str, int]) -> str:
    """Folders of many files are one line."""
    folders: dict[str, list[int]] = {}
    for path, size in sorted(sizes.items()):
        head, slash, _ = path.partition("/")
        folders.setdefault(head + slash, []).append(size)
    rows = [
        (_code(name), _files(len(found)) if name.endswith("/") else "", f"{sum(found):,}")
        for name, found in folders.items()
    ]
    return _table(("file", "", "bytes"), [*rows, ("all", "", f"{sum(sizes.values()):,}")])


def _call(manifest: Manifest) -> str:
    # A quote inside the shell's quotes is the one character that JSON leaves and the shell does not.
    example = {field.name: field.example for field in manifest.inputs}
    body = json.dumps([example], ensure_ascii=False).replace("'", "\\u0027")
    return _fenced(
        f"aias deploy {manifest.name}\n"
        f"curl -H \"Authorization: Bearer $AIAS_KEY\" localhost:8000/predict/{manifest.name} -d '{body}'"
    )


def _limits(manifest: Manifest) -> str:
    rows = _measured_rows(manifest)
    limits = [
        "The figures above hold for rows like those it was tested on, from the same source and the same time.",
        "It learns correlations, not causes. It was not tested for fairness between groups.",
    ]
    if rows < _ROWS_FEW:
        limits.append(f"It was tested on {rows:,} rows only: read the intervals, not the values.")
    if any(field.kind == "category" for field in manifest.inputs):
        limits.append("A category that was not in the training data is treated as unknown, not refused.")
    if manifest.intervals is not None:
        limits.append(_spans(manifest.intervals))
    return "\n".join(f"- {limit}" for limit in limits)


def _spans(intervals: Mapping[str, Any]) -> str:
    """What the `low` and `high` beside an amount say."""
    said = f"`low` and `high` beside an amount hold the truth in {100 * float(intervals['level']):g} % of such rows"
    floor = intervals.get("floor")
    return f"{said}." if floor is None else f"{said}; none that it learned from was below {floor:g}, so nor are they."


def _lineage(manifest: Manifest) -> str:
    lineage = manifest.lineage
    rows = [
        ("verb", _text(lineage.verb)),
        ("data", _code(lineage.dataset)),
        ("seed", str(lineage.seed)),
        ("settings", _code(json.dumps(lineage.settings, ensure_ascii=False, sort_keys=True))),
        ("began", _text(lineage.started_at)),
        ("libraries", ", ".join(f"{_text(name)} {_text(each)}" for name, each in sorted(lineage.libraries.items()))),
        *(("made from", _code(parent)) for parent in lineage.parents),
    ]
    return _table(("", ""), (row for row in rows if row[1]))


def _interval(measurement: Measurement) -> str:
    if measurement.low is None or measurement.high is None:
        return ""
    return f"{_number(measurement.low)} to {_number(measurement.high)}"


def _number(value: float, like: float | None = None) -> str:
    """Four digits after the point, fewer of large numbers, and as many as say something of tiny ones; of one in a
    column as many as of that which it is `like`."""
    size = abs(value if like is None else like)
    if size >= EXACT or 0 < size < TINY:
        return f"{value:.4g}"
    digits = 4 if size < 10 else 2 if size < 1000 else 1
    return f"{round(value, digits) + 0.0:,.{digits}f}"  # no -0.0000


def _bytes(size: int) -> str:
    return f"{size / 1e6:.1f} MB" if size >= 1e6 else f"{size / 1e3:.0f} kB"


def _classes(classes: Sequence[str]) -> str:
    shown = ", ".join(_code(_short(each)) for each in classes[:_CATEGORIES_SHOWN_MAX])
    return shown if len(classes) <= _CATEGORIES_SHOWN_MAX else f"{shown} …"


def _short(raw: str) -> str:
    return raw if len(raw) <= _CHARS_SHOWN_MAX else f"{raw[:_CHARS_SHOWN_MAX]}…"


def _table(head: Sequence[str], rows: Iterable[Sequence[str]]) -> str:
    lines = [head, ["---:" if name in _NUMBERS or name.startswith("worse") else "---" for name in head], *rows]
    return "\n".join(f"| {' | '.join(line)} |" for line in lines)


def _text(raw: str) -> str:
    """The words as they are: whatever a file's column is called, it is neither markup nor a new line."""
    return _SPECIAL.sub(r"\\\1", " ".join(raw.split()))


def _marked(raw: str) -> str:
    """A message of ours: the same, with code where it has back-ticks."""
    parts = re.split("`([^`]+)`", " ".join(raw.split()))
    return "".join(_code(each) if place % 2 else _SPECIAL.sub(r"\\\1", each) for place, each in enumerate(parts))


def _code(raw: str) -> str:
    """The same, between back-ticks. A bar would end the cell of a table even there."""
    line = " ".join(raw.split()).replace("|", "¦")
    ticks = "`" * (max(map(len, re.findall("`+", line)), default=0) + 1)
    pad = " " if line.startswith("`") or line.endswith("`") else ""
    return f"{ticks}{pad}{line}{pad}{ticks}" if line else ""


def _fenced(raw: str) -> str:
    fence = "`" * max(3, 1 + max(map(len, re.findall("`+", raw)), default=0))
    return f"{fence}sh\n{raw}\n{fence}"
