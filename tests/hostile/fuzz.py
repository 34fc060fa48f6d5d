"""Fuzz a target by bytes, guided by which code they reach (atheris, libFuzzer):

    python -m tests.hostile.fuzz photo --seconds 600            # or: exif, bundle, arrays, manifest, labels

What it finds is written beside its corpus (--corpus, default a new folder) as crash-… and printed with its traceback;
`python -m tests.hostile.fuzz photo FILE` runs one such file again. An input that takes more than 20 s or 2 GB is a
finding too. Pillow's and libheif's C code is called but not instrumented. Linux, Python 3.11.
"""

from __future__ import annotations

import argparse
import random
import sys
import tempfile
import warnings
from pathlib import Path

import atheris

with atheris.instrument_imports(include=["core", "edge", "PIL", "zipfile"]):
    from tests.hostile.targets import TARGETS

from tests.hostile.seeds import resealed, seeds


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("target", choices=TARGETS)
    parser.add_argument("file", nargs="?", type=Path, help="run this one input and end")
    parser.add_argument("--seconds", type=int, default=60, help="how long to go on (default 60)")
    parser.add_argument("--corpus", type=Path, help="folder of inputs to start from and to keep new ones in")
    args = parser.parse_args()
    target = TARGETS[args.target]
    warnings.simplefilter("ignore")  # a photo's decoder may warn; nothing shows that to a person
    if args.file:
        target(args.file.read_bytes())
        return
    corpus = args.corpus or Path(tempfile.mkdtemp(prefix=f"campus-gps-{args.target}-"))
    corpus.mkdir(parents=True, exist_ok=True)
    for index, seed in enumerate(seeds(args.target)):
        (corpus / f"seed-{index}").write_bytes(seed)

    def one(data: bytes) -> None:
        target(data)
        if args.target == "bundle" and random.random() < 0.5:
            target(resealed(data))

    atheris.Setup(
        [sys.argv[0], str(corpus), f"-max_total_time={args.seconds}", "-timeout=20", "-rss_limit_mb=2048",
         "-max_len=300000", "-print_final_stats=1", f"-artifact_prefix={corpus}/"],
        one,
    )  # fmt: skip
    atheris.Fuzz()


if __name__ == "__main__":
    main()
