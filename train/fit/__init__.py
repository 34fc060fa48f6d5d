"""A dataset -> a trained network."""
