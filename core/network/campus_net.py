"""CampusNet: a backbone with spatial dropout, and its heads."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import replace
from itertools import takewhile
from typing import NamedTuple

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from core.network.backbones import build_backbone, pooled_widths
from core.network.net_config import MOST_KNOWN_PHOTOS, NetConfig
from core.network.timm_backbone import TimmMaps

IN_DISTRIBUTION_RANK = 128  # ranks 64 to 512 give nearly the same OOD detection (demo, 2,520 training photos)


class Outputs(NamedTuple):
    """What the heads say of a batch, in the order of the model's outputs: `core.engines.heads.Heads` describes each."""

    offset: Tensor
    zone_logits: Tensor | None
    embedding: Tensor
    log_spread: Tensor | None = None
    heading: Tensor | None = None
    ood_score: Tensor | None = None


class CampusNet(nn.Module):
    """(B, S, S, 3) uint8 RGB -> the `Outputs` that `output_names` lists. Normalisation happens inside, so no caller
    can get it wrong."""

    mean: Tensor  # (1, 3, 1, S) of each channel, 0..255
    std: Tensor
    in_distribution_mean: Tensor
    in_distribution_axes: Tensor
    known_features: Tensor
    elsewhere_direction: Tensor
    whitening_mean: Tensor
    whitening_axes: Tensor

    def __init__(self, config: NetConfig) -> None:
        super().__init__()
        self.config = config
        self._frozen_stages = 0
        self.backbone, features, mean, std = build_backbone(config)
        for name, channels in (("mean", config.mean or mean), ("std", config.std or std)):
            # A row of each channel, not one number: ONNX Runtime runs INT8 networks with the channels last, where it
            # would take a picture three numbers at a time, for a sixth of the network's whole time.
            row = torch.tensor(channels).view(1, 3, 1, 1).repeat(1, 1, 1, config.image_size)
            self.register_buffer(name, row * 255, persistent=False)

        self._add_heads(features)
        self._width = features
        self.shared_layers = config.shared_layers
        if config.untrained is not None:
            self.untrained = CampusNet(config.untrained)
        plain = pooled_widths(config)[0] if config.pooling == "multi" else features
        if config.known_photos:
            self.register_buffer("known_features", torch.zeros(plain, config.known_photos))
        if config.elsewhere:
            self.register_buffer("elsewhere_direction", torch.zeros(plain, 1))
        if config.in_distribution_rank:
            self.register_buffer("in_distribution_mean", torch.zeros(plain))
            self.register_buffer("in_distribution_axes", torch.zeros(plain, config.in_distribution_rank))

    def _add_heads(self, features: int) -> None:
        config = self.config
        if config.layout == "whitened":
            self.register_buffer("whitening_mean", torch.zeros(features))
            self.register_buffer("whitening_axes", torch.zeros(features, config.embedding))
            return
        hidden = (config.hidden,)
        regressor, other = (hidden, hidden) if config.layout == "campus" else ((1024, 256), (512,))

        def head(hidden: tuple[int, ...], outputs: int) -> nn.Sequential:
            return _head(features, hidden, outputs, config.head_dropout)

        self.regressor = head(regressor, 3 if config.layout == "campus" else 2)  # east, north, log spread
        self.embedder = head(other, config.embedding)
        self.classifier = head(other, config.zones)
        if config.heading:
            self.compass = head(hidden, 2)

    @property
    def output_names(self) -> tuple[str, ...]:
        """Those of `Outputs` that this network has, in order."""
        config = self.config
        absent = {
            "zone_logits": config.layout == "whitened",
            "log_spread": config.layout != "campus",
            "heading": not config.heading,
            "ood_score": not (config.in_distribution_rank or config.known_photos),
        }
        return tuple(name for name in Outputs._fields if not absent.get(name))

    def forward(self, image: Tensor) -> tuple[Tensor, ...]:
        # float() before permute: TensorRT refuses a transpose of uint8.
        outputs = self.heads(self.features(image.float().permute(0, 3, 1, 2)))
        return tuple(value for value in outputs if value is not None)

    def freeze(self, stages: int) -> None:
        """Keep the backbone's stem and its first `stages` stages as they are: weights, statistics, and no dropout.

        A narrow early stage loses much with every channel that is dropped, and cannot learn to do without it.
        """
        self._frozen_stages = stages
        for maps in self.backbone.children():
            if isinstance(maps, TimmMaps):
                maps.freeze(stages)
        for module in self._frozen():
            module.requires_grad_(False).eval()

    def train(self, mode: bool = True) -> CampusNet:
        super().train(mode)
        for module in self._frozen():
            module.eval()
        return self

    def _frozen(self) -> Iterator[nn.Module]:
        """The stem and the frozen stages, each with the dropout after it; found anew, since modules get replaced."""
        left = self._frozen_stages
        for module in self.backbone.children():
            if left <= 0:
                return
            if isinstance(module, TimmMaps):
                yield from module.frozen(left)
                return
            left -= isinstance(module, nn.Dropout2d)
            yield module

    def features(self, image: Tensor) -> Tensor:
        """(B, 3, S, S) float32 in 0..255 -> (B, F) pooled backbone features, then those of a network beside it."""
        image = (image - self.mean) / self.std
        if self.config.untrained is None:
            pooled: Tensor = self.backbone(image)
            return pooled
        own, untrained = self.backbone, self.untrained.backbone
        if shared := self.shared_layers:
            image = nn.Sequential(*list(own.children())[:shared])(image)
            own, untrained = (nn.Sequential(*list(part.children())[shared:]) for part in (own, untrained))
        return torch.cat([own(image), untrained(image)], dim=1)

    def heads(self, features: Tensor) -> Outputs:
        """(B, F) pooled features -> what each head says.

        Whitened features have no regression: its offset is always the middle of the campus.
        """
        if self.config.untrained is None:
            return self._own_heads(features)
        own, share = self._own_heads(features[:, : self._width]), self.config.untrained_share
        untrained = self.untrained.heads(features[:, self._width :]).embedding
        # Of unit length again, and a similarity is the mean of both, weighed by their shares.
        both = torch.cat([(1 - share) ** 0.5 * own.embedding, share**0.5 * untrained], dim=1)
        return own._replace(embedding=both)

    def _own_heads(self, features: Tensor) -> Outputs:
        ood_score = self._ood_score(features)
        if self.config.layout == "whitened":
            whitened = (features - self.whitening_mean) @ self.whitening_axes
            middle = 0.0 * features[:, :2]
            return Outputs(offset=middle, zone_logits=None, embedding=F.normalize(whitened, dim=1), ood_score=ood_score)
        regression = self.regressor(features)
        return Outputs(
            offset=regression[:, :2],
            zone_logits=self.classifier(features),
            embedding=F.normalize(self.embedder(features), dim=1),
            log_spread=regression[:, 2:] if self.config.layout == "campus" else None,
            heading=self.compass(features) if self.config.heading else None,
            ood_score=ood_score,
        )

    def _ood_score(self, features: Tensor) -> Tensor | None:
        if self.config.known_photos:
            return self._distance(features)
        return self._residual(features) if self.config.in_distribution_rank else None

    def _distance(self, features: Tensor) -> Tensor:
        """Half of one less the cosine similarity with the nearest known photo, of plain features: neither centred nor
        whitened, which is to tell places of this campus apart (Sun et al., ICML 2022). With `elsewhere`, cosines count
        less the more a photo is like those of other places."""
        unit = F.normalize(features[:, : len(self.known_features)], dim=1)
        nearest = (unit @ self.known_features).amax(dim=1, keepdim=True)
        if self.config.elsewhere:
            nearest = nearest - unit @ self.elsewhere_direction
        return ((1 - nearest) / 2).clamp(0, 1)

    def _residual(self, features: Tensor) -> Tensor:
        """A photo of another place has features that training photos never showed: the residual off their principal
        subspace tells it from a hard photo of this one (as in ViM, Wang et al., CVPR 2022, relative to the length)."""
        centred = features[:, : len(self.in_distribution_mean)] - self.in_distribution_mean
        inside = (centred @ self.in_distribution_axes).square().sum(dim=1, keepdim=True)
        return 1 - inside / centred.square().sum(dim=1, keepdim=True).clamp(min=1e-12)

    def with_ood_score(self, features: Tensor) -> CampusNet:
        """This network with the output `ood_score`, given the (N, F) features of its training photos."""
        # Mean pooling alone: with GeM beside it, three real campuses refused photos of other places half as often.
        features = features[:, : pooled_widths(self.config)[0]]
        mean = features.mean(dim=0)
        rank = min(IN_DISTRIBUTION_RANK, max(1, len(features) // 4))  # few photos span nothing that holds for new ones
        axes = torch.linalg.svd(features - mean, full_matrices=False).Vh[:rank].T
        net = CampusNet(replace(self.config, in_distribution_rank=rank))
        axes = axes.contiguous().half().float()  # as matrices are stored
        net.load_state_dict({**self.state_dict(), "in_distribution_mean": mean, "in_distribution_axes": axes})
        return net.train(self.training)

    def beside(self, untrained: CampusNet, share: float) -> CampusNet:
        """This network with the embedding of `untrained`, a whitened one, beside its own, for a share of similarity.

        Both stand on the same backbone.
        """
        pairs = zip(self.backbone.children(), untrained.backbone.children(), strict=False)
        shared = sum(1 for _ in takewhile(lambda pair: _are_same(*pair), pairs))
        config = replace(self.config, untrained=untrained.config, untrained_share=share, shared_layers=shared)
        net = CampusNet(config)
        theirs = {f"untrained.{name}": value for name, value in untrained.state_dict().items()}
        net.load_state_dict({**self.state_dict(), **theirs})
        return net.train(self.training)

    def with_known_photos(self, features: Tensor, elsewhere: Tensor | None = None) -> CampusNet:
        """This network with the output `ood_score`, the distance to the nearest of (N, F) features of its photos.

        `elsewhere`: a direction (C,) of plain features of unit length towards other places.
        """
        plain = features[:, : pooled_widths(self.config)[0]]
        rows = torch.linspace(0, len(plain) - 1, min(len(plain), MOST_KNOWN_PHOTOS)).round().long()
        known = F.normalize(plain[rows], dim=1).T.contiguous().half().float()  # as matrices are stored
        net = CampusNet(replace(self.config, known_photos=len(rows), elsewhere=elsewhere is not None))
        state = {**self.state_dict(), "known_features": known}
        if elsewhere is not None:
            state["elsewhere_direction"] = elsewhere[:, None].half().float()  # as matrices are stored
        net.load_state_dict(state)
        return net.train(self.training)


def _are_same(one: nn.Module, other: nn.Module) -> bool:
    """Whether two layers, each with all that is in it, do the same."""
    ours, theirs = one.state_dict(), other.state_dict()
    same_kind = [type(part) for part in one.modules()] == [type(part) for part in other.modules()]
    return same_kind and ours.keys() == theirs.keys() and all(torch.equal(ours[name], theirs[name]) for name in ours)


def _head(features: int, hidden: tuple[int, ...], outputs: int, dropout: float) -> nn.Sequential:
    """Hidden layers of the given widths, the first with batch norm and dropout, and a linear last one."""
    first, *rest = hidden
    layers: list[nn.Module] = [
        nn.Linear(features, first, bias=False), nn.BatchNorm1d(first), nn.ReLU(), nn.Dropout(dropout)
    ]  # fmt: skip
    for before, width in zip(hidden, rest, strict=False):
        layers += [nn.Linear(before, width), nn.ReLU()]
    return nn.Sequential(*layers, nn.Linear(hidden[-1], outputs))
