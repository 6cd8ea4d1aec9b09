"""Aias from Python."""
