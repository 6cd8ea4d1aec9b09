"""How good scores are, and what is made of them: metrics, intervals, calibration, thresholds, reports."""
