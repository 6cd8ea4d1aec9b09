"""`aias explain`."""

from dataclasses import asdict

import click

from aias.cli.main import option_json
from aias.cli.show import give, table
from aias.core.task import written


@click.command()
@click.argument("ref")
@click.argument("row")
@click.option("--of", help="The class whose probability is explained; by default the one that is answered.")
@option_json
def explain(ref: str, row: str, of: str | None, *, as_json: bool) -> None:
    """Show how much each field of ROW, a JSON object, contributes to the answer of REF.

    The contributions sum to the answer minus that for a typical row (medians, most frequent categories,
    empty texts).
    """
    import msgspec

    from aias.client.explain import signed
    from aias.client.model import load
    from aias.core.errors import UserError
    from aias.core.json_faults import Faults, in_words

    try:
        fields = msgspec.json.decode(row, type=dict[str, object])
    except Faults as fault:
        raise UserError(
            f"the row is not a JSON object: {in_words(fault, row)}", hint="""write '{"age": 39, "job": "clerk"}'"""
        ) from None
    found = load(ref).explain(fields, of=of)
    if as_json:
        give(asdict(found), as_json=True)
        return
    answer, usual = written(found.answer, like=found.like), written(found.usual, like=found.like)
    shown = [
        (name, _short(fields.get(name)), _short(found.reference[name]), signed(part, like=found.like))
        for name, part in found.parts
    ]
    rows = [*shown, ("", "", "the typical row", usual), ("", "", "this row", answer)]
    table(f"{found.of}: {answer}", ("field", "value", "typical", "contribution"), rows, right=("contribution",))


def _short(value: object) -> str:
    """Of a number as many digits as tell it; of a text the beginning."""
    text = "" if value is None else f"{value:.6g}" if type(value) is float else str(value)
    return text if len(text) <= 40 else text[:39] + "…"
