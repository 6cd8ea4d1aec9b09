"""A schema as a YAML file that a person can edit."""

from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from typing import Final

import yaml

from aias.core.errors import UserError
from aias.core.schema import KINDS, NUMBER_FORMATS, ROLES, Field, Schema
from aias.data.errors import NoSuchFile

BYTES_MAX: Final = 64 << 20
"""10,000 columns of 1,000 categories."""

_HEAD: Final = f"""\
# The columns of the data: correct what was guessed wrong, then pass the file with --schema, or schema=.
# kind: {", ".join(KINDS)} · role: {", ".join(ROLES)}
# missing: spellings that mean "no value here"
# format: `%d.%m.%Y` for times; {", ".join(NUMBER_FORMATS)} for numbers
# reason: stands on the model's card; say yours for what you change
"""


class _Dumper(yaml.SafeDumper):
    """Writes texts with odd characters (line separators, controls) in escapes: YAML would fold them."""


def _represent_text(dumper: yaml.SafeDumper, text: str) -> yaml.ScalarNode:
    return dumper.represent_scalar("tag:yaml.org,2002:str", text, style=None if text.isprintable() else '"')


_Dumper.add_representer(str, _represent_text)


class BadSchemaFile(UserError):
    """A schema file that cannot be read, or does not describe columns."""

    code = "data.bad-schema-file"


def write_schema(schema: Schema, path: Path) -> None:
    """Write `schema` so that `read_schema` gives it back equal."""
    columns = [_plain(field) for field in schema]
    text = yaml.dump({"columns": columns}, Dumper=_Dumper, sort_keys=False, allow_unicode=True, width=120)
    path.write_text(_HEAD + text, encoding="utf-8")


def read_schema(path: Path) -> Schema:
    """Raises `BadSchemaFile` with the line of what cannot be."""
    if not path.is_file():
        raise NoSuchFile(f"there is no schema file `{path}`", hint="`aias data check FILE --save PATH` writes one")
    if path.stat().st_size > BYTES_MAX:
        raise BadSchemaFile(f"`{path}` is larger than {BYTES_MAX:,} bytes", hint="a schema holds no data")
    try:
        root = yaml.compose(path.read_text(encoding="utf-8"), yaml.SafeLoader)
    except (yaml.YAMLError, UnicodeDecodeError, RecursionError) as fault:
        raise BadSchemaFile(f"`{path}` is not YAML: {fault}", hint="compare it with a file that Aias wrote") from None
    top = _pairs(root, path, "the file")
    columns = top.get("columns")
    if set(top) != {"columns"} or not isinstance(columns, yaml.SequenceNode):
        raise BadSchemaFile(f"`{path}` must hold `columns:` and nothing else at the top", hint="begin with `columns:`")
    return Schema(tuple(_field(node, path) for node in columns.value))


def _plain(field: Field) -> dict[str, object]:
    out: dict[str, object] = {"name": field.name, "kind": field.kind, "role": field.role}
    if not field.nullable:
        out["nullable"] = False
    for key in ("missing", "format", "categories", "unit", "example", "reason"):
        value = getattr(field, key)
        if value is not None and value not in ((), ""):
            out[key] = list(value) if isinstance(value, tuple) else value
    return out


def _field(node: yaml.Node, path: Path) -> Field:
    given = _pairs(node, path, "a column")
    readers: dict[str, Callable[[yaml.Node, Path], object]] = {
        **dict.fromkeys(("name", "kind", "role", "format", "unit", "reason"), _text),
        **dict.fromkeys(("missing", "categories"), _texts),
        "nullable": _flag,
        "example": _scalar,
    }
    for key, value in given.items():
        if key not in readers:
            raise _fault(path, value, f"a column has no `{key}`", f"use {', '.join(readers)}")
    for key in ("name", "kind"):
        if key not in given:
            raise _fault(path, node, f"a column lacks its `{key}`", "give each column a name and a kind")
    values = {key: readers[key](value, path) for key, value in given.items()}
    if values["kind"] == "number" and values.get("format", NUMBER_FORMATS[0]) not in NUMBER_FORMATS:
        what = f"numbers are not written as `{values['format']}`"
        raise _fault(path, given["format"], what, f"use {', '.join(NUMBER_FORMATS)}, or leave it out")
    try:
        return replace(Field("", "text"), **values)  # type: ignore[arg-type]
    except UserError as wrong:
        raise _fault(path, node, wrong.message, wrong.hint) from None


def _pairs(node: yaml.Node | None, path: Path, what: str) -> dict[str, yaml.Node]:
    if not isinstance(node, yaml.MappingNode):
        raise _fault(path, node, f"{what} should be `key: value` lines", "compare it with a file that Aias wrote")
    return {_text(key, path): value for key, value in node.value}


def _text(node: yaml.Node, path: Path) -> str:
    """A scalar as it is written: YAML would make a boolean of `no`, and nothing of `NULL`."""
    if not isinstance(node, yaml.ScalarNode):
        raise _fault(path, node, "this should be one value", "put it in quotes")
    return str(node.value)


def _texts(node: yaml.Node, path: Path) -> tuple[str, ...]:
    if not isinstance(node, yaml.SequenceNode):
        raise _fault(path, node, "this should be a list", 'write ["a", "b"]')
    return tuple(_text(item, path) for item in node.value)


def _flag(node: yaml.Node, path: Path) -> bool:
    text = _text(node, path).lower()
    if text not in {"true", "false", "yes", "no"}:
        raise _fault(path, node, "this should be true or false", "write true or false")
    return text in {"true", "yes"}


def _scalar(node: yaml.Node, path: Path) -> str | float | int | bool:
    text = _text(node, path)
    value = yaml.safe_load(text) if node.tag.rpartition(":")[2] in {"int", "float", "bool"} else text
    return value if isinstance(value, bool | int | float) else text


def _fault(path: Path, node: yaml.Node | None, message: str, hint: str) -> BadSchemaFile:
    line = f", line {node.start_mark.line + 1}" if node is not None else ""
    return BadSchemaFile(f"`{path}`{line}: {message}", hint=hint)
