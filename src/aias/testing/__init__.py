"""Suites that any server can be put through, over the wire alone: nothing here knows Aias."""
