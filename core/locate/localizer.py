"""A campus bundle opened for use: photo in, Fix out."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Sequence
from functools import lru_cache
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np

from core.campus.bundle import Bundle
from core.engines.choose import AUTO, open_engine
from core.locate.fix import Fix
from core.locate.many import BATCH, all_readable, each_of_many
from core.locate.open_campus import OpenCampus
from core.locate.reading import Reading
from core.locate.several import fix_together
from core.locate.threads import one_blas_thread
from core.locate.walk import KEPT_PHOTOS, Walk

if TYPE_CHECKING:
    from numpy.typing import NDArray

    from core.errors import PhotoError


DEMO_BUNDLE = Path(__file__).resolve().parents[2] / "campuses" / "demo"


class Localizer(OpenCampus):
    """Locates photos on one campus. Safe to share between threads: nothing changes after it is made."""

    @classmethod
    def load(
        cls,
        path: str | Path | None = None,
        backend: str = AUTO,
        second_look: bool = True,
        threads: int | None = None,
    ) -> Localizer:
        """Open a bundle (None: the demo campus), with at most so many threads. Raises BundleError or EngineError."""
        bundle = Bundle.load(path if path is not None else DEMO_BUNDLE)
        return cls(bundle, open_engine(bundle, backend, threads), second_look, threads)

    def locate(self, photo: Any) -> Fix:
        """Locate a photo: path, bytes, file object, PIL image, Photo or (H, W, 3) uint8 RGB. Raises PhotoError."""
        return self.fix_of(self.read(photo))

    def locate_together(self, photos: Sequence[Any]) -> Fix:
        """Locate the one standpoint of N >= 1 photos, each as `locate` takes it, in any order.

        Of one photo it is what `locate` gives; near copies count once. Raises PhotoError for no photo, and for one that
        cannot be read.
        """
        return fix_together(self, list(all_readable(self.read_many(photos))))

    def walk(self, keep: int = KEPT_PHOTOS, **motion: float) -> Walk:
        """A walk to add photos to, in the order of time; it remembers `keep` of them for smoothing.

        `motion` are fields of MotionParams that differ from the campus's own, such as `speed_m_s`. Raises CampusError
        for one that there is not, or that no walker has.
        """
        return Walk(self, keep, motion)

    def position(self, photo: Any) -> tuple[float, float]:
        """Degrees (lat, lon) of a photo, the same as `locate` gives, without reading off the rest of a fix."""
        reading = self.read(photo)
        with one_blas_thread():
            at_m = self.posterior.map(reading.heads, reading.evidence).median_m()
        lat, lon = self.bundle.manifest.frame.to_latlon(at_m)
        return float(lat), float(lon)

    def locate_many(
        self, photos: Iterable[Any], batch: int = BATCH, threads: int | None = None
    ) -> Iterator[Fix | PhotoError]:
        """The fix of each photo that `locate` would give, in order and as they are asked for, on all cores.

        In place of a photo that cannot be read stands its PhotoError. Memory does not grow with the number of photos.
        `threads` read and decode (None: as many as the localizer has); more help where photos lie far away.
        """
        return each_of_many(self, photos, self.fix_of, batch, threads)

    def read_many(self, photos: Iterable[Any]) -> Iterator[Reading | PhotoError]:
        """The same of `read`."""
        return each_of_many(self, photos, lambda reading: reading)


@lru_cache(maxsize=4)
def shared_localizer(path: Path) -> Localizer:
    """One Localizer per bundle and process: loading takes far longer than locating."""
    return Localizer.load(path)


def predict_gps(image: NDArray[np.uint8], bundle: Path | None = None) -> NDArray[np.float32]:
    """Where a photo was taken: (H, W, 3) uint8 RGB -> (2,) float32 [latitude, longitude] in degrees.

    `bundle`: None for the demo campus; it is loaded once. Raises PhotoError for any other shape, dtype or type.
    float32 rounds a position to 0.2 to 0.4 m; `Localizer.locate` gives it in full, with its radius.
    """
    if not isinstance(image, np.ndarray):
        from core.errors import PhotoError

        raise PhotoError(f"predict_gps wants an (H, W, 3) uint8 RGB array, got {type(image).__name__}")
    return np.array(shared_localizer(bundle or DEMO_BUNDLE).position(image), np.float32)
