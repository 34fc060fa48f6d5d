"""Small pictures of a gallery's photos, faces and number plates painted over."""

from __future__ import annotations

import io
from collections.abc import Sequence
from pathlib import Path

import numpy as np
from PIL import Image
from tqdm import tqdm

from core.campus.thumbnails import THUMBNAIL_PX
from core.photo.blur.blur import Blur
from core.photo.load import load_photo

_LOOKED_PX = 2 * THUMBNAIL_PX  # a face that can be told in the thumbnail is large enough here to be found
_QUALITY = 70


def small_pictures(photos: Sequence[Path], blur: Blur) -> tuple[bytes, ...]:
    """A JPEG of at most THUMBNAIL_PX of each photo. Raises PhotoError."""
    return tuple(_small(path, blur) for path in tqdm(photos, desc="thumbnails", unit="photo", disable=None))


def _small(path: Path, blur: Blur) -> bytes:
    image = Image.fromarray(load_photo(path, min_side=_LOOKED_PX).rgb)
    image.thumbnail((_LOOKED_PX, _LOOKED_PX), reducing_gap=2.0)
    painted = Image.fromarray(blur.painted(np.asarray(image)))
    painted.thumbnail((THUMBNAIL_PX, THUMBNAIL_PX))
    out = io.BytesIO()
    painted.save(out, "JPEG", quality=_QUALITY, optimize=True)
    return out.getvalue()
