"""The network of local features on ONNX Runtime: a canvas in, maps of keypoints and descriptors out."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np

from core.engines.onnx_engine import open_session
from core.errors import EngineError, reason_of

if TYPE_CHECKING:
    from numpy.typing import NDArray

    Float32 = NDArray[np.float32]

OUTPUTS = ("descriptors", "keypoints", "reliability")
STRIDE = 8  # pixels of the canvas along a side of a descriptor's cell
DESCRIPTOR = 64


@dataclass(frozen=True)
class LocalMaps:
    """What the network says of one canvas of (H, W) pixels, float32.

    descriptors (H/8, W/8, 64) of unit length; keypoints (H, W), 0 to 1, 0 wherever a neighbour is more of a keypoint;
    reliability (H/8, W/8), 0 to 1.
    """

    descriptors: Float32
    keypoints: Float32
    reliability: Float32


class LocalEngine:
    """Local features on the CPU."""

    def __init__(self, model: bytes, height: int, width: int, threads: int | None = None) -> None:
        """`model` is the bytes of an ONNX file. Raises EngineError where it is no such network of this size."""
        self._session = open_session(model, threads)
        cells = [height // STRIDE, width // STRIDE]
        wanted = {
            "image": ("tensor(uint8)", [height, width, 3]),
            "descriptors": ("tensor(float)", [*cells, DESCRIPTOR]),
            "keypoints": ("tensor(float)", [height, width]),
            "reliability": ("tensor(float)", cells),
        }
        ports = {port.name: (port.type, port.shape[1:]) for port in self._session.get_inputs()}
        ports |= {port.name: (port.type, port.shape[1:]) for port in self._session.get_outputs()}
        if ports != wanted:
            raise EngineError.unusable(f"the network of local features is none of {height} × {width}")

    def run(self, image: NDArray[np.uint8]) -> LocalMaps:
        """(H, W, 3) uint8 RGB -> its maps. Raises EngineError where they are not finite."""
        try:
            found = self._session.run(list(OUTPUTS), {"image": image[None]})
        except Exception as error:  # ONNX Runtime's exceptions have no common base of their own
            raise EngineError.unusable(f"the network of local features cannot run ({reason_of(error)})") from error
        if not all(np.isfinite(value).all() for value in found):
            raise EngineError.unusable("the network of local features gave a value that is not finite")
        return LocalMaps(*(value[0] for value in found))
