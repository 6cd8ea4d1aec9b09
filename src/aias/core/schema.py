"""A schema: the fields of a dataset, what each holds, what it is used for, and why we think so."""

from collections.abc import Iterator
from dataclasses import dataclass, replace
from functools import cached_property
from typing import Final, Literal, get_args

from aias.core.errors import UserError
from aias.core.suggestions import did_you_mean

Kind = Literal["number", "category", "time", "text"]
KINDS: Final[tuple[Kind, ...]] = get_args(Kind)

Role = Literal["input", "target", "ignored"]
ROLES: Final[tuple[Role, ...]] = get_args(Role)

NUMBER_FORMATS: Final = (
    *("decimal-comma", "spaced", "spaced-comma", "lakh", "magnitude", "other-digits", "clock", "duration", "stopwatch"),
    *("true-false", "approximate"),
)
"""How they are written: `1.200,50`, `1 200.50`, `1 200,50`, `12,00,000`, `1.2M`, `１２`, `17:45`, `30:15:00` or
`1h 30m`, `45:30` above `1:02:30`, `True`, `<0.5` or `3-5`; none is said of `1,200.50`."""

NAMES_SHOWN: Final = 20
"""In a hint: more of them nobody reads."""


class SchemaMismatch(UserError):
    """The data and the schema do not fit: a column is missing, named twice, or of an unknown kind or role."""

    code = "schema.mismatch"


@dataclass(frozen=True, slots=True)
class Field:
    """One column.

    `missing`: spellings that mean "no value here" in this column, besides null and the empty string.
    `format`: how the values are written, where there is a choice: a `strptime` pattern for times,
    one of `NUMBER_FORMATS` for numbers.
    `categories`: the known values, for a category of few values; documentation, not a restriction.
    `unit`: what stood beside the numbers (`$`, `%`); documentation.
    `example`: a value as it came in the file; what the endpoint shows to callers.
    `reason`: why this kind and role were chosen, for a person to check.
    """

    name: str
    kind: Kind
    role: Role = "input"
    nullable: bool = True
    missing: tuple[str, ...] = ()
    format: str | None = None
    categories: tuple[str, ...] | None = None
    unit: str | None = None
    example: str | float | int | bool | None = None
    reason: str = ""

    def __post_init__(self) -> None:
        if self.kind not in KINDS:
            raise SchemaMismatch(f"field `{self.name}` has the unknown kind {self.kind!r}", hint=f"use {KINDS}")
        if self.role not in ROLES:
            raise SchemaMismatch(f"field `{self.name}` has the unknown role {self.role!r}", hint=f"use {ROLES}")


@dataclass(frozen=True)
class Schema:
    """Fields in the order of the file. Names are unique."""

    fields: tuple[Field, ...]

    def __post_init__(self) -> None:
        seen: set[str] = set()
        for field in self.fields:
            if field.name in seen:
                raise SchemaMismatch(f"two fields are called `{field.name}`", hint="rename one of them")
            seen.add(field.name)

    def __iter__(self) -> Iterator[Field]:
        return iter(self.fields)

    def __getitem__(self, name: str) -> Field:
        if (field := self._by_name.get(name)) is not None:
            return field
        hint = did_you_mean(name, self.names) or f"the columns are: {', '.join(self.names[:NAMES_SHOWN])}"
        raise SchemaMismatch(f"there is no column `{name}`", hint=hint)

    def __contains__(self, name: str) -> bool:
        return name in self._by_name

    @cached_property
    def _by_name(self) -> dict[str, Field]:
        return {field.name: field for field in self.fields}

    @property
    def names(self) -> tuple[str, ...]:
        return tuple(field.name for field in self.fields)

    @property
    def inputs(self) -> tuple[Field, ...]:
        """The fields a model sees, in order."""
        return tuple(field for field in self.fields if field.role == "input")

    def with_target(self, name: str) -> "Schema":
        """The same schema with `name`, and nothing else, as the target."""
        self[name]

        def meant(field: Field) -> Field:
            if field.name == name:
                return replace(field, role="target")
            if field.role == "target":
                return replace(field, role="ignored", reason="another target, by the schema")
            return field

        return Schema(tuple(map(meant, self.fields)))
