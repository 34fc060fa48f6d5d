"""What the network says of a batch of photos, whichever way it is run."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, fields
from typing import TYPE_CHECKING, Protocol

import numpy as np

from core.errors import EngineError

if TYPE_CHECKING:
    from numpy.typing import NDArray

    Float32 = NDArray[np.float32]


@dataclass(frozen=True)
class Heads:
    """The network's outputs for a batch, float32; None where the model has no such head.

    offset (B, 2): east and north of the campus centre, in units of the frame's scale.
    zone_logits (B, K): of the zones.
    embedding (B, D): unit length; photos of one place have a large inner product.
    log_spread (B, 1): natural logarithm of the regression's own Laplace scale, in the offset's units.
    heading (B, 2): east and north of where the camera looked; its length is the concentration of a von Mises
    distribution about that direction.
    ood_score (B, 1): 0 to 1, how unlike this campus's photos: of a trained network the share of the features' squared
    length, about the training photos' mean, outside the subspace that those photos span; of a whitened one half of the
    cosine distance to the nearest of them, more for photos that are like those of other places.
    """

    offset: Float32
    zone_logits: Float32 | None = None
    embedding: Float32 | None = None
    log_spread: Float32 | None = None
    heading: Float32 | None = None
    ood_score: Float32 | None = None

    def __len__(self) -> int:
        return len(self.offset)

    @property
    def own_ood_score(self) -> NDArray[np.float64]:
        """(B,) the network's own OOD scores, 0 where it has none."""
        return np.zeros(len(self)) if self.ood_score is None else self.ood_score[:, 0].astype(np.float64)

    def one(self, index: int) -> Heads:
        """The heads of one photo, as a batch of 1."""
        return self.at(slice(index, index + 1))

    def at(self, rows: slice | NDArray[np.int64]) -> Heads:
        """The heads of some photos."""
        rest = (getattr(self, f.name) for f in fields(self)[1:])
        return Heads(self.offset[rows], *(None if value is None else value[rows] for value in rest))


# The name of each output of a model -> the head; networks exported before 0.2.0 call `ood_score` otherwise.
HEAD_OF_OUTPUT = {**{f.name: f.name for f in fields(Heads)}, "novelty": "ood_score"}


class Engine(Protocol):
    """Something that runs the network."""

    name: str  # as a person reads it: "ONNX Runtime INT8"

    def run(self, images: NDArray[np.uint8]) -> Heads:
        """(B, S, S, 3) uint8 RGB -> Heads. Raises EngineError when an output is not finite."""
        ...


def checked_heads(outputs: dict[str, Float32]) -> Heads:
    """Outputs by name -> Heads; raises EngineError when one is absent or not finite, never a made-up answer."""
    if "offset" not in outputs:
        raise EngineError(
            f"the model has no output `offset`, only {', '.join(outputs) or 'none'}",
            remedy="export it again",
            kind="unusable",
        )
    for name, value in outputs.items():
        if not np.isfinite(value).all():
            raise EngineError(
                f"the network gave a value of `{name}` that is not finite",
                remedy="export the model again",
                kind="unusable",
            )
    found = {HEAD_OF_OUTPUT[name]: value for name, value in outputs.items() if name in HEAD_OF_OUTPUT}
    return Heads(**found)


def run_all(engine: Engine, images: NDArray[np.uint8], batch: int = 16) -> Heads:
    """Run (N, S, S, 3) uint8 in batches and join the heads, (N, …) each; images may be a memory map."""
    return joined([engine.run(np.ascontiguousarray(images[i : i + batch])) for i in range(0, len(images), batch)])


def joined(parts: Sequence[Heads]) -> Heads:
    """The heads of several batches, which have the same ones, as one batch."""
    return checked_heads(
        {
            f.name: np.concatenate([getattr(part, f.name) for part in parts])
            for f in fields(Heads)
            if getattr(parts[0], f.name) is not None
        }
    )
