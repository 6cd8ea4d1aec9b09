"""Tenants: who has several keys, and what all of these together may ask."""

from collections.abc import Iterable
from dataclasses import dataclass
from datetime import datetime
from typing import Any, Final

from aias.access.quotas import Quota, checked, parse_quota
from aias.core.errors import Conflict, NotFound
from aias.core.names import check_name
from aias.core.suggestions import did_you_mean
from aias.database import tenants

_OF: Final = "tenant "


class UnknownTenant(NotFound):
    """No tenant has this name."""

    code = "access.unknown-tenant"


class TenantExists(Conflict):
    """There is a tenant of this name already"""

    code = "access.tenant-exists"


@dataclass(frozen=True, slots=True)
class Tenant:
    """`quotas` hold for all of its keys together, beside each key's own."""

    name: str
    quotas: tuple[Quota, ...]
    created_at: datetime


def create(transaction: Any, name: str, quotas: Iterable[Quota | str], at: datetime) -> Tenant:
    """Raises `BadName`, `BadQuota`, `TenantExists`."""
    tenant = Tenant(check_name(name), checked(quotas), at)
    if tenants.found(transaction, name) is not None:
        raise TenantExists(f"there is a tenant `{name}` already", hint=f"`aias tenants limit {name}` sets its quotas")
    tenants.add(transaction, (tenant.name, written(tenant.quotas), at))
    return tenant


def limit(transaction: Any, name: str, quotas: Iterable[Quota | str]) -> Tenant:
    """Raises `UnknownTenant`, `BadQuota`."""
    wanted = checked(quotas)
    before = look_up(transaction, name)
    tenants.set_quotas(transaction, name, written(wanted))
    return Tenant(name, wanted, before.created_at)


def look_up(transaction: Any, name: str) -> Tenant:
    """Raises `UnknownTenant`."""
    row = tenants.found(transaction, name)
    if row is None:
        raise unknown(name, [each.name for each in listed(transaction)])
    return _tenant(row)


def unknown(name: str, known: Iterable[str] = ()) -> UnknownTenant:
    """`known`: the tenants that whoever asks may hear of."""
    hint = did_you_mean(name, known) or "`aias tenants list` shows them"
    return UnknownTenant(f"there is no tenant `{name[:100]}`", hint=hint)


def listed(transaction: Any) -> list[Tenant]:
    return [_tenant(row) for row in tenants.listed(transaction)]


def account_of(name: str) -> str:
    """What the ledger keeps a tenant's usage under; no key's id has a space."""
    return f"{_OF}{name}"


def tenant_of(account: str) -> str:
    """Whose account it is; nothing for that of a key which is nobody's."""
    return account.removeprefix(_OF) if account.startswith(_OF) else ""


def read(quotas: str) -> tuple[Quota, ...]:
    """As the database has them."""
    return tuple(parse_quota(each) for each in quotas.split(", ") if each)


def written(quotas: tuple[Quota, ...]) -> str:
    return ", ".join(map(str, quotas))


def _tenant(row: tenants.TenantRow) -> Tenant:
    name, quotas, created_at = row
    return Tenant(name, read(quotas), created_at)
