"""Take a campus bundle to a Jetson or a small computer, and run it there."""

from __future__ import annotations

import os
import sys

from core.cli.commands import Command, run_command
from core.cli.run import run_cli
from core.program import PACKED_REQUIREMENTS as JETSON
from core.program import running_pack
from edge.program import commands_in_remedies, edge_program
from edge.wheels import use_carried

APP, TRAIN = "requirements.txt", "requirements-train.txt"
COMMANDS = {
    "export": Command("edge.export.export", "a bundle -> ONNX in FP32 and FP16, a manifest and golden answers", TRAIN),
    "verify": Command("edge.export.verify", "check an export: graph, types, metres, a TensorRT build", TRAIN),
    "quantize": Command("edge.export.quantize", "INT8 for CPUs, refused where it costs too many metres", TRAIN),
    "pack": Command("edge.pack", "a bundle and its export -> one file for a device", TRAIN),
    "build": Command("edge.device.build", "on the device: one file -> a TensorRT engine", JETSON),
    "run": Command("edge.device.run", "photos, a folder, a camera or standard input -> fixes", JETSON),
    "bench": Command("edge.bench", "latency, throughput and memory of every backend here", JETSON),
    "doctor": Command("edge.device.doctor", "what this machine has and lacks, and the next command", JETSON),
    "serve": Command("app.serve.serve", "the field app for phones on this network, over https", APP),
}


@commands_in_remedies()
def main(program: str | None = None) -> int:
    # Before numpy is loaded: its own threads would spin after each posterior and take the cores from the network.
    os.environ.setdefault("OPENBLAS_NUM_THREADS", "1")
    here = COMMANDS
    if pack := running_pack():
        use_carried(pack)
        # The rest needs what no device has: the checkout, torch, the app.
        here = {name: command for name, command in COMMANDS.items() if command.requirements == JETSON}
    return run_command("edge", __doc__, here, program or edge_program())


if __name__ == "__main__":
    sys.exit(run_cli(main))
