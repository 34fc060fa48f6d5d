"""A rendered, fictional campus: photos with known positions for the demo bundle and for tests.

Nothing here shows a real place. `layout` holds the geometry, `sessions` the standpoints, `render` the
pictures.
"""
