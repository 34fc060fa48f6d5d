"""Many photos at once: which they are, rows that survive a kill, several processes, and a Ray cluster."""
