"""A campus: its bundle of files, its frame of metres, grid, zones, gallery and basemap."""
