"""ResNet50 on a CPU, all in one run: this program's INT8, eager torch in FP32, the bare onnxruntime call, whole fixes.

`python -m benchmarks.edge_resnet50` makes a ResNet50 of random weights on the demo campus, since speed does not depend
on them, and prints medians and the ratios between them. What is compared takes turns, so that a machine that slows
down slows all alike.
"""

from __future__ import annotations

import argparse
import json
import os
import platform
import tempfile
import time
from collections.abc import Callable
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np

from core.bundle import Bundle, save_bundle
from core.engines import TorchEngine, open_engine
from core.errors import run_cli
from core.files import written_aside
from core.localizer import Localizer, default_bundle
from edge.bench import sample_bytes
from edge.export import WEIGHTS, load_net
from edge.parity import sample_images

if TYPE_CHECKING:
    from numpy.typing import NDArray

SIZE = 224
CALLS = 3  # timed ones of each contender in a round, after one that is not: its caches are another's


@dataclass(frozen=True)
class Comparison:
    """Medians in milliseconds of one photo. `beside_ms`: preprocessing and posterior of a fix."""

    torch_fp32_ms: float
    int8_ms: float
    bare_ms: float
    network_ms: float
    preprocess_ms: float
    posterior_ms: float
    fix_ms: float

    @property
    def faster_than_torch(self) -> float:
        return self.torch_fp32_ms / self.int8_ms

    @property
    def of_bare(self) -> float:
        return self.int8_ms / self.bare_ms

    @property
    def beside_network(self) -> float:
        return (self.preprocess_ms + self.posterior_ms) / self.network_ms

    def __str__(self) -> str:
        return "\n".join(
            [
                f"network, one photo:  torch eager FP32 {self.torch_fp32_ms:.2f} ms, this program's INT8 "
                f"{self.int8_ms:.2f} ms, bare onnxruntime INT8 {self.bare_ms:.2f} ms",
                f"a fix, encoded photo to answer:  {self.fix_ms:.2f} ms, of which preprocessing "
                f"{self.preprocess_ms:.2f} ms, network {self.network_ms:.2f} ms, posterior {self.posterior_ms:.2f} ms",
                f"INT8 is {self.faster_than_torch:.2f} x faster than eager torch FP32 (wanted: 4)",
                f"INT8 takes {self.of_bare:.2f} x the bare onnxruntime call (wanted: at most 1.15)",
                f"preprocessing and posterior take {self.beside_network:.0%} of the network (wanted: below 30 %)",
            ]
        )


def resnet50_bundle(campus: Bundle, out: Path) -> Bundle:
    """The campus around a ResNet50 of random weights whose batch norms have statistics of its photos."""
    import torch
    from safetensors.torch import save

    from core.model import CampusNet, NetConfig
    from core.onnx_export import export_fp32, quantize_int8, round_weights

    gallery = campus.gallery
    torch.manual_seed(0)
    net = CampusNet(
        NetConfig(
            backbone="resnet50",
            zones=len(campus.card.zones),
            image_size=SIZE,
            embedding=128 if gallery is None else gallery.embedding.shape[1],
        )
    )
    card = campus.card.model_copy(update={"image_size": SIZE, "cpu_model": "model.int8.onnx"})
    images = sample_images(Bundle(campus.path, card))
    net.eval().backbone.train()
    with torch.no_grad():
        for _ in range(4):
            net(torch.from_numpy(images))
    round_weights(net.eval())
    weights = save(dict(net.state_dict()), {"net": json.dumps(asdict(net.config))})
    fp32 = export_fp32(net)
    made = {"model.onnx": fp32, "model.int8.onnx": quantize_int8(fp32, images), WEIGHTS: weights}
    return save_bundle(out, card, {name: campus.read(name) for name in campus.card.files} | made)


def compare(bundle: Bundle, rounds: int, threads: int) -> Comparison:
    """Measure a bundle that carries torch weights, on `threads` threads, in `rounds` rounds of turns."""
    import onnxruntime as ort
    import torch

    torch.set_num_threads(threads)
    engine, eager = open_engine(bundle, "onnxruntime", threads), TorchEngine(load_net(bundle))
    options = ort.SessionOptions()
    options.intra_op_num_threads = threads  # all else as onnxruntime has it
    bare = ort.InferenceSession(bundle.read(bundle.card.cpu_model), options, providers=["CPUExecutionProvider"])
    localizer, photos = Localizer(bundle, engine), sample_bytes(bundle)
    size = bundle.card.image_size
    image: NDArray[np.uint8] = np.random.default_rng(0).integers(0, 256, (1, size, size, 3), np.uint8)
    contenders: dict[str, Callable[[], object]] = {
        "torch_fp32_ms": lambda: eager.run(image),
        "int8_ms": lambda: engine.run(image),
        "bare_ms": lambda: bare.run(None, {"image": image}),
    }
    times: dict[str, list[float]] = {name: [] for name in (*contenders, "fix_ms")}
    stages: dict[str, list[float]] = {"preprocess": [], "network": [], "posterior": []}
    for number in range(rounds):
        for name, call in contenders.items():
            call()
            for _ in range(CALLS):
                started = time.perf_counter()
                call()
                times[name].append(1e3 * (time.perf_counter() - started))
        localizer.locate(photos[number % len(photos)])
        for _ in range(CALLS):
            started = time.perf_counter()
            fix = localizer.locate(photos[number % len(photos)])
            times["fix_ms"].append(1e3 * (time.perf_counter() - started))
            for stage, taken in stages.items():
                taken.append(fix.timings_ms[stage])
    medians = {name: float(np.median(taken)) for name, taken in times.items()}
    return Comparison(**medians, **{f"{stage}_ms": float(np.median(taken)) for stage, taken in stages.items()})


def main() -> int:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--campus", type=Path, default=default_bundle(), help="bundle with samples (default: the demo)")
    parser.add_argument("--rounds", type=int, default=30)
    parser.add_argument("--threads", type=int, default=min(os.cpu_count() or 1, 4), help="(default: as many as cores)")
    parser.add_argument("--json", type=Path, metavar="FILE", help="write the figures there")
    args = parser.parse_args()
    with tempfile.TemporaryDirectory() as folder:
        print("making a ResNet50 of random weights", flush=True)
        bundle = resnet50_bundle(Bundle.load(args.campus), Path(folder) / "resnet50")
        print(
            f"{platform.machine()}, {args.threads} threads of {os.cpu_count()} cores, {args.rounds} rounds", flush=True
        )
        found = compare(bundle, args.rounds, args.threads)
    print(found)
    if args.json:
        figures = asdict(found) | {
            "faster_than_torch": found.faster_than_torch, "of_bare": found.of_bare,
            "beside_network": found.beside_network,
        }  # fmt: skip
        with written_aside(args.json) as aside:
            aside.write_text(json.dumps(figures, indent=1) + "\n", encoding="utf-8")
    return 0


if __name__ == "__main__":
    raise SystemExit(run_cli(main))
