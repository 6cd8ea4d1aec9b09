"""Requests and replies: routes, headers, bodies, and handlers that turn the one into the other."""
