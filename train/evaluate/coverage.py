"""How often held-out photos lie within their radius, with what certainty: pure functions."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray
from scipy.stats import binomtest

from core.errors import DatasetError

Float = NDArray[np.float64]

CONFIDENCE = 0.95
LEVELS = tuple(round(0.05 * step, 2) for step in range(1, 20))  # of the calibration curve
MISLEADING = 3.0  # an error of so many 68 % radii behind a claim of one clear place misleads
LEAST_PHOTOS = 10  # a smaller group's coverage says next to nothing: its interval is wider than half of all


@dataclass(frozen=True)
class Proportion:
    """`hits` of `n` photos, their share, and its Clopper-Pearson interval at CONFIDENCE; all shares 0 to 1."""

    hits: int
    n: int
    share: float
    low: float
    high: float


def proportion(hit: NDArray[np.bool_]) -> Proportion:
    """(N,) bool -> the share that is true. Raises DatasetError for none.

    Clopper and Pearson (Biometrika 1934): exact, so it holds also for few photos and for shares near 0 and 1.
    """
    if not len(hit):
        raise DatasetError("a share of no photos: there is none to count")
    hits, n = int(hit.sum()), len(hit)
    interval = binomtest(hits, n).proportion_ci(CONFIDENCE, "exact")
    return Proportion(hits, n, hits / n, float(interval.low), float(interval.high))


@dataclass(frozen=True)
class Group:
    """The photos whose `by` is `name`: their errors and radii in metres, and how often the radii hold."""

    by: str
    name: str
    median_m: float
    mean_m: float
    p90_m: float
    mean_radius68_m: float
    coverage68: Proportion
    coverage95: Proportion

    @property
    def n(self) -> int:
        return self.coverage68.n


def group(by: str, name: str, error_m: Float, radius68_m: Float, radius95_m: Float) -> Group:
    """(N,) errors and radii of the photos of one group. Raises DatasetError for none."""
    return Group(
        by,
        name,
        coverage68=proportion(error_m <= radius68_m),
        coverage95=proportion(error_m <= radius95_m),
        median_m=float(np.median(error_m)),
        mean_m=float(error_m.mean()),
        p90_m=float(np.percentile(error_m, 90)),
        mean_radius68_m=float(radius68_m.mean()),
    )


def groups(
    by: str, names: NDArray[np.str_], error_m: Float, radius68_m: Float, radius95_m: Float, least: int = LEAST_PHOTOS
) -> tuple[Group, ...]:
    """One Group for each of the (N,) `names`, by name; those of fewer than `least` photos are one group, the last.

    Photos without a name ("") are left out. Nothing where that leaves a single group: it would repeat the whole.
    """
    found, back, counts = np.unique(names, return_inverse=True, return_counts=True)

    def of(name: str, chosen: NDArray[np.bool_]) -> Group:
        return group(by, name, error_m[chosen], radius68_m[chosen], radius95_m[chosen])

    named = [index for index, name in enumerate(found) if name]
    large = [of(str(found[index]), back == index) for index in named if counts[index] >= least]
    small = [index for index in named if counts[index] < least]
    if len(small) > 1:
        large.append(of(f"{len(small)} with fewer than {least} photos", np.isin(back, small)))
    elif small:
        large.append(of(str(found[small[0]]), back == small[0]))
    return tuple(large) if len(large) > 1 else ()


def radius_quarters(radius_m: Float) -> NDArray[np.str_]:
    """(N,) radii -> (N,) the quarter that each belongs to, named by its range; equal radii are in the same one."""
    quarter = np.searchsorted(np.quantile(radius_m, (0.25, 0.5, 0.75)), radius_m, side="left")
    names = np.empty(len(radius_m), "U48")
    for index in range(4):
        if len(held := radius_m[quarter == index]):
            names[quarter == index] = f"Q{index + 1}: {held.min():.0f} to {held.max():.0f} m"
    return names


@dataclass(frozen=True)
class CalibrationCurve:
    """Nominal shares (0 to 1), and how many photos lay within the radius that should hold that share of them."""

    nominal: tuple[float, ...]
    covered: tuple[Proportion, ...]

    @property
    def mean_gap(self) -> float:
        """The mean of |covered - nominal|, 0 to 1."""
        return float(np.mean([abs(c.share - level) for c, level in zip(self.covered, self.nominal, strict=True)]))


def calibration_curve(error_m: Float, level_radius_m: Float) -> CalibrationCurve:
    """(N,) errors and (N, len(LEVELS)) radii in metres -> the curve over LEVELS."""
    return CalibrationCurve(LEVELS, tuple(proportion(error_m <= radius) for radius in level_radius_m.T))


def misleading(error_m: Float, radius68_m: Float, clear: NDArray[np.bool_]) -> NDArray[np.bool_]:
    """(N,) which answers claim one clear place and are off by over MISLEADING times their 68 % radius."""
    return np.asarray(clear & (error_m > MISLEADING * radius68_m), np.bool_)


def risk_coverage(error_m: Float, doubt: Float) -> Float:
    """(N,) the mean error of the k photos of least doubt, for k from 1 to N (El-Yaniv and Wiener, JMLR 2010).

    error_m (N,) metres; doubt (N,) of any unit, larger where an answer is less sure. Photos of equal doubt are kept
    together: each counts as their mean.
    """
    order = np.argsort(doubt, kind="stable")
    first, count = np.unique(doubt[order], return_index=True, return_counts=True)[1:]
    means = np.add.reduceat(error_m[order], first) / count if len(order) else np.empty(0)
    return np.asarray(np.cumsum(np.repeat(means, count)) / np.arange(1, len(order) + 1))
