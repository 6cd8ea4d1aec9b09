"""Connections are files to the system, of which a process may open so many: often 1,024, unless it asks for more."""

import resource
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Final

_SPARE: Final = 16
"""Files beside connections that may yet be opened: the selector, what a plot is written to."""


@contextmanager
def room_for(connections: int) -> Iterator[int]:
    """How many of them there may be; the process may open more files for so long."""
    own = sum(1 for _ in Path("/dev/fd").iterdir()) + _SPARE
    soft, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
    if soft == resource.RLIM_INFINITY or soft >= connections + own:
        yield connections
        return
    most = connections + own if hard == resource.RLIM_INFINITY else min(connections + own, hard)
    resource.setrlimit(resource.RLIMIT_NOFILE, (most, hard))
    try:
        yield max(0, most - own)
    finally:
        resource.setrlimit(resource.RLIMIT_NOFILE, (soft, hard))
