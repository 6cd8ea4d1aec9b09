"""Endpoints from Python: what they answer with, and the verbs of the command line."""

from pathlib import Path

import pytest

import aias
import tiny_versions
from aias.registry.lookup import UnknownEndpoint
from aias.registry.registry import Registry
from aias.registry.rollout.rollouts import NothingBefore, NothingToPromote


@pytest.fixture
def home(tmp_path: Path) -> Path:
    """Two versions, of which the first answers."""
    with Registry.open(tmp_path) as registry:
        for times in (2.0, 3.0):
            registry.publish("m", tiny_versions.files(times, golden_of=times), tiny_versions.MANIFEST)
    aias.load("m@1", home=tmp_path).deploy("shop")
    return tmp_path


def test_a_canary_is_promoted_and_the_version_before_comes_back(home: Path) -> None:
    shop = aias.endpoint("shop", home=home)
    aias.load("m@2", home=home).deploy("shop", canary=0.25)
    assert (shop.version, [(each["version"], each["share"]) for each in shop.trials]) == ("m@1", [("m@2", 0.25)])
    assert repr(shop) == "<Endpoint shop: m@1, m@2 as canary of 25 %>"

    assert shop.promote() == "m@2"
    assert (shop.version, shop.trials, [each["outcome"] for each in shop.history]) == ("m@2", [], ["promoted"])
    assert shop.rollback() == "m@1"
    assert [(str(each.ref), each.how) for each in shop.moves] == [
        ("m@1", "deployed"), ("m@2", "promoted"), ("m@1", "rolled back")
    ]  # fmt: skip


def test_a_rollback_ends_the_trials_first_and_a_shadow_is_promoted_by_its_name(home: Path) -> None:
    shop, second = aias.endpoint("shop", home=home), aias.load("m@2", home=home)
    second.deploy("shop", shadow=1.0)
    with pytest.raises(NothingToPromote) as refused:
        shop.promote()
    assert "aias promote shop m@2" in refused.value.hint
    assert "aias.endpoint('shop').promote('m@2')" in refused.value.hint
    assert (shop.rollback(), shop.trials) == ("m@1", [])

    second.deploy("shop", shadow=1.0)
    assert shop.promote("m@2") == "m@2"


def test_at_the_first_version_there_is_nothing_before(home: Path) -> None:
    with pytest.raises(NothingBefore) as refused:
        aias.endpoint("shop", home=home).rollback()

    assert "`aias endpoints shop`" in refused.value.hint
    assert "`.moves`" in refused.value.hint


def test_an_endpoint_is_undeployed_once_or_twice_and_then_not_found(home: Path) -> None:
    shop = aias.endpoint("shop", home=home)
    assert [each.name for each in aias.endpoints(home=home)] == ["shop"]
    for _ in range(2):
        shop.undeploy()

    assert aias.endpoints(home=home) == []
    assert repr(shop) == "<Endpoint shop: undeployed>"
    with pytest.raises(UnknownEndpoint):
        aias.endpoint("shop", home=home)
    with pytest.raises(UnknownEndpoint):
        aias.client.endpoint.Endpoint(shop.registry, "ship").undeploy()
