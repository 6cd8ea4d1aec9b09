"""What columns hold: numbers, times, categories or texts; and values brought to one type."""
