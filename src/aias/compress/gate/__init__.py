"""Whether one model is worse than another on the same rows, and by how much; NumPy and SciPy only."""
