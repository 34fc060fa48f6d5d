"""Fit how photos are fused and how walkers move on calibration bursts and walks, and calibrate the radii of both."""

from __future__ import annotations

import logging
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass, replace
from typing import TypeVar

import numpy as np
from numpy.typing import NDArray

from core.campus.fusion_parameters import Fusion, FusionParams, MotionParams, RadiusFactors, RadiusKind
from core.campus.grid import Grid
from core.campus.manifest import Calibration, SecondLook
from core.engines.heads import Heads
from core.errors import DatasetError
from core.locate.bayes_filter import Step, WalkFilter, smooth
from core.locate.evidence import Evidence
from core.locate.fusion import copy_shares, log_evidence, thumbnail
from core.locate.posterior import Posterior
from core.locate.prior import Prior, prior_of
from core.locate.probability_map import ProbabilityMap
from core.locate.second_look import ood_score
from core.locate.several import fused_of, maps_of
from core.locate.threads import one_blas_thread
from train.bundle.calibrate import GROUP_PHOTOS, SHARES, radius_factors
from train.dataset.dataset import Dataset
from train.evaluate.metrics import conformal_factor
from train.evaluate.sequences import BURST_GAP_S, Rows, bursts, times_s, walks, windows

log = logging.getLogger(__name__)

Float = NDArray[np.float64]
Float32 = NDArray[np.float32]
Params = TypeVar("Params", FusionParams, MotionParams)

LEAST_BURSTS = 10  # with fewer the defaults are the better guess
LEAST_FIXES = 19  # fewer cannot promise 95 %, however many photos each was read from
MAX_MAP_BYTES = 400 << 20  # the maps of all calibration photos are in memory at once; what is beyond is left out
LABEL_WIDTH_M = 6.0  # how far a phone's own position is off: likelihoods are those of a place about so large
WRONG_LABEL = 0.05  # the probability that a label says nothing
# The log-likelihood over all bursts by which a value must be better than the default: few bursts stay near it.
LEAST_GAIN = 1.0
# Where the fit starts: half of what photos have in common, and refused ones where others are few, paid on all
# calibration sessions of the real campus. Floor and further weight stay: fitted along with the rest they kept the prior
# from being fitted, and were no likelier in any fold there (RESULTS.md).
_START = FusionParams(further_weight=0.5, floor=0.05, common_weight=0.5, refused_until=2.5)
_TOGETHER = {
    "common_weight": (0.0, 0.5),
    "prior_exponent": (0.0, 0.35, 0.7, 1.0),
    "prior_width_m": (10.0, 15.0, 25.0),
    "refused_until": (0.0, 2.0, 2.5, 3.0),
}
_MOTION = {
    "standing_s": (1.5, 4.0, 10.0),
    "speed_m_s": (0.8, 1.2, 1.8, 2.6),
    "leak_s": (300.0, 2000.0, 10_000.0),
    "memory_s": (10.0, 30.0, 100.0),
}


@dataclass(frozen=True)
class Answered:
    """Photos that a network and a gallery were made without: `rows` (N,) of the dataset, and what was said of them.

    images (N, S, S, 3) uint8 RGB, the network's input; posterior: with the gallery that lacks them, and the one for
    photos with evidence as its `matched`. evidence: what a second look says of each photo, None where it takes none.
    known (N,): which photos are not refused.
    """

    rows: Rows
    heads: Heads
    images: NDArray[np.uint8]
    posterior: Posterior
    evidence: tuple[Evidence | None, ...]
    known: NDArray[np.bool_]

    @classmethod
    def by(
        cls,
        rows: Rows,
        heads: Heads,
        images: NDArray[np.uint8],
        posterior: Posterior,
        evidence: tuple[Evidence | None, ...],
        calibration: Calibration,
        look: SecondLook | None,
    ) -> Answered:
        """With what the campus, whose looks are calibrated so, takes for its own."""
        said = zip(heads.own_ood_score, evidence, strict=True)
        scores = np.array([ood_score(calibration, own, look, matched) for own, matched in said])
        return cls(rows, heads, images, posterior, evidence, scores <= 1 - calibration.off_campus_share)


@dataclass(frozen=True)
class _Walk:
    """One calibration walk of N photos: readings, maps, thumbnails, (N,) times, (N, 2) true places in metres; and the
    (rows, columns) cells of the grid where nobody stands.
    """

    read: list[tuple[Heads, Evidence | None]]
    known: NDArray[np.bool_]
    maps: list[ProbabilityMap]
    thumbnails: list[Float32]
    time_s: Float
    truth_m: Float
    posterior: Posterior
    closed: NDArray[np.bool_] | None

    @property
    def bursts(self) -> list[slice]:
        return bursts(self.time_s, BURST_GAP_S)

    def prior(self, params: FusionParams) -> Prior:
        gallery = self.posterior.gallery
        stood_m = self.posterior.zones.centres_m if gallery is None else gallery.local_m
        return prior_of(self.posterior.grid, stood_m, self.posterior.params, params, self.closed)

    def fused(self, part: slice, prior: Prior, params: FusionParams) -> Float32:
        shares = copy_shares(self.thumbnails[part])

        def maps_when(trust: Float) -> list[ProbabilityMap]:
            common = params.common_weight
            return maps_of(self.posterior, self.read[part], shares, trust, common) if common else self.maps[part]

        return fused_of(maps_when, prior, shares, self.known[part], params)[1].mass

    def filtered(self, prior: Prior, params: FusionParams, motion: MotionParams) -> tuple[WalkFilter, list[Step]]:
        found = WalkFilter(self.posterior.grid, prior, params, motion)
        seen = zip(self.maps, self.time_s, self.thumbnails, self.known, strict=True)
        return found, [found.step(one.mass, float(time_s), thumb, float(known)) for one, time_s, thumb, known in seen]


def fit_fusion(
    dataset: Dataset,
    local_m: Float,
    answered: Sequence[Answered],
    gain: float = 1.0,
    closed: NDArray[np.bool_] | None = None,
    first_look: Sequence[Answered] = (),
) -> Fusion:
    """What the manifest says of several photos, from held-out photos of a dataset whose places are (M, 2) `local_m`.

    Coordinate ascent on the likelihood of their true places. Where they have no times or are too few it is the
    defaults, without radii of its own. `gain`: that of `session_gain`, for the 68 % radii. closed (rows, columns): the
    cells that `closed_cells` finds on the campus's map. first_look: the same photos without their second look, which
    have radii of their own.
    """
    with one_blas_thread():
        try:
            read = list(_read(dataset, local_m, answered, closed))
        except DatasetError as error:
            log.info("several photos: the defaults, since %s", error)
            return Fusion()
        several = [part for walk in read for part in walk.bursts if part.stop - part.start > 1]
        if len(several) < LEAST_BURSTS:
            log.info("several photos: the defaults, since only %d calibration bursts have two photos", len(several))
            return Fusion()
        truth = _Truth(read[0].posterior.grid)
        params = _ascend(_START, _TOGETHER, lambda p: _together_score(read, p, truth))
        motion = _ascend(MotionParams(), _MOTION, lambda m: _walk_score(read, params, m, truth))
        radii = _radii(read, params, motion, gain)
        first_look_radii = _radii(list(_read(dataset, local_m, first_look, closed)), params, motion, gain)
    photos, held_out = sum(len(walk.maps) for walk in read), sum(len(part.rows) for part in answered)
    if photos < held_out:
        log.info("several photos: %d of %d calibration photos, as many as fit into memory", photos, held_out)
    log.info("several photos: %s, %s, fitted on %d photos in %d bursts", params, motion, photos, len(several))
    return Fusion(
        together=params,
        motion=motion,
        radii=radii,
        first_look_radii=first_look_radii,
        photos=photos,
        walks=len(read),
    )


def _read(
    dataset: Dataset, local_m: Float, answered: Sequence[Answered], closed: NDArray[np.bool_] | None
) -> Iterator[_Walk]:
    time_s = times_s(dataset)
    for part in answered:
        grid, place = part.posterior.grid, {int(row): index for index, row in enumerate(part.rows)}
        most = max(1, MAX_MAP_BYTES // (4 * grid.rows * grid.columns * len(answered)))
        for walk in walks(dataset, part.rows[:most]):
            order = [place[int(row)] for row in walk]
            yield _Walk(
                [(part.heads.one(index), part.evidence[index]) for index in order],
                part.known[order],
                [part.posterior.map(part.heads.one(index), part.evidence[index]) for index in order],
                [thumbnail(part.images[index]) for index in order],
                time_s[walk],
                local_m[walk],
                part.posterior,
                closed,
            )


class _Truth:
    """The log-likelihood of labelled places under a map, with labels that are a little off, or wrong."""

    def __init__(self, grid: Grid) -> None:
        self._grid = grid
        self._reach = int(np.ceil(2 * LABEL_WIDTH_M / grid.cell_m))
        offset = np.arange(-self._reach, self._reach + 1) * grid.cell_m
        weight = np.exp(-0.5 * (offset / LABEL_WIDTH_M) ** 2)
        self._weight = np.outer(weight, weight) / weight.sum() ** 2

    def score(self, mass: Float32, truth_m: Float) -> float:
        """The mean over (N, 2) places."""
        grid, reach = self._grid, self._reach
        padded = np.pad(mass, reach)
        column = ((truth_m[:, 0] - grid.west_m) / grid.cell_m).astype(int).clip(0, grid.columns - 1)
        row = ((truth_m[:, 1] - grid.south_m) / grid.cell_m).astype(int).clip(0, grid.rows - 1)
        side = 2 * reach + 1
        near = np.array([
            (padded[r : r + side, c : c + side] * self._weight).sum() for r, c in zip(row, column, strict=True)
        ])  # fmt: skip
        return float(np.log((1 - WRONG_LABEL) * near + WRONG_LABEL / mass.size).mean())


def _ascend(start: Params, choices: dict[str, tuple[float, ...]], score: Callable[[Params], float]) -> Params:
    """Coordinate ascent, twice through all coordinates; a change must gain LEAST_GAIN."""
    best, reached = start, score(start)
    for _ in range(2):
        before = best
        for name, values in choices.items():
            tried = [replace(best, **{name: value}) for value in values if value != getattr(best, name)]
            scores = [score(one) for one in tried]
            top = int(np.argmax(scores))
            if scores[top] > reached + LEAST_GAIN:
                best, reached = tried[top], scores[top]
        if best == before:
            break
    return best


def _together_score(read: Sequence[_Walk], params: FusionParams, truth: _Truth) -> float:
    """Each burst counts as one: its photos share their mistakes. Of long ones, parts of three and the whole."""
    total = 0.0
    for walk in read:
        prior = walk.prior(params)
        for burst in walk.bursts:
            if burst.stop - burst.start < 2:
                continue
            parts = [burst, *windows(burst, 3)] if burst.stop - burst.start > 3 else [burst]
            scores = [truth.score(walk.fused(part, prior, params), walk.truth_m[part]) for part in parts]
            total += float(np.mean(scores))
    return total


def _walk_score(read: Sequence[_Walk], params: FusionParams, motion: MotionParams, truth: _Truth) -> float:
    """The filtered places' log-likelihood, each burst as one."""
    total = 0.0
    for walk in read:
        _, steps = walk.filtered(walk.prior(params), params, motion)
        scores = [truth.score(step.mass, walk.truth_m[i : i + 1]) for i, step in enumerate(steps)]
        total += sum(float(np.mean(scores[burst])) for burst in walk.bursts)
    return total


def _radii(
    read: Sequence[_Walk], params: FusionParams, motion: MotionParams, gain: float
) -> dict[RadiusKind, RadiusFactors]:
    """Conformal factors for each kind of fix of which there are enough."""
    rows: dict[RadiusKind, list[tuple[float, ...]]] = {"2": [], "3": [], "4+": [], "walk": [], "smoothed": []}
    fixes = dict.fromkeys(rows, 0)  # of several photos, each of which is a row
    for walk in read:
        prior = walk.prior(params)

        def judge(kind: RadiusKind, mass: Float32, truth_m: Float, grid: Grid = walk.posterior.grid) -> None:
            probability = ProbabilityMap(grid, mass)
            at_m = probability.median_m()
            raw = probability.radii_m(at_m, SHARES)
            fixes[kind] += 1
            rows[kind] += [(float(np.linalg.norm(at_m - place)), *raw) for place in truth_m]

        for burst in walk.bursts:
            whole = [burst] if burst.stop - burst.start >= 4 else []
            cuts: tuple[tuple[RadiusKind, list[slice]], ...] = (
                ("2", windows(burst, 2)), ("3", windows(burst, 3)), ("4+", whole)
            )  # fmt: skip
            for kind, parts in cuts:
                for part in parts:
                    judge(kind, walk.fused(part, prior, params), walk.truth_m[part])
        found, steps = walk.filtered(prior, params, motion)
        for index, step in enumerate(steps):
            judge("walk", step.mass, walk.truth_m[index : index + 1])

        def evidence(index: int, walk: _Walk = walk, prior: Prior = prior) -> Float32:
            return log_evidence(walk.maps[index].mass, prior.reference, params.floor)

        moves, ones = [step.move for step in steps], np.ones_like(prior.standing)
        for index, mass, _ in smooth(found.motion, prior.standing, ones, moves, evidence):
            judge("smoothed", mass, walk.truth_m[index : index + 1])
    enough = {kind: np.array(found) for kind, found in rows.items() if fixes[kind] >= LEAST_FIXES}
    return {kind: _factors(found, fixes[kind], gain) for kind, found in enough.items()}


def _factors(rows: Float, fixes: int, gain: float) -> RadiusFactors:
    """(N, 3) errors and raw radii of the photos of so many fixes -> factors. Photos of a burst share their error, so it
    takes more of them than single photos to tell small radii from large ones.
    """
    error_m, raw_m = rows[:, 0], rows[:, 1:]
    if len(rows) >= 4 * GROUP_PHOTOS:
        at_m, factors = radius_factors(error_m, raw_m, SHARES, gain)
    else:
        at_m = np.array([float(np.median(raw_m[:, 0]))])
        factors = [np.array([conformal_factor(error_m, raw_m[:, i], share)]) for i, share in enumerate(SHARES)]
        factors[0] *= gain
    return RadiusFactors(
        fixes=fixes,
        radius_at_m=tuple(at_m.tolist()),
        radius68_factors=tuple(factors[0].tolist()),
        radius95_factors=tuple(factors[1].tolist()),
    )
