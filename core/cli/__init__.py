"""Command lines: a table of commands, and errors as one line with exit code 2."""
