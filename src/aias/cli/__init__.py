"""Aias from a shell: data on stdout, talk on stderr, `--json` everywhere."""
