"""python -m train COMMAND: from photos to a campus bundle."""

from __future__ import annotations

import sys

from core.cli.commands import Command, run_command
from core.cli.run import run_cli

TRAIN = "requirements-train.txt"
COMMANDS = {
    "ingest": Command("train.dataset.ingest", "geotagged photos, or photos and a CSV -> a dataset", TRAIN),
    "split": Command("train.dataset.split", "hold out calibration and test photos by group", TRAIN),
    "fit": Command("train.fit.fit", "fit the network to a dataset, trained or whitened -> a run", TRAIN),
    "bundle": Command("train.bundle.make", "calibrate and export a run -> a campus bundle", TRAIN),
    "map": Command("train.osm.command", "OpenStreetMap -> a campus's map and the names of its zones", TRAIN),
    "zones": Command("train.dataset.zone_names", "list a campus's zones, and name them by hand", TRAIN),
    "import-checkpoint": Command("train.bundle.import_checkpoint", "the original's best_model.pth -> a bundle", TRAIN),
    "refresh": Command("train.grow.refresh", "more photos for a bundle: gallery and radii, no training", TRAIN),
    "health": Command("train.grow.health", "field photos: do a bundle's radii still hold, and what to do", TRAIN),
    "evaluate": Command("train.evaluate.evaluate", "errors and coverage of a bundle on held-out photos", TRAIN),
    "compare": Command("train.compare", "ways to train side by side, on the same folds", TRAIN),
    "protocol": Command("train.protocol", "baselines and recipes on sessions never seen, as one table", TRAIN),
    "demo": Command("train.demo.make", "render, train and bundle the demo campus again from its seed", TRAIN),
}


def main(program: str | None = None) -> int:
    return run_command("train", __doc__, COMMANDS, program, former_names={"import-seed": "import-checkpoint"})


if __name__ == "__main__":
    sys.exit(run_cli(main))
