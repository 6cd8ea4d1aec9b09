"""`client/compress.py`: shares and sizes as people write them."""

import pytest

from aias.compress.compress import Wanted
from aias.core.errors import UserError
from aias.core.quantities import bytes_of, share_of


@pytest.mark.parametrize(("text", "share"), [("0.5%", 0.005), ("1 %", 0.01), ("0.01", 0.01), (0.02, 0.02)])
def test_a_share_is_read(text, share):
    assert share_of(text) == pytest.approx(share)


@pytest.mark.parametrize(
    ("text", "size"), [("5MB", 5_000_000), ("300 kB", 300_000), ("12", 12), (7, 7), ("1.5GB", 1.5e9)]
)
def test_a_size_is_read(text, size):
    assert bytes_of(text) == size


@pytest.mark.parametrize("text", ["", "-1%", "half", "5 percent", "1e3"])
def test_what_is_no_share_or_size_is_refused(text):
    with pytest.raises(UserError, match="no share"):
        share_of(text)
    with pytest.raises(UserError, match="no size"):
        bytes_of(text)


@pytest.mark.parametrize(
    ("wish", "said"),
    [({"latency_us": 0.0}, "latency of 0"), ({"size_bytes": 0}, "size of 0"), ({"max_loss": 0.0}, "loss of 0")],
)
def test_a_wish_that_nothing_could_meet_is_refused(wish, said):
    with pytest.raises(UserError, match=said):
        Wanted(**wish)
