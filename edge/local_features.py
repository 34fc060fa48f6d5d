"""The second look's part of an export: its network in FP16, golden answers, and how far apart the two are."""

from __future__ import annotations

import io
from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np

from core.engines.local_engine import LocalMaps, shapes
from core.errors import EngineError
from core.io.arrays import read_npz
from core.locate.local_features import LEAST_KEYPOINT

if TYPE_CHECKING:
    from collections.abc import Sequence

    from numpy.typing import NDArray

    from core.engines.local_engine import LocalEngine

LOCAL_FP16, LOCAL_GOLDEN = "local.fp16.onnx", "local.golden.npz"
MOST_APART, LEAST_FOUND = 1e-3, 0.95  # FP16's own are 1e-5 and 0.997 on 20 photos of `bgu`


@dataclass(frozen=True)
class LocalParity:
    """descriptor: 1 - cosine on average over all cells. found: the share of keypoints that the other has, too."""

    descriptor: float
    found: float

    @property
    def ok(self) -> bool:
        """Whether both would match the same photos."""
        return self.descriptor <= MOST_APART and self.found >= LEAST_FOUND

    def __str__(self) -> str:
        return f"descriptors {self.descriptor:.1e} apart (1 - cosine), {self.found:.1%} of keypoints found again"


@dataclass(frozen=True)
class LocalGolden:
    """images (N, H, W, 3) uint8 canvases, and FP32's maps of each."""

    images: NDArray[np.uint8]
    maps: Sequence[LocalMaps]

    @classmethod
    def of(cls, images: NDArray[np.uint8], engine: LocalEngine) -> LocalGolden:
        """The answers of `engine` to (N, H, W, 3) uint8 canvases."""
        return cls(images, [engine.run(image) for image in images])

    def parity(self, engine: LocalEngine) -> LocalParity:
        """How far `engine` is from these answers."""
        apart, found = [], []
        for image, wanted in zip(self.images, self.maps, strict=True):
            given = engine.run(image)
            apart.append(1 - (wanted.descriptors * given.descriptors).sum(axis=2).mean())
            found.append((given.keypoints > LEAST_KEYPOINT)[wanted.keypoints > LEAST_KEYPOINT])
        keypoints = np.concatenate(found)
        return LocalParity(max(0.0, float(np.mean(apart))), float(keypoints.mean()) if len(keypoints) else 1.0)

    def to_bytes(self) -> bytes:
        """As an .npz file."""
        stream = io.BytesIO()
        arrays = {name: np.stack([vars(maps)[name] for maps in self.maps]) for name in vars(self.maps[0])}
        np.savez_compressed(stream, images=self.images, **arrays)  # type: ignore[arg-type]
        return stream.getvalue()

    @classmethod
    def parse(cls, data: bytes, where: str) -> LocalGolden:
        """Raises EngineError naming `where` when it is no such file."""
        try:
            found = read_npz(data, ("images", "descriptors", "keypoints", "reliability"))
        except ValueError as error:
            raise EngineError(f"cannot be read ({error})", path=where, remedy="export the bundle again") from error
        images = found.pop("images")
        wanted = shapes(*images.shape[1:3]) if images.ndim == 4 and images.shape[3] == 3 and len(images) else {}
        if images.dtype != np.uint8 or {name: value.shape for name, value in found.items()} != {
            name: (len(images), *shape) for name, shape in wanted.items()
        }:
            raise EngineError("its pictures and answers do not fit", path=where, remedy="export the bundle again")
        if not all(value.dtype == np.float32 and np.isfinite(value).all() for value in found.values()):
            raise EngineError("an answer is not finite", path=where, remedy="export the bundle again")
        return cls(images, [LocalMaps(**{k: v[at] for k, v in found.items()}) for at in range(len(images))])
