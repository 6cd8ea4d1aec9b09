"""One file a format, each read in the process apart (`importing/process.py`) and nowhere else."""
