"""The essence of a version on a terminal: what it predicts, how well, how fast, and what it is made of."""

from collections.abc import Iterator
from typing import TYPE_CHECKING, Final

import click

from aias.artifact.manifest import Manifest
from aias.artifact.optimised import optimised
from aias.artifact.report import REPORT, Report, read_report
from aias.cli.show import hint, leaderboard, made_from, table
from aias.compress.frontier import sized
from aias.core.host import host
from aias.core.quantities import size
from aias.core.task import written
from aias.plots.svg import printable
from aias.runtimes import arrival
from aias.runtimes.arrival import proved_on
from aias.runtimes.engine_choice import CACHE, chosen

if TYPE_CHECKING:
    from aias.client.model import Model

FIELDS_SHOWN_MAX: Final = 10
BAR_WIDTH: Final = 24


def draw(model: "Model") -> None:
    manifest = model.manifest
    raw = model.folder / REPORT
    report = read_report(raw.read_bytes()) if any(each.path == REPORT for each in manifest.files) else Report()
    click.secho(model.ref, bold=True)
    for line in _facts(model):
        click.echo(line)
    if manifest.measurements:
        _draw_measurements(manifest)
    click.echo()
    leaderboard([manifest])
    _draw_importance(manifest, report)
    _draw_sizes(manifest)
    hint(f"aias show {model.ref} --html {manifest.name}.html   # data, plots, slices")


def _facts(model: "Model") -> Iterator[str]:
    manifest = model.manifest
    task, proof = manifest.task, manifest.parity
    if task.width:
        read = manifest.lineage.settings["tokens_max"]
        yield f"gives the vector of a text, {task.width} numbers, from its first {read} tokens"
    else:
        answers = f"{task.type}, {len(task.classes)} classes" if task.type == "multiclass" else task.type
        file = f"imported from {manifest.lineage.settings.get('file')}"
        came = file if manifest.form == "imported" else f"chosen by {task.metric}"
        yield f"predicts `{task.target}` ({answers}), {came}"
    if manifest.form:
        yield f"{manifest.form} form{made_from(model)}"
    yield from _proved(model)
    if (gained := optimised(manifest)) is not None:
        yield f"better than {gained.better_than}, in the {gained.compared} form: {gained.gain}"
        yield "; ".join(f"{axis} {gave}" for axis, _, gave, _ in gained.rows(manifest)) + " where it was searched"
    if manifest.row_us:
        yield f"{manifest.row_us:,.0f} µs a row, from a dict to the answer; {size(manifest.served_bytes)} to load"
    if (choice := chosen(manifest, model.registry.home / CACHE)) is not None:
        yield f"served on this host by {choice.engine}: {choice.reason}"
    rows = ", ".join(f"{part} {count:,}" for part, count in manifest.rows.items())
    if rows:
        yield f"rows: {rows}; inputs: {len(manifest.inputs):,}"
    yield (
        f"proved on {proof.rows:,} rows: {proof.label_differences} different answers, "
        f"scores apart by at most {proof.score_difference_max:.2g}"
    )
    yield f"answers by {manifest.answers_digest[:19]}, which is the same for equal graphs and tables"


def _proved(model: "Model") -> Iterator[str]:
    """Of a compressed version: what was proved of it, where, and whether that holds here."""
    manifest = model.manifest
    proof, where = manifest.lineage.settings.get("proof"), proved_on(manifest)
    if not isinstance(proof, dict) or where is None:
        return
    loss, speed = proof["loss"], proof["speed"]
    yield (
        f"by {proof['technique']}: the loss of {loss['metric']} is below the margin of {proof['margin']:.2g} (by "
        f"itself, at most {loss['high']:.2g}), {speed['value']:.3g}× as fast, {sized(proof['smaller'])}"
    )
    if (total := proof.get("total")) is not None:
        yield f"against {total['of']}, which was trained first, it loses {total['loss']['value']:+.2g} in all"
    if where == host():
        yield "proved and timed on this host"
    elif (found := arrival.known(manifest, model.registry.home / arrival.CACHE)) is not None:
        yield str(found)
    else:
        yield f"proved and timed on {where.processor}; `aias serve` compares its answers here before it serves it"


def _draw_measurements(manifest: Manifest) -> None:
    rows = [(one.metric, one.written, one.interval, f"{one.n:,}") for one in manifest.measurements]
    if not rows:
        return
    click.echo()
    table("", (manifest.judged, "value", "95 % interval", "rows"), rows, right=("value", "rows"))


def _draw_importance(manifest: Manifest, report: Report) -> None:
    shown = report.importance[:FIELDS_SHOWN_MAX]
    if not shown:
        return
    most = max(shown[0].drop, 1e-12)
    rows = [
        (printable(each.field), written(each.drop), "━" * max(0, round(BAR_WIDTH * each.drop / most))) for each in shown
    ]  # fmt: skip
    click.echo()
    header = f"importance ({manifest.task.metric})"
    table("", ("field", header, ""), rows, right=(header,))


def _draw_sizes(manifest: Manifest) -> None:
    graph = sum(each.size_bytes for each in manifest.files if each.path == "model.onnx")
    click.echo(f"\ngraph {size(graph)}, all {len(manifest.files):,} files {size(manifest.size_bytes)}")
