"""A CampusNet as an engine, while training and exporting."""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np

from core.engines.heads import Heads, checked_heads

if TYPE_CHECKING:
    from numpy.typing import NDArray

    from core.network.campus_net import CampusNet

    Float32 = NDArray[np.float32]


class TorchEngine:
    """A CampusNet (or its average) as it is, in evaluation mode, on the device it lies on."""

    def __init__(self, net: CampusNet) -> None:
        self._net = net.eval()
        self.name = "torch FP32"

    def run(self, images: NDArray[np.uint8]) -> Heads:
        import torch

        device = next(self._net.parameters()).device
        with torch.inference_mode():
            values = self._net(torch.tensor(images, device=device))
        names = self._net.output_names
        return checked_heads({name: value.float().cpu().numpy() for name, value in zip(names, values, strict=True)})
