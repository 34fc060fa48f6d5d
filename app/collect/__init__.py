"""Photos for a campus: collected on walks, corrected under an answer, reviewed in the inbox."""
