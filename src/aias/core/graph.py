"""The promise of whatever writes an ONNX graph; fitted members write themselves through it, knowing no ONNX library."""

from typing import Any, Final, Protocol

import numpy as np
import numpy.typing as npt

FLOAT: Final = 1
INT64: Final = 7
DOUBLE: Final = 11
"""Of the elements of a tensor: `TensorProto.DataType` of the ONNX specification."""

UNPADDED: Final = "aias.unpadded"
"""The note of a graph that computes nothing of padding, but in attention."""

TWO_WAYS: Final = "aias.two-ways"
"""The note of a graph through which some rows go a longer way than others."""

ROUNDED: Final = "aias.rounded"
"""The note of a graph whose activations become whole numbers: a last bit before may be a whole step behind it."""

GRAFTED: Final = "grafted/"
"""Before the names of tensors of a graph that was made elsewhere."""


class GraphWriter(Protocol):
    """Tensors are named by the strings that `op`, `constant` and the properties give."""

    @property
    def columns(self) -> str:
        """The encoded columns: (rows, width) float64."""

    @property
    def columns_width(self) -> int:
        """How many they are."""

    @property
    def term_ids(self) -> str:
        """The terms of all texts, one after another: (terms,) int64."""

    @property
    def term_segments(self) -> str:
        """For each term, `row * texts + text`: (terms, 1) int64."""

    @property
    def tokens(self) -> str:
        """The subwords of all texts, `row * texts + text`, padded: (rows * texts, length) int64."""

    @property
    def token_mask(self) -> str:
        """Which of the tokens are there: (rows * texts, length) bool."""

    @property
    def vectors(self) -> str:
        """What the sentence encoder makes of each row's texts: (rows, width) float32. Written when first asked for."""

    def op(self, kind: str, *inputs: str, domain: str = "", **attributes: Any) -> str:
        """Add a node with one output; gives the output's name. Attributes that are arrays of NumPy become tensors,
        those of `array` lists of whole numbers."""

    def ops(self, kind: str, *inputs: str, outputs: int, **attributes: Any) -> tuple[str, ...]:
        """Add a node with several outputs."""

    def constant(self, values: npt.NDArray[np.generic] | float) -> str:
        """A tensor that never changes."""

    def note(self, name: str) -> None:
        """Have the file say something about itself that its nodes do not show."""
