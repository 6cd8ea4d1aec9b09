"""What is wrong with JSON, in words for whoever wrote it: where, what was expected, what came.

Expected `int`, got `str` - at `$.inputs[0].shape[1]`   →   `inputs[0].shape[1]` must be a whole number; a text came
"""

import re
from codecs import BOM_UTF8, BOM_UTF16_BE, BOM_UTF16_LE
from typing import Final

import msgspec

Faults: Final = (msgspec.MsgspecError, ValueError, RecursionError)
"""What msgspec raises on bytes that are not what they should be; before 0.23 `ValueError` on text that is no UTF-8."""

_KINDS: Final = {
    "array": "a list", "bool": "true or false", "float": "a number", "int": "a whole number", "null": "null",
    "object": "an object", "str": "a text",
}  # fmt: skip

_NAMES: Final = 'the names of an object stand in double quotes, {"name": value}'
_BROKEN: Final = {
    "expected ':'": "a colon was expected",
    "expected ',' or ']'": "a comma or the end of the list was expected",
    "expected ',' or '}'": "a comma or the end of the object was expected",
    "invalid character": "no value begins so; texts need double quotes and escapes, and JSON has no NaN",
    "invalid number": "this is no number",
    "expected '\"'": _NAMES, "object keys must be strings": _NAMES,
    "invalid utf-16 surrogate pair": "half of a surrogate pair is escaped",
    "unexpected end of escaped utf-16 surrogate pair": "half of a surrogate pair is escaped",
    "trailing characters": "there is more after its end",
    "trailing comma in array": "a comma stands before the end of the list",
    "trailing comma in object": "a comma stands before the end of the object",
}  # fmt: skip

_PLACE: Final = re.compile(r" - at (?:the )?(key in )?`(\$[^`]*)`$", re.DOTALL)
_KIND: Final = re.compile(r"Expected `([^`]*)`(?:, got `([^`]*)`)?$")
_FIELD: Final = re.compile(r"Object (missing required|contains unknown) field `(.*)`$", re.DOTALL)
_BYTE: Final = re.compile(r"JSON is malformed: (.*) \(byte (\d+)\)$", re.DOTALL)

_HALF: Final = re.compile(rb"\\u([dD][89abAB][0-9a-fA-F]{2})(.{0,6})", re.DOTALL)
"""A first half of a surrogate pair, and what stands where the second has to."""

_REST: Final = re.compile(rb"(?:\\(?:u[0-9a-fA-F]{0,4})?)?")
_TAIL_BYTES: Final = 16


def in_words(fault: Exception, raw: bytes | msgspec.Raw | str = b"") -> str:
    """One of `Faults` as the rest of a sentence that may begin with its place. `raw`: what was read."""
    if isinstance(fault, RecursionError):
        return "the JSON is nested too deeply"
    said = str(fault)
    if isinstance(fault, UnicodeDecodeError) or said.startswith("Invalid UTF-8"):
        return "the JSON is not UTF-8"
    if isinstance(raw, bytes) and raw[:2] in (BOM_UTF16_LE, BOM_UTF16_BE):
        return "the JSON is not UTF-8"
    if isinstance(raw, bytes) and raw[:3] == BOM_UTF8:
        return "the JSON begins with a byte order mark, which no JSON may"
    if said == "Input data was truncated":
        return _half_at_end(raw) or "the JSON ends before it is whole"
    if broken := _BYTE.match(said):
        why = _BROKEN.get(broken[1], "a text is escaped wrongly" if "escape" in broken[1] else "")
        return f"the JSON breaks at byte {broken[2]}" + (f": {why}" if why else "")
    place = _PLACE.search(said)
    where = _where(place[2]) if place else ""
    return _wrong(said[: place.start()] if place else said, where)[:200]


def _half_at_end(raw: bytes | msgspec.Raw | str) -> str:
    """Near the end msgspec takes half of a surrogate pair for one whose other half was cut off."""
    for half in _HALF.finditer((raw.encode() if isinstance(raw, str) else bytes(raw))[-_TAIL_BYTES:]):
        if not _REST.fullmatch(half[2]):
            return f"`\\u{half[1].decode()}` is half of a surrogate pair, and without the other half no character"
    return ""


def _wrong(said: str, where: str) -> str:
    """What a value is not, or which field is odd."""
    if field := _FIELD.match(said):
        inside = f" in {where}" if where else ""
        odd = "is missing" if field[1] == "missing required" else "is not known"
        return f"the field `{field[2][:100]}` {odd}{inside}"
    if kind := _KIND.match(said):
        came = f"; {_KINDS.get(kind[2], kind[2])} came" if kind[2] else ""
        return f"{where or 'it'} must be {_kinds(kind[1])}{came}"
    if "out of range" in said:
        return f"{where or 'it'} holds a number that is too large"
    return f"{where or 'it'} has a value that is not understood"


def _kinds(expected: str) -> str:
    """Each of them; whole numbers are numbers too."""
    found = expected.split(" | ")
    if "float" in found and "int" in found:
        found.remove("int")
    return " or ".join(_KINDS.get(each, each) for each in found)


def _where(path: str) -> str:
    """`$.inputs[0].shape` as `inputs[0].shape`; `[...]` is one of an object's values, whose name is not told."""
    inside = path.endswith("[...]")
    path = path.removesuffix("[...]").removeprefix("$").removeprefix(".").replace("[...]", "[any]")
    if not path:
        return "one of its values" if inside else ""
    return f"a value of `{path}`" if inside else f"`{path}`"
