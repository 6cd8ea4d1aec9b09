"""Plots as small SVG files: numbers in, bytes out; no script, no library, the same bytes for the same numbers."""
