"""A file → a typed, checked, split dataset."""
