"""The network as ONNX in FP32 and INT8, and what INT8 costs on photos that neither it nor the network has seen."""

from __future__ import annotations

import logging
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING

import numpy as np
from numpy.typing import NDArray

from core.campus.manifest import Parity
from core.campus.parameters import PosteriorParams
from core.engines.heads import run_all
from core.engines.onnx_engine import OnnxEngine
from core.locate.parity import INT8_MAX_COST, int8_parity
from train.bundle.held_out import Fitted, Ground, largest

if TYPE_CHECKING:  # torch is imported where it works, so that the command tells its options without it
    from core.network.campus_net import CampusNet
    from train.fit.training_data import TrainingData

log = logging.getLogger(__name__)

INT8_PHOTOS = 128
_AXES = "whitening_axes"  # CampusNet's buffers keep their names in an export
_WHITENED = ("whitening_mean", _AXES, "known_features", "elsewhere_direction")


@dataclass(frozen=True)
class OnnxModels:
    """One network as ONNX in FP32, and in INT8."""

    fp32: bytes
    int8: bytes


def onnx_models(net: CampusNet, rows: NDArray[np.int64], task: TrainingData, seed: int) -> OnnxModels:
    """Export a network; INT8 is calibrated on INT8_PHOTOS of the photos at `rows`, drawn by `seed`."""
    from core.network.onnx_export import export_fp32

    log.info("ONNX: FP32, and INT8 calibrated on %d training photos", min(INT8_PHOTOS, len(rows)))
    return quantized(export_fp32(net), rows, task, seed)


def quantized(fp32: bytes, rows: NDArray[np.int64], task: TrainingData, seed: int) -> OnnxModels:
    """An FP32 export and its INT8, as `onnx_models` calibrates it."""
    from core.network.onnx_export import quantize_int8

    chosen = np.random.default_rng(seed).permutation(rows)[:INT8_PHOTOS]
    return OnnxModels(fp32, quantize_int8(fp32, task.images[np.sort(chosen)]))


def with_heads_of(model: bytes, net: CampusNet) -> bytes:
    """The export of a whitened network with the heads of `net`, which has the same backbone.

    Tracing anew takes seconds, this a moment. Where `net` has fewer axes, the rest of an embedding is 0; where it knows
    fewer photos, the last stands there again.
    """
    import onnx

    loaded = onnx.load_model_from_string(model)
    for tensor in loaded.graph.initializer:
        if tensor.name in _WHITENED:
            value = getattr(net, tensor.name).numpy()
            missing = [(0, there - here) for there, here in zip(tensor.dims, value.shape, strict=True)]
            padded = np.pad(value, missing) if tensor.name == _AXES else np.pad(value, missing, mode="edge")
            tensor.raw_data = np.asarray(padded, "<f4").tobytes()
    return bytes(loaded.SerializeToString())


def parity_apart(
    fitted: Fitted, models: OnnxModels, ground: Ground, params: PosteriorParams, task: TrainingData, seed: int
) -> Parity:
    """FP32 against INT8 on the largest held-out part, by a network, a gallery and an INT8 calibration without it.

    A network that was whitened on the very photos that it is asked flatters both. `models` are those of the whole
    network, which a trained one's calibration photos are already apart from.
    """
    index = largest(fitted.asked)
    part, asked = fitted.held_out[index], fitted.asked[index]
    if fitted.apart is not fitted.net:
        others = fitted.rows[~np.isin(fitted.rows, asked)]
        models = quantized(with_heads_of(models.fp32, fitted.apart), others, task, seed)
    width = None if part.gallery is None else part.gallery.embedding.shape[1]

    def positions_m(model: bytes) -> NDArray[np.float64]:
        heads = run_all(OnnxEngine(model, "ONNX Runtime"), task.images[asked])
        if heads.embedding is not None:
            heads = replace(heads, embedding=heads.embedding[:, :width])  # what `with_heads_of` padded
        return replace(part, heads=heads).positions_m(ground, params)

    return int8_parity(positions_m(models.fp32), positions_m(models.int8), part.truth_m)


def int8_pays(parity: Parity, photos: int, fitted_in_fp32: bool) -> bool:
    """Whether INT8 becomes the CPU's model, and a line that says why, measured on so many photos.

    Never where radii, fusion and second look were fitted to FP32's readings: what INT8 moves, they know nothing of.
    """
    pays = not fitted_in_fp32 and parity.int8_mean_m <= parity.fp32_mean_m * (1 + INT8_MAX_COST)
    log.info(
        "error on %d photos apart: FP32 %.1f m, INT8 %.1f m, fixes %.1f m apart: INT8 is %s",
        photos,
        parity.fp32_mean_m,
        parity.int8_mean_m,
        parity.apart_mean_m,
        "the CPU default" if pays else "not used" + ", since all else is fitted to FP32" * fitted_in_fp32,
    )
    return pays
