"""The field app: a photo in, a place on the campus map out; its pages, and the server that phones reach."""
