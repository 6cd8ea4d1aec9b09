"""`aias keys`."""

import json
from pathlib import Path

import pytest

from shell import Run


def test_a_key_is_shown_once_listed_without_its_secret_and_revoked(run: Run, empty_home: Path) -> None:
    made = run("keys", "create", "laptop", "--scope", "predict", "--scope", "read", "--days", 30, "--json").json

    assert made["scopes"] == ["predict", "read"]
    listed = run("keys", "list", "--json")
    assert [each["id"] for each in listed.json] == [made["id"]]
    assert made["key"] not in listed.out + run("keys", "list").out
    assert run("keys", "revoke", made["id"]).out == "revoked laptop\n"
    assert run("keys", "list", "--json").json[0]["revoked_at"]


def test_what_a_key_may_ask_is_set_changed_and_shown(run: Run, empty_home: Path) -> None:
    made = run("keys", "create", "shop", "--quota", "100/s", "--quota", "5000 rows/day", "--json").json
    assert made["quotas"] == ["100 requests/second", "5000 rows/day"]

    assert run("keys", "limit", made["id"], "--quota", "9 rows/day").out == "shop: 9 rows/day\n"
    [used] = run("keys", "usage", made["id"], "--json").json
    assert (used["quota"], used["used"], used["left"]) == ("9 rows/day", 0, 9)
    assert "9 rows/day" in run("keys", "usage").out
    assert run("keys", "list", "--json").json[0]["quotas"] == ["9 rows/day"]
    assert run("keys", "limit", made["id"], "--unlimited").out == "shop: no quotas\n"


def test_only_the_secret_of_a_new_key_goes_to_stdout(run: Run, empty_home: Path) -> None:
    done = run("keys", "create", "laptop")

    assert len(done.out.split()) == 1
    assert done.out.startswith("aias_")


@pytest.mark.parametrize(
    ("arguments", "status"),
    [
        (["create", "Bad Name"], 2),
        (["create", "x", "--scope", "all"], 2),
        (["create", "x", "--days", "0"], 2),
        (["create", "x", "--quota", "plenty"], 2),
        (["create", "x", "--quota", "1/s", "--quota", "2/second"], 2),
        (["revoke", "nobody"], 3),
        (["limit", "nobody", "--quota", "1/s"], 3),
        (["limit", "nobody"], 2),
        (["usage", "nobody"], 3),
    ],
)
def test_keys_refuses_what_cannot_be(run: Run, empty_home: Path, arguments: list[str], status: int) -> None:
    assert run("keys", *arguments).status == status
    assert run("keys", "list", "--json").json == []


def test_quotas_are_listed_a_line_each_in_80_columns(run: Run, empty_home: Path, monkeypatch) -> None:
    monkeypatch.setenv("COLUMNS", "80")
    run("keys", "create", "me", "--quota", "100/second", "--quota", "5000 rows/hour burst 20000")
    listed = run("keys", "list").out

    assert "5000 rows/hour burst 20000" in listed and "100 requests/second" in listed
    assert "revoked" not in listed and "tenant" not in listed
    assert max(map(len, listed.splitlines())) <= 80


def test_a_name_in_place_of_an_id_or_a_misspelt_tenant_is_told_what_is_meant(run: Run, empty_home: Path) -> None:
    run("keys", "create", "shop")
    run("tenants", "create", "acme", "--quota", "5/second")
    key_id = json.loads(run("keys", "list", "--json").out)[0]["id"]

    for arguments in (("keys", "usage", "shop"), ("keys", "limit", "shop", "--unlimited"), ("keys", "revoke", "shop")):
        assert f"its id is `{key_id}`" in run(*arguments).err
    for arguments in (("keys", "create", "app", "--tenant", "acne"), ("tenants", "usage", "acne")):
        assert "did you mean `acme`?" in run(*arguments).err
