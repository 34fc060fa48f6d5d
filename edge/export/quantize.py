"""Static INT8 for CPUs, measured in metres beside FP32, and refused where it costs too much."""

from __future__ import annotations

import argparse
import logging
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np

from core.campus.bundle import Bundle, check_may_save, save_bundle
from core.campus.manifest import Parity
from core.campus.samples import sample_images
from core.engines.heads import Engine, run_all
from core.engines.onnx_engine import OnnxEngine
from core.errors import EngineError, MissingDependency
from core.locate.localizer import Localizer
from core.locate.parity import INT8_MAX_COST, int8_parity, positions_m
from edge.export.labelled import Labelled, folder_images, labelled_photos, labelled_samples

if TYPE_CHECKING:
    from numpy.typing import NDArray

log = logging.getLogger(__name__)

CALIBRATION_PHOTOS = 128
GROUPS = 8  # the network in so many stretches, each of which may stay in floating point


@dataclass(frozen=True)
class Quantized:
    """An INT8 model and what it costs: mean errors and the mean distance between its fixes and FP32's, in metres.

    `kept_float` names the nodes that quantise so badly that they stayed in floating point.
    """

    model: bytes
    parity: Parity
    kept_float: tuple[str, ...]

    @property
    def cost(self) -> float:
        """By which share the mean error grew; below 0 where INT8 happens to be better."""
        return self.parity.int8_mean_m / self.parity.fp32_mean_m - 1


def quantize(
    bundle: Bundle, photos: NDArray[np.uint8], labelled: Labelled, max_cost: float = INT8_MAX_COST
) -> Quantized:
    """Quantise a bundle's FP32 model, calibrated on (N, S, S, 3) `photos`, until it costs at most `max_cost`.

    The whole backbone is quantised first. Where that costs too much, each stretch of the network is put back into
    floating point by itself, and those whose return mends most stay there, best first. The result may still cost more
    than `max_cost`: the caller decides.
    """
    try:
        from core.network.onnx_export import prepared_for_int8, quantize_int8
    except ImportError as error:
        raise MissingDependency("torch or onnx", "requirements-train.txt") from error
    fp32 = bundle.read("model.onnx")
    measure = _Measure(bundle, OnnxEngine(fp32, "FP32"), labelled)
    best = measure.quantized(quantize_int8(fp32, photos), ())
    if best.cost <= max_cost:
        return best
    log.info("INT8 costs %.1f %%: looking for what quantises badly", 100 * best.cost)
    found = []
    for stretch in stretches(prepared_for_int8(fp32)):
        alone = measure.quantized(quantize_int8(fp32, photos, stretch), stretch)
        found.append((alone.parity.apart_mean_m, stretch))
        log.info("  without %s to %s: fixes %.2f m apart", stretch[0], stretch[-1], alone.parity.apart_mean_m)
    kept: tuple[str, ...] = ()
    for _, stretch in sorted(found):
        kept += stretch
        tried = measure.quantized(quantize_int8(fp32, photos, kept), kept)
        best = min(best, tried, key=lambda candidate: candidate.cost)
        if tried.cost <= max_cost:
            return tried
    return best


def stretches(prepared: bytes) -> list[tuple[str, ...]]:
    """The names of the nodes that can be quantised, in the order they run, in up to GROUPS groups."""
    import onnx

    from core.network.onnx_export import INT8_OPERATORS

    names = [node.name for node in onnx.load_from_string(prepared).graph.node if node.op_type in INT8_OPERATORS]
    parts = np.array_split(np.array(names), min(GROUPS, len(names)))
    return [tuple(str(name) for name in part) for part in parts]


class _Measure:
    """The errors of FP32, found once, beside those of any other model on the same photos."""

    def __init__(self, bundle: Bundle, fp32: Engine, labelled: Labelled) -> None:
        self._posterior, self._images = Localizer(bundle, fp32).posterior, labelled.images
        self._truth_m = bundle.manifest.frame.to_local(*labelled.latlon.T)
        self._fp32_m = self._positions_m(fp32)

    def _positions_m(self, engine: Engine) -> NDArray[np.float64]:
        return positions_m(self._posterior, run_all(engine, self._images))

    def quantized(self, model: bytes, kept_float: tuple[str, ...]) -> Quantized:
        int8_m = self._positions_m(OnnxEngine(model, "INT8"))
        return Quantized(model, int8_parity(self._fp32_m, int8_m, self._truth_m), kept_float)


def installed(bundle: Bundle, done: Quantized, out: Path, max_cost: float, force: bool = False) -> Bundle:
    """Write the bundle with its INT8 model and make that the CPU's choice.

    Raises EngineError, and writes nothing, where INT8 costs more than `max_cost`.
    """
    if done.cost > max_cost:
        raise EngineError(
            f"INT8 costs {done.cost:.1%} of the mean error, more than the {max_cost:.1%} allowed: not installed",
            path=bundle.path,
            remedy="calibrate on more and other photos (--photos), or allow it with --max-cost",
        )
    files = {name: bundle.read(name) for name in bundle.manifest.files} | {"model.int8.onnx": done.model}
    manifest = bundle.manifest.model_copy(update={"parity": done.parity, "cpu_model": "model.int8.onnx"})
    return save_bundle(out, manifest, files, force)


def add_arguments(parser: argparse.ArgumentParser) -> None:
    parser.add_argument("bundle", type=Path, metavar="BUNDLE", help="campus bundle: a folder or NAME.campus")
    parser.add_argument("--photos", type=Path, metavar="DIR", help="photos to calibrate on (default: its samples)")
    parser.add_argument(
        "--labels", type=Path, metavar="CSV", help="known positions to measure on (default: its samples)"
    )
    parser.add_argument("--images", type=Path, metavar="DIR", help="folder of the CSV's photos")
    parser.add_argument(
        "--max-cost", type=float, default=INT8_MAX_COST, metavar="SHARE", help="of the mean error (0.05)"
    )
    parser.add_argument("--out", type=Path, metavar="BUNDLE", help="write the bundle with the new model there")
    parser.add_argument("--force", action="store_true", help="replace --out where it exists, also BUNDLE itself")


def main(args: argparse.Namespace) -> int:
    if bool(args.labels) != bool(args.images):
        raise EngineError("--labels CSV and --images DIR go together", remedy="give both or neither")
    if args.out:
        check_may_save(args.out, args.force)
    bundle = Bundle.load(args.bundle)
    size = bundle.manifest.image_size
    labelled = labelled_photos(args.labels, args.images, size) if args.labels else labelled_samples(bundle)
    photos = folder_images(args.photos, size, CALIBRATION_PHOTOS) if args.photos else sample_images(bundle)
    if not len(photos):
        raise EngineError("carries no photos to calibrate on", path=bundle.path, remedy="give a folder with --photos")
    done = quantize(bundle, photos, labelled, args.max_cost)
    parity = done.parity
    print(f"{bundle.manifest.name}: calibrated on {len(photos)} photos, measured on {labelled.source}")
    print(f"  FP32  mean error {parity.fp32_mean_m:6.2f} m  {len(bundle.read('model.onnx')) / 1e6:6.1f} MB")
    print(f"  INT8  mean error {parity.int8_mean_m:6.2f} m  {len(done.model) / 1e6:6.1f} MB  {done.cost:+.1%}")
    print(f"  fixes {parity.apart_mean_m:.2f} m apart on average; {len(done.kept_float)} nodes kept in floating point")
    if args.out:
        print(f"installed: {installed(bundle, done, args.out, args.max_cost, args.force).path}")
    elif done.cost > args.max_cost:
        raise EngineError(f"INT8 costs {done.cost:.1%}, more than the {args.max_cost:.1%} allowed", path=bundle.path)
    return 0
