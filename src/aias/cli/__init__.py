"""Aias from a shell: data on stdout, messages on stderr, `--json` everywhere."""
