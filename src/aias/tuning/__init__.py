"""Searchers: trials so far → the settings to try next."""
