"""Which models are found to need a process of their own."""

import hashlib
from dataclasses import replace

from aias.serving.survival.isolation_needs import (
    GROWING_SAMPLES,
    GROWTH_BYTES_MAX,
    HELD_SECONDS,
    LONG_SECONDS,
    SAMPLES,
    Growth,
    held_seconds,
    why_apart,
)
from aias.serving.versions.model import warm
from live_server import Rule

MIB = 1 << 20


def test_a_run_that_keeps_the_interpreter_to_itself_is_told_from_one_that_only_takes_as_long() -> None:
    assert held_seconds(lambda: sum(range(6_000_000))) >= HELD_SECONDS
    # Let go of meanwhile, as every runtime does.
    assert held_seconds(lambda: hashlib.pbkdf2_hmac("sha256", b"x", b"y", 300_000)) < HELD_SECONDS


def test_a_short_model_needs_nothing_and_one_whose_rows_take_seconds_does() -> None:
    model = warm(Rule(), version="m@1", number=1)

    assert why_apart(model) is None
    assert "cannot be stopped" in (why_apart(replace(model, row_seconds=LONG_SECONDS)) or "")


def grow(growth: Growth, steps: list[int], *versions: str) -> list[str]:
    held, found, rows = 10**9, [], dict.fromkeys(versions, 0)
    for step in [0, *steps]:
        held += step
        rows = {version: count + 1 for version, count in rows.items()}
        found += growth.look(held, rows)
    return found


def test_one_whose_process_grows_with_every_look_is_found_once() -> None:
    steps = [-(-GROWTH_BYTES_MAX // GROWING_SAMPLES)] * (GROWING_SAMPLES + 2)

    assert grow(Growth(), steps, "m@1") == ["m@1"]


def test_what_fills_its_caches_and_then_stops_is_not_it() -> None:
    assert grow(Growth(), [GROWTH_BYTES_MAX] * 3 + [0] * SAMPLES, "m@1") == []


def test_what_comes_and_goes_is_not_it() -> None:
    assert grow(Growth(), [40 * MIB, -40 * MIB] * SAMPLES, "m@1") == []


def test_who_did_not_answer_meanwhile_is_not_suspected() -> None:
    growth = Growth()
    held = 0
    for at in range(SAMPLES):
        held += 20 * MIB
        found = growth.look(held, {"busy@1": at, "idle@1": 5})
        assert "idle@1" not in found
