"""One connection each: accepted, read, written and ended within its bounds."""
