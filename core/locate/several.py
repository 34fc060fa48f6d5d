"""Readings of photos of one standpoint -> one fix."""

from __future__ import annotations

import time
from collections.abc import Callable, Sequence
from typing import TYPE_CHECKING

import numpy as np

from core.campus.gallery import nearest_neighbours
from core.errors import PhotoError
from core.locate.fusion import Together, confirmation, copy_shares, log_evidence, thumbnail, together
from core.locate.probability_map import ProbabilityMap
from core.locate.threads import one_blas_thread

if TYPE_CHECKING:
    from numpy.typing import NDArray

    from core.campus.fusion_parameters import FusionParams, RadiusFactors, RadiusKind
    from core.campus.manifest import Calibration
    from core.engines.heads import Heads
    from core.locate.evidence import Evidence
    from core.locate.fix import Fix
    from core.locate.open_campus import OpenCampus
    from core.locate.posterior import Posterior
    from core.locate.prior import Prior
    from core.locate.reading import Reading

    Float = NDArray[np.float64]

_ANOTHER = 0.5  # photos beside one, from which on there is something in common


def fix_together(campus: OpenCampus, readings: Sequence[Reading]) -> Fix:
    """The fix of N >= 1 photos of one standpoint. Raises PhotoError for none."""
    if not readings:
        raise PhotoError("no photo to locate", remedy="give at least one")
    if len(readings) == 1:
        return campus.fix(readings[0].heads, readings[0].timings_ms, readings[0].evidence)
    with one_blas_thread():
        started = time.perf_counter()
        manifest = campus.bundle.manifest
        scores = np.array([campus.ood_score(reading.heads, reading.evidence) for reading in readings])
        known = np.array([campus.on_campus(score) is not False for score in scores])
        shares = copy_shares([thumbnail(reading.image) for reading in readings])
        params, read = manifest.fusion.together, [(reading.heads, reading.evidence) for reading in readings]

        def maps_when(trust: Float) -> list[ProbabilityMap]:
            return maps_of(campus.posterior, read, shares, trust, params.common_weight)

        maps, fused = fused_of(maps_when, campus.prior, shares, known, params)
        refused = np.flatnonzero(~known).tolist() if known.any() else ()
        heading: tuple[float, float] | tuple[None, None] = None, None
        radii, sharpness = radii_of(campus, str(min(fused.photos, 4))), 1.0
        if fused.photos == 1:  # the same picture again is read, and looks, the same way
            only = int(fused.weight.argmax())
            heading = campus.heading(readings[only].heads)
            radii, sharpness = campus.calibration(readings[only].evidence), maps[only].sharpness
        return campus.describe(
            ProbabilityMap(manifest.grid, fused.mass, sharpness),
            radii.radii_m,
            _lower_median(scores, shares),
            _summed([reading.timings_ms for reading in readings]),
            started,
            heading_deg=heading[0],
            heading_spread_deg=heading[1],
            photos=fused.photos,
            outliers=tuple(sorted({*fused.outliers, *refused})),
        )


def fused_of(
    maps_when: Callable[[Float], list[ProbabilityMap]],
    prior: Prior,
    shares: Float,
    known: NDArray[np.bool_],
    params: FusionParams,
) -> tuple[list[ProbabilityMap], Together]:
    """The map of each of N photos of one standpoint, and what they say together.

    maps_when: (N,) how far each is trusted, 0 to 1 -> their maps. shares (N,): those of `copy_shares`.
    known (N,): which are not refused as photos of elsewhere. Refused ones count where fewer than `params.refused_until`
    others do, each as far as those confirm it; where all are refused they count as if none were.
    """

    def asked(trust: Float) -> tuple[list[ProbabilityMap], Together]:
        maps = maps_when(trust)
        return maps, together([one.mass for one in maps], prior, params, shares, trust)

    trust = known.astype(np.float64)
    maps, fused = asked(trust)
    room = params.refused_until - float(shares @ trust)
    if known.all() or not known.any() or room <= 0:
        return maps, fused
    each = min(1.0, room / float(shares[~known].sum()))
    for index in np.flatnonzero(~known):
        evidence = log_evidence(maps[index].mass, prior.reference, params.floor)
        trust[index] = each * confirmation(fused.mass, evidence)
    return asked(trust)


def maps_of(
    posterior: Posterior,
    read: Sequence[tuple[Heads, Evidence | None]],
    shares: Float,
    trust: Float,
    common_weight: float,
) -> list[ProbabilityMap]:
    """The map of each of N photos of one standpoint, less what they have in common: their light, phone and hour.

    read: the heads (a batch of 1) of each, and what a second look says of it. shares (N,): those of `copy_shares`, 1 in
    all for near copies. trust (N,): 0 to 1, 0 for photos of elsewhere. From each photo's features `common_weight` of
    the mean of the others' are taken, as far as these count, which one photo alone has not.
    """
    gallery, counted = posterior.gallery, shares * trust
    others = counted.sum() - trust  # (N,) of all that counts, what each photo and its near copies are not
    if not common_weight or gallery is None or read[0][0].embedding is None or (others < _ANOTHER).all():
        return [posterior.map(heads, evidence) for heads, evidence in read]
    embedding = np.concatenate([heads.embedding for heads, _ in read])
    common = (counted @ embedding - trust[:, None] * embedding) / np.maximum(others, _ANOTHER)[:, None]
    common[others < _ANOTHER] = 0
    rows, _ = nearest_neighbours(embedding, gallery, posterior.params.neighbours)
    own = (embedding - common_weight * common).astype(np.float32)
    similarity = np.einsum("nd,nkd->nk", own, gallery.embedding[rows])
    return [
        posterior.map(heads, evidence, (rows[index, None], similarity[index, None]))
        for index, (heads, evidence) in enumerate(read)
    ]


def radii_of(campus: OpenCampus, kind: str) -> RadiusFactors | Calibration:
    """What calibrates the radii of one kind of fix: 1 to 4 photos, "walk" or "smoothed"."""
    named: dict[str, RadiusKind] = {"2": "2", "3": "3", "4": "4+", "walk": "walk", "smoothed": "smoothed"}
    manifest = campus.bundle.manifest
    fusion, radii = manifest.fusion, manifest.fusion.radii
    if campus.second_reader is None and fusion.first_look_radii:
        radii = fusion.first_look_radii
    found = radii.get(named[kind]) if kind in named else None
    return manifest.calibration if found is None else found


def _lower_median(scores: Float, weights: Float) -> float:
    """The lower median of (N,) scores: a burst is refused where most of it is, near copies counting as one.

    By the least of all scores any one photo that looks like the campus would take others of another place with it.
    """
    order = np.argsort(scores, kind="stable")
    held = np.cumsum(weights[order])
    return float(scores[order[np.searchsorted(held, held[-1] / 2 - 1e-9)]])


def _summed(timings_ms: list[dict[str, float]]) -> dict[str, float]:
    steps = dict.fromkeys(step for one in timings_ms for step in one)
    return {step: sum(one.get(step, 0.0) for one in timings_ms) for step in steps}
