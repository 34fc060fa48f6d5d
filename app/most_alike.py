"""The training photo that an answer's photo is most like, for campuses that carry thumbnails."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np

from app.sighting import thumbnail
from core.campus.gallery import nearest_neighbours
from core.campus.thumbnails import THUMBNAIL_PX
from core.photo.load import load_photo

if TYPE_CHECKING:
    from app.sighting import Sighting
    from core.campus.bundle import Bundle
    from core.locate.reading import Reading


@dataclass(frozen=True)
class MostAlike:
    """`picture`: a small JPEG in a data URL; `away_m`: how far from the answer its photo was taken."""

    picture: str
    away_m: float


def most_alike(reading: Reading, sighting: Sighting, bundle: Bundle) -> MostAlike | None:
    """By local features where the photo was matched by them, else by the embedding.

    None where the campus has no thumbnails, or the photo was refused. Raises BundleError where the thumbnails cannot be
    used, PhotoError where the one is no picture.
    """
    thumbnails, gallery, embedding = bundle.thumbnails, bundle.gallery, reading.heads.embedding
    if thumbnails is None or gallery is None or embedding is None or sighting.place is None:
        return None
    row = int(nearest_neighbours(embedding, gallery, 1)[0][0, 0])
    if (evidence := reading.evidence) is not None and evidence.log_ratio[0].max() > 0:
        row = int(evidence.rows[0, evidence.log_ratio[0].argmax()])
    here_m = bundle.manifest.frame.to_local(sighting.place.lat, sighting.place.lon)
    away_m = float(np.hypot(*(gallery.local_m[row] - here_m)))
    # Decoded and written anew: a bundle may be a stranger's.
    return MostAlike(thumbnail(load_photo(thumbnails.at(row)).rgb, THUMBNAIL_PX), away_m)
