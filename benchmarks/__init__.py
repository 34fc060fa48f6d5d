"""Measurements, `python -m benchmarks`: each file compares one thing with what one would otherwise have."""
