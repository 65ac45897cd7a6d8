"""Evaluation of predictions: scores, statistics, calibration, comparison, pictures and typed results."""
