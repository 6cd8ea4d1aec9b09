"""The parts of `benchmarks/text.py`: data sets, and the systems beside Aias."""
