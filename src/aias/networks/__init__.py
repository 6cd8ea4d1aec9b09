"""Neural networks over encoded columns: written once, run by NumPy, PyTorch and ONNX."""
