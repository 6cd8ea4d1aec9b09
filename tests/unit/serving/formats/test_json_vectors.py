"""Vectors as JSON are read back as they were, in no more digits than that takes."""

import json
import re

import numpy as np
from hypothesis import given, settings
from hypothesis import strategies as st

from aias.serving.formats.json_vectors import floats

VALUES = st.floats(width=32, allow_nan=False, allow_infinity=False)


def back(values: "np.ndarray[tuple[int], np.dtype[np.float32]]") -> bytes:
    return np.array(json.loads(floats(values)), np.float64).astype(np.float32).tobytes()


@settings(max_examples=200)
@given(st.lists(VALUES, max_size=20))
def test_what_is_written_is_read_back_as_it_was(values: list[float]) -> None:
    held = np.array(values, np.float32)
    assert back(held) == held.tobytes()


def test_next_to_powers_of_ten_no_digit_is_missing() -> None:
    powers = np.float32(10.0) ** np.arange(-12, 9, dtype=np.float32)
    held = np.concatenate([np.nextafter(powers, np.float32(0)), powers, np.nextafter(powers, np.float32(1e30))])
    assert back(held) == held.tobytes()


def test_nine_digits_are_written_at_most() -> None:
    held = np.random.default_rng(0).normal(size=2_000).astype(np.float32)
    digits = [re.sub(r"^-?0*|e.*", "", each.replace(".", "")) for each in floats(held).decode()[1:-1].split(",")]
    assert max(map(len, digits)) == 9


def test_what_is_no_number_is_told_as_in_every_answer() -> None:
    assert json.loads(floats(np.array([1.5, np.nan, np.inf], np.float32))) == [1.5, None, None]
