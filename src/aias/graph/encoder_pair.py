"""Two sentence encoders that read the same tokens; of a row the vectors of both stand side by side.

A graph that asks for vectors is given those of the first. The second is written where `Builder.for_some` has it.
"""

from dataclasses import dataclass, replace

import numpy as np

from aias.core.graph import GraphWriter
from aias.core.names import digest_of
from aias.encoders.rows import Encoded
from aias.encoders.subwords import Subwords
from aias.graph.sentences import SentenceEncoder, Texts, Vectors


@dataclass(frozen=True, eq=False)
class EncoderPair:
    """What `SentenceEncoder` promises of itself to whoever reads texts by it."""

    first: SentenceEncoder
    second: SentenceEncoder

    @property
    def subwords(self) -> Subwords:
        return self.second.subwords

    @property
    def threads(self) -> int:
        return self.second.threads

    @property
    def graph_digest(self) -> str:
        return digest_of([self.first.graph_digest.encode(), self.second.graph_digest.encode()])

    def write(self, graph: GraphWriter) -> str:
        return self.first.write(graph)

    def embedded(self, encoded: Encoded) -> Encoded:
        return self.into(*(each.embedded(encoded) for each in (self.first, self.second)))

    def vectors(self, texts: Texts) -> Vectors:
        return np.hstack([self.first.vectors(texts), self.second.vectors(texts)])

    @staticmethod
    def into(first: Encoded, second: Encoded) -> Encoded:
        """The same rows as each has read them."""
        assert first.vectors is not None
        assert second.vectors is not None
        return replace(second, vectors=np.hstack([first.vectors, second.vectors]))
