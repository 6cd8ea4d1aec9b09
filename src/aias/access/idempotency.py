"""A request that is done once, though it may be asked again: by its caller who heard no answer, or by a server whose
worker died before it gave one.

    named ─▶ done before? ──no──▶ done, and noted, in one transaction ─▶ answer
                └ yes, the same ────────────────────────────────────────▶ the same answer
                └ yes, another ─▶ refused

A secret is kept nowhere. So one that is made for a named request follows from what its caller has (the secret of the
key that asks, and the name) and from what the database has (a salt); neither is enough.
"""

import hashlib
import hmac
import secrets
from dataclasses import dataclass, field
from datetime import datetime, timedelta
from typing import Final

from aias.core.errors import Conflict
from aias.database import once as table
from aias.database.engine import Transaction

KEPT: Final = timedelta(hours=24)
"""As long as others keep such names (Stripe); who has not heard after a day looks first."""


class AskedOtherwise(Conflict):
    """An `Idempotency-Key` was already used for a different request"""

    code = "access.asked-otherwise"


@dataclass(frozen=True, slots=True)
class IdempotencyKey:
    """`who` asks, `name` is that of the request, of one caller unlike any other; `asked`: what for. `secret`: of the
    key that asks."""

    who: str
    name: bytes
    asked: bytes
    secret: bytes = field(default=b"", repr=False)

    def made(self, transaction: Transaction, now: datetime) -> tuple[str, bytes] | None:
        """What has been made, and with which salt; None where nothing has. Raises `AskedOtherwise`."""
        table.forget(transaction, now - KEPT)
        row = table.found(transaction, self.who, _digest(self.name))
        if row is None:
            return None
        _, _, asked, made, salt, _ = row
        if asked != _digest(self.asked):
            raise AskedOtherwise(
                "a request with the same `Idempotency-Key` asked for something else", hint="give each request its own"
            )
        return made, bytes.fromhex(salt)

    def note(self, transaction: Transaction, made: str, salt: bytes, now: datetime) -> None:
        """In the transaction that makes it."""
        table.add(transaction, (self.who, _digest(self.name), _digest(self.asked), made, salt.hex(), now))

    def bits(self, salt: bytes) -> bytes:
        """What a secret is made of; the same for whoever asks the same again."""
        return hmac.digest(self.secret, b"aias once\0" + salt + self.name, "sha256")


def new_salt() -> bytes:
    return secrets.token_bytes(32)


def _digest(text: bytes) -> str:
    return hashlib.sha256(text).hexdigest()
