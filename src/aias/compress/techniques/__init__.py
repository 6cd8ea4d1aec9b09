"""Ways of making a model smaller or faster, one a file, each with when it cannot help."""
