"""What an NVIDIA GPU does here: training, ONNX Runtime on it, and a TensorRT engine built and run as on a device.

Each part that this machine cannot measure says in a line what is lacking.
"""

from __future__ import annotations

import tempfile
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np

from benchmarks.timing import Effort, Section, Target, Times, interleaved
from core.campus.bundle import Bundle
from core.engines.cuda import open_cuda
from core.engines.onnx_engine import OnnxEngine
from core.engines.tensorrt_engine import built_engine
from core.engines.tensorrt_network import import_tensorrt
from core.errors import CampusError, EngineError, reason_of
from core.locate.localizer import DEMO_BUNDLE, Localizer

BATCHES = (1, 16)
PROVIDERS = ("TensorrtExecutionProvider", "CUDAExecutionProvider")
CPU = "this program on the CPU"


def run(effort: Effort) -> Section:
    """Every part in turn; one that fails is a line of its own and costs the others nothing."""
    section = Section(
        "On a GPU",
        "The demo bundle's network, and training of the same backbone; the original's loop runs on the same card.",
    )
    bundle = Bundle.load(DEMO_BUNDLE)
    for name, part in (("training", _training), ("ONNX Runtime", _onnx_runtime), ("TensorRT", _tensorrt)):
        try:
            part(section, bundle, effort)
        except CampusError as error:
            section.lacks.append(f"{name}: {' '.join(str(error).split())}")
    return section


def _training(section: Section, _: Bundle, effort: Effort) -> None:
    """An epoch in bfloat16, and in FP32, against the original's loop."""
    import torch

    if not torch.cuda.is_available():
        raise EngineError(f"torch {torch.__version__} sees no GPU here")
    from benchmarks.training import ORIGINAL, epochs

    card = torch.cuda.get_device_name()
    with tempfile.TemporaryDirectory() as folder:
        ways, photos = epochs(Path(folder), effort, {"train fit, bfloat16": "bf16", "train fit, FP32": "fp32"})

        def waited(way: Callable[[], object]) -> Callable[[], None]:
            def both() -> None:
                way()
                torch.cuda.synchronize()

            return both

        times = interleaved({name: waited(way) for name, way in ways.items()}, effort)
    _add(section, f"training on {card}", ORIGINAL, photos, times)
    ratio = times[ORIGINAL].median / times["train fit, bfloat16"].median
    section.targets.append(Target("2 x the original's samples a second on this card", f"{ratio:.1f} x", ratio >= 2))


def _onnx_runtime(section: Section, bundle: Bundle, effort: Effort) -> None:
    """The FP32 model by each provider of a GPU that is installed, against this program's own way on the CPU."""
    import onnxruntime as ort

    found = [name for name in PROVIDERS if name in ort.get_available_providers()]
    if not found:
        raise EngineError(f"onnxruntime {ort.__version__} has no provider for GPUs: pip install onnxruntime-gpu")
    model, ours = bundle.read("model.onnx"), OnnxEngine(bundle.read(bundle.manifest.cpu_model), CPU)
    sessions: dict[str, Callable[[Any], object]] = {CPU: ours.run}
    for name in found:
        try:
            session = ort.InferenceSession(model, providers=[name])
        except Exception as error:  # ONNX Runtime's exceptions have no common base of their own
            section.lacks.append(f"ONNX Runtime, {name}: {reason_of(error)}")
            continue
        if session.get_providers()[0] != name:  # it falls back without a word
            section.lacks.append(f"ONNX Runtime, {name}: is installed but finds no GPU or no library that it needs")
            continue
        sessions[name] = lambda images, session=session: session.run(None, {"image": images})  # type: ignore[misc]
    if len(sessions) > 1:
        _calls(section, bundle, effort, sessions)


def _tensorrt(section: Section, bundle: Bundle, effort: Effort) -> None:
    """Export, unpack and build as on a device, which tries the golden answers; then the engine against the CPU."""
    open_cuda()  # what is absent is said before minutes of work
    import_tensorrt()
    from edge.device.build import build
    from edge.device.engine_build import BuildFlags
    from edge.export.export import export
    from edge.pack import pack, unpack

    with tempfile.TemporaryDirectory() as folder:
        export(bundle, Path(folder) / "export")
        packed = pack(bundle, Path(folder) / "export", Path(folder) / "demo.campus-edge")
        unpacked = unpack(packed, Path(folder) / "demo")
        section.what += f" TensorRT: {build(unpacked, BuildFlags()).partition(': ')[2]}."
        engine = built_engine(unpacked, required=True)
        assert engine is not None
        ours = OnnxEngine(bundle.read(bundle.manifest.cpu_model), CPU)
        _calls(section, bundle, effort, {CPU: ours.run, engine.name: engine.run})
        photo = bundle.read(bundle.samples[0])
        on_cpu, on_gpu = Localizer.load(DEMO_BUNDLE, "onnxruntime"), Localizer(unpacked, engine)
        times = interleaved(
            {CPU: lambda: on_cpu.locate(photo), engine.name: lambda: on_gpu.locate(photo)}, effort, again=True
        )
        _add(section, "a photo of 640 x 480 to its fix", CPU, 1, times)
        engine.close()


def _calls(section: Section, bundle: Bundle, effort: Effort, ways: dict[str, Callable[[Any], object]]) -> None:
    """The network alone, one photo and 16 at once."""
    size = bundle.manifest.image_size
    for batch in BATCHES:
        images = np.random.default_rng(0).integers(0, 256, (batch, size, size, 3), np.uint8)
        calls = {name: (lambda way=way, images=images: way(images)) for name, way in ways.items()}
        times = interleaved(calls, effort, again=True)
        _add(section, f"the network, {batch} at once", CPU, batch, times)


def _add(section: Section, what: str, against: str, photos: int, times: dict[str, Times]) -> None:
    plain = times[against].median
    section.keep(f"gpu, {what}", times)
    section.tables.append(
        [(what, "median (p10 – p90)", "photos/s", f"against {against}")]
        + [
            (name, str(value), f"{photos / value.median:.1f}", f"{plain / value.median:.2f} x")
            for name, value in times.items()
        ]
    )
