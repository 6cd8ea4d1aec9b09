"""Keys and tenants over HTTP, for keys with the scope `admin`: what `aias keys` and `aias tenants` do.

    POST /keys {"name": "shop", "quotas": ["100/second"]}  ─▶ 201, with the secret: this once and never again

Nobody gives away more than is theirs: a key makes and changes only keys whose scopes it has itself, for no longer than
it lives, and none while it has quotas or a tenant, whose bounds it could lift. A tenant's key is shown what is of that
tenant, and no word of another. What is changed is told as an event, and holds at every worker when it is answered.
"""

from collections.abc import Callable, Iterable
from datetime import datetime, timedelta
from typing import ClassVar, Final, cast

import msgspec

from aias.access.keys import SCOPES, Key, Keys, Scope, unknown, utc_now
from aias.access.tenants import Tenant, TenantExists
from aias.core.events import Event, Watch
from aias.serving.admission.idempotency import asked_once, once_of
from aias.serving.http.bodies import Nothing, read_as
from aias.serving.http.messages import Reply, Request, json_reply
from aias.serving.http.routes import Route
from aias.serving.refusals import BadBody, BadKey, NotSupported, Refusal

DAYS_MAX: Final = 3_650
"""As on the command line: whoever still needs a key after ten years makes another."""

_SHOWN_ONCE: Final = ((b"cache-control", b"no-store"),)


class BeyondItsOwn(Refusal):
    """A key may not grant or change more than it has itself"""

    code = "serving.beyond-its-own"
    status: ClassVar[int] = 403


class AlreadyThere(Refusal):
    """There is something of this name already"""

    code = "serving.already-there"
    status: ClassVar[int] = 409


class NewKey(msgspec.Struct, forbid_unknown_fields=True):
    """`days` until it expires; without, it lives as long as whoever makes it."""

    name: str
    scopes: tuple[str, ...] = ("predict",)
    days: int | None = None
    quotas: list[str] = []
    tenant: str = ""


class Limits(msgspec.Struct, forbid_unknown_fields=True):
    quotas: list[str]


class Owner(msgspec.Struct, forbid_unknown_fields=True):
    tenant: str | None


class NewTenant(msgspec.Struct, forbid_unknown_fields=True):
    name: str
    quotas: list[str] = []


class KeyRoutes:
    """`keys` are absent where this server only checks what others make; `changed` has it know what they are now."""

    def __init__(self, keys: Keys | None, watch: Watch, changed: Callable[[], None] = lambda: None) -> None:
        self._maybe, self._watch, self._know = keys, watch, changed

    def routes(self) -> tuple[Route, ...]:
        return (
            Route("GET", "/keys", "admin", self.list_keys),
            Route("POST", "/keys", "admin", self.create_key, once=True),
            Route("POST", "/keys/{id}/revoke", "admin", self.revoke),
            Route("POST", "/keys/{id}/limit", "admin", self.limit),
            Route("POST", "/keys/{id}/assign", "admin", self.assign),
            Route("GET", "/tenants", "admin", self.list_tenants),
            Route("POST", "/tenants", "admin", self.create_tenant, once=True),
            Route("POST", "/tenants/{name}/limit", "admin", self.limit_tenant),
        )

    def list_keys(self, request: Request) -> Reply:
        """Every key, including expired and revoked ones, without the secrets; for a tenant's key those of the tenant"""
        keys = self._keys

        def listed() -> bytes:
            known = keys.list()
            owner = _asker(known, request).tenant
            return msgspec.json.encode([_told(each) for each in known if owner in ("", each.tenant)])

        # In a thread, as of the database.
        return Reply(b"", later=listed)

    def create_key(self, request: Request) -> Reply:
        """Make a key, and show its secret, this once and never again"""
        asked, giver = read_as(request.body, NewKey), self._giver(request)
        if odd := sorted(set(asked.scopes) - SCOPES):
            hint = f"choose from: {', '.join(sorted(SCOPES))}"
            raise BadBody(f"the request: `scopes`: {odd[0][:40]!r} is not a scope", hint=hint)
        scopes = cast("tuple[Scope, ...]", asked.scopes)
        self._check(giver, frozenset(scopes))
        if asked.days is not None and not 1 <= asked.days <= DAYS_MAX:
            raise BadBody(f"{asked.days} days; a key may live 1 to {DAYS_MAX:,}", hint="leave it out for no end")
        ends = utc_now() + timedelta(days=asked.days) if asked.days else None
        if giver.expires_at is not None:
            ends = min(ends or giver.expires_at, giver.expires_at)
        with asked_once():
            key, secret = self._keys.create(
                asked.name, scopes, expires_at=ends, quotas=asked.quotas, tenant=asked.tenant,
                once=once_of(request, _said(asked)),
            )  # fmt: skip
        self._tell(giver, f"made the key `{key.name}` ({', '.join(sorted(key.scopes))})", key.id)
        return Reply(msgspec.json.encode(_told(key) | {"key": secret}), 201, headers=_SHOWN_ONCE)

    def revoke(self, request: Request) -> Reply:
        """Revoke a key, permanently"""
        read_as(request.body, Nothing)
        return self._changed(request, "revoked", self._keys.revoke)

    def limit(self, request: Request) -> Reply:
        """Set the quotas of a key, replacing those set before; an empty list for none"""
        quotas = read_as(request.body, Limits).quotas
        return self._changed(request, "limited", lambda key_id: self._keys.limit(key_id, quotas))

    def assign(self, request: Request) -> Reply:
        """Give a key to a tenant, whose quotas then apply to it too; null for none"""
        tenant = read_as(request.body, Owner).tenant or ""
        return self._changed(request, "assigned", lambda key_id: self._keys.assign(key_id, tenant))

    def list_tenants(self, request: Request) -> Reply:
        """Every tenant, its quotas and its keys that are not revoked; for a tenant's key only that tenant"""
        keys = self._keys

        def listed() -> bytes:
            known = keys.list()
            owner = _asker(known, request).tenant
            good = [each for each in known if each.revoked_at is None]
            return msgspec.json.encode([
                _of(each) | {"keys": [key.id for key in good if key.tenant == each.name]}
                for each in keys.tenants() if owner in ("", each.name)
            ])  # fmt: skip

        return Reply(b"", later=listed)

    def create_tenant(self, request: Request) -> Reply:
        """Make a tenant: a group of keys, and the quotas that they share"""
        asked, giver = read_as(request.body, NewTenant), self._giver(request)
        try:
            with asked_once():
                made = self._keys.create_tenant(asked.name, asked.quotas, once=once_of(request, _said(asked)))
        except TenantExists as fault:
            raise AlreadyThere(fault.message, hint=f"POST /tenants/{asked.name}/limit sets its quotas") from None
        self._tell(giver, f"made the tenant `{made.name}`")
        return json_reply(_of(made), 201)

    def limit_tenant(self, request: Request) -> Reply:
        """Set the quotas that all keys of a tenant share, replacing those set before"""
        quotas, giver, name = read_as(request.body, Limits).quotas, self._giver(request), request.places["name"]
        now = self._keys.limit_tenant(name, quotas)
        self._tell(giver, f"limited the tenant `{name}`")
        return json_reply(_of(now))

    @property
    def _keys(self) -> Keys:
        if self._maybe is None:
            raise NotSupported("this server makes no keys", hint="`aias keys` does, and it follows")
        return self._maybe

    def _changed(self, request: Request, what: str, change: Callable[[str], Key]) -> Reply:
        """A key that another has changed; not one that may do what the other may not."""
        giver, key_id = self._giver(request), request.places["id"]
        found = next((each for each in self._keys.list() if each.id == key_id), None)
        if found is None:
            raise unknown(key_id)
        self._check(giver, found.scopes)
        now = change(key_id)
        self._tell(giver, f"{what} the key `{now.name}`", now.id)
        return json_reply(_told(now))

    def _giver(self, request: Request) -> Key:
        """The key that asks, as it stands now. Raises `BeyondItsOwn` where it has bounds of its own."""
        found = _asker(self._keys.list(), request)
        if found.quotas or found.tenant:
            raise BeyondItsOwn(
                "a key with quotas, or of a tenant, may not manage keys: it could lift its own bounds",
                hint="use a key of the scope `admin` without either, or `aias keys`",
            )
        return found

    @staticmethod
    def _check(giver: Key, scopes: frozenset[Scope]) -> None:
        if beyond := sorted(scopes - giver.scopes):
            raise BeyondItsOwn(
                f"this key has no scope `{beyond[0]}`, and may not manage keys that have",
                hint="use a key that has the scope as well as `admin`, or `aias keys`",
            )

    def _tell(self, giver: Key, what: str, about: str = "") -> None:
        """At the level that is passed on from every worker."""
        self._know()
        facts: dict[str, object] = {"by": giver.id, "about": about}
        self._watch(Event("access.changed", f"`{giver.name}` {what}", "warning", facts))


def _asker(known: Iterable[Key], request: Request) -> Key:
    """Of the keys that there are, the one that asks. Raises `BadKey`."""
    found = next((each for each in known if each.id == request.tenant), None)
    # It was let in by what this worker knew a moment ago.
    if found is None or found.revoked_at is not None:
        raise BadKey("this server does not know the key", hint="it may be mistyped, revoked or expired")
    return found


def _said(asked: NewKey | NewTenant) -> bytes:
    """The same however it was written."""
    return msgspec.json.encode([type(asked).__name__, asked])


def _told(key: Key) -> dict[str, object]:
    def at(when: datetime | None) -> str | None:
        return None if when is None else when.isoformat()

    return {
        "id": key.id, "name": key.name, "scopes": sorted(key.scopes), "last4": key.last4, "tenant": key.tenant,
        "quotas": list(map(str, key.quotas)), "shared": list(map(str, key.shared)), "created_at": at(key.created_at),
        "expires_at": at(key.expires_at), "revoked_at": at(key.revoked_at),
    }  # fmt: skip


def _of(tenant: Tenant) -> dict[str, object]:
    return {"name": tenant.name, "quotas": list(map(str, tenant.quotas)), "created_at": tenant.created_at.isoformat()}
