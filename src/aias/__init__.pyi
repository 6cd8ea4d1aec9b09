# What type checkers see of the names that `__init__.py` loads when they are first asked for.

from aias.client.classifier import publish_classifier
from aias.client.compare import compare
from aias.client.embedding import publish_encoder
from aias.client.endpoint import Endpoint, endpoint, endpoints
from aias.client.estimators import Classifier, Regressor
from aias.client.importing import import_model
from aias.client.model import Model, load, models
from aias.client.train import train
from aias.teaching.teacher import Teacher

__all__ = [
    "Classifier", "Endpoint", "Model", "Regressor", "Teacher", "__version__", "compare", "endpoint", "endpoints",
    "import_model", "load", "models", "publish_classifier", "publish_encoder", "train",
]  # fmt: skip

__version__: str
