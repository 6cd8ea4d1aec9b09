"""A request that has a name makes one thing, however often it is asked."""

from dataclasses import replace
from datetime import timedelta

import pytest

from aias.access.idempotency import KEPT, AskedOtherwise, IdempotencyKey
from aias.access.keys import Keys
from aias.access.tenants import TenantExists
from clock import Clock

ASKED = IdempotencyKey("giver", b"key 1", b"a key for the shop", b"the giver's secret")


def test_asked_again_a_request_gives_the_same_key_and_the_same_secret(keys: Keys) -> None:
    key, secret = keys.create("shop", {"predict"}, once=ASKED)

    assert keys.create("shop", {"predict"}, once=ASKED) == (key, secret)
    assert keys.list() == [key]
    assert keys.verify(secret) == key


@pytest.mark.parametrize("another", [replace(ASKED, name=b"key 2"), replace(ASKED, who="another")])
def test_another_name_or_caller_gets_another_key(keys: Keys, another: IdempotencyKey) -> None:
    first, second = (keys.create("shop", {"predict"}, once=once) for once in (ASKED, another))

    assert first[0].id != second[0].id
    assert first[1] != second[1]


def test_a_name_is_for_one_request_only(keys: Keys) -> None:
    keys.create("shop", {"predict"}, once=ASKED)

    with pytest.raises(AskedOtherwise):
        keys.create("desk", {"admin"}, once=replace(ASKED, asked=b"a key for the desk"))
    assert [each.name for each in keys.list()] == ["shop"]


def test_who_lacks_the_givers_secret_learns_nothing_from_asking_again(keys: Keys) -> None:
    _, secret = keys.create("shop", {"predict"}, once=ASKED)

    _, other = keys.create("shop", {"predict"}, once=replace(ASKED, secret=b"guessed"))

    assert other != secret
    assert keys.verify(other) is None


def test_after_a_day_a_name_is_new(keys: Keys, clock: Clock) -> None:
    key, secret = keys.create("shop", {"predict"}, once=ASKED)
    clock.now += KEPT
    assert keys.create("shop", {"predict"}, once=ASKED) == (key, secret)
    clock.now += timedelta(seconds=1)

    again, another = keys.create("shop", {"predict"}, once=ASKED)

    assert again.id != key.id
    assert another != secret


def test_a_tenant_is_made_once_and_its_name_is_not_free_for_others(keys: Keys) -> None:
    made = keys.create_tenant("acme", once=ASKED)

    assert keys.create_tenant("acme", once=ASKED) == made
    with pytest.raises(TenantExists):
        keys.create_tenant("acme", once=replace(ASKED, name=b"key 2"))


def test_what_failed_was_not_done_and_may_be_asked_again(keys: Keys) -> None:
    keys.create_tenant("acme")
    with pytest.raises(TenantExists):
        keys.create_tenant("acme", once=ASKED)

    assert keys.create("shop", {"predict"}, once=ASKED)[0].name == "shop"
