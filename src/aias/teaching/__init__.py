"""Whoever knows the answers gives them to rows that have none: a version, an endpoint, a chat service."""
