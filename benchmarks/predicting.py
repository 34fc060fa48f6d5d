"""`predict_gps`, warm and cold, against ResNet50 in torch as the original calls it and as a careful caller would."""

from __future__ import annotations

import os
import subprocess
import sys
import tempfile
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from benchmarks import original
from benchmarks.timing import ROOT, Effort, Section, Target, Times, interleaved
from core.engines.onnx_engine import OnnxEngine
from core.locate.localizer import DEMO_BUNDLE, Localizer, shared_localizer
from core.photo.load import load_photo
from core.photo.preprocess import network_image
from predict import predict_gps

COLD = """
import sys, numpy
from PIL import Image
from predict import predict_gps
predict_gps(numpy.asarray(Image.open(sys.argv[1])))
"""


@dataclass(frozen=True)
class Measured:
    """What was timed, by way: photos in one process, new processes, parts of a call, and pixels of the network's size.

    `size`: the network's own, in pixels.
    """

    size: int
    warm: dict[str, Times]
    cold: dict[str, Times]
    parts: dict[str, Times]
    small: dict[str, Times]

    def of_the_bare_call(self, part: str) -> float:
        """A part's median as a share of the bare network call's."""
        return self.parts[part].median / self.parts["bare"].median


def run(effort: Effort) -> Section:
    """Every call gets the pixels of a 640 x 480 photo, but for the last comparison."""
    os.environ["CAMPUS_BUNDLE"] = str(DEMO_BUNDLE)
    localizer = shared_localizer(DEMO_BUNDLE)
    bundle, engine = localizer.bundle, localizer.engine
    assert isinstance(engine, OnnxEngine)
    pixels = load_photo(bundle.read(bundle.samples[0])).rgb
    section = Section(
        "predict_gps",
        f"The demo bundle ({engine.name}, {bundle.manifest.image_size} px), a photo of {pixels.shape[1]} x "
        f"{pixels.shape[0]} pixels as an array. The bare call is ONNX Runtime on pixels of the network's own size. "
        "ResNet50 has untrained weights, and in one process as many threads.",
    )
    with original.on_threads(engine.session.get_session_options().intra_op_num_threads):
        measured = _measured(localizer, engine, pixels, effort)
    for group, times in (
        ("warm", measured.warm), ("cold", measured.cold), ("overhead", measured.parts), ("small", measured.small),
    ):  # fmt: skip
        section.keep(group, times)
    section.tables += _tables(measured)
    section.targets += _targets(measured)
    return section


def new_process(*words: object) -> None:
    """Python with such words, from start to end; a process between, to measure it, would be another start of Python."""
    subprocess.run([sys.executable, *map(str, words)], cwd=ROOT, check=True)


def _measured(localizer: Localizer, engine: OnnxEngine, pixels: NDArray[np.uint8], effort: Effort) -> Measured:
    bundle, size = localizer.bundle, localizer.bundle.manifest.image_size
    ready = network_image(pixels, size)
    with tempfile.TemporaryDirectory() as folder:
        checkpoint = original.save_checkpoint(Path(folder) / "best_model.pth")
        loaded = original.load(checkpoint)
        warm = interleaved(
            {
                "predict_gps": lambda: predict_gps(pixels),
                "the bare onnxruntime call": lambda: engine.session.run(None, {"image": ready[None]}),
                "ResNet50 in torch, kept loaded": lambda: original.answer(loaded, pixels),
                "the original's way": lambda: original.predict(checkpoint, pixels),
            },
            effort,
            again=True,
        )
        photo = Path(folder) / "photo.jpg"
        photo.write_bytes(bundle.read(bundle.samples[0]))
        cold = interleaved(
            {
                "predict_gps": lambda: new_process("-c", COLD, photo),
                "the original's way": lambda: new_process("-m", "benchmarks.original", checkpoint, photo),
            },
            Effort(effort.seconds, min(effort.least, 5), 10, effort.tiny),
        )
    heads = engine.run(ready[None])
    parts = interleaved(
        {
            "bare": lambda: engine.session.run(None, {"image": ready[None]}),
            "predict_gps": lambda: predict_gps(ready),
            "shrinking": lambda: network_image(pixels, size),
            "posterior": lambda: localizer.posterior.map(heads).median_m(),
        },
        effort,
        again=True,
    )
    # By itself, since torch's threads would slow what is told apart above.
    small = interleaved(
        {"predict_gps": lambda: predict_gps(ready), "ResNet50": lambda: original.answer(loaded, ready)},
        effort,
        again=True,
    )
    return Measured(size, warm, cold, parts, small)


def _tables(measured: Measured) -> list[Sequence[Sequence[str]]]:
    def against_ours(title: str, times: dict[str, Times]) -> list[tuple[str, ...]]:
        rows = [
            (name, str(value), f"{value.median / times['predict_gps'].median:.2f} x") for name, value in times.items()
        ]
        return [(title, "median (p10 – p90)", "against predict_gps"), *rows]

    parts, size, share = measured.parts, measured.size, measured.of_the_bare_call
    return [
        against_ours("warm, in one process", measured.warm),
        against_ours("cold: a new process to its end", measured.cold),
        [
            ("what predict_gps adds to the network", "median (p10 – p90)", "of the bare call"),
            ("the bare onnxruntime call", str(parts["bare"]), ""),
            (
                f"predict_gps on {size} x {size} pixels, the network's own",
                str(parts["predict_gps"]),
                f"+ {share('predict_gps') - 1:.0%}",
            ),
            ("– of which the posterior", str(parts["posterior"]), f"+ {share('posterior'):.0%}"),
            ("shrinking the photo first (Pillow's Lanczos)", str(parts["shrinking"]), f"+ {share('shrinking'):.0%}"),
        ],
    ]


def _targets(measured: Measured) -> list[Target]:
    warm, small, size = measured.warm, measured.small, measured.size
    over, shrinking = measured.of_the_bare_call("predict_gps") - 1, measured.of_the_bare_call("shrinking")
    ours, kept = warm["predict_gps"].median, warm["ResNet50 in torch, kept loaded"].median
    way, bare = warm["the original's way"].median, warm["the bare onnxruntime call"].median
    small_ratio = small["ResNet50"].median / small["predict_gps"].median
    shrinking_ms = 1e3 * measured.parts["shrinking"].median
    return [
        Target(
            "15 x faster than cached torch eager ResNet50",
            f"{kept / ours:.1f} x",
            kept / ours >= 15,
            f"The bare network call is {kept / bare:.1f} x faster; {shrinking_ms:.1f} ms go to shrinking the photo. "
            f"Given {size} x {size} pixels, the network's own, it is {small_ratio:.1f} x.",
        ),
        Target(
            "100 x faster than the original's way",
            f"{way / ours:.0f} x",
            way / ours >= 100,
            f"The bare network call is {way / bare:.0f} x faster; the rest as above.",
        ),
        Target(
            "at most 30 % over the bare network call",
            f"+ {over:.0%} on pixels of the network's size, + {over + shrinking:.0%} with shrinking a photo",
            over + shrinking <= 0.3,
            "Shrinking is Pillow's Lanczos alone, the same pixels that training saw; and the faster the network, the "
            "larger the share of all else.",
        ),
    ]
