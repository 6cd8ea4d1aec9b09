"""The tokens of texts of mixed lengths, one after another: what is computed of a token by itself costs no padding.

    tokens, token_mask  (texts, length)   ─▶ what is there   (tokens,)   ─ products, norms ─▶ (tokens, width)
    query, key, value   (tokens, 3 width) ─▶ spread out      (texts, heads, length, width / heads), for attention alone
    what it gives                         ─▶ back again      (tokens, width)

Places are worked out once for all layers. Where a text has no token any more its last one stands again.
"""

from dataclasses import dataclass
from functools import cached_property
from typing import Any, Final

import numpy as np

from aias.core.graph import FLOAT, INT64, UNPADDED, GraphWriter

PARTS: Final = 3
"""Query, key and value, side by side."""


@dataclass(eq=False)
class Unpadded:
    """`width`: of a token, in all heads together."""

    graph: GraphWriter
    heads: int
    width: int

    @cached_property
    def ids(self) -> str:
        """Of the words: (tokens,)."""
        self.graph.note(UNPADDED)
        tokens = self.graph.op("Reshape", self.graph.tokens, self._ints(-1))
        return self.graph.op("Gather", tokens, self._kept)

    @cached_property
    def positions(self) -> str:
        """Of each token in its text: (tokens,)."""
        return self.graph.op("Mod", self._kept, self._length)

    @cached_property
    def mask(self) -> str:
        """1 where a token is: (texts, length)."""
        return self.graph.op("Cast", self.graph.token_mask, to=FLOAT)

    @cached_property
    def firsts(self) -> str:
        """Which tokens are the first of their texts: (texts,)."""
        first = self.graph.op("Slice", self._places, self._ints(0), self._ints(1), self._ints(1))
        return self.graph.op("Squeeze", first, self._ints(1))

    def apart(self, together: str) -> list[str]:
        """(tokens, 3 width) → of each part (texts, heads, length, width / heads)."""
        rows = self.graph.op("Reshape", together, self._ints(-1, self.width // self.heads))
        return [self.graph.op("Gather", rows, each) for each in self._spread]

    def back(self, mixed: str) -> str:
        """(texts, heads, length, width / heads) → (tokens, width)."""
        rows = self.graph.op("Reshape", mixed, self._ints(-1, self.width // self.heads))
        return self.graph.op("Reshape", self.graph.op("Gather", rows, self._back), self._ints(-1, self.width))

    def spread_out(self, x: str) -> str:
        """(tokens, width) → (texts, length, width)."""
        return self.graph.op("Gather", x, self._places)

    @cached_property
    def _kept(self) -> str:
        """The places that hold tokens, were all texts' one after another: (tokens,)."""
        mask = self.graph.op("Reshape", self.graph.token_mask, self._ints(-1))
        return self.graph.op("Squeeze", self.graph.op("NonZero", mask), self._ints(0))

    @cached_property
    def _length(self) -> str:
        return self.graph.op("Shape", self.graph.tokens, start=1, end=2)

    @cached_property
    def _places(self) -> str:
        """Which token stands where, behind the last one of a text that again: (texts, length)."""
        held = self.graph.op("Cast", self.graph.op("Reshape", self.graph.token_mask, self._ints(-1)), to=INT64)
        count = self.graph.op("CumSum", held, self.graph.constant(np.array(0, np.int64)))
        places = self.graph.op("Sub", count, self._ints(1))
        return self.graph.op("Reshape", places, self.graph.op("Shape", self.graph.tokens))

    @cached_property
    def _spread(self) -> list[str]:
        """The same for the heads of each part, (texts, heads, length), among rows of one head each."""
        graph, heads = self.graph, np.arange(self.heads)[None, :, None]
        first = graph.op("Mul", graph.op("Unsqueeze", self._places, self._ints(1)), self._ints(PARTS * self.heads))
        return [graph.op("Add", first, graph.constant(part * self.heads + heads)) for part in range(PARTS)]

    @cached_property
    def _back(self) -> str:
        """Where among (texts * heads * length) each head of a token stands: (tokens, heads)."""
        graph = self.graph
        text = graph.op("Mul", graph.op("Div", self._kept, self._length), self._ints(self.heads))
        heads = graph.op("Add", graph.op("Unsqueeze", text, self._ints(1)), graph.constant(np.arange(self.heads)[None]))
        rows = graph.op("Mul", heads, self._length)
        return graph.op("Add", rows, graph.op("Unsqueeze", self.positions, self._ints(1)))

    def _ints(self, *values: Any) -> str:
        return self.graph.constant(np.array(values, np.int64))
