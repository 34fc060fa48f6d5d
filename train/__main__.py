"""python -m train COMMAND: from photos to a campus bundle."""

from __future__ import annotations

import argparse
import logging
import sys
from importlib import import_module

from core.errors import MissingDependency, run_cli

# command -> (module, help): each module has add_arguments(parser) and main(args) -> exit code
COMMANDS = {
    "ingest": ("train.ingest", "geotagged photos, or photos and a CSV -> a dataset"),
    "split": ("train.split", "hold out calibration and test photos by group"),
    "fit": ("train.fit", "train the network on a dataset -> a run"),
    "bundle": ("train.bundle", "calibrate and export a run -> a campus bundle"),
    "evaluate": ("train.evaluate", "errors and coverage of a bundle on held-out photos"),
    "demo": ("train.demo.make", "render, train and bundle the demo campus again from its seed"),
}


def main() -> int:
    logging.basicConfig(level=logging.INFO, format="%(message)s", stream=sys.stderr)
    for chatty in ("torch", "onnxscript", "onnx_ir", "root"):
        logging.getLogger(chatty).setLevel(logging.ERROR)
    logging.getLogger().setLevel(logging.WARNING)
    logging.getLogger("train").setLevel(logging.INFO)
    parser = argparse.ArgumentParser(prog="python -m train", description=__doc__)
    commands = parser.add_subparsers(dest="command", required=True, metavar="COMMAND")
    subparsers = {name: commands.add_parser(name, help=text) for name, (_, text) in COMMANDS.items()}
    chosen = next((word for word in sys.argv[1:] if word in COMMANDS), None)
    if chosen is None:
        parser.parse_args()  # prints help or the error
        return 2
    try:
        # Only the chosen command is imported: `ingest` must not wait for torch.
        module = import_module(COMMANDS[chosen][0])
    except ModuleNotFoundError as error:
        raise MissingDependency(error.name or "a package", "requirements-train.txt") from error
    module.add_arguments(subparsers[chosen])
    return int(module.main(parser.parse_args()))


if __name__ == "__main__":
    sys.exit(run_cli(main))
