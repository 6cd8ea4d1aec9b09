"""The Open Inference Protocol over gRPC: each call becomes the request over HTTP that means the same."""
