"""The secret form of a key: `aias_<id>_<256 random bits>_<checksum>`, of one length whatever is in it.

The prefix lets scanners of leaked secrets find it, the checksum tells a typing error from a wrong key without a
look-up. Only its SHA-256 is kept: of 256 random bits none can be guessed, so a slow hash would protect nothing.
"""

import base64
import hashlib
import secrets
import zlib
from typing import Final

PREFIX: Final = "aias_"
LENGTH: Final = 64
"""5 of the prefix, 8 of the id, 43 of the random part, 6 of the checksum, and two underscores."""

_ID: Final = slice(5, 13)
_BODY: Final = slice(57)
_CHECKSUM: Final = slice(58, 64)


def new_secret() -> tuple[str, str]:
    """An id and the secret that holds it, from the operating system's randomness."""
    key = new_id()
    return key, secret_of(key, secrets.token_bytes(32))


def new_id() -> str:
    return base64.b32encode(secrets.token_bytes(5)).decode().lower()


def secret_of(key: str, bits: bytes) -> str:
    """The secret of an id and 256 bits."""
    body = f"{PREFIX}{key}_{base64.urlsafe_b64encode(bits).decode().rstrip('=')}"
    return f"{body}_{_checksum(body)}"


def id_of(secret: str) -> str | None:
    """The id in a well-formed secret; None for anything else."""
    # The parts stand at fixed places, since the random one may hold underscores itself.
    if len(secret) != LENGTH or not secret.startswith(PREFIX) or not secret.isascii():
        return None
    return secret[_ID] if secret[_CHECKSUM] == _checksum(secret[_BODY]) else None


def digest_of_secret(secret: str) -> bytes:
    """What is kept of a secret."""
    return hashlib.sha256(secret.encode()).digest()


def _checksum(body: str) -> str:
    return f"{zlib.crc32(body.encode()) & 0xFFFFFF:06x}"
