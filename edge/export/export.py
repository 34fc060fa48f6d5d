"""A campus bundle -> a folder for devices: ONNX in FP32 and FP16, a manifest, golden answers."""

from __future__ import annotations

import argparse
import logging
from dataclasses import dataclass
from importlib.metadata import version
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np

from core.campus.bundle import Bundle
from core.campus.file_names import LOCAL_MODEL, MODEL_SAFETENSORS
from core.campus.samples import sample_images, sample_photos
from core.engines.heads import run_all
from core.engines.local_engine import OnnxLocalEngine
from core.engines.onnx_engine import OnnxEngine
from core.errors import EngineError
from core.io.files import check_replaceable, written_atomically
from core.locate.localizer import Localizer
from core.network.torch_engine import TorchEngine
from core.photo.canvas import fitted
from core.photo.preprocess import network_image
from core.program import typed
from edge.export.labelled import folder_images
from edge.export.local_half import half_local
from edge.local_features import LOCAL_FP16, LOCAL_GOLDEN, LocalGolden, LocalParity
from edge.manifest import (
    FP16,
    FP32,
    GOLDEN,
    MANIFEST,
    Golden,
    Manifest,
    Preprocessing,
    TensorSpec,
    Tolerances,
    sha256,
    striped_photo,
)
from edge.parity import FixParity, HeadParity, fix_parity, head_parity

if TYPE_CHECKING:
    from numpy.typing import NDArray

    from core.network.campus_net import CampusNet

log = logging.getLogger(__name__)

GOLDEN_SAMPLES = 6
GOLDEN_CANVASES = 2
LEAST_TOLERANCE_M = 0.05
SAME_NETWORK_M = 0.05  # float32 rounding over a folded network is millimetres; another network is metres off


@dataclass(frozen=True)
class Exported:
    """What `export` wrote, and how far FP16 is from FP32 on the golden images; `local`: None without a second look."""

    folder: Path
    manifest: Manifest
    heads: HeadParity
    fixes: FixParity
    local: LocalParity | None


def export(bundle: Bundle, out: Path, photos: NDArray[np.uint8] | None = None) -> Exported:
    """Write the export of a bundle to the folder `out`, whole or not at all.

    FP32 is the bundle's own model.onnx, whose batch norms torch's exporter has folded. FP16 is compared with it on the
    golden images, and their fixes on (N, S, S, 3) `photos` where those are given. A second look's network goes along.
    Raises BundleError where the bundle carries no torch weights, and EngineError where they are not those of
    model.onnx, or do not survive FP16.
    """
    from core.network.onnx_export import export_fp32, half_network
    from core.network.weights import load_net

    net, fp32 = load_net(bundle), bundle.read("model.onnx")
    single = OnnxEngine(fp32, FP32)
    golden, localizer = golden_answers(bundle, single)
    own = run_all(TorchEngine(net), golden.images)
    if (apart := head_parity(own, golden.heads, bundle.manifest.scale_m)).offset_max_m > SAME_NETWORK_M:
        raise EngineError(
            f"{MODEL_SAFETENSORS} is not the network of model.onnx ({apart})",
            path=bundle.path,
            remedy="make the bundle again",
        )
    in_half = half_network(net)
    # By torch, as ONNX Runtime's CPU computes a model of FP16 in FP32 throughout: its activations are never rounded.
    half = TorchEngine(in_half)
    heads16 = run_all(half, golden.images)
    apart = head_parity(golden.heads, heads16, bundle.manifest.scale_m)
    if apart.offset_mean_m > Tolerances().device_m:
        raise EngineError(
            f"this network does not survive FP16 ({apart})",
            path=bundle.path,
            remedy="train it longer or with more decay",
        )
    log.info("batch norm folded; exporting %s in FP16", net.config.backbone)
    models = {FP32: fp32, FP16: export_fp32(in_half)}
    look, local = local_files(bundle)
    files = {**models, GOLDEN: golden.to_bytes(), **look}
    manifest = describe(bundle, net, models[FP16], files, apart)
    with written_atomically(out) as temporary:
        temporary.mkdir()
        for name, data in files.items():
            (temporary / name).write_bytes(data)
        (temporary / MANIFEST).write_text(manifest.model_dump_json(indent=1) + "\n", encoding="utf-8")
    if photos is None:
        return Exported(out, manifest, apart, fix_parity(localizer, golden.heads, heads16), local)
    log.info("comparing the fixes of %d photos", len(photos))
    return Exported(out, manifest, apart, fix_parity(localizer, run_all(single, photos), run_all(half, photos)), local)


def local_files(bundle: Bundle) -> tuple[dict[str, bytes], LocalParity | None]:
    """The files of the second look's network by name, and how far its FP16 is from FP32; none without a second look."""
    look = bundle.manifest.second_look
    if look is None:
        return {}, None
    model = bundle.read(LOCAL_MODEL)
    photos = [photo.rgb for _, photo in sample_photos(bundle, min(look.height, look.width), GOLDEN_CANVASES - 1)]
    images = np.stack([fitted(rgb, look.height, look.width).image for rgb in (*photos, striped_photo())])
    golden = LocalGolden.of(images, OnnxLocalEngine(model, look.height, look.width))
    half = half_local(model)
    apart = golden.parity(OnnxLocalEngine(half, look.height, look.width))
    if not apart.ok:
        raise EngineError(f"the second look does not survive FP16 ({apart})", path=bundle.path, remedy="make it again")
    return {LOCAL_FP16: half, LOCAL_GOLDEN: golden.to_bytes()}, apart


def golden_answers(bundle: Bundle, engine: OnnxEngine) -> tuple[Golden, Localizer]:
    """A few of the bundle's photos and a striped photo, with the FP32 answers to them."""
    photo = striped_photo()
    image = network_image(photo, bundle.manifest.image_size)
    images = np.concatenate([sample_images(bundle, GOLDEN_SAMPLES), image[None]])
    return Golden(images, run_all(engine, images), photo, image), Localizer(bundle, engine)


def describe(bundle: Bundle, net: CampusNet, model: bytes, files: dict[str, bytes], apart: HeadParity) -> Manifest:
    """The manifest, its inputs and outputs read off the graph itself; `apart`: FP16 from FP32 as measured."""
    import onnx

    graph = onnx.load_from_string(model)
    mean, std = ([float(value) for value in channels] for channels in (net.mean[0, :, 0, 0], net.std[0, :, 0, 0]))
    return Manifest(
        campus=bundle.manifest.name,
        bundle_digest=bundle.manifest.digest,
        backbone=net.config.backbone,
        scale_m=bundle.manifest.scale_m,
        opset=next(entry.version for entry in graph.opset_import if not entry.domain),
        exporters={package: version(package) for package in ("torch", "onnx", "onnxscript", "onnxruntime")},
        inputs=tuple(tensor_spec(value) for value in graph.graph.input),
        outputs=tuple(tensor_spec(value) for value in graph.graph.output),
        preprocessing=Preprocessing(
            size=bundle.manifest.image_size, mean=(mean[0], mean[1], mean[2]), std=(std[0], std[1], std[2])
        ),
        tolerances=Tolerances(fp16_m=max(LEAST_TOLERANCE_M, 2 * apart.offset_mean_m)),
        files={name: sha256(data) for name, data in files.items()},
    )


def tensor_spec(value: Any) -> TensorSpec:
    """An onnx ValueInfoProto in words; a dimension without a size or a name is `?`."""
    import onnx

    kind = value.type.tensor_type
    dtype = onnx.helper.tensor_dtype_to_np_dtype(kind.elem_type).name
    shape = tuple(d.dim_value if d.HasField("dim_value") else d.dim_param or "?" for d in kind.shape.dim)
    return TensorSpec(name=value.name, dtype=dtype, shape=shape)


def add_arguments(parser: argparse.ArgumentParser) -> None:
    parser.add_argument("bundle", type=Path, metavar="BUNDLE", help="campus bundle: a folder or NAME.campus")
    parser.add_argument("--out", type=Path, required=True, metavar="DIR", help="folder to write")
    parser.add_argument("--photos", type=Path, metavar="PHOTOS", help="compare the fixes of these, not of its samples")
    parser.add_argument("--force", action="store_true", help="replace DIR where it exists")


def main(args: argparse.Namespace) -> int:
    check_replaceable(args.out, args.force, "export", MANIFEST)
    bundle = Bundle.load(args.bundle)
    done = export(bundle, args.out, folder_images(args.photos, bundle.manifest.image_size) if args.photos else None)
    for name in (*done.manifest.files, MANIFEST):
        print(f"{(done.folder / name).stat().st_size / 1e6:7.1f} MB  {done.folder / name}")
    print(f"FP16 against FP32: {done.heads}; {done.fixes}")
    if done.local is not None:
        print(f"  of the second look: {done.local}")
    print(f"next: {typed('edge')} verify {done.folder} --bundle {args.bundle}")
    return 0
