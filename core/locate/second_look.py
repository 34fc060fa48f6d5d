"""When a photo is worth a second look, and what comes of it: evidence, other radii, another OOD score."""

from __future__ import annotations

import logging
from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np

from core.campus.gallery import nearest_neighbours
from core.errors import MissingDependency
from core.locate.confidence import SPLIT_SHARE
from core.locate.posterior import Posterior
from core.locate.verification import Verifier, open_verifier

if TYPE_CHECKING:
    from collections.abc import Callable

    from numpy.typing import NDArray

    from core.campus.bundle import Bundle
    from core.campus.manifest import Calibration, SecondLook
    from core.engines.heads import Heads
    from core.locate.evidence import Evidence
    from core.locate.probability_map import ProbabilityMap

    Float = NDArray[np.float64]
    Float32 = NDArray[np.float32]

log = logging.getLogger(__name__)


@dataclass(frozen=True)
class Doubt:
    """How doubtful a map is: its calibrated 68 % radius, and whether a second place holds a good share of it."""

    radius68_m: float
    split: bool

    @classmethod
    def of(cls, probability: ProbabilityMap, calibration: Calibration) -> Doubt:
        raw_m = probability.radii_m(probability.median_m(), (0.68, 0.95))
        places = probability.candidates()
        return cls(calibration.radii_m(raw_m)[0], len(places) > 1 and places[1][2] >= SPLIT_SHARE)


class SecondReader:
    """Matches the local features of photos that the first look leaves in doubt. Safe to share between threads."""

    def __init__(self, look: SecondLook, calibration: Calibration, posterior: Posterior, verifier: Verifier) -> None:
        """`calibration` and `posterior` are those of the first look, whose grid, zones and gallery are shared."""
        self.look, self.verifier, self._first, self._calibration = look, verifier, posterior, calibration
        self.posterior = Posterior(
            posterior.grid, posterior.zones, posterior.gallery, look.posterior, posterior.scale_m
        )

    @classmethod
    def open(
        cls, bundle: Bundle, posterior: Posterior, threads: int | None = None, on_gpu: bool = False
    ) -> SecondReader | None:
        """The second look of a bundle, as `open_verifier`; None where nothing here runs its network, too."""
        look = bundle.manifest.second_look
        try:
            verifier = open_verifier(bundle, threads, on_gpu)
        except MissingDependency as error:  # a device with TensorRT alone
            log.warning("no second look: %s", error)
            return None
        return None if look is None or verifier is None else cls(look, bundle.manifest.calibration, posterior, verifier)

    def evidence(self, heads: Heads, features: Callable[[], Float32], ood_score: float) -> Evidence | None:
        """What matches say of the gallery, of one photo (a batch of 1); None without doubt.

        features: reads the photo's (n, D) local features, where they are wanted. ood_score: 0 to 1, the first look's.
        """
        gallery = self.posterior.gallery
        if heads.embedding is None or gallery is None or not self._wanted(heads, ood_score):
            return None
        rows = nearest_neighbours(heads.embedding, gallery, self.look.candidates)[0][0]
        return self.verifier.evidence(features(), rows).scaled(self.look.match_weight)

    def _wanted(self, heads: Heads, ood_score: float) -> bool:
        doubt = Doubt.of(self._first.map(heads), self._calibration)
        return bool(self.look.wanted(doubt.radius68_m, doubt.split, ood_score))


def ood_score(
    calibration: Calibration, own: float, look: SecondLook | None = None, evidence: Evidence | None = None
) -> float:
    """0 to 1, the share of calibration photos that looked more like the campus, by both looks where there were two.

    calibration: the first look's. own: the network's own OOD score, 0 where it has none. A match is held against it and
    not against its share of calibration photos: that of every photo of another place is 1.
    """
    if look is not None and evidence is not None:
        strength = float(evidence.log_ratio.max()) / look.match_weight
        calibration, own = look.calibration, look.ood_statistic(own, strength)
    return share_below(np.asarray(calibration.ood_quantiles), own) if calibration.ood_quantiles else 0.0


def share_below(quantiles: Float, value: float) -> float:
    """The share, 0 to 1, of a distribution that lies below a value, not at it; (Q,) its quantiles from 0 % to 100 %.

    On some campuses nearly all photos have the least OOD score that there is: none of them is beyond the others.
    """
    above = int(np.searchsorted(quantiles, value))
    if above in (0, len(quantiles)):
        return float(above > 0)
    low, high = quantiles[above - 1 : above + 1]
    return float((above - 1 + (value - low) / (high - low)) / (len(quantiles) - 1))
