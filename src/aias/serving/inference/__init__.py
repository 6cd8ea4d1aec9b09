"""The parts of the Open Inference Protocol: requests, replies, descriptions and the repository."""
