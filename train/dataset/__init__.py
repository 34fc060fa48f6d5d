"""Photos with positions -> a dataset on disk, split by group."""
