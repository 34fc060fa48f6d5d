"""A trained network -> a calibrated campus bundle."""
