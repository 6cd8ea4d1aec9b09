"""The Open Inference Protocol, version 2, as a suite: `python -m aias.testing.inference_v2 URL`."""
