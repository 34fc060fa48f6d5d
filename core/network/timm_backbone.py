"""Any model of timm as a backbone: CNNs and vision transformers, whose last map is pooled as all backbones' is."""

from __future__ import annotations

import sys
from collections.abc import Iterator
from functools import lru_cache
from typing import Any

from torch import Tensor, nn

from core.errors import EngineError, MissingDependency


class TimmMaps(nn.Module):
    """(B, 3, S, S) normalised -> (B, C, h, w), the last map of a timm model.

    A transformer's patches are a map of one column, (B, C, N, 1); with `token` its class token is all, (B, C, 1, 1).
    """

    def __init__(self, model: nn.Module, token: bool) -> None:
        super().__init__()
        self.model: Any = model
        self.token = token

    def forward(self, image: Tensor) -> Tensor:
        maps: Tensor = self.model.forward_features(image)
        if maps.dim() == 3:
            prefix = int(getattr(self.model, "num_prefix_tokens", 0))
            kept = maps[:, :1] if self.token else maps[:, prefix:]
            return kept.transpose(1, 2).unsqueeze(3)
        return maps.permute(0, 3, 1, 2) if str(getattr(self.model, "output_fmt", "NCHW")).endswith("NHWC") else maps

    def freeze(self, stages: int) -> None:
        """Let no gradient into the stem and the first `stages` of what timm groups: a CNN's stages, a ViT's blocks."""
        for name in self._first(stages):
            self.model.get_parameter(name).requires_grad_(False)

    def frozen(self, stages: int) -> Iterator[nn.Module]:
        """The modules all of whose weights are among those, so that they keep their statistics and drop nothing."""
        first = self._first(stages)
        for prefix, module in self.model.named_modules():
            names = [f"{prefix}.{name}" if prefix else name for name, _ in module.named_parameters()]
            if names and first.issuperset(names):
                yield module

    def _first(self, stages: int) -> set[str]:
        """The names of the weights in the stem and the first `stages` groups; of all where timm groups none."""
        names = {name for name, _ in self.model.named_parameters()}
        if stages <= 0 or not hasattr(self.model, "group_matcher"):
            return names if stages > 0 else set()
        groups = _timm().models.group_parameters(self.model, self.model.group_matcher(coarse=True))
        return names & {name for group in sorted(groups)[: stages + 1] for name in groups[group]}


def is_timm_model(name: str) -> bool:
    """Whether timm has an architecture of this name. Raises MissingDependency without timm."""
    return bool(_timm().is_model(name))


def timm_model(name: str, image_size: int, drop_path: float = 0.0, pretrained: bool = False) -> Any:
    """A timm model without its classifier, for pictures of one size; `drop_path` where it has such a dropout.

    Raises EngineError where there is none of that name, or its weights cannot be fetched.
    """
    timm = _timm()
    if not timm.is_model(name):
        raise EngineError(f"backbone {name!r} is neither one of this program's own nor a model of timm")
    wanted: dict[str, Any] = {"img_size": image_size, "drop_path_rate": drop_path}
    for left_out in ((), ("img_size",), ("img_size", "drop_path_rate")):
        kept = {key: value for key, value in wanted.items() if key not in left_out}
        try:
            return timm.create_model(name, pretrained=pretrained, num_classes=0, **kept)
        except TypeError:  # a CNN takes pictures of any size, and few models drop no paths
            continue
        except Exception as error:  # the hub, the network and safetensors have no common base
            reason = str(error).splitlines()[0] if str(error) else type(error).__name__
            raise EngineError(reason, path=f"backbone {name}", remedy="give a local file of its weights") from error
    raise EngineError("timm makes no such model without a classifier", path=f"backbone {name}")


@lru_cache(maxsize=8)
def timm_width(name: str, image_size: int) -> int:
    """How many channels the last map has."""
    import torch

    with torch.device("meta"):
        model = timm_model(name, image_size)
    return int(model.num_features)


def no_class_token(backbone: str) -> EngineError:
    return EngineError("has no class token", path=f"backbone {backbone}", remedy="pool it by mean or multi")


def timm_body(
    name: str, image_size: int, drop_path: float, token: bool
) -> tuple[TimmMaps, tuple[float, ...], tuple[float, ...]]:
    """The model with random weights, and its channel mean and std. Raises EngineError for a token it has not."""
    model = timm_model(name, image_size, drop_path)
    if token and not getattr(model, "num_prefix_tokens", 0):
        raise no_class_token(name)
    config = model.pretrained_cfg
    return TimmMaps(model, token), tuple(config["mean"]), tuple(config["std"])


def load_timm_weights(body: TimmMaps, name: str, image_size: int, state: dict[str, Tensor] | None) -> None:
    """Put weights into the model: `state` as timm or its authors name them, or timm's own download.

    Position embeddings of another picture size are resampled, as timm does. Raises EngineError where they do not fit.
    """
    model = body.model
    if state is None:
        state = timm_model(name, image_size, pretrained=True).state_dict()
    else:
        convert = getattr(sys.modules[type(model).__module__], "checkpoint_filter_fn", None)
        state = convert(state, model) if convert else state
    try:
        missing = model.load_state_dict(state, strict=False).missing_keys
    except RuntimeError as error:
        raise EngineError(f"these weights do not fit the backbone {name}") from error
    if missing:
        raise EngineError(f"these weights do not fit the backbone {name}: {missing[0]} is not among them")


def _timm() -> Any:
    try:
        import timm
    except ImportError as error:
        raise MissingDependency("timm", "requirements-train.txt") from error
    return timm
