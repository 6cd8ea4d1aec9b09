"""Finds the best model that the time allows."""
