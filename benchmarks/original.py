"""What users had before: the original's network, prediction and training loop.

ResNet50 in torch. `predict` builds it and loads its checkpoint at every call; training opens each photo anew with
Pillow for two differently augmented views. Weights are untrained: speed is the same.
"""

from __future__ import annotations

import sys
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import numpy as np
import torch
from numpy.typing import NDArray
from PIL import Image
from torch import Tensor, nn
from torch.nn import functional
from torchvision import models, transforms

CENTRE_M = (671669.6027, 3460032.8143)
MEAN, STD = (0.42974764, 0.41656676, 0.37728581), (0.19857016, 0.19456542, 0.20090208)
READY = transforms.Compose([transforms.Resize((224, 224)), transforms.ToTensor(), transforms.Normalize(MEAN, STD)])
WEAK = transforms.Compose([transforms.ColorJitter(0.15, 0.15, 0.10, 0.02), READY])
STRONG = transforms.Compose(
    [
        transforms.RandomRotation(5),
        transforms.ColorJitter(0.2, 0.2, 0.1, 0.02),
        READY,
        transforms.RandomErasing(0.3, scale=(0.02, 0.2)),
    ]
)


class OriginalNet(nn.Module):
    """(B, 3, S, S) float32 -> offset (B, 2) in 100 m, embedding (B, 256), zone logits (B, zones).

    By its description, what `best_model.pth` is the state dict of.
    """

    def __init__(self, backbone: nn.Module | None = None, features: int = 2048, zones: int = 300) -> None:
        super().__init__()
        self.backbone = _resnet50() if backbone is None else backbone
        self.regressor = nn.Sequential(
            nn.Linear(features, 1024), nn.BatchNorm1d(1024), nn.ReLU(), nn.Dropout(0.3),
            nn.Linear(1024, 256), nn.ReLU(), nn.Linear(256, 2),
        )  # fmt: skip
        self.embedding_head = _head(features, 256)
        self.classifier = _head(features, zones)

    def forward(self, image: Tensor) -> tuple[Tensor, Tensor, Tensor]:
        pooled = self.backbone(image)
        return self.regressor(pooled), functional.normalize(self.embedding_head(pooled)), self.classifier(pooled)


def _resnet50() -> nn.Sequential:
    net, drop = models.resnet50(weights=None), nn.Dropout2d(0.1)
    stages = (net.layer1, drop, net.layer2, drop, net.layer3, drop, net.layer4)
    return nn.Sequential(net.conv1, net.bn1, net.relu, net.maxpool, *stages, net.avgpool, nn.Flatten())


def _head(features: int, outputs: int) -> nn.Sequential:
    return nn.Sequential(
        nn.Linear(features, 512), nn.BatchNorm1d(512), nn.ReLU(), nn.Dropout(0.3), nn.Linear(512, outputs)
    )


@contextmanager
def on_threads(count: int) -> Iterator[None]:
    """Within it torch has so many threads, as what it is compared with.

    Its own number is another where OMP_NUM_THREADS says one, where two threads share a core, and on many cores.
    """
    before = torch.get_num_threads()
    torch.set_num_threads(count)
    try:
        yield
    finally:
        torch.set_num_threads(before)


def save_checkpoint(path: Path) -> Path:
    """A `best_model.pth` of the right names and shapes."""
    torch.save(OriginalNet().state_dict(), path)
    return path


def load(checkpoint: Path) -> OriginalNet:
    """Build the network and load its weights."""
    net = OriginalNet()
    net.load_state_dict(torch.load(checkpoint, map_location="cpu", weights_only=True))
    return net.eval()


def answer(net: OriginalNet, image: NDArray[np.uint8]) -> NDArray[np.float32]:
    """(H, W, 3) uint8 RGB -> (2,) latitude, longitude, by a network that is loaded already."""
    import utm

    with torch.no_grad():
        offset = net(READY(Image.fromarray(image))[None])[0][0].numpy()
    east, north = offset * 100 + CENTRE_M
    return np.array(utm.to_latlon(east, north, 36, "R"), np.float32)


def predict(checkpoint: Path, image: NDArray[np.uint8]) -> NDArray[np.float32]:
    """The original's `predict_gps`: everything anew at every call."""
    return answer(load(checkpoint), image)


class Training:
    """The original's loop over photos with offsets in 100 m and zones: one step a batch."""

    def __init__(
        self, net: OriginalNet, photos: list[Path], offset: Tensor, zone: Tensor, device: torch.device
    ) -> None:
        self.net, self.photos, self.device = net.train().to(device), photos, device
        self.offset, self.zone = offset.to(device), zone.to(device)
        self.optimiser = torch.optim.AdamW(net.parameters(), lr=1e-4, weight_decay=0.05)

    def epoch(self, batch: int) -> None:
        """Each photo once, in two views."""
        for chosen in torch.split(torch.randperm(len(self.photos)), batch):
            opened = [Image.open(self.photos[row]).convert("RGB") for row in chosen]
            weak, strong = (
                self.net(torch.stack([view(image) for image in opened]).to(self.device)) for view in (WEAK, STRONG)
            )
            loss = 10 * self._triplet(weak[1], strong[1], self.offset[chosen])
            for share, (offset, _, zone) in ((0.3, weak), (0.7, strong)):
                loss = loss + share * 200 * functional.mse_loss(offset, self.offset[chosen])
                loss = loss + share * 0.3 * functional.cross_entropy(zone, self.zone[chosen], label_smoothing=0.1)
            self.optimiser.zero_grad()
            loss.backward()  # type: ignore[no-untyped-call]
            self.optimiser.step()

    @staticmethod
    def _triplet(anchor: Tensor, positive: Tensor, offset: Tensor) -> Tensor:
        """The negative is the batch's nearest embedding of a photo more than 20 m away."""
        far = torch.cdist(offset, offset) > 0.2
        nearest = torch.cdist(anchor, anchor).masked_fill(~far, torch.inf).argmin(dim=1)
        return functional.triplet_margin_loss(anchor, positive, anchor[nearest], margin=1.5)


if __name__ == "__main__":
    predict(Path(sys.argv[1]), np.asarray(Image.open(sys.argv[2]).convert("RGB")))
