"""A campus that is there grows without training, and says how well it is."""
