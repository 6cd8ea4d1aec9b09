"""The sealed folder that a model is: immutable, code-free, named by its digest."""
