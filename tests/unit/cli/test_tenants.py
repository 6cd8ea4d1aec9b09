from pathlib import Path

import pytest

from shell import Run


def test_a_tenant_is_made_limited_given_keys_and_listed(
    run: Run, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("AIAS_HOME", str(tmp_path))
    assert run("tenants", "create", "acme", "--quota", "100/second").out == "acme: 100 requests/second\n"
    first = run("keys", "create", "shop", "--tenant", "acme", "--json").json
    second = run("keys", "create", "desk", "--json").json
    assert run("keys", "assign", second["id"], "acme").out == "desk: of acme\n"
    assert run("tenants", "limit", "acme", "--quota", "9 rows/day").out == "acme: 9 rows/day\n"

    listed = run("tenants", "list", "--json").json
    used = run("tenants", "usage", "acme", "--json").json

    assert first["tenant"] == "acme"
    assert [(each["name"], each["quotas"], each["keys"]) for each in listed] == [
        ("acme", ["9 rows/day"], [first["id"], second["id"]])
    ]
    assert [(each["quota"], each["used"], each["left"]) for each in used] == [("9 rows/day", 0, 9)]
    assert run("keys", "assign", second["id"], "--nobody").out == "desk: of no tenant\n"
    assert "(access.unknown-tenant)" in run("tenants", "usage", "acne").err
    assert run("tenants", "limit", "acme").status == 2
