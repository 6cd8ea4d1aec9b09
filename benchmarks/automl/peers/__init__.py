"""One system a file, run inside that system's own environment: only that system and `automl.job` are imported here."""
