"""What is tried, in which order, and what of it is kept: portfolio, search, trials, weights."""
