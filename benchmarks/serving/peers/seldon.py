"""MLServer: no worker processes, for they make it slower."""

import json
import os
import sys
from pathlib import Path

from graph import probabilities
from mlserver import MLModel
from mlserver.codecs import NumpyCodec
from mlserver.types import InferenceRequest, InferenceResponse


class Trees(MLModel):
    async def load(self) -> bool:
        return True

    async def predict(self, payload: InferenceRequest) -> InferenceResponse:
        columns = NumpyCodec.decode_input(payload.inputs[0])
        outputs = [NumpyCodec.encode_output("probabilities", probabilities(columns))]
        return InferenceResponse(model_name=self.name, outputs=outputs)


def main(port: str, folder: str) -> None:
    """Write its settings down, and become it."""
    at = int(port)
    settings = {"http_port": at, "grpc_port": at + 1, "metrics_port": at + 2, "parallel_workers": 0}
    settings |= {"host": "127.0.0.1", "debug": False, "logging_settings": None}
    Path(folder, "settings.json").write_text(json.dumps(settings))
    Path(folder, "model-settings.json").write_text(json.dumps({"name": "trees", "implementation": "seldon.Trees"}))
    os.execv(sys.executable, [sys.executable, "-c", "from mlserver.cli import main; main()", "start", folder])


if __name__ == "__main__":
    main(*sys.argv[1:])
