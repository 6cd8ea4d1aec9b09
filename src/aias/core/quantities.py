"""Times, sizes, shares and counts as people write them."""

import re
from collections.abc import Mapping
from numbers import Real
from typing import Final

from aias.core.errors import UserError

SECONDS: Final = {"": 1.0, "us": 1e-6, "ms": 1e-3, "s": 1.0, "m": 60.0, "h": 3600.0}
BYTES: Final = {"": 1.0, "B": 1.0, "kB": 1e3, "KB": 1e3, "MB": 1e6, "GB": 1e9}
SHARES: Final = {"": 1.0, "%": 0.01}

UNSAID_LOSS_MAX: Final = 0.1
"""From here on a share is hardly meant as one."""


def seconds_of(text: float | str) -> float:
    """`90`, `"90s"`, `"5m"`, `"1h30m"`, `"2ms"` or `"150us"` in seconds. Raises `UserError`."""
    if isinstance(text, str) and (parts := re.fullmatch(r"\s*(\d+)h\s*(\d+)m\s*|\s*(\d+)m\s*(\d+)s\s*", text)):
        hours, minutes, whole, seconds = (float(each or 0) for each in parts.groups())
        return 3600 * hours + 60 * (minutes + whole) + seconds
    return _quantity(text, SECONDS, "time", "write 90s, 5m or 1h; or 150us, 2ms")


def latency_of(text: float | str) -> float:
    """As `seconds_of`; a text has to say its unit, since nobody who writes `50` means 50 s. Raises `UserError`."""
    if isinstance(text, str) and text.strip().replace(".", "", 1).isdigit():
        if not float(text):
            raise UserError(f"a latency of {text.strip()} cannot be kept", hint="write 150us or 2ms")
        raise UserError(f"the latency {text!r} has no unit", hint=f"write {text.strip()}ms or {text.strip()}us")
    return seconds_of(text)


def bytes_of(text: int | str) -> int:
    """`5_000_000`, `"5MB"`, `"300 kB"` in bytes. Raises `UserError`."""
    return round(_quantity(text, BYTES, "size", "write 300kB, 5MB or 4GB"))


def share_of(text: float | str) -> float:
    """`"0.5%"` or 0.005 as a share. Raises `UserError`."""
    return _quantity(text, SHARES, "share", "write 0.5% or 0.005")


def accepted_loss_of(text: float | str) -> float:
    """As `share_of`; a text of a tenth and more has to say `%`, since nobody who writes `0.5` means half of everything.

    Raises `UserError`.
    """
    found = share_of(text)
    if isinstance(text, str) and found >= UNSAID_LOSS_MAX and not text.strip().endswith("%"):
        raise UserError(
            f"a loss of {text.strip()} is {100 * found:g} % of the metric",
            hint=f"write {text.strip()}% or, if so much is meant, {100 * found:g}%",
        )
    return found


def _quantity(text: float | str, units: Mapping[str, float], what: str, hint: str) -> float:
    if isinstance(text, Real) and not isinstance(text, bool):
        return float(text)
    found = isinstance(text, str) and re.fullmatch(r"([0-9]+(?:\.[0-9]+)?)\s*([A-Za-z%]*)", text.strip())
    if not found or found[2] not in units:
        raise UserError(f"{text!r} is not a {what}", hint=hint)
    return float(found[1]) * units[found[2]]


def size(size_bytes: int) -> str:
    """`312 kB`, `4.1 MB`."""
    value = float(size_bytes)
    for unit in ("B", "kB", "MB"):
        if value < 1000:
            return f"{value:.0f} {unit}" if value >= 10 or unit == "B" else f"{value:.1f} {unit}"
        value /= 1000
    return f"{value:.1f} GB"


def counted(number: int, one: str) -> str:
    """`1 row`, `1,200 rows`: so many of what `one` is called."""
    return f"{number:,} {one}{'' if number == 1 else 's'}"


def are(number: int) -> str:
    """What follows that in a sentence: `is` or `are`."""
    return "is" if number == 1 else "are"
