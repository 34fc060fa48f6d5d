"""Pretrained features, centred and whitened across sessions: a campus learned in closed form, in seconds.

Trained by gradients on one campus, a network learns its sessions by heart: their light, their phone, their walkers.
What a place keeps from one session to the next is a matter of second moments, and those need no gradients. Pairs of
photos of one place in two sessions say along which directions the features change although the place does not.
Whitening those differences makes such directions count less (learned whitening as in Mikolajczyk and Matas, ICCV 2007,
and Radenović et al., PAMI 2018). Cosine similarity in what is left says how alike two places are.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TypeVar, cast

import numpy as np
from numpy.typing import NDArray

from train.fit.recipes.whitened import WhitenedConfig

Float = NDArray[np.float64]
Float32 = NDArray[np.float32]
AnyFloat = TypeVar("AnyFloat", Float, Float32)

MOST_AXES = WhitenedConfig.embedding  # of the features' principal axes
PARTNERS = 3  # photos of other sessions that each photo is paired with; 1 to 12 do
NEARBY = 10  # a place reaches as far as this many photos of other sessions lie, between the two limits
NEAR_M, FAR_M = 10.0, 45.0
MOST_PAIRS_AT_ONCE = 1 << 23  # of photos that are compared: 20,000 photos would need 15 GB for all of theirs
# Share of the differences' covariance that is made equal along all axes: 0.05 to 0.4 do, and few pairs need more.
LEAST_SHRINKAGE, PRIOR_PAIRS = 0.2, 50.0


@dataclass(frozen=True)
class Whitening:
    """mean (F,) of the features and axes (F, D): `(features - mean) @ axes`, at unit length, is the embedding."""

    mean: Float32
    axes: Float32

    def embed(self, features: Float32) -> Float32:
        """(B, F) -> (B, D) of unit length."""
        whitened = np.asarray((features - self.mean) @ self.axes, np.float32)
        return unit_length(whitened)


def fit_whitening(features: Float32, local_m: Float, session: NDArray[np.str_], blocks: tuple[int, ...]) -> Whitening:
    """Whitening from (N, F) features, (N, 2) local metres and (N,) sessions.

    `blocks` are the widths of the features' parts, each pooled in its own way: they sum to F, and each part counts
    alike. Without two sessions at one place the features are only centred and projected on their principal axes.
    """
    mean = features.mean(axis=0)
    centred = (features - mean).astype(np.float64)
    scale = np.repeat(
        [1 / max(np.linalg.norm(part, axis=1).mean(), 1e-12) for part in np.split(centred, np.cumsum(blocks)[:-1], 1)],
        blocks,
    )
    axes = principal_axes(centred * scale)
    projected = centred * scale @ axes
    unit = unit_length(projected)
    one, other = cross_session_pairs(unit, local_m, session)
    whitener = shrunk_whitener(unit[one] - unit[other]) if len(one) else np.eye(axes.shape[1])
    return Whitening(mean.astype(np.float32), (scale[:, None] * axes @ whitener).astype(np.float32))


def unit_length(rows: AnyFloat) -> AnyFloat:
    """(N, C) rows, each at unit length; zeros stay."""
    return cast(AnyFloat, rows / np.maximum(np.linalg.norm(rows, axis=1, keepdims=True), 1e-12))


def principal_axes(centred: Float) -> Float:
    """(N, F) -> (F, D) the main axes, D at most MOST_AXES and less than N."""
    count = min(MOST_AXES, len(centred) - 1, centred.shape[1])
    if len(centred) < centred.shape[1]:  # the smaller Gram matrix has the same axes
        value, vector = np.linalg.eigh(centred @ centred.T)
        kept = slice(-1, -count - 1, -1)
        return np.asarray(centred.T @ vector[:, kept] / np.sqrt(np.maximum(value[kept], 1e-12)))
    return np.asarray(np.linalg.eigh(centred.T @ centred)[1][:, ::-1][:, :count])


def cross_session_pairs(
    unit: Float, local_m: Float, session: NDArray[np.str_]
) -> tuple[NDArray[np.int64], NDArray[np.int64]]:
    """Rows (P,) and (P,) of photos of one place in two sessions: for each photo the PARTNERS most similar ones nearby.

    unit (N, D) features of unit length. Nearby is where most photos have NEARBY photos of other sessions; the most
    similar of them look the same way.
    """
    photos = len(unit)
    partners, nearby = min(PARTNERS, photos), min(NEARBY, photos)
    step = max(1, MOST_PAIRS_AT_ONCE // photos)
    blocks = [slice(first, first + step) for first in range(0, photos, step)]
    nth_m = np.empty(photos)
    for rows in blocks:
        nth_m[rows] = np.partition(_apart_m(local_m, session, rows), nearby - 1, axis=1)[:, nearby - 1]
    reach = float(np.clip(np.median(nth_m), NEAR_M, FAR_M))
    pairs = []
    for rows in blocks:
        similarity = np.where(_apart_m(local_m, session, rows) <= reach, unit[rows] @ unit.T, -np.inf)
        other = np.argsort(-similarity, axis=1)[:, :partners]
        found = np.isfinite(np.take_along_axis(similarity, other, axis=1))
        one = np.broadcast_to(np.arange(photos)[rows, None], other.shape)
        pairs.append((one[found], other[found]))
    ones, others = zip(*pairs, strict=True)
    return np.concatenate(ones), np.concatenate(others)


def _apart_m(local_m: Float, session: NDArray[np.str_], rows: slice) -> Float:
    """(R, N) metres from some photos to all; infinite within a session."""
    apart_m = np.linalg.norm(local_m[rows, None] - local_m[None], axis=2)
    apart_m[session[rows, None] == session[None]] = np.inf
    return np.asarray(apart_m)


def shrunk_whitener(difference: Float) -> Float:
    """(P, D) differences -> (D, D), by which their shrunk covariance becomes the identity."""
    pairs, axes = difference.shape
    covariance = difference.T @ difference / pairs
    shrinkage = max(LEAST_SHRINKAGE, PRIOR_PAIRS / (pairs + PRIOR_PAIRS))
    equal = np.trace(covariance) / axes
    value, vector = np.linalg.eigh((1 - shrinkage) * covariance + shrinkage * equal * np.eye(axes))
    return np.asarray(vector / np.sqrt(np.maximum(value, 1e-12)))
