"""A TensorRT engine behind the same interface as ONNX Runtime."""

from __future__ import annotations

from typing import TYPE_CHECKING

from core.engines.engine_key import NETWORK
from core.engines.heads import HEAD_OF_OUTPUT, Heads, checked_heads
from core.engines.tensorrt_network import TensorRtNetwork, open_built, open_if_built

if TYPE_CHECKING:
    import numpy as np
    from numpy.typing import NDArray

    from core.campus.bundle import Bundle


class TensorRtEngine:
    """A campus's network on the GPU. Thread-safe: one frame at a time."""

    def __init__(self, network: TensorRtNetwork) -> None:
        self.network = network
        self.name = f"TensorRT {network.version} FP16"

    @property
    def largest_batch(self) -> int:
        """How many photos the engine takes at once."""
        return self.network.largest[0]

    def run(self, images: NDArray[np.uint8]) -> Heads:
        """(B, S, S, 3) uint8 RGB, any B ≥ 1 -> Heads. Raises EngineError for another shape or dtype."""
        found = self.network.run(images)
        return checked_heads({name: value for name, value in found.items() if name in HEAD_OF_OUTPUT})

    def close(self) -> None:
        """Give all memory back, once no frame is under way; closing twice is no error."""
        self.network.close()


def built_engine(bundle: Bundle, required: bool = False) -> TensorRtEngine | None:
    """The engine that lies in the bundle's folder, if it was built for this very device and model.

    None where there is none or it does not fit, which is logged with its reason; with `required` that is an
    EngineError.
    """
    network = open_built(bundle, NETWORK) if required else open_if_built(bundle, NETWORK)
    return None if network is None else TensorRtEngine(network)
