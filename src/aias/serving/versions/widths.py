"""How wide the vectors of versions are, also of those that are not in memory."""

import contextlib
from collections.abc import Callable

from aias.core.errors import AiasError
from aias.registry.values import Endpoint
from aias.serving.versions.model import Model


class Widths:
    """`known`: the model behind an endpoint, if it is in memory; `width`: found without loading it."""

    def __init__(self, known: Callable[[str], Model | None], width: Callable[[Endpoint], int]) -> None:
        self._known, self._width = known, width
        self._widths: dict[str, int] = {}

    def of(self, endpoint: Endpoint) -> int:
        """0 where it gives none. Reads a file the first time."""
        if (model := self._known(endpoint.name)) is not None:
            return model.manifest.task.width
        if endpoint.digest not in self._widths:
            # What cannot be read gives none, and takes no other with it; who asks it is told why.
            with contextlib.suppress(AiasError, OSError):
                self._widths[endpoint.digest] = self._width(endpoint)
        return self._widths.get(endpoint.digest, 0)
