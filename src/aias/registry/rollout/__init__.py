"""Versions beside the one that answers: what they are, what is known of them, and when they go."""
