"""How far apart two ways of running one network are, in metres."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from core.engines.heads import Heads
from core.errors import EngineError
from core.locate.localizer import Localizer
from core.locate.parity import positions_m


@dataclass(frozen=True)
class HeadParity:
    """Raw outputs: the regression's offsets in metres, embeddings as 1 - cosine (0 where there are none)."""

    offset_mean_m: float
    offset_max_m: float
    embedding_max: float

    def __str__(self) -> str:
        return f"offsets {self.offset_mean_m:.4f} m apart on average, {self.offset_max_m:.4f} m at most"


@dataclass(frozen=True)
class FixParity:
    """Whole answers: the distance between the two fixes of each photo, in metres."""

    photos: int
    mean_m: float
    max_m: float

    def __str__(self) -> str:
        return f"fixes of {self.photos} photos {self.mean_m:.3f} m apart on average, {self.max_m:.3f} m at most"


def head_parity(one: Heads, other: Heads, scale_m: float) -> HeadParity:
    """Compare the heads of the same batch. Raises EngineError when one has a head that the other lacks."""
    for name, value in vars(one).items():
        given = getattr(other, name)
        if (value is None) != (given is None):
            raise EngineError(f"only one of the two models has the output `{name}`", remedy="export the bundle again")
        if value is not None and value.shape != given.shape:
            raise EngineError(
                f"the output `{name}` is {given.shape}, not {value.shape}", remedy="export the bundle again"
            )
    apart_m = np.linalg.norm(one.offset.astype(np.float64) - other.offset, axis=1) * scale_m
    cosine = 1.0
    if one.embedding is not None and other.embedding is not None:
        cosine = float((one.embedding * other.embedding).sum(axis=1).min())
    return HeadParity(float(apart_m.mean()), float(apart_m.max()), max(0.0, 1.0 - cosine))


def fix_parity(localizer: Localizer, one: Heads, other: Heads) -> FixParity:
    """Compare the fixes that two sets of heads (B, ...) lead to on the same campus."""
    one_m, other_m = (positions_m(localizer.posterior, heads) for heads in (one, other))
    apart_m = np.linalg.norm(one_m - other_m, axis=1)
    return FixParity(len(apart_m), float(apart_m.mean()), float(apart_m.max()))
