"""Versions, the endpoints that point at them, and where each came from."""
