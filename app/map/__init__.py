"""A fix and a bundle -> a map that draws without internet."""
