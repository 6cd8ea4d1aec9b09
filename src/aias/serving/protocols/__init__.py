"""The ways to ask an endpoint, one file each."""
