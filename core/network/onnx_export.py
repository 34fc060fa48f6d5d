"""CampusNet -> ONNX in FP32 or FP16, and FP32 -> INT8 for CPUs."""

from __future__ import annotations

import copy
import gc
import tempfile
import warnings
from collections.abc import Collection, Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np
import torch
from torch import Tensor, nn
from torch.nn.utils import fusion

from core.engines.vet import MAX_BATCH, OPSETS
from core.errors import EngineError, MissingDependency
from core.io.files import naming
from core.network.campus_net import CampusNet

if TYPE_CHECKING:
    from numpy.typing import NDArray

OPSET = OPSETS[0]


def export_fp32(net: CampusNet) -> bytes:
    """The network as an ONNX file: input `image` (B, S, S, 3) uint8 with B from 1 to 16, outputs float32 by name.

    In FP32 throughout, unless it is a `half_network`.
    """
    try:
        import onnxscript  # noqa: F401  (torch's exporter needs it and says so less clearly)
    except ImportError as error:
        raise MissingDependency("onnxscript", "requirements-train.txt") from error
    size = net.config.image_size
    return traced(net.eval().cpu(), (size, size), net.output_names)


def traced(net: nn.Module, shape: tuple[int, int], outputs: Sequence[str]) -> bytes:
    """A network on (B, H, W, 3) uint8 of `shape` (H, W) as an ONNX file: input `image` with B from 1 to 16."""
    batch = torch.export.Dim("batch", min=1, max=MAX_BATCH)
    with tempfile.TemporaryDirectory() as folder, warnings.catch_warnings(), torch.no_grad(), _uncollected():
        warnings.simplefilter("ignore")  # the exporter's own deprecations, none of which we can act on
        path = Path(folder) / "model.onnx"
        program = torch.onnx.export(
            net,
            (torch.zeros(2, *shape, 3, dtype=torch.uint8),),
            input_names=["image"],
            output_names=list(outputs),
            dynamic_shapes=({0: batch},),
            opset_version=OPSET,
            verbose=False,
            dynamo=True,
        )
        assert program is not None
        _forget_origins(program.model)
        program.save(path, external_data=False)
        return path.read_bytes()


@contextmanager
def _uncollected() -> Iterator[None]:
    """Without garbage collection, which would look through all modules of torch again and again for little."""
    collects = gc.isenabled()
    gc.disable()
    try:
        yield
    finally:
        if collects:
            gc.enable()


def _forget_origins(model: Any) -> None:
    """Take out the lines of code that torch notes of each operator (onnx_ir): they hold this machine's paths."""
    graph = model.graph
    values = (*graph.inputs, *graph.outputs, *graph.initializers.values())
    for part in (model, graph, *graph, *values, *(value for node in graph for value in node.outputs)):
        part.metadata_props.clear()


def half_network(net: CampusNet) -> CampusNet:
    """With batch norm folded and the backbone in half precision; outputs stay float32.

    Exported by `export_fp32`, no converter is involved: the graph is traced in half precision, with one cast into the
    backbone and one out of it. Run in torch it rounds activations as a GPU does, unlike ONNX Runtime's CPU.
    Normalisation, pooling and heads stay FP32, where rounding would cost metres and their time is nothing.
    """
    half = fold_batch_norm(net)
    for part in [part for part in half.modules() if isinstance(part, CampusNet)]:
        part.backbone = _HalfBackbone(part.backbone)
    return half


def round_weights(net: CampusNet) -> None:
    """Round the network, in place, so that half precision holds its weights exactly.

    Done once, before anything is exported or measured: then the bundle's float16 safetensors, its FP32 ONNX and the
    FP16 export are one network, and FP16 differs by its activations alone. A batch norm's factors go into the
    convolution before it first, since that product is what FP16 rounds. A product beyond half precision's range stays
    apart, as does the batch norm of a head: heads run in FP32.
    """
    for norm, layer in _batch_norms(net).items():
        if isinstance(layer, nn.Conv2d) and isinstance(norm, nn.BatchNorm2d):
            _absorb(layer, norm)
    for parameter in net.parameters():
        if parameter.dim() > 1:
            parameter.data = parameter.data.half().float()


def _absorb(layer: nn.Conv2d, norm: nn.BatchNorm2d) -> None:
    """Move a batch norm's factors into the convolution before it, which leaves it a rounded bias, in place."""
    assert norm.running_mean is not None
    assert norm.running_var is not None
    folded = copy.deepcopy(layer)
    _fold(folded, norm)
    assert folded.bias is not None
    weight, bias = folded.weight.data.half().float(), folded.bias.data.half().float()
    if not (weight.isfinite().all() and bias.isfinite().all()):
        return
    layer.weight.data = weight
    if layer.bias is not None:
        layer.bias.data.zero_()
    norm.running_mean.zero_()
    norm.running_var.fill_(1 - norm.eps)  # to which it adds eps before the root
    norm.weight.data.fill_(1)
    norm.bias.data = bias


class _HalfBackbone(nn.Module):
    """A backbone whose convolutions run in half precision: (B, 3, S, S) float32 -> (B, F) float32."""

    def __init__(self, backbone: nn.Module) -> None:
        super().__init__()
        stages = list(backbone.children())
        self.body = nn.Sequential(*stages[:-2]).half()
        self.pool = nn.Sequential(*stages[-2:])  # a mean over positions: a sum that half precision would round

    def forward(self, image: Tensor) -> Tensor:
        pooled: Tensor = self.pool(self.body(image.half()).float())
        return pooled


def fold_batch_norm(net: CampusNet) -> CampusNet:
    """A copy in evaluation mode whose batch norms are part of the convolution or linear layer before them.

    Which layer that is is found by following the tensors of one forward pass, so it holds for any backbone. Raises
    EngineError where a batch norm follows anything else.
    """
    net = copy.deepcopy(net).eval().cpu()
    net.shared_layers = 0  # each backbone runs whole, so that all its norms are met
    before = _batch_norms(net)
    for name, norm in [(name, module) for name, module in net.named_modules() if module in before]:
        _fold(before[norm], norm)
        parent, _, child = name.rpartition(".")
        # timm's batch norm carries the activation after it, which stays.
        setattr(net.get_submodule(parent), child, getattr(norm, "act", nn.Identity()))
    return net


def _batch_norms(net: CampusNet) -> dict[nn.Module, nn.Module]:
    """Each batch norm of a network in evaluation mode, and the layer before it (or itself, where that is none)."""
    norms = (nn.BatchNorm1d, nn.BatchNorm2d)
    made_by: dict[int, tuple[nn.Module, Tensor]] = {}  # the tensor is kept, or its id could be used again
    before: dict[nn.Module, nn.Module] = {}

    def remember(module: nn.Module, _: tuple[Tensor, ...], output: Tensor) -> None:
        made_by[id(output)] = (module, output)

    def pair(norm: nn.Module, inputs: tuple[Tensor, ...]) -> None:
        before[norm] = made_by.get(id(inputs[0]), (norm, inputs[0]))[0]

    hooks = [
        module.register_forward_pre_hook(pair) if isinstance(module, norms) else module.register_forward_hook(remember)
        for module in net.modules()
        if isinstance(module, (*norms, nn.Conv2d, nn.Linear))
    ]
    size = net.config.image_size
    with torch.no_grad():
        net(torch.zeros(1, size, size, 3, dtype=torch.uint8))
    for hook in hooks:
        hook.remove()
    return before


def _fold(layer: nn.Module, norm: nn.Module) -> None:
    """Multiply a batch norm's factors into the layer before it, in place."""
    assert isinstance(norm, (nn.BatchNorm1d, nn.BatchNorm2d))
    assert norm.running_mean is not None
    assert norm.running_var is not None
    statistics = (norm.running_mean, norm.running_var, norm.eps, norm.weight, norm.bias)
    if isinstance(layer, nn.Conv2d):
        layer.weight, layer.bias = fusion.fuse_conv_bn_weights(layer.weight, layer.bias, *statistics)
    elif isinstance(layer, nn.Linear):
        layer.weight, layer.bias = fusion.fuse_linear_bn_weights(layer.weight, layer.bias, *statistics)
    else:
        raise EngineError(
            "a batch norm of the network follows neither a convolution nor a linear layer: cannot fold it"
        )


INT8_OPERATORS = ("Conv", "Clip", "Relu", "Add", "MaxPool")


def prepared_for_int8(model: bytes) -> bytes:
    """The FP32 model with everything fused that can be, which is what `quantize_int8` quantises and names nodes by."""
    try:
        from onnxruntime.quantization.shape_inference import quant_pre_process
    except ImportError as error:
        raise MissingDependency("onnxruntime and onnx", "requirements-train.txt") from error
    with tempfile.TemporaryDirectory() as folder, naming(Path(folder)):
        source, prepared = Path(folder) / "fp32.onnx", Path(folder) / "prepared.onnx"
        source.write_bytes(model)
        quant_pre_process(source, prepared, skip_symbolic_shape=True)
        return prepared.read_bytes()


def quantize_int8(model: bytes, images: NDArray[np.uint8], keep_float: Collection[str] = ()) -> bytes:
    """Static INT8 (QDQ, uint8 activations, int8 weights per channel) of an FP32 model, calibrated on photos.

    images: (N, S, S, 3) uint8 of the training split; about a hundred suffice. The backbone alone is quantised: it is
    nearly all of the time, and the heads' few matrix products decide the metres. Its activations go with the
    convolutions, or ONNX Runtime cannot fuse them and INT8 gains nothing. `keep_float` names nodes, as
    `prepared_for_int8` has them, that stay in floating point.
    """
    try:
        from onnxruntime.quantization import CalibrationMethod, QuantFormat, QuantType, quantize_static
        from onnxruntime.quantization.calibrate import CalibrationDataReader
    except ImportError as error:
        raise MissingDependency("onnxruntime and onnx", "requirements-train.txt") from error

    class Photos(CalibrationDataReader):  # type: ignore[misc]
        def __init__(self) -> None:
            self._rest: Iterator[NDArray[np.uint8]] = iter(images)

        def get_next(self) -> dict[str, NDArray[np.uint8]] | None:
            image = next(self._rest, None)
            return None if image is None else {"image": image[None]}

    with tempfile.TemporaryDirectory() as folder, naming(Path(folder)):
        prepared, target = (Path(folder) / name for name in ("prepared.onnx", "int8.onnx"))
        prepared.write_bytes(prepared_for_int8(model))
        quantize_static(
            prepared,
            target,
            Photos(),
            quant_format=QuantFormat.QDQ,
            per_channel=True,
            activation_type=QuantType.QUInt8,
            weight_type=QuantType.QInt8,
            op_types_to_quantize=list(INT8_OPERATORS),
            nodes_to_exclude=list(keep_float),
            calibrate_method=CalibrationMethod.MinMax,
        )
        return target.read_bytes()
