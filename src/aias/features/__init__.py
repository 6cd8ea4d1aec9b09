"""Encoded columns → numbers that a linear model can weigh; fitted once, written into the graph."""
