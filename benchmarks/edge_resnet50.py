"""ResNet50 on a CPU: this program's INT8 against eager torch in FP32 and the bare onnxruntime call, and whole fixes."""

from __future__ import annotations

import json
import tempfile
from dataclasses import asdict
from pathlib import Path

import onnxruntime as ort
import torch
from safetensors.torch import save

from benchmarks import original
from benchmarks.timing import Effort, Section, Target, interleaved
from core.campus.bundle import Bundle, save_bundle
from core.campus.file_names import MODEL_SAFETENSORS
from core.campus.samples import sample_images
from core.engines.choose import open_engine
from core.engines.onnx_engine import OnnxEngine, compute_int8_exactly
from core.locate.localizer import DEMO_BUNDLE, Localizer
from core.network.campus_net import CampusNet
from core.network.net_config import NetConfig
from core.network.onnx_export import export_fp32, quantize_int8, round_weights
from core.network.torch_engine import TorchEngine
from core.network.weights import load_net
from core.photo.load import load_photo
from core.photo.preprocess import network_image
from edge.bench import sample_bytes


def resnet50_bundle(campus: Bundle, size: int, out: Path) -> Bundle:
    """The campus around a ResNet50 of random weights, whose batch norms have the statistics of its sample photos."""
    torch.manual_seed(0)
    width = 128 if campus.gallery is None else campus.gallery.embedding.shape[1]
    net = CampusNet(NetConfig("resnet50", zones=len(campus.manifest.zones), image_size=size, embedding=width))
    manifest = campus.manifest.model_copy(update={"image_size": size, "cpu_model": "model.int8.onnx"})
    images = sample_images(Bundle(campus.path, manifest))
    net.eval().backbone.train()
    with torch.no_grad():
        for _ in range(3):
            net(torch.from_numpy(images))
    round_weights(net.eval())
    weights = save(dict(net.state_dict()), {"net": json.dumps(asdict(net.config))})
    fp32 = export_fp32(net)
    made = {"model.onnx": fp32, "model.int8.onnx": quantize_int8(fp32, images), MODEL_SAFETENSORS: weights}
    return save_bundle(out, manifest, {name: campus.read(name) for name in campus.manifest.files} | made)


def run(effort: Effort) -> Section:
    """All in one run, on as many threads each as this program's engine takes."""
    section = Section(
        "ResNet50 at the edge, without a GPU",
        "One photo of 224 x 224 through a ResNet50 of random weights, on which speed does not depend, on the demo "
        "campus; the bare call has onnxruntime's own defaults and the same number of threads.",
    )
    with tempfile.TemporaryDirectory() as folder:
        campus = Bundle.load(DEMO_BUNDLE)
        bundle = resnet50_bundle(campus, 64 if effort.tiny else 224, Path(folder) / "resnet50")
        engine, eager = open_engine(bundle, "onnxruntime"), TorchEngine(load_net(bundle))
        assert isinstance(engine, OnnxEngine)
        options = ort.SessionOptions()
        options.intra_op_num_threads = engine.session.get_session_options().intra_op_num_threads
        compute_int8_exactly(options)  # as what it is compared with
        bare = ort.InferenceSession(bundle.read("model.int8.onnx"), options, providers=["CPUExecutionProvider"])
        localizer, photo = Localizer(bundle, engine), sample_bytes(bundle)[0]
        size = bundle.manifest.image_size
        rgb = load_photo(photo, min_side=size).rgb
        image = network_image(rgb, size)[None]
        heads = engine.run(image)
        with original.on_threads(options.intra_op_num_threads):
            times = interleaved(
                {
                    "eager torch, FP32": lambda: eager.run(image),
                    "this program, INT8": lambda: engine.run(image),
                    "the bare onnxruntime call, INT8": lambda: bare.run(None, {"image": image}),
                    "preprocessing": lambda: network_image(rgb, size),
                    "posterior": lambda: localizer.fix(heads),
                    "a whole fix": lambda: localizer.locate(photo),
                },
                effort,
                again=True,
            )
    section.keep("edge", times)
    ours = times["this program, INT8"].median
    section.tables.append(
        [("one photo", "median (p10 – p90)", "against INT8 here")]
        + [(name, str(value), f"{value.median / ours:.2f} x") for name, value in times.items()]
    )
    faster = times["eager torch, FP32"].median / ours
    over = ours / times["the bare onnxruntime call, INT8"].median - 1
    beside = (times["preprocessing"].median + times["posterior"].median) / ours
    section.targets += [
        Target("INT8 is at least 4 x faster than eager torch in FP32", f"{faster:.1f} x", faster >= 4),
        Target("within 15 % of the bare onnxruntime call", f"{over:+.0%}", over <= 0.15),
        Target("preprocessing and posterior below 30 % of the network", f"{beside:.0%}", beside < 0.3),
    ]
    return section
