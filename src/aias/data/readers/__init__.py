"""File formats, one a file: bytes → a raw table."""

import functools
import importlib
import pkgutil
from typing import cast

from aias.data.readers.contract import Reader


@functools.cache
def readers() -> dict[str, Reader]:
    """Every reader by its file name."""
    names = sorted(module.name for module in pkgutil.iter_modules(__path__) if module.name != "contract")
    return {name: cast("Reader", importlib.import_module(f"{__name__}.{name}")) for name in names}
