"""Check an export before it travels: the graph, its types, its answers in metres, and a real TensorRT build."""

from __future__ import annotations

import argparse
from pathlib import Path

from core.campus.bundle import Bundle
from core.campus.samples import sample_images
from core.engines.heads import run_all
from core.engines.local_engine import OnnxLocalEngine
from core.engines.onnx_engine import OnnxEngine
from core.errors import EngineError
from core.locate.localizer import Localizer
from core.program import typed
from edge.export.graph_checks import Check, check_graph
from edge.export.rtx_gate import check_with_tensorrt
from edge.manifest import FP16, FP32, MANIFEST, Export, LocalExport, preprocessing_drift, sha256
from edge.parity import fix_parity, head_parity

FIX_APART_M = 0.1  # whole answers of FP16 and FP32, on average over the bundle's photos
DRIFT = 1  # levels of 255 by which another version of Pillow may round differently


def verify(folder: Path, bundle: Bundle | None = None) -> list[Check]:
    """Every check of an export folder; with its bundle also the distance between whole fixes.

    Raises EngineError where a file is missing or is not the one that was exported.
    """
    export = Export.load(folder)
    manifest = export.manifest
    fp32 = _read_model(folder, manifest.files.get(FP32, ""))
    checks = check_graph(fp32, manifest, half=False) + check_graph(export.fp16, manifest, half=True)
    checks.append(_preprocessing(export))
    checks.append(_golden("fp32", fp32, export, manifest.tolerances.fp32_m))
    checks.append(_golden("fp16", export.fp16, export, manifest.tolerances.fp16_m))
    if all(check.ok for check in checks):
        checks += check_with_tensorrt("fp16", export.fp16, manifest.profile.shapes(manifest.preprocessing.size))
    if export.local is not None:
        checks += _second_look(export.local)
    if bundle is not None:
        checks += _against_bundle(export, bundle)
    return checks


def _read_model(folder: Path, wanted: str) -> bytes:
    path = folder / FP32
    if not path.is_file():
        raise EngineError("missing", path=path, remedy="export the bundle again")
    data = path.read_bytes()
    if sha256(data) != wanted:
        raise EngineError("not the file that was exported (its sha256 differs)", path=path, remedy="export again")
    return data


def _preprocessing(export: Export) -> Check:
    name = "preprocessing"
    golden, size = export.golden, export.manifest.preprocessing.size
    if golden.photo_image.shape != (size, size, 3) or golden.images.shape[1:] != (size, size, 3):
        return Check(name, False, f"golden images are {golden.images.shape[1:]}, the manifest says {size} x {size}")
    drift = preprocessing_drift(golden, size)
    detail = f"a photo shrinks to within {drift} of 255 levels of what the exporter saw"
    return Check(name, drift <= DRIFT, detail)


def _golden(label: str, model: bytes, export: Export, tolerance_m: float) -> Check:
    """Golden parity through ONNX Runtime."""
    name = f"{label}: golden answers"
    tolerances = export.manifest.tolerances
    try:
        heads = run_all(OnnxEngine(model, label), export.golden.images)
        apart = head_parity(export.golden.heads, heads, export.manifest.scale_m)
    except EngineError as error:
        return Check(name, False, str(error))
    except Exception as error:  # ONNX Runtime's exceptions have no common base of their own
        return Check(name, False, " ".join(str(error).split())[:300])
    ok = apart.offset_mean_m <= tolerance_m and apart.embedding_max <= tolerances.fp16_embedding
    return Check(name, ok, f"{apart}; at most {tolerance_m:.2f} m allowed on average")


def _second_look(local: LocalExport) -> list[Check]:
    name, (height, width) = "second look, fp16", local.golden.images.shape[1:3]
    try:
        apart = local.golden.parity(OnnxLocalEngine(local.fp16, height, width))
    except EngineError as error:
        return [Check(f"{name}: golden answers", False, str(error))]
    checks = [Check(f"{name}: golden answers", apart.ok, str(apart))]
    return checks + (check_with_tensorrt(name, local.fp16, [(1, height, width, 3)] * 3) if apart.ok else [])


def _against_bundle(export: Export, bundle: Bundle) -> list[Check]:
    name = "fp16: fixes"
    if export.manifest.bundle_digest != bundle.manifest.digest:
        return [Check(name, False, f"{export.where} was exported from another bundle than {bundle.path}")]
    images = sample_images(bundle)
    if not len(images):
        return [Check(name, None, f"{bundle.path} carries no sample photos")]
    fp32 = OnnxEngine(bundle.read("model.onnx"), FP32)
    apart = fix_parity(Localizer(bundle, fp32), run_all(fp32, images), run_all(OnnxEngine(export.fp16, FP16), images))
    return [Check(name, apart.mean_m < FIX_APART_M, str(apart))]


def add_arguments(parser: argparse.ArgumentParser) -> None:
    parser.add_argument("folder", type=Path, metavar="DIR", help=f"folder made by `export`, with {MANIFEST}")
    parser.add_argument("--bundle", type=Path, metavar="BUNDLE", help="also compare whole fixes on its sample photos")


def main(args: argparse.Namespace) -> int:
    checks = verify(args.folder, Bundle.load(args.bundle) if args.bundle else None)
    for check in checks:
        word = {True: "ok  ", False: "FAIL", None: "skip"}[check.ok]
        print(f"{word}  {check.name:<42} {check.detail}")
    failed = [check.name for check in checks if check.ok is False]
    if failed:
        raise EngineError(
            f"{len(failed)} checks failed ({', '.join(failed)})", path=args.folder, remedy="do not ship it"
        )
    print(f"next: {typed('edge')} pack {args.bundle or 'BUNDLE'} {args.folder} --out NAME.campus-edge")
    return 0
