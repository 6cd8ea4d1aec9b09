"""A process that may hardly open a file more."""

import os
import resource
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager
from pathlib import Path


@contextmanager
def room_for(descriptors: int) -> Iterator[None]:
    """This process may open so many more files meanwhile."""
    before = resource.getrlimit(resource.RLIMIT_NOFILE)
    with ExitStack() as held:
        limit = max(held.enter_context(Path(os.devnull).open()).fileno() for _ in range(descriptors + 1))
    resource.setrlimit(resource.RLIMIT_NOFILE, (limit, before[1]))
    try:
        yield
    finally:
        resource.setrlimit(resource.RLIMIT_NOFILE, before)
