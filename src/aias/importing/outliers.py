"""Graphs that find outliers, as scikit-learn's do: a score, and whether it is above 0 as the label 1 or -1.

The score says all that the label does, and by how much: a version gives it as a number.
"""

from typing import Final

import numpy as np
import onnx
from onnx import TensorProto

from aias.importing.parts import element_of, made_of

SHOWN: Final = np.array([[-1e6], [-1.0], [-1e-3], [1e-3], [1.0], [1e6]])
"""Scores of which none is at the border."""


def finds_outliers(model: onnx.ModelProto, scores: str, label: str | None) -> bool:
    """Whether the label is -1 where the score of a row is below 0, and 1 above it, and nothing else decides it."""
    element = element_of(model, scores)
    if label is None or element not in {TensorProto.FLOAT, TensorProto.DOUBLE}:
        return False
    found = made_of(model, scores, label, SHOWN, element=element)
    return found is not None and np.array_equal(found.ravel(), np.sign(SHOWN).ravel())
