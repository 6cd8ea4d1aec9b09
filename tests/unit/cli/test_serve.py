"""What `aias serve` says, and to whom."""

import io
import sys

import pytest

from aias.cli.serve import _say
from aias.core.events import Event


class Full(io.StringIO):
    """A disk that takes nothing more."""

    def write(self, _text: str) -> int:
        raise OSError(28, "No space left on device")


def test_a_log_that_takes_nothing_more_ends_no_server(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(sys, "stderr", Full())

    _say(Event("serve.loaded", "`churn` answers with churn@1"))
    _say(Event("serve.worker-died", "worker 0 ended", "warning"))


def test_a_first_key_that_cannot_be_shown_is_not_passed_over(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(sys, "stdout", Full())

    with pytest.raises(OSError, match="No space"):
        _say(Event("serve.first-key", "the first key", facts={"secret": "aias_x"}))
