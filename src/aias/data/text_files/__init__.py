"""Bytes of a text file → where its table stands, and what stands around it."""
