"""The data plane: one port that answers predictions, and nothing in it that trains."""
