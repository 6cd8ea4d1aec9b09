"""Names of models and endpoints, references such as `reviews@3`, and digests."""

import hashlib
import re
from collections.abc import Iterable
from dataclasses import dataclass
from typing import Final

from aias.core.errors import UserError, shown

NAME: Final = re.compile(r"[a-z0-9][a-z0-9._-]{0,62}")
"""What a model or an endpoint may be called: safe in a URL, a file name and a shell."""

DIGEST: Final = re.compile(r"sha256:[0-9a-f]{64}")


class BadName(UserError):
    """A text that cannot name a model, a version, an endpoint or a key."""

    code = "names.bad-name"


def check_name(name: str) -> str:
    """Return `name`, or raise `BadName`. Names are never trimmed or lower-cased for the caller."""
    if not isinstance(name, str) or not NAME.fullmatch(name) or ".." in name:
        raise BadName(
            f"{shown(name)} cannot be a name",
            hint="1 to 63 of a-z, 0-9, '.', '_', '-', beginning with a letter or digit, for example `churn-2026`",
        )
    return name


RESERVED: Final = frozenset(("stats",))
"""What no endpoint may be called: its description would be at `/v2/models/stats`, where the statistics of all are."""


def check_endpoint(name: str) -> str:
    """The same for an endpoint that is to be made: its name is a part of paths too."""
    if check_name(name) in RESERVED:
        raise BadName(
            f"no endpoint can be called `{name}`, since /v2/models/{name} is something else",
            hint=f"deploy it under another name: `--as {name}-1`",
        )
    return name


def listed(names: str | Iterable[str]) -> tuple[str, ...]:
    """One name by itself is a list of one, not its letters. What is none at all is told by whoever looks for it."""
    return tuple(names) if isinstance(names, Iterable) and not isinstance(names, str) else (names,)


NAMELESS: Final = "model"
"""What is called so has a title of which nothing can be in a name."""


def name_from(text: str) -> str:
    """A valid name made of a file's stem or a title: `My Reviews (1)` → `my-reviews-1`."""
    slug = re.sub(r"[^a-z0-9._]+", "-", text.lower()).strip("-._")[:63]
    return check_name(re.sub(r"\.\.+", ".", slug) or NAMELESS)


@dataclass(frozen=True, slots=True)
class Ref:
    """A model and, unless the newest is meant, the number of one of its versions."""

    name: str
    number: int | None = None

    @classmethod
    def parse(cls, text: str) -> "Ref":
        """Read `reviews` (the newest version) or `reviews@3`."""
        name, at, number = text.partition("@")
        check_name(name)
        if not at or number == "latest":
            return cls(name)
        if not re.fullmatch(r"[1-9][0-9]{0,8}", number):
            raise BadName(f"{text!r} does not name a version", hint=f"write `{name}@1`, or `{name}` for the newest")
        return cls(name, int(number))

    def __str__(self) -> str:
        return self.name if self.number is None else f"{self.name}@{self.number}"


def digest_of(chunks: Iterable[bytes | memoryview]) -> str:
    """`sha256:` and 64 hexadecimal digits over the chunks in order."""
    hasher = hashlib.sha256()
    for chunk in chunks:
        hasher.update(chunk)
    return f"sha256:{hasher.hexdigest()}"


def short_digest(chunks: Iterable[bytes | memoryview], digits: int = 32) -> str:
    """So many hexadecimal digits over the chunks, for a file's name."""
    return digest_of(chunks).removeprefix("sha256:")[:digits]
