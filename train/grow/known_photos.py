"""The photos that a whitened network's OOD score is the distance to, and how those of later walks join them.

They stand in the network's own file, as unit features that are neither centred nor whitened: a refresh needs no
training photo, and no torch, to do what `bundle` does (`CampusNet.with_known_photos`).
"""

from __future__ import annotations

import json
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING

import numpy as np
from numpy.typing import NDArray

from core.campus.bundle import Bundle
from core.campus.file_names import MODEL_SAFETENSORS
from core.engines.choose import open_engine
from core.engines.heads import Engine, Heads, checked_heads, joined, run_all
from core.engines.onnx_engine import OnnxEngine
from core.network.net_config import MOST_KNOWN_PHOTOS
from train.bundle.calibration_photos import HELD_OUT, CalibrationPhotos
from train.bundle.held_out import folds
from train.dataset.workers import usable_cores
from train.fit.elsewhere import mean_feature, towards_elsewhere

if TYPE_CHECKING:
    import onnx

Float32 = NDArray[np.float32]
Rows = NDArray[np.int64]  # of the gallery

_KNOWN, _DIRECTION = "known_features", "elsewhere_direction"  # CampusNet's buffers keep their names in an export
_MODELS = ("model.onnx", "model.int8.onnx")


@dataclass(frozen=True, eq=False)
class KnownPhotos:
    """unit (K, C) plain features of unit length of the gallery photos in row (K,).

    `other` (C,): the mean unit feature of other places; None where the score does not weigh it.
    """

    unit: Float32
    row: Rows
    other: Float32 | None = None

    @classmethod
    def of(cls, bundle: Bundle, photos: CalibrationPhotos | None) -> KnownPhotos | None:
        """Those of a bundle and its calibration photos; None where its score is no such distance."""
        import onnx
        from onnx import numpy_helper

        held = {
            tensor.name: numpy_helper.to_array(tensor)
            for tensor in onnx.load_model_from_string(bundle.read(_MODELS[0])).graph.initializer
            if tensor.name in (_KNOWN, _DIRECTION)
        }
        if _KNOWN not in held or bundle.gallery is None:
            return None
        unit = held[_KNOWN].T.astype(np.float32)
        row = None if photos is None else photos.known_row
        if row is None:
            # Where an earlier version refreshed the bundle, those photos joined the gallery alone.
            first = len(bundle.gallery) - sum(link.photos for link in bundle.manifest.refreshes)
            row = np.linspace(0, first - 1, len(unit)).round().astype(np.int32)
        training = bundle.manifest.training
        other = mean_feature(training.backbone, bundle.manifest.image_size) if _DIRECTION in held else None
        return cls(unit, row.astype(np.int64), other)

    def __len__(self) -> int:
        return len(self.unit)

    def and_of(self, unit: Float32, row: Rows) -> KnownPhotos:
        """These and more photos, evenly thinned to as many as a network may know."""
        unit = np.concatenate([self.unit, unit]).astype(np.float16).astype(np.float32)  # as matrices are stored
        row = np.concatenate([self.row, row])
        kept = np.linspace(0, len(row) - 1, min(len(row), MOST_KNOWN_PHOTOS)).round().astype(np.int64)
        return replace(self, unit=unit[kept], row=row[kept])

    def scores(self, walk: NDArray[np.int32]) -> Float32:
        """(K,) the OOD score of each photo by the others, its own of (K,) walks not among them; NaN where that is
        HELD_OUT.
        """
        found = np.full(len(self), np.nan, np.float32)
        similarity = self.unit @ self.unit.T
        told = np.flatnonzero(walk != HELD_OUT)
        for mask in folds(walk[told].astype(str)):
            own = np.zeros(len(self), np.bool_)
            own[told[mask]] = True
            if own.all():
                continue
            nearest = similarity[np.ix_(own, ~own)].max(axis=1)
            if self.other is not None:
                nearest = nearest - self.unit[own] @ towards_elsewhere(self.unit[~own], self.other)
            found[own] = np.clip((1 - nearest) / 2, 0, 1)
        return found

    def told(self, photos: CalibrationPhotos) -> CalibrationPhotos:
        """The calibration photos with the OOD scores of a network that knows all these but their own walk's."""
        if photos.heads.ood_score is None:
            return photos
        score = np.full(len(photos.gallery_walk), np.nan, np.float32)
        score[self.row] = self.scores(photos.gallery_walk[self.row])
        asked, held = photos.gallery_row, photos.heads.ood_score[:, 0]
        now = np.where(asked == HELD_OUT, np.nan, score[asked])
        heads = replace(photos.heads, ood_score=np.where(np.isnan(now), held, now)[:, None])
        return replace(photos, heads=heads, known_row=self.row.astype(np.int32))

    def files(self, bundle: Bundle) -> dict[str, bytes]:
        """The bundle's network files with these photos in place of those that it knew."""
        tensors = {_KNOWN: self.unit.T}
        if self.other is not None:
            tensors[_DIRECTION] = towards_elsewhere(self.unit, self.other)[:, None]
        halves = {name: np.ascontiguousarray(value, np.float16) for name, value in tensors.items()}
        files = {name: _with_tensors(bundle.read(name), halves) for name in _MODELS if name in bundle.manifest.files}
        if MODEL_SAFETENSORS in bundle.manifest.files:
            files[MODEL_SAFETENSORS] = _with_weights(bundle.read(MODEL_SAFETENSORS), halves)
        return files


def heads_and_features(
    bundle: Bundle, engine: Engine | None, known: KnownPhotos | None, images: NDArray[np.uint8]
) -> tuple[Heads, Float32]:
    """What the network says of (N, S, S, 3) uint8 photos, and their (N, C) plain features of unit length.

    Where photos are `known` that is the FP32 network, by which `bundle` keeps and judges them, too. Else it is the
    engine, and C is 0.
    """
    if known is None:
        return run_all(engine or open_engine(bundle), images), np.empty((len(images), 0), np.float32)
    network = _FeatureEngine(bundle.read(_MODELS[0]))
    # A photo at a time on each core: its maps stay in the core's own cache, which a fifth of the time depends on.
    with ThreadPoolExecutor(usable_cores()) as pool:
        heads, unit = zip(*pool.map(network.run_with_features, np.split(images, len(images))), strict=True)
    return joined(heads), np.concatenate(unit)


class _FeatureEngine(OnnxEngine):
    """A whitened network with one more output: the features that its known photos are compared by."""

    def __init__(self, model: bytes) -> None:
        with_features, self._feature = _with_features(model)
        super().__init__(with_features, "ONNX Runtime", threads=1)

    def run_with_features(self, images: NDArray[np.uint8]) -> tuple[Heads, Float32]:
        *heads, unit = self.session.run([*self._known, self._feature], {"image": images})
        return checked_heads(dict(zip(self._known, heads, strict=True))), unit


def _comparison(model: onnx.ModelProto) -> onnx.NodeProto:
    """The product of a photo's features and those of the known photos."""
    return next(node for node in model.graph.node if _KNOWN in node.input)


def _with_features(model: bytes) -> tuple[bytes, str]:
    """The network with its plain features as an output, and what that is called."""
    import onnx

    loaded = onnx.load_model_from_string(model)
    name, width = str(_comparison(loaded).input[0]), _width(loaded)
    if name not in {output.name for output in loaded.graph.output}:
        shape = [loaded.graph.output[0].type.tensor_type.shape.dim[0].dim_param, width]
        loaded.graph.output.append(onnx.helper.make_tensor_value_info(name, onnx.TensorProto.FLOAT, shape))
    return loaded.SerializeToString(), name


def _width(model: onnx.ModelProto) -> int:
    """How many numbers a photo's plain features are."""
    return next(int(tensor.dims[0]) for tensor in model.graph.initializer if tensor.name == _KNOWN)


def _with_tensors(model: bytes, halves: dict[str, NDArray[np.float16]]) -> bytes:
    """An ONNX file with other values of some tensors, in FP32."""
    import onnx
    from onnx import numpy_helper

    graph = onnx.load_model_from_string(model)
    for tensor in graph.graph.initializer:
        if tensor.name in halves:
            tensor.CopyFrom(numpy_helper.from_array(halves[tensor.name].astype(np.float32), tensor.name))
    (compared,) = _comparison(graph).output
    for value in graph.graph.value_info:
        if value.name == compared:
            value.type.tensor_type.shape.dim[1].dim_value = halves[_KNOWN].shape[1]
    return bytes(graph.SerializeToString())


def _with_weights(data: bytes, halves: dict[str, NDArray[np.float16]]) -> bytes:
    """The same of a bundle's safetensors, whose metadata say how many photos the network knows."""
    from safetensors.numpy import load, save

    header = json.loads(data[8 : 8 + int.from_bytes(data[:8], "little")])
    net = json.loads(header["__metadata__"]["net"]) | {"known_photos": halves[_KNOWN].shape[1]}
    return bytes(save({**load(data), **halves}, {"net": json.dumps(net)}))
