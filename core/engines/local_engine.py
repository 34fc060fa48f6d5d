"""The network of local features: a canvas in, maps of keypoints and descriptors out; on ONNX Runtime or TensorRT."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Protocol

import numpy as np

from core.engines.onnx_engine import open_session
from core.errors import EngineError, reason_of

if TYPE_CHECKING:
    from numpy.typing import NDArray

    from core.engines.tensorrt_network import TensorRtNetwork

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


class LocalEngine(Protocol):
    """Something that runs the network of local features."""

    def run(self, image: NDArray[np.uint8]) -> LocalMaps:
        """(H, W, 3) uint8 RGB -> its maps. Raises EngineError where they are not finite."""
        ...


class OnnxLocalEngine:
    """Local features on the CPU."""

    def __init__(self, model: bytes, height: int, width: int, threads: int | None = None) -> None:
        """`model` is the bytes of an ONNX file. Raises EngineError where it is no such network of this size."""
        self._session = open_session(model, threads)
        ports = {port.name: (port.type, port.shape[1:]) for port in self._session.get_inputs()}
        ports |= {port.name: (port.type, port.shape[1:]) for port in self._session.get_outputs()}
        wanted = {name: ("tensor(float)", list(shape)) for name, shape in shapes(height, width).items()}
        if ports != wanted | {"image": ("tensor(uint8)", [height, width, 3])}:
            raise _of_another_size(height, width)

    def run(self, image: NDArray[np.uint8]) -> LocalMaps:
        try:
            found = self._session.run(list(OUTPUTS), {"image": image[None]})
        except Exception as error:  # ONNX Runtime's exceptions have no common base of their own
            raise EngineError.unusable(f"the network of local features cannot run ({reason_of(error)})") from error
        return _checked(dict(zip(OUTPUTS, found, strict=True)))


class TensorRtLocalEngine:
    """Local features on the GPU. Thread-safe: one photo at a time."""

    def __init__(self, network: TensorRtNetwork, height: int, width: int) -> None:
        """Raises EngineError where it is no such network of this size."""
        self._network = network
        if network.largest[1:] != (height, width, 3) or network.outputs != shapes(height, width):
            network.close()
            raise _of_another_size(height, width)

    def run(self, image: NDArray[np.uint8]) -> LocalMaps:
        return _checked(self._network.run(image[None]))


def shapes(height: int, width: int) -> dict[str, tuple[int, ...]]:
    """The shape of each output of the network for a canvas of this size, without the batch."""
    cells = height // STRIDE, width // STRIDE
    return {"descriptors": (*cells, DESCRIPTOR), "keypoints": (height, width), "reliability": cells}


def _of_another_size(height: int, width: int) -> EngineError:
    return EngineError.unusable(f"the network of local features is none of {height} × {width}")


def _checked(found: dict[str, Float32]) -> LocalMaps:
    if not all(np.isfinite(value).all() for value in found.values()):
        raise EngineError.unusable("the network of local features gave a value that is not finite")
    return LocalMaps(**{name: value[0] for name, value in found.items()})
