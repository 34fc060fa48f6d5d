"""calibration.npz: what the network said of the photos that radii are fitted on, so that they can be fitted anew.

A bundle carries the answers, not the photos. A photo of a later walk stands both here and in the gallery; its radius is
then judged by the gallery without its own walk (leave-one-group-out conformal prediction, Barber et al., Predictive
inference with the jackknife+, Annals of Statistics 2021).
"""

from __future__ import annotations

import io
from dataclasses import dataclass, fields, replace

import numpy as np
from numpy.typing import NDArray

from core.campus.bundle import Bundle
from core.campus.gallery import Gallery
from core.engines.heads import Heads
from core.errors import BundleError
from core.io.arrays import read_npz

CALIBRATION = "calibration.npz"
HELD_OUT = -1  # the walk of a photo that is not in the gallery, and of a gallery photo that is in no later walk
_HEADS = tuple(f.name for f in fields(Heads))
_OURS = ("truth_m", "heading_deg", "walk", "gallery_walk")
_OPTIONAL = ("judged", "strength")  # absent in bundles of earlier versions: NaN

Float = NDArray[np.float64]


@dataclass(frozen=True, eq=False)
class CalibrationPhotos:
    """The heads of N calibration photos, truth_m (N, 2) local metres, heading_deg (N,) NaN where unknown.

    walk (N,) is HELD_OUT, or the number of the later walk that a photo is of; gallery_walk (G,) the same of each photo
    of the gallery. judged (N, 3) holds metres of error and the map's own two radii, as a network that never saw it
    gave them when the bundle was made; NaN where today's network and gallery may judge. strength (N,): each photo's
    best match by the second look, NaN where unknown. known_row (K,): which gallery photos the network's OOD score is
    the distance to; None where `bundle` chose them.
    """

    heads: Heads
    truth_m: Float
    heading_deg: Float
    walk: NDArray[np.int32]
    gallery_walk: NDArray[np.int32]
    judged: Float
    strength: Float
    known_row: NDArray[np.int32] | None = None

    def __len__(self) -> int:
        return len(self.truth_m)

    @classmethod
    def held_out(cls, heads: Heads, truth_m: Float, heading_deg: Float, gallery: int) -> CalibrationPhotos:
        """Those of a new bundle, whose gallery holds `gallery` training photos."""
        walk, gallery_walk = (np.full(count, HELD_OUT, np.int32) for count in (len(heads), gallery))
        unknown = np.full(len(heads), np.nan)
        judged = np.full((len(heads), 3), np.nan)
        return cls(heads, truth_m, heading_deg, walk, gallery_walk, judged, unknown)

    @classmethod
    def of(cls, bundle: Bundle) -> CalibrationPhotos | None:
        """Those of a bundle; None where it carries none. Raises BundleError where they are damaged."""
        if CALIBRATION not in bundle.manifest.files or bundle.gallery is None:
            return None
        try:
            optional = (*_HEADS[1:], *_OPTIONAL, "known_row")
            arrays = read_npz(bundle.read(CALIBRATION), ("offset", *_OURS), optional)
        except ValueError as error:
            raise _damaged(bundle, error) from error
        heads = Heads(**{name: arrays[name].astype(np.float32) for name in _HEADS if name in arrays})
        count = len(arrays["truth_m"])
        if any(len(arrays[name]) != count for name in {*_HEADS, *_OURS[:3], *_OPTIONAL} & arrays.keys()):
            raise _damaged(bundle, "its arrays differ in length")
        if len(arrays["gallery_walk"]) != len(bundle.gallery):
            raise _damaged(bundle, "it is of another gallery")
        walk, gallery_walk = (arrays[name].astype(np.int32) for name in ("walk", "gallery_walk"))
        judged = arrays.get("judged", np.full((count, 3), np.nan)).astype(float)
        strength = arrays.get("strength", np.full(count, np.nan)).astype(float)
        if judged.shape != (count, 3) or strength.shape != (count,):
            raise _damaged(bundle, "it judges in other columns")
        known_row = arrays.get("known_row")
        if known_row is not None and (known_row.ndim != 1 or not np.isin(known_row, range(len(gallery_walk))).all()):
            raise _damaged(bundle, "it knows photos that are not in the gallery")
        truth_m, heading_deg = (arrays[name].astype(float) for name in ("truth_m", "heading_deg"))
        return cls(heads, truth_m, heading_deg, walk, gallery_walk, judged, strength, known_row)

    def file(self) -> bytes:
        """The file `calibration.npz`; the heads in half precision, as the gallery is."""
        known = {name: value for name in _HEADS if (value := getattr(self.heads, name)) is not None}
        stream = io.BytesIO()
        halves = {name: value if name == "offset" else value.astype(np.float16) for name, value in known.items()}
        ours = {name: getattr(self, name) for name in (*_OURS, *_OPTIONAL)}
        if self.known_row is not None:
            ours["known_row"] = self.known_row
        np.savez_compressed(stream, **halves, **{name: value.astype(_small(value)) for name, value in ours.items()})
        return stream.getvalue()

    @property
    def gallery_row(self) -> NDArray[np.int64]:
        """(N,) which gallery photo each one is, HELD_OUT for those that are none. Both keep the order of each walk."""
        rows = np.full(len(self), HELD_OUT, np.int64)
        for walk in np.unique(self.walk[self.walk != HELD_OUT]):
            own = np.flatnonzero(self.walk == walk)
            rows[own] = np.flatnonzero(self.gallery_walk == walk)[-len(own) :]  # where some were let go, the first ones
        return rows

    def with_walk(self, heads: Heads, truth_m: Float, heading_deg: Float) -> CalibrationPhotos:
        """These and the photos of one more walk, which stand in the gallery too, after all others."""
        number = int(max(self.walk.max(initial=HELD_OUT), self.gallery_walk.max(initial=HELD_OUT))) + 1
        new = np.full(len(heads), number, np.int32)
        return replace(
            self,
            heads=joined(self.heads, heads),
            truth_m=np.concatenate([self.truth_m, truth_m]),
            heading_deg=np.concatenate([self.heading_deg, heading_deg]),
            walk=np.concatenate([self.walk, new]),
            gallery_walk=np.concatenate([self.gallery_walk, new]),
            judged=np.concatenate([self.judged, np.full((len(new), 3), np.nan)]),
            strength=np.concatenate([self.strength, np.full(len(new), np.nan)]),
        )

    def newest(self, most: int) -> CalibrationPhotos:
        """The last of them, at most so many."""
        rows = np.arange(max(0, len(self) - most), len(self))
        ours = {name: getattr(self, name)[rows] for name in (*_OURS[:3], *_OPTIONAL)}
        return replace(self, heads=self.heads.at(rows), **ours)

    def gallery_without(self, walk: int, gallery: Gallery) -> Gallery:
        """The gallery that photos of a walk are judged by: all of it but their own walk."""
        if walk == HELD_OUT:
            return gallery
        kept = self.gallery_walk != walk
        return Gallery(gallery.embedding[kept], gallery.local_m[kept])


def joined(one: Heads, other: Heads) -> Heads:
    """The heads of two batches as one; both are of one network."""
    both = {
        name: np.concatenate([first, second])
        for name in _HEADS
        if (first := getattr(one, name)) is not None and (second := getattr(other, name)) is not None
    }
    return Heads(**both)


def _small(value: NDArray[np.generic]) -> type[np.generic]:
    return np.int32 if value.dtype.kind == "i" else np.float32


def _damaged(bundle: Bundle, why: object) -> BundleError:
    return BundleError.unusable(f"{CALIBRATION} cannot be used ({why})", path=bundle.path)
