"""A trained version → a better one, published only if that is certain."""
