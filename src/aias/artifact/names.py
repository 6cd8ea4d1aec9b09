"""How an artifact's folder and the files in it may be called. A caller's words never become a path."""

import re
from typing import Final

from aias.core.names import DIGEST

MANIFEST: Final = "manifest.json"

MEMBER: Final = re.compile(r"([a-z0-9_-]{1,100}/)?[A-Za-z0-9_-][A-Za-z0-9._-]{0,99}")
"""One file, at most one folder deep; nothing hidden, absolute, or with a way up."""


def folder_name(digest: str) -> str:
    """The folder of an artifact: the digest's 64 hexadecimal digits."""
    if not DIGEST.fullmatch(digest):
        raise ValueError(f"{digest!r} is not a digest")
    return digest.removeprefix("sha256:")
