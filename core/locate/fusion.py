"""Photos of one standpoint -> one probability map: a tempered product of what each says beyond the prior.

A photo's evidence is the logarithm of its map over one that says nothing, with a floor: the photo may be wrong, and
then it says nothing of the place. Each further photo counts less than the first, since they share the light, the phone
and the mistake. Near copies count once. Nothing here needs the network, so a map may come from anywhere.
"""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import TYPE_CHECKING

import numpy as np

if TYPE_CHECKING:
    from collections.abc import Sequence

    from numpy.typing import NDArray

    from core.campus.fusion_parameters import FusionParams
    from core.locate.prior import Prior

    Float = NDArray[np.float64]
    Float32 = NDArray[np.float32]

THUMBNAIL_SIDE = 16
# Correlation of two thumbnails from which they count as one picture. On 1,264 real photos no two taken over 40 m apart
# reach 0.9; of the next photos of a burst, after a turn, 0.8 % reach 0.95; JPEG, noise, blur and light leave 0.98.
COPY_CORRELATION = 0.95
# A photo whose map is wrong with at least this probability, given all photos, is named as an outlier.
OUTLIER_PROBABILITY = 0.8
_TWO = 2.01  # where two photos contradict each other, nobody knows which is wrong
_KNOWS_NOTHING_NATS = 0.05  # a map that says less than this beyond the prior hardly counts as a photo


@dataclass(frozen=True)
class Together:
    """What a set of photos says of their one standpoint.

    mass: (rows, columns) float32, sums to 1. photos: how many were counted, near copies once and each as far as it was
    trusted. weight: (N,) how much of each photo counted, 0 to 1, before tempering. agreement: (N,) the probability,
    given all photos, that a photo's map is right about the place.
    """

    mass: Float32 = field(repr=False)
    photos: int
    weight: Float
    agreement: Float

    @property
    def outliers(self) -> tuple[int, ...]:
        """Indices of the photos that contradict the others or did not count at all, where others did."""
        if len(self.weight) == 1 or not self.weight.any():
            return ()
        return tuple(np.flatnonzero((self.weight == 0) | (self.agreement < 1 - OUTLIER_PROBABILITY)).tolist())


def thumbnail(image: NDArray[np.uint8]) -> Float32:
    """(S, S, 3) uint8 RGB, S >= THUMBNAIL_SIDE -> (THUMBNAIL_SIDE²,) float32: its coarse brightness, to know copies by.

    Of unit length; a picture of one colour gives zeros, which are a copy of other zeros alone. The rows and columns
    beyond a multiple of THUMBNAIL_SIDE are left out.
    """
    side = min(image.shape[:2]) // THUMBNAIL_SIDE
    cut = image[: side * THUMBNAIL_SIDE, : side * THUMBNAIL_SIDE]
    narrow = np.uint16 if side <= 256 else np.uint32  # what sums of so many bytes fit in
    blocks = cut.reshape(THUMBNAIL_SIDE, side, THUMBNAIL_SIDE * side, 3).sum(axis=1, dtype=narrow)
    coarse = blocks.reshape(THUMBNAIL_SIDE, THUMBNAIL_SIDE, side, 3).sum(axis=2) @ np.array([0.299, 0.587, 0.114])
    coarse -= coarse.mean()
    length = float(np.linalg.norm(coarse))
    return (coarse.ravel() / length if length > 1e-6 else np.zeros(coarse.size)).astype(np.float32)


def log_evidence(mass: Float32, reference: Float32, floor: float) -> Float32:
    """(rows, columns) log of a photo's map, mixed with the reference by `floor`, over it; at least log(floor)."""
    ratio = mass / reference
    ratio *= np.float32(1 - floor)
    ratio += np.float32(floor)
    return np.asarray(np.log(ratio, out=ratio))


def information(mass: Float32, evidence: Float32) -> float:
    """0 for a map that says what the reference says, 1 for one that says more; between them for very few nats."""
    nats = float(np.vdot(mass, evidence))
    return float(-np.expm1(-max(nats, 0.0) / _KNOWS_NOTHING_NATS))


def agreement(fused: Float32, evidence: Float32, floor: float) -> float:
    """The probability, given the fused map, that a photo's own map is right: 1 less its floor's share of the blame."""
    return 1.0 - floor * float(np.vdot(fused, np.exp(-evidence)))


def confirmation(fused: Float32, evidence: Float32) -> float:
    """0 to 1: how much of a map's likelihood at the fused place is more than that of a map that says nothing."""
    return max(0.0, 1.0 - 1.0 / float(np.vdot(fused, np.exp(evidence))))


def normalised(log_mass: Float32) -> Float32:
    """(rows, columns) unnormalised log -> a map that sums to 1."""
    mass = np.exp(log_mass - log_mass.max())
    mass /= mass.sum(dtype=np.float64)
    return np.asarray(mass, np.float32)


def copy_shares(thumbnails: Sequence[Float32]) -> Float:
    """(N,) what each photo counts when near copies count once, 0 to 1: 1 over the photos that it is a copy of.

    Exact copies share what one of them would count, whatever else resembles them.
    """
    distinct, back, times = np.unique(np.stack(thumbnails), axis=0, return_inverse=True, return_counts=True)
    alike = distinct @ distinct.T >= COPY_CORRELATION
    np.fill_diagonal(alike, True)
    return np.asarray((1.0 / alike.sum(axis=1) / times)[back.ravel()])


def together(
    maps: Sequence[Float32],
    prior: Prior,
    params: FusionParams,
    shares: Sequence[float] | Float | None = None,
    certainty: Sequence[float] | Float | None = None,
) -> Together:
    """Fuse N >= 1 maps of one standpoint, each (rows, columns) float32 summing to 1; their order does not matter.

    `shares` (N,) are those of `copy_shares`. `certainty` (N,), 0 to 1, is
    what each photo is trusted; one of 0 changes nothing, unless all are 0, which is taken as 1. A single photo, however
    often it is given, gets its own map back to the last bit. Raises ValueError without a map.
    """
    if not len(maps):
        raise ValueError("no photo to fuse")
    share = np.ones(len(maps)) if shares is None else np.asarray(shares, np.float64)
    trust = np.ones(len(maps)) if certainty is None else np.asarray(certainty, np.float64)
    trust = trust if trust.any() else np.ones(len(maps))
    trusted = share * trust
    evidence = [log_evidence(mass, prior.reference, params.floor) for mass in maps]
    trust = trust * [information(mass, said) for mass, said in zip(maps, evidence, strict=True)]
    weight = share * trust
    counted = np.flatnonzero(weight)
    if not len(counted) or all(np.array_equal(maps[counted[0]], maps[index]) for index in counted[1:]):
        first = int(counted[0]) if len(counted) else 0
        return Together(maps[first], 1, weight, np.ones(len(maps)))
    log_prior = np.log(prior.standing)
    fused = _product(evidence, weight, log_prior, params)
    agreed = np.array([agreement(fused, said, params.floor) for said in evidence])
    if share[counted].sum() > _TWO:
        weight = weight * np.clip(agreed, 0.0, 1.0)
        fused = _product(evidence, weight, log_prior, params)
        agreed = np.array([agreement(fused, said, params.floor) for said in evidence])
    return Together(fused, max(1, round(float(trusted[counted].sum()))), weight, agreed)


def _product(evidence: list[Float32], weight: Float, log_prior: Float32, params: FusionParams) -> Float32:
    """The tempered product under (N,) weights: W photos count as one and W - 1 further ones."""
    photos = float(weight.sum())
    exponent = weight * (max(1.0 + (photos - 1.0) * params.further_weight, min(photos, 1.0)) / photos)
    log_mass = log_prior.copy()
    for power, said in zip(exponent, evidence, strict=True):
        if power > 0:
            log_mass += np.float32(power) * said
    return normalised(log_mass)
