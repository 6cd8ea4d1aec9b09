"""Who may come in: the names that this server goes by, the pages that may call it, and the keys that open a route."""

import ipaddress
import re
from collections.abc import Iterable
from functools import partial
from typing import TYPE_CHECKING, Final, Protocol

from aias.access.accounts import Usage
from aias.access.keys import Key
from aias.serving.admission.quotas import Quotas
from aias.serving.http.lengths import rows_of
from aias.serving.http.messages import Request
from aias.serving.http.routes import PUBLIC, Route
from aias.serving.refusals import BadKey, BadRequest, MissingScope, NoKey, UnknownHost, foreign_origin

if TYPE_CHECKING:
    from aias.serving.versions.model import Model

LOOPBACK: Final = frozenset(("localhost", "127.0.0.1", "[::1]"))

_SPELLINGS_MAX: Final = 16
_OPENED_MAX: Final = 1_024
"""Keys that are remembered as good, so that they are hashed once."""

_HOST: Final = re.compile(rb"(\[[^\]]*\]|[^:]*)(?::[0-9]{0,5})?")

Headers = dict[bytes, bytes]


class KeyVerifier(Protocol):
    """The part of a key ring that is needed here."""

    def verify(self, secret: str) -> Key | None: ...

    def may_be_new(self, secret: str) -> bool: ...

    def limited(self) -> Iterable[Key]: ...


class AccessControl:
    """A page of a foreign site can make a browser call 127.0.0.1, under a name of its own; hence `Host` is checked."""

    def __init__(self, ring: KeyVerifier, hosts: Iterable[str], quotas: Quotas) -> None:
        self.ring, self.quotas = ring, quotas
        self._opened: tuple[KeyVerifier, dict[bytes, Key]] = (ring, {})
        self._hosts = LOOPBACK | {host.lower() for host in hosts}
        self._seen: frozenset[bytes] = frozenset()

    def check_caller(self, headers: Headers) -> None:
        """Raises `BadRequest`, `UnknownHost`, `ForeignOrigin`."""
        host = headers.get(b"host")
        if host is None:
            raise BadRequest("the request has no Host header", hint="send `Host: ` and the name that you called")
        if host not in self._seen:
            self._check_host(host)
        origin = headers.get(b"origin")
        if origin is not None and not self._is_ours(origin):
            raise foreign_origin()
        if headers.get(b"sec-fetch-site") == b"cross-site":
            raise foreign_origin()

    def check_key(self, route: Route, headers: Headers) -> Key | None:
        """The caller's key; None where none is needed. Raises `NoKey`, `BadKey`, `MissingScope`."""
        if route.scope == PUBLIC:
            return None
        given = headers.get(b"authorization", b"")
        ring, opened = self._opened
        key = opened.get(given) if ring is self.ring else None
        if key is None:
            key = self._verified(given)
        if route.scope not in key.scopes:
            hint = f"`aias keys create NAME --scope {route.scope}` makes one that has it"
            missing = MissingScope(f"this key has no scope `{route.scope}`", hint=hint)
            missing.key = key.name
            raise missing
        return key

    def let_in(
        self, route: Route, request: Request, model: "Model | None" = None, *,
        row_too: bool = False, later: bool = False, only_look: bool = False,
    ) -> None:  # fmt: skip
        """Whose key it is, and whether it may ask. `model`: what it comes for, if known; `later`: its quotas are taken
        in `pay_together`, where that may be; the others: as `Charge.enter` has them.

        Raises as `check_key`, and `QuotaSpent`, `Busy`, `StorageFailed`, `Damaged`.
        """
        request.route = route.path
        try:
            key = self.check_key(route, request.headers)
        except MissingScope as fault:
            request.key = fault.key
            raise
        if key is not None:
            request.tenant, request.payer, request.key, request.model = key.id, key.payer, key.name, model
            if key.quotas or key.shared:
                charge = request.charge = self.quotas.charge(key, request.slot)
                if not (later and charge.put_off()):
                    charge.enter(partial(rows_of, request, model), row_too=row_too, only_look=only_look)

    def used(self) -> list[tuple[Key, Usage]]:
        """What each key that has quotas has used of them."""
        return self.quotas.used(self.ring.limited())

    def used_by_tenants(self) -> list[tuple[str, Usage]]:
        return self.quotas.used_by_tenants(self.ring.limited())

    def _verified(self, given: bytes) -> Key:
        """The key in an `Authorization` header. One that never expires is remembered until there is another ring."""
        scheme, _, secret = given.partition(b" ")
        if scheme.lower() != b"bearer":
            came = "; `Bearer` does not stand before it" if given else ""
            raise NoKey(f"this needs a key{came}", hint="send the header `Authorization: Bearer <key>`")
        ring = self.ring
        given_secret = secret.strip().decode("latin-1")
        key = ring.verify(given_secret)
        if key is None:
            unknown = BadKey("this server does not know the key", hint="it may be mistyped, revoked or expired")
            unknown.may_be_new = ring.may_be_new(given_secret)
            raise unknown
        if key.expires_at is None:
            known = self._opened[1] if self._opened[0] is ring and len(self._opened[1]) < _OPENED_MAX else {}
            self._opened = (ring, known | {given: key})
        return key

    def _check_host(self, host: bytes) -> None:
        if _name_of(host) not in self._hosts:
            raise UnknownHost(
                "the Host header names a host that this server does not answer for",
                hint="`aias serve --allowed-host NAME` adds one",
            )
        # Clients send one spelling; whoever tries many is not remembered for all of them.
        self._seen = frozenset((host,)) | (self._seen if len(self._seen) < _SPELLINGS_MAX else frozenset())

    def _is_ours(self, origin: bytes) -> bool:
        scheme, separator, host = origin.partition(b"://")
        return bool(separator) and scheme in (b"http", b"https") and _name_of(host) in self._hosts


def is_loopback(host: str) -> bool:
    """Whether only this machine can reach what is bound to `host`."""
    if host == "localhost":
        return True
    try:
        return ipaddress.ip_address(host).is_loopback
    except ValueError:
        return False


def _name_of(host: bytes) -> str:
    """The host without its port, lower case: `LocalHost:8000` → `localhost`, `[::1]:8000` → `[::1]`; else nothing."""
    found = _HOST.fullmatch(host)
    return found[1].decode("latin-1").lower() if found else ""
