"""A bundle and held-out photos -> errors, coverage and a report."""
