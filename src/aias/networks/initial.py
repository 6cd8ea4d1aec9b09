"""How the weights of a layer begin."""

from typing import Any, Final

import numpy as np

INITIAL: Final = ("random", "orthogonal")
"""Each weight by itself; or neurons that tell as different things as they can (Saxe, McClelland and Ganguli 2014, arXiv
1312.6120)."""


def begun(kind: str, weight: Any) -> Any:
    """A layer drawn at random, (inputs, width), as it is to begin; it is as large as before."""
    if kind != "orthogonal":
        return weight
    wide = weight.shape[0] < weight.shape[1]
    q, r = np.linalg.qr((weight.T if wide else weight).astype(np.float64))
    q *= np.where(np.diag(r) < 0, -1.0, 1.0)  # each turn as likely as any other
    size = np.sqrt(np.square(weight, dtype=np.float64).sum() / max(q.shape[1], 1))
    return (size * (q.T if wide else q)).astype(np.float32)
