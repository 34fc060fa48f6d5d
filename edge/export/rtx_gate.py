"""A real TensorRT parse, type check and FP16 build on a CPU, by way of TensorRT for RTX where it is installed.

Its engine is thrown away: TensorRT for RTX targets desktop GPUs, not Jetsons. What it proves is that TensorRT's own
parser and strongly typed builder accept the graph, which otherwise only a device would tell.
"""

from __future__ import annotations

from importlib import import_module
from typing import TYPE_CHECKING, Any

from core.engines.tensorrt_network import collecting_logger
from edge.export.graph_checks import Check

if TYPE_CHECKING:
    from collections.abc import Sequence

LABEL = "TensorRT parse and build"


def check_with_tensorrt(name: str, model: bytes, shapes: Sequence[tuple[int, int, int, int]]) -> list[Check]:
    """Parse, type-check and build an FP16 model; one skipped check where TensorRT for RTX is absent.

    shapes: the least, best and largest (B, H, W, 3) of its input.
    """
    name = f"{name}: {LABEL}"
    try:
        trt: Any = import_module("tensorrt_rtx")
    except ImportError:
        return [Check(name, None, "tensorrt-rtx is not installed: pip install -r requirements-dev.txt")]
    logger = collecting_logger(trt)
    builder = trt.Builder(logger)
    network = builder.create_network(1 << int(trt.NetworkDefinitionCreationFlag.STRONGLY_TYPED))
    parser = trt.OnnxParser(network, logger)
    if not parser.parse(model):
        errors = [parser.get_error(index).desc() for index in range(parser.num_errors)]
        return [Check(name, False, _one_line(errors or logger.messages))]
    if problems := _type_problems(trt, network):
        return [Check(name, False, "; ".join(problems[:3]))]
    config = builder.create_builder_config()
    optimisation = builder.create_optimization_profile()
    optimisation.set_shape(network.get_input(0).name, *shapes)
    if config.add_optimization_profile(optimisation) < 0:
        return [Check(name, False, f"the profile {shapes} is not accepted: {_one_line(logger.messages)}")]
    # Without a GPU there is no current device to build for; Ampere is the generation of Jetson Orin.
    config.num_compute_capabilities = 1
    config.set_compute_capability(trt.ComputeCapability.SM86, 0)
    engine = builder.build_serialized_network(network, config)
    if engine is None:
        return [Check(name, False, _one_line(logger.messages))]
    convolutions = len(_layers(network, trt.LayerType.CONVOLUTION))
    detail = (
        f"TensorRT for RTX {trt.__version__}: {convolutions} FP16 convolutions, engine {engine.nbytes / 1e6:.1f} MB"
    )
    return [Check(name, True, detail)]


def _layers(network: Any, kind: Any) -> list[Any]:
    layers = (network.get_layer(index) for index in range(network.num_layers))
    return [layer for layer in layers if layer.type == kind]


def _type_problems(trt: Any, network: Any) -> list[str]:
    """What is not as TensorRT is to see it: FP16 convolutions, FP32 outputs, one input."""
    convolutions = _layers(network, trt.LayerType.CONVOLUTION)
    problems = [] if convolutions else ["no convolution"]
    problems += [f"{layer.name} is not FP16" for layer in convolutions if layer.get_output(0).dtype != trt.float16]
    outputs = [network.get_output(index) for index in range(network.num_outputs)]
    problems += [f"output {tensor.name} is not FP32" for tensor in outputs if tensor.dtype != trt.float32]
    if network.num_inputs != 1:
        problems.append(f"{network.num_inputs} inputs instead of 1")
    return problems


def _one_line(messages: list[str]) -> str:
    return " ".join("; ".join(messages).split())[:300] or "refused without a reason"
