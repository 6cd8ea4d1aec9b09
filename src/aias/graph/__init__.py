"""A fitted pipeline → one ONNX graph, and the proof that both answer alike."""
