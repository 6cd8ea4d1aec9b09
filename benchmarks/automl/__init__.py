"""The parts of `benchmarks/automl.py`: data sets, the systems beside each other, and the report."""
