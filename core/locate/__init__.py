"""Network outputs and a gallery -> a probability map -> a Fix."""
