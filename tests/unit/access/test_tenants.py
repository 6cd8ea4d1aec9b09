"""Several keys of one tenant: what all of them together may ask."""

import threading
from pathlib import Path

import pytest

from aias.access.accounts import take_of_all
from aias.access.keys import Keys, UnknownKey
from aias.access.ledger import Ledger, usage_of_tenants
from aias.access.quotas import BadQuota, checked
from aias.access.tenants import TenantExists, UnknownTenant, account_of


@pytest.fixture
def keys(tmp_path: Path):
    store = Keys.open(tmp_path)
    yield store
    store.close()


def test_a_key_of_a_tenant_has_the_tenants_quotas_beside_its_own_and_follows_them(keys: Keys) -> None:
    keys.create_tenant("acme", ["100/minute"])
    made, secret = keys.create("shop", ["predict"], quotas=["9/second"], tenant="acme")
    keys.limit_tenant("acme", ["50 rows/day"])

    found = keys.verify(secret)

    assert found is not None
    assert (found.tenant, list(map(str, found.quotas)), list(map(str, found.shared))) == (
        "acme", ["9 requests/second"], ["50 rows/day"],
    )  # fmt: skip
    assert found.payer == account_of("acme") != made.id
    assert [str(each) for each in made.shared] == ["100 requests/minute"]
    assert keys.ring().limited() == [found]


def test_a_key_is_given_to_a_tenant_and_taken_away(keys: Keys) -> None:
    keys.create_tenant("acme", ["1/day"])
    made, _ = keys.create("shop", ["predict"])

    assert keys.assign(made.id, "acme").shared == checked(["1/day"])
    taken = keys.assign(made.id, "")
    assert (taken.tenant, taken.shared, taken.payer) == ("", (), made.id)


def test_what_is_not_there_or_there_already_is_told(keys: Keys) -> None:
    keys.create_tenant("acme")
    made, _ = keys.create("shop", ["predict"])

    with pytest.raises(TenantExists):
        keys.create_tenant("acme")
    for wrong in (
        lambda: keys.create("x", ["predict"], tenant="acne"),
        lambda: keys.limit_tenant("acne", []),
        lambda: keys.assign(made.id, "acne"),
    ):
        with pytest.raises(UnknownTenant, match="acne"):
            wrong()
    with pytest.raises(UnknownKey):
        keys.assign("nobody", "acme")
    with pytest.raises(BadQuota):
        keys.create_tenant("other", ["many"])
    assert [each.name for each in keys.tenants()] == ["acme"]


def test_of_a_key_and_its_tenant_all_is_taken_or_nothing(tmp_path: Path) -> None:
    ledger = Ledger.open(tmp_path)
    own, shared = ledger.account("shop", checked(["3/day"])), ledger.account(account_of("acme"), checked(["2/day"]))

    taken = [take_of_all([own, shared], requests=1) for _ in range(4)]

    assert [each and str(each[1].quota) for each in taken] == [None, None, "2 requests/day", "2 requests/day"]
    assert [own.usage()[0].used, shared.usage()[0].used] == [2, 2]
    assert take_of_all([own, shared], rows=10**6) is None
    ledger.close()


def test_two_servers_and_many_keys_never_pass_more_than_the_tenant_has_nor_less(keys: Keys, tmp_path: Path) -> None:
    tenant = keys.create_tenant("acme", ["500/day"])
    passed: list[int] = []

    def ask(name: str) -> None:
        ledger = Ledger.open(tmp_path)
        accounts = [ledger.account(name, checked(["400/day"])), ledger.account(account_of("acme"), tenant.quotas)]
        passed.append(sum(take_of_all(accounts, requests=1) is None for _ in range(300)))
        ledger.close()

    threads = [threading.Thread(target=ask, args=(name,)) for name in ("a", "b", "a", "b")]
    for each in threads:
        each.start()
    for each in threads:
        each.join()

    assert sum(passed) == 500
    assert [usage.left for _, usage in usage_of_tenants(tmp_path, [tenant])] == [0]
