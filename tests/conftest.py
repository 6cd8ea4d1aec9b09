"""Lying here, this file puts `tests/` on the path, so that every test can import what several of them share."""
