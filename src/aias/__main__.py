"""`python -m aias` is the command line."""

from aias.cli.main import main

main()
