import subprocess
import sys
from dataclasses import replace
from datetime import UTC, datetime, timedelta
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from aias.access.keys import SCOPES, BadScope, Keys, UnknownKey
from aias.access.secret import LENGTH, id_of, new_secret
from aias.core.errors import UserError
from aias.core.names import BadName
from clock import Clock

NOON = datetime(2026, 5, 6, 12, tzinfo=UTC)


def test_a_secret_opens_with_the_scopes_it_was_given(keys: Keys):
    key, secret = keys.create("shop", {"predict"})

    assert keys.verify(secret) == key
    assert key.scopes == {"predict"}
    assert keys.list() == [key]


def test_a_secret_has_one_form():
    secrets = [new_secret()[1] for _ in range(200)]

    assert {len(secret) for secret in secrets} == {LENGTH}
    assert len(set(secrets)) == 200
    assert all(id_of(secret) == secret.split("_")[1] for secret in secrets)


def test_every_wrong_character_is_noticed_even_when_the_checksum_is_right(keys: Keys):
    _, secret = keys.create("shop", {"predict"})
    other_key, other = keys.create("other", {"read"})

    for place in range(LENGTH):
        wrong = secret[:place] + ("a" if secret[place] != "a" else "b") + secret[place + 1 :]
        assert keys.verify(wrong) is None
    assert keys.verify(other) == other_key

    import zlib

    body = secret[:13] + other[13:57]
    forged = f"{body}_{zlib.crc32(body.encode()) & 0xFFFFFF:06x}"
    assert id_of(forged) == secret[5:13]
    assert keys.verify(forged) is None


@given(st.text(max_size=80) | st.text(min_size=LENGTH - 5, max_size=LENGTH - 5).map("aias_".__add__))
def test_nothing_but_a_secret_has_an_id(text: str):
    assert id_of(text) is None


def test_a_revoked_key_opens_nothing_and_stays_revoked_at_its_first_time(keys: Keys, clock: Clock):
    key, secret = keys.create("shop", {"predict"})

    revoked = keys.revoke(key.id)
    clock.now += timedelta(hours=1)

    assert keys.verify(secret) is None
    assert revoked == replace(key, revoked_at=NOON) == keys.revoke(key.id)


def test_a_key_that_is_forgotten_opens_nothing_and_is_not_listed(keys: Keys):
    key, secret = keys.create("shop", {"predict"})

    keys.forget(key.id)

    assert keys.verify(secret) is None
    assert keys.list() == []
    with pytest.raises(UnknownKey):
        keys.forget(key.id)


def test_a_key_expires_when_its_time_has_come_also_in_a_ring_made_before(keys: Keys, clock: Clock):
    key, secret = keys.create("shop", {"predict"}, expires_at=NOON + timedelta(hours=1))
    ring = keys.ring()

    clock.now += timedelta(minutes=59, seconds=59)
    assert ring.verify(secret) == key
    clock.now = NOON + timedelta(hours=1)
    assert ring.verify(secret) is None


def test_a_ring_is_the_keys_as_they_were_and_the_generation_says_when_they_moved(keys: Keys):
    key, secret = keys.create("shop", {"predict"})
    ring, generation = keys.ring(), keys.database.generation()

    keys.revoke(key.id)

    assert ring.verify(secret) == key
    assert keys.database.generation() > generation
    assert keys.ring().verify(secret) is None


def test_a_new_key_moves_the_generation(keys: Keys):
    before = keys.database.generation()

    keys.create("shop", {"predict"})

    assert keys.database.generation() > before


def test_the_first_key_has_every_scope_and_is_made_once(keys: Keys):
    secret = keys.first()

    assert secret
    key = keys.verify(secret)
    assert key and key.scopes == SCOPES
    assert keys.first() is None
    keys.revoke(key.id)
    again = keys.first()
    assert again and again != secret, "who has revoked every key is not locked out"


def test_servers_that_start_at_once_make_one_first_key(tmp_path: Path):
    program = (
        "import sys; from pathlib import Path; from aias.access.keys import Keys\n"
        "sys.stdin.read(1); print(Keys.open(Path(sys.argv[1])).first())"
    )
    servers = [
        subprocess.Popen(
            [sys.executable, "-c", program, tmp_path / "home"], stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True
        )
        for _ in range(4)
    ]
    for server in servers:
        assert server.stdin
        server.stdin.write("x")
        server.stdin.flush()

    said = sorted(server.communicate()[0].strip() for server in servers)

    assert said[:3] == ["None"] * 3
    keys = Keys.open(tmp_path / "home")
    assert keys.verify(said[3])
    assert len(keys.list()) == 1
    keys.close()


def test_no_secret_is_written_anywhere(tmp_path: Path, keys: Keys):
    key, secret = keys.create("shop", {"predict"})
    first = keys.first() or keys.create("second", SCOPES)[1]

    written = b"".join(path.read_bytes() for path in (tmp_path / "home").iterdir())

    for each in (secret, first):
        random = each[14:57]
        assert not any(random[at : at + 6].encode() in written for at in range(len(random) - 5))
    assert secret[14:57] not in repr(key) + repr(keys.list()) + repr(keys.ring())
    assert key.last4 == secret[-4:]


def test_a_secret_cannot_be_the_name_of_a_key(keys: Keys):
    _, secret = keys.create("shop", {"predict"})

    with pytest.raises(BadName):
        keys.create(secret, {"predict"})


@pytest.mark.parametrize("scopes", [set(), {"everything"}, {"predict", "root"}])
def test_scopes_are_of_the_known_ones_and_at_least_one(keys: Keys, scopes: set):
    with pytest.raises(BadScope) as bad:
        keys.create("shop", scopes)

    assert "predict" in bad.value.hint
    assert keys.list() == []


@pytest.mark.parametrize("expires_at", [NOON, NOON - timedelta(1), datetime(2027, 1, 1)])
def test_a_key_cannot_expire_before_it_begins_or_at_no_point_in_time(keys: Keys, expires_at: datetime):
    with pytest.raises(UserError):
        keys.create("shop", {"predict"}, expires_at=expires_at)


def test_an_unknown_key_cannot_be_revoked(keys: Keys):
    with pytest.raises(UnknownKey):
        keys.revoke("nosuchid")
