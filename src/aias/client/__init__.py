"""The Python API: train, load, predict, optimise, compress, import, deploy, measure."""
