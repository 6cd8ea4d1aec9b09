"""BentoML: one service, one worker."""

import bentoml
import numpy as np
from graph import NAMES, probabilities, told


@bentoml.service(workers=1, traffic={"timeout": 60, "max_concurrency": 512}, metrics={"enabled": True})
class Trees:
    @bentoml.api
    async def predict(self, row: dict[str, float]) -> dict:
        return told(probabilities(np.array([[row[name] for name in NAMES]]))[0])
