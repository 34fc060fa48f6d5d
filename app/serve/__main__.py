"""The command line `python -m app.serve`."""

from __future__ import annotations

import argparse
import os
import sys

from app.serve import serve
from core.cli.run import run_cli


def main(program: str = "python -m app.serve") -> int:
    # Before numpy is loaded: its own threads would spin after each posterior and take the cores from the network.
    os.environ.setdefault("OPENBLAS_NUM_THREADS", "1")
    parser = argparse.ArgumentParser(prog=program, description=serve.__doc__)
    serve.add_arguments(parser)
    return serve.main(parser.parse_args())


if __name__ == "__main__":
    sys.exit(run_cli(main))
