"""python -m edge COMMAND: take a campus bundle to a Jetson or a small computer, and run it there."""

from __future__ import annotations

import argparse
import logging
import os
import sys
from importlib import import_module

from core.errors import MissingDependency, run_cli

# command -> (module, help, requirements): each module has add_arguments(parser) and main(args) -> exit code
COMMANDS = {
    "export": ("edge.export", "a bundle -> ONNX in FP32 and FP16, a manifest and golden answers", "train"),
    "verify": ("edge.verify", "check an export: graph, types, answers in metres, a TensorRT build", "train"),
    "quantize": ("edge.quantize", "INT8 for CPUs, refused where it costs too many metres", "train"),
    "pack": ("edge.pack", "a bundle and its export -> one file for a device", "train"),
    "build": ("edge.build", "on the device: one file -> a TensorRT engine", "jetson"),
    "run": ("edge.run", "photos, a folder, a camera or standard input -> fixes", "jetson"),
    "bench": ("edge.bench", "latency, throughput and memory of every backend here", "jetson"),
    "doctor": ("edge.doctor", "what this machine has and lacks, and the next command", "jetson"),
    "serve": ("edge.serve", "the field app for phones on this network, over https", "train"),
}


def main() -> int:
    # Before numpy is loaded: its own threads would spin after each posterior and take the cores from the network.
    os.environ.setdefault("OPENBLAS_NUM_THREADS", "1")
    logging.basicConfig(level=logging.WARNING, format="%(message)s", stream=sys.stderr)
    for chatty in ("torch", "onnxscript", "onnx_ir", "root"):
        logging.getLogger(chatty).setLevel(logging.ERROR)
    for ours in ("edge", "core"):
        logging.getLogger(ours).setLevel(logging.INFO)
    parser = argparse.ArgumentParser(prog="python -m edge", description=__doc__)
    commands = parser.add_subparsers(dest="command", required=True, metavar="COMMAND")
    subparsers = {name: commands.add_parser(name, help=text) for name, (_, text, _) in COMMANDS.items()}
    chosen = next((word for word in sys.argv[1:] if word in COMMANDS), None)
    if chosen is None:
        parser.parse_args()  # prints help or the error
        return 2
    name, _, requirements = COMMANDS[chosen]
    try:
        # Only the chosen command is imported: what runs on a device must not wait for torch, nor have it.
        module = import_module(name)
    except ModuleNotFoundError as error:
        raise MissingDependency(error.name or "a package", f"requirements-{requirements}.txt") from error
    subparsers[chosen].description = module.__doc__
    module.add_arguments(subparsers[chosen])
    return int(module.main(parser.parse_args()))


if __name__ == "__main__":
    sys.exit(run_cli(main))
