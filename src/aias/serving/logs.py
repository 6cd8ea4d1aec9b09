"""The access log: one line of JSON for each request on standard error. Never a body, never a secret."""

import logging
import sys
from datetime import UTC, datetime
from typing import Final

import msgspec

ACCESS: Final = logging.getLogger("aias.serving.access")


class _Line(logging.Formatter):
    def format(self, record: logging.LogRecord) -> str:
        at = datetime.fromtimestamp(record.created, UTC).isoformat(timespec="milliseconds")
        return msgspec.json.encode({"at": at} | record.__dict__["facts"]).decode()


def log_accesses() -> None:
    """Switch it on for this process."""
    handler = logging.StreamHandler(sys.stderr)
    handler.setFormatter(_Line())
    ACCESS.addHandler(handler)
    ACCESS.setLevel(logging.INFO)
    ACCESS.propagate = False
