"""Aias: from a file to a small, fast model behind a secure endpoint.

import aias
model = aias.train("reviews.csv", target="label")
model.predict([{"text": "lovely"}])
"""

import importlib
import os
from typing import Any, Final

__version__ = "0.1.0"

# ONNX Runtime 1.32 and later sends telemetry unless this is set before it is loaded: an identifier of the machine and
# a record of each session, kept in the user's cache. To allow it, set the variable to another value.
os.environ.setdefault("ORT_DISABLE_TELEMETRY", "1")

_PUBLIC: Final = {
    "Classifier": "aias.client.estimators",
    "Endpoint": "aias.client.endpoint",
    "Model": "aias.client.model",
    "Regressor": "aias.client.estimators",
    "Teacher": "aias.teaching.teacher",
    "compare": "aias.client.compare",
    "endpoint": "aias.client.endpoint",
    "endpoints": "aias.client.endpoint",
    "import_model": "aias.client.importing",
    "load": "aias.client.model",
    "models": "aias.client.model",
    "publish_classifier": "aias.client.classifier",
    "publish_encoder": "aias.client.embedding",
    "train": "aias.client.train",
}

__all__ = [
    "Classifier", "Endpoint", "Model", "Regressor", "Teacher", "__version__", "compare", "endpoint", "endpoints",
    "import_model", "load", "models", "publish_classifier", "publish_encoder", "train",
]  # fmt: skip


def __getattr__(name: str) -> Any:
    """Load public names when they are first used, so that `import aias` is instant."""
    if name not in _PUBLIC:
        raise AttributeError(f"module 'aias' has no attribute {name!r}")
    return getattr(importlib.import_module(_PUBLIC[name]), name)


def __dir__() -> list[str]:
    return sorted(__all__)
