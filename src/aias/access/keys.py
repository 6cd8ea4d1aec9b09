"""Keys: made once, shown once, kept as a digest, and checked without the database."""

import hmac
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path
from typing import Final, Literal, Self, get_args

from aias.access import tenants
from aias.access.idempotency import IdempotencyKey, new_salt
from aias.access.quotas import Quota, checked
from aias.access.secret import digest_of_secret, id_of, new_id, new_secret, secret_of
from aias.access.tenants import Tenant, account_of
from aias.core.errors import NotFound, UserError
from aias.core.failpoints import failpoint
from aias.core.names import check_name
from aias.database import keys
from aias.database.engine import Database, Transaction
from aias.database.tenants import take

Scope = Literal["predict", "read", "admin"]
"""predict: ask endpoints. read: metadata and metrics. admin: everything else. None includes another."""

SCOPES: Final[frozenset[Scope]] = frozenset(get_args(Scope))

_NOBODY: Final = bytes(32)
"""What the secret of an unknown id is compared with, so that the answer takes as long as for a known one."""


class UnknownKey(NotFound):
    """No key has this id."""

    code = "access.unknown-key"


class BadScope(UserError):
    """A scope that a key cannot have."""

    code = "access.bad-scope"


@dataclass(frozen=True, slots=True)
class Key:
    """All of a key that may be shown. `last4` are the end of its secret's checksum, for people to tell keys apart."""

    id: str
    name: str
    scopes: frozenset[Scope]
    last4: str
    created_at: datetime
    expires_at: datetime | None = None
    revoked_at: datetime | None = None
    quotas: tuple[Quota, ...] = ()
    tenant: str = ""
    shared: tuple[Quota, ...] = ()
    """Those of its tenant, which hold for all keys of that together."""

    @property
    def payer(self) -> str:
        """Who has a share of the time: its tenant, or this key."""
        return account_of(self.tenant) if self.tenant else self.id


def utc_now() -> datetime:
    return datetime.now(UTC)


@dataclass(frozen=True, slots=True)
class KeyRing:
    """The keys that there were when it was made, in memory; those that were revoked as None. Make a new one when the
    database's generation moves."""

    _keys: Mapping[str, tuple[bytes, Key | None]]
    _clock: Callable[[], datetime]

    def verify(self, secret: str) -> Key | None:
        """The key that a secret opens with; None for everything else, without saying why."""
        key_id = id_of(secret)
        if key_id is None:
            return None
        digest, key = self._keys.get(key_id, (_NOBODY, None))
        if not hmac.compare_digest(digest, digest_of_secret(secret)) or key is None:
            return None
        if key.expires_at is not None and self._clock() >= key.expires_at:
            return None
        return key

    def may_be_new(self, secret: str) -> bool:
        """Whether it could be of a key that was made since."""
        key_id = id_of(secret)
        return key_id is not None and key_id not in self._keys

    def limited(self) -> list[Key]:
        """Those that have quotas, or whose tenant has."""
        return [key for _, key in self._keys.values() if key is not None and (key.quotas or key.shared)]


class Keys:
    """The keys of one home. Safe to use from several threads and processes."""

    def __init__(self, database: Database, *, clock: Callable[[], datetime] = utc_now) -> None:
        self.database = database
        self._clock = clock

    @classmethod
    def open(cls, home: Path, *, clock: Callable[[], datetime] = utc_now) -> Self:
        return cls(Database.open(home), clock=clock)

    def close(self) -> None:
        self.database.close()

    def create(
        self,
        name: str,
        scopes: Iterable[Scope],
        *,
        expires_at: datetime | None = None,
        quotas: Iterable[Quota | str] = (),
        tenant: str = "",
        once: IdempotencyKey | None = None,
    ) -> tuple[Key, str]:
        """A new key and its secret, which is nowhere to be had again, but `once`: asked the same again, that key and
        that secret. Raises `BadName`, `BadScope`, `BadQuota`, `UnknownTenant`, `AskedOtherwise`, `UserError`."""
        with self.database.writing() as transaction:
            if once is not None and (before := once.made(transaction, self._clock())) is not None:
                return self._again(transaction, once, *before)
            whose, salt = tenants.look_up(transaction, tenant) if tenant else None, new_salt()
            pair = new_secret() if once is None else _named(once, salt)
            key, secret = self._add(transaction, name, scopes, expires_at, checked(quotas), whose, pair=pair)
            if once is not None:
                once.note(transaction, key.id, salt, key.created_at)
            failpoint("keys.before_commit")
        failpoint("keys.after_commit")
        return key, secret

    def first(self) -> str | None:
        """Make the first key of a home, with every scope, and return its secret; None when there is one already.

        Revoked keys do not count: who has revoked every key is not locked out of the own machine.

        When the process dies before it has shown the secret, make another key from the command line.
        """
        with self.database.writing() as transaction:
            if keys.any_good(transaction):
                return None
            _, secret = self._add(transaction, "first", SCOPES, None)
            failpoint("keys.before_commit")
        failpoint("keys.after_commit")
        return secret

    def list(self) -> list[Key]:
        """All keys, also expired and revoked ones, the oldest first."""
        with self.database.reading() as transaction:
            return [_key(row) for row in keys.listed(transaction)]

    def revoke(self, key_id: str) -> Key:
        """Shut a key out for ever; doing it again changes nothing. Raises `UnknownKey`."""
        with self.database.moving("keys") as transaction:
            keys.revoke(transaction, key_id, self._clock())
            return _found(transaction, key_id)

    def forget(self, key_id: str) -> None:
        """Shut a key out, and leave no trace of it: for one that was made for a while only. Raises `UnknownKey`."""
        with self.database.moving("keys") as transaction:
            keys.remove(transaction, _found(transaction, key_id).id)

    def limit(self, key_id: str, quotas: Iterable[Quota | str]) -> Key:
        """Have these quotas hold for a key, instead of those that did; none for no bounds. What it has used of a day or
        a month stays counted. Raises `UnknownKey`, `BadQuota`."""
        wanted = checked(quotas)
        with self.database.moving("keys") as transaction:
            keys.set_quotas(transaction, key_id, tenants.written(wanted))
            return _found(transaction, key_id)

    def create_tenant(
        self, name: str, quotas: Iterable[Quota | str] = (), *, once: IdempotencyKey | None = None
    ) -> Tenant:
        """Somebody who may have several keys; the quotas hold for all of them together. Raises `BadName`, `BadQuota`,
        `TenantExists`, `AskedOtherwise`."""
        with self.database.writing() as transaction:
            if once is not None and once.made(transaction, self._clock()) is not None:
                return tenants.look_up(transaction, name)
            made = tenants.create(transaction, name, quotas, self._clock())
            if once is not None:
                once.note(transaction, made.name, b"", made.created_at)
            return made

    def limit_tenant(self, name: str, quotas: Iterable[Quota | str]) -> Tenant:
        """As `limit`, for all keys of a tenant together. Raises `UnknownTenant`, `BadQuota`."""
        with self.database.moving("keys") as transaction:
            return tenants.limit(transaction, name, quotas)

    def tenants(self) -> Sequence[Tenant]:
        with self.database.reading() as transaction:
            return tenants.listed(transaction)

    def assign(self, key_id: str, tenant: str) -> Key:
        """Give a key to a tenant, or with an empty name to nobody. Raises `UnknownKey`, `UnknownTenant`."""
        with self.database.moving("keys") as transaction:
            if tenant:
                tenants.look_up(transaction, tenant)
            take(transaction, tenant, key_id)
            return _found(transaction, key_id)

    def verify(self, secret: str) -> Key | None:
        """The key that a secret opens with, as the database stands now. For many checks, keep a `ring`."""
        return self.ring().verify(secret)

    def ring(self) -> KeyRing:
        """The keys as they are now; expiry is checked at each use."""
        with self.database.reading() as transaction:
            rows = keys.listed(transaction)
        # Those that are revoked, too: they are known, and nobody looks for them again.
        known = {row[0]: (bytes.fromhex(row[3]), _key(row) if row[7] is None else None) for row in rows}
        return KeyRing(known, self._clock)

    def _add(
        self,
        transaction: Transaction,
        name: str,
        scopes: Iterable[Scope],
        expires_at: datetime | None,
        quotas: tuple[Quota, ...] = (),
        tenant: Tenant | None = None,
        *,
        pair: tuple[str, str] | None = None,
    ) -> tuple[Key, str]:
        key_id, secret = pair or new_secret()
        key = Key(
            key_id, check_name(name), _checked(scopes), secret[-4:], self._clock(), self._in_future(expires_at),
            quotas=quotas, tenant=tenant.name if tenant else "", shared=tenant.quotas if tenant else (),
        )  # fmt: skip
        keys.add(
            transaction,
            (
                key.id,
                key.name,
                " ".join(sorted(key.scopes)),
                digest_of_secret(secret).hex(),
                key.last4,
                key.created_at,
                key.expires_at,
                None,
                tenants.written(quotas),
                key.tenant,
                "",
            ),
        )
        return key, secret

    @staticmethod
    def _again(transaction: Transaction, once: IdempotencyKey, made: str, salt: bytes) -> tuple[Key, str]:
        return _found(transaction, made), secret_of(made, once.bits(salt))

    def _in_future(self, expires_at: datetime | None) -> datetime | None:
        if expires_at is None:
            return None
        if expires_at.tzinfo is None:
            raise UserError("a key expires at a point in time; this one has no time zone", hint="add `Z` for UTC")
        if expires_at <= self._clock():
            raise UserError(f"a key that expires at {expires_at} has expired already", hint="choose a later time")
        return expires_at


def _found(transaction: Transaction, key_id: str) -> Key:
    """Raises `UnknownKey`."""
    row = keys.found(transaction, key_id)
    if row is None:
        raise unknown(key_id, map(_key, keys.listed(transaction)))
    return _key(row)


def _named(once: IdempotencyKey, salt: bytes) -> tuple[str, str]:
    key_id = new_id()
    return key_id, secret_of(key_id, once.bits(salt))


def _checked(scopes: Iterable[Scope]) -> frozenset[Scope]:
    chosen = frozenset(scopes)
    if not chosen or not chosen <= SCOPES:
        raise BadScope(
            f"{', '.join(sorted(map(str, chosen - SCOPES))) or 'nothing'} is not a scope",
            hint=f"choose from: {', '.join(sorted(SCOPES))}",
        )
    return chosen


def _key(row: keys.KeyRow) -> Key:
    key_id, name, scopes, _, last4, created_at, expires_at, revoked_at, quotas, tenant, shared = row
    known = frozenset(scope for scope in SCOPES if scope in scopes.split())
    held = tenants.read(quotas)
    return Key(key_id, name, known, last4, created_at, expires_at, revoked_at, held, tenant, tenants.read(shared))


def unknown(key_id: str, known: Iterable[Key] = ()) -> UnknownKey:
    """`known`: the keys that whoever asks may hear of."""
    called = [f"`{each.id}`" for each in known if each.name == key_id and each.revoked_at is None][:5]
    hint = "`aias keys list` and GET /keys show their ids"
    if called:
        hint = f"that is a name; its id is {' or '.join(called)}"
    return UnknownKey(f"there is no key with the id {key_id!r}", hint=hint)
