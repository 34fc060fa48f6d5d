"""From a campus team's photos to a campus bundle: `python -m train --help`."""
