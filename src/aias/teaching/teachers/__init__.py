"""Teachers, one a file, found by what they are called."""
