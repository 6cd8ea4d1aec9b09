"""LitServe, with the response queue that its documentation calls fast."""

import sys

import litserve
import numpy as np
from graph import NAMES, probabilities, told


class Trees(litserve.LitAPI):
    def setup(self, device):
        pass

    def decode_request(self, request):
        return [request[name] for name in NAMES]

    def predict(self, row):
        return probabilities(np.array([row], np.float64))[0]

    def encode_response(self, shares):
        return told(shares)


if __name__ == "__main__":
    server = litserve.LitServer(Trees(), accelerator="cpu", workers_per_device=1, fast_queue=True)
    port = int(sys.argv[1])
    server.run(host="127.0.0.1", port=port, num_api_servers=1, generate_client_file=False, log_level="error")
