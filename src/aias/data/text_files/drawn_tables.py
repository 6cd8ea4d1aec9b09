"""Tables that are drawn with dashes and bars, as databases print them and Markdown has them."""

import re
from typing import Final

_LINES: Final = 3
"""Among which one is drawn."""

_RULE: Final = re.compile(rb"[ \t]*[|+]?[ ]*:?[-=]{2,}:?[ ]*(?:[|+][ ]*:?[-=]{2,}:?[ ]*)*[|+]?[ \t]*")
_BAR: Final = re.compile(rb"[ \t]*\|(.*)\|[ \t]*")


def is_drawn(data: bytes) -> bool:
    """Whether bars divide its first lines, and one of them is drawn."""
    lines = [line for line in data[: 1 << 16].split(b"\n") if line.strip()][:_LINES]
    rules = [line for line in lines if _RULE.fullmatch(line) and (b"|" in line or b"+" in line)]
    others = [line for line in lines if line not in rules]
    return bool(rules and others) and all(b"|" in line for line in others)


def undrawn(data: bytes) -> bytes:
    """The same lines with bars between values and nowhere else; what is drawn is empty."""
    lines = (b"" if _RULE.fullmatch(line) else line for line in data.split(b"\n"))
    return b"\n".join(found[1] if (found := _BAR.fullmatch(line)) else line for line in lines)
