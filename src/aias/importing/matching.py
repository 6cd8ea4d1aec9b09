"""Which column of the rows each input of a foreign model reads, and what kind its values are of."""

from collections import Counter
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from typing import Final

import numpy as np

from aias.core.arrays import Floats
from aias.core.limits import CATEGORIES_MAX, COLUMNS_MAX
from aias.core.schema import Field, Schema, SchemaMismatch
from aias.encoders.category import Category, text_of
from aias.encoders.number import Number
from aias.encoders.rows import RowEncoder
from aias.importing.columns import UNSEEN
from aias.importing.formats.contract import Description, Input, UnfitModel, Values, apart

FLAGS: Final = {"true", "false"}
"""As pandas and others write Booleans into text; a model that reads numbers knows them as 1 and 0."""

WAYS = (
    "`--columns a,b,c`, or `columns=`, names the columns in the model's order, `--target`, or `target=`, the one that "
    "holds the answers"
)


@dataclass(frozen=True, slots=True)
class Matched:
    """`fields`: in the order of the inputs; `ignored`: the other columns."""

    inputs: tuple[Input, ...]
    fields: tuple[Field, ...]
    ignored: tuple[Field, ...]
    by_name: bool

    def encoder(self, target: str) -> RowEncoder:
        pairs = zip(self.fields, self.inputs, strict=True)
        encoders = {
            field.name: Category(field, _known(each)) if field.kind == "category" else Number(field)
            for field, each in pairs
        }
        others = [each.name for each in self.ignored if each.name != target]
        return RowEncoder(self.fields, encoders, others=[*others, target])

    def values(self, columns: Floats) -> list[Values]:
        """Of encoded rows what the model itself is given: numbers as they are, categories as it spells them."""
        return [_values(each, columns[:, place]) for place, each in enumerate(self.inputs)]


def matched(description: Description, schema: Schema, *, target: str | None, columns: Sequence[str]) -> Matched:
    """Raises `SchemaMismatch`, `UnfitModel`."""
    inputs = description.inputs
    if len(inputs) > COLUMNS_MAX:
        raise UnfitModel(f"it reads {len(inputs):,} columns; {COLUMNS_MAX:,} are the most")
    names = [each.name for each in inputs]
    found = _by_name(description, schema, columns)
    by_name = found is not None
    if found is None:
        found = list(columns) or [name for name in schema.names if name != target]
        _check_count(found, names, target, given=bool(columns))
    for name in found:
        schema[name]  # says which columns there are
    twice = [name for name, count in Counter(found).items() if count > 1]
    if twice:
        raise SchemaMismatch(f"the column `{twice[0]}` is named twice", hint="every input reads a column of its own")
    if target in found:
        raise SchemaMismatch(f"the model reads `{target}`, which is the target", hint=WAYS)
    fields = tuple(_field(schema[name], each) for name, each in zip(found, inputs, strict=True))
    ignored = tuple(
        replace(each, role="ignored", reason="the model does not read it")
        for each in schema if each.name not in found and each.name != target
    )  # fmt: skip
    return Matched(inputs, fields, ignored, by_name)


def _by_name(description: Description, schema: Schema, columns: Sequence[str]) -> list[str] | None:
    """Its inputs among the columns; None where it does not call them as the columns are, or somebody did."""
    names = [each.name for each in description.inputs]
    if columns or not description.named or len(set(names)) < len(names):
        return None
    spaced = _underscored(schema.names)
    found = [name if name in schema else spaced.get(name) for name in names]
    missing = [name for name, column in zip(names, found, strict=True) if column is None]
    if missing:
        raise SchemaMismatch(
            f"there is no column `{missing[0]}`, which the model reads"
            + (f", nor {len(missing) - 1} more" if len(missing) > 1 else ""),
            hint=f"the columns are: {', '.join(schema.names[:20])}; {WAYS}",
        )
    return [column for column in found if column is not None]


def _underscored(names: Sequence[str]) -> Mapping[str, str]:
    """LightGBM writes `_` for a space; where two columns would be one, neither."""
    counts = Counter(name.replace(" ", "_") for name in names)
    return {new: name for name in names if counts[new := name.replace(" ", "_")] == 1}


def _check_count(found: Sequence[str], names: Sequence[str], target: str | None, *, given: bool) -> None:
    if len(found) == len(names):
        return
    what = "were named" if given else "stand in the rows" + (f" beside `{target}`" if target else "")
    raise SchemaMismatch(f"the model reads {len(names)} columns, and {len(found)} {what}", hint=WAYS)


def _field(field: Field, each: Input) -> Field:
    """As it was found, or read as the model wants it."""
    if each.kind == "category":
        known = _known(each)
        missing = tuple(text for text in field.missing if text_of(text) not in known)
        return replace(
            field, kind="category", role="input", format=None, missing=missing, categories=known[:CATEGORIES_MAX],
            unit=None, reason=f"the model tells {len(known)} values apart", example=_example(field, known),
        )  # fmt: skip
    reason = {
        "number": "the model reads a number", "whole": "the model reads a whole number; a missing value counts as 0",
        "flag": "the model asks whether it is 0; a missing value counts as 0",
    }[each.kind]  # fmt: skip
    flags = "true-false" if field.categories and set(map(str.lower, field.categories)) <= FLAGS else None
    kept = field if field.kind == "number" else replace(field, format=flags, unit=None)
    example = field.example if isinstance(field.example, int | float) else 0.0
    return replace(kept, kind="number", role="input", categories=None, reason=reason, example=example)


def _example(field: Field, known: Sequence[str]) -> str | float | int | bool | None:
    if field.example is not None and text_of(field.example) in known:
        return field.example
    return known[0] if known else field.example


def _known(each: Input) -> tuple[str, ...]:
    """The categories as rows spell them. Raises `UnfitModel`."""
    known = tuple(map(text_of, each.written or each.categories))
    if len(known) > CATEGORIES_MAX:
        raise UnfitModel(
            f"it tells {len(known):,} values of `{each.name}` apart; {CATEGORIES_MAX:,} are the most",
            hint="join the rarest ones before training",
        )
    twice = [text for text, count in Counter(known).items() if count > 1]
    if twice:
        raise apart(twice[0], each.name)
    return known


def _values(each: Input, codes: Floats) -> Values:
    if each.kind != "category":
        return codes
    spelled = (each.missing, UNSEEN, *each.categories)
    return [spelled[code] for code in codes.astype(np.int64)]
