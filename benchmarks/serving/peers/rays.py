"""Ray Serve: one replica, one proxy, and all of Ray's own processes on the same core."""

import os
import signal
import sys
from pathlib import Path

import ray
from ray import serve

HERE = str(Path(__file__).resolve().parent)


@serve.deployment(num_replicas=1, max_ongoing_requests=256, ray_actor_options={"num_cpus": 0})
class Trees:
    def __init__(self):
        from graph import NAMES, probabilities, told

        self.names, self.probabilities, self.told = NAMES, probabilities, told

    async def __call__(self, request):
        import numpy as np

        row = await request.json()
        return self.told(self.probabilities(np.array([[row[name] for name in self.names]], np.float64))[0])


if __name__ == "__main__":
    variables = {"GRAPH": os.environ["GRAPH"], "PYTHONPATH": HERE}
    ray.init(num_cpus=1, include_dashboard=False, object_store_memory=100 << 20, runtime_env={"env_vars": variables})
    serve.start(http_options={"host": "127.0.0.1", "port": int(sys.argv[1])})
    serve.run(Trees.bind(), route_prefix="/predict")
    signal.signal(signal.SIGTERM, lambda *_: sys.exit(0))
    signal.pause()
