"""The HTTP interface for other programs: photos in, fixes out, on the app's own server."""
