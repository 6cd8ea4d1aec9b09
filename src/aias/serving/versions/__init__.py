"""Versions in memory: loaded, kept, let go, and found by the name of their endpoint."""
