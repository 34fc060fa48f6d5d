"""A second look: local features of a photo, matched with those of the gallery photos that look most like it.

Of twenty gallery photos that look alike as a whole, the best is a few metres away and the first is not: their ranking
is what is wrong. Details that match one to one say which of them show the same walls.
"""

from __future__ import annotations

from functools import partial
from typing import TYPE_CHECKING

import numpy as np

from core.campus.file_names import LOCAL_MODEL
from core.engines.engine_key import LOCAL_FEATURES
from core.engines.local_engine import OnnxLocalEngine, TensorRtLocalEngine
from core.engines.tensorrt_network import open_if_built
from core.locate.evidence import Evidence
from core.locate.local_features import local_features
from core.photo.canvas import fitted

if TYPE_CHECKING:
    from collections.abc import Callable

    from numpy.typing import NDArray

    from core.campus.bundle import Bundle
    from core.campus.local_gallery import LocalGallery
    from core.engines.local_engine import LocalEngine
    from core.photo.canvas import Canvas

    Float = NDArray[np.float64]
    Float32 = NDArray[np.float32]
    Index = NDArray[np.intp]

# A keypoint counts for a gallery photo by how much better it matches there than in all but this share of the others:
# tiles, arches and sky match everywhere. 50 to 90 % were tried (RESULTS.md).
ORDINARY_SHARE = 0.9
_STEEPNESS = 5.0  # of the logarithm: the first good matches say most


def match_strength(query: Float32, gallery: Float32) -> Float:
    """How well (n, D) unit descriptors match those of (K, P, D) gallery photos: (K,), 0 or more.

    Mutual nearest neighbours alone count, each by its similarity beyond what is ordinary among these K photos; the
    sum's logarithm is what a log-likelihood ratio is nearly linear in.
    """
    photos, points, width = gallery.shape
    if not len(query) or not photos:
        return np.zeros(photos)
    similarity = (gallery.reshape(-1, width) @ query.T).reshape(photos, points, len(query))
    nearest = similarity.argmax(axis=1)
    best = np.take_along_axis(similarity, nearest[:, None], axis=1)[:, 0]
    mutual = np.take_along_axis(similarity.argmax(axis=2), nearest, axis=1) == np.arange(len(query))
    ordinary = np.maximum(np.quantile(best, ORDINARY_SHARE, axis=0), 0)
    excess = np.where(mutual, np.maximum(best - ordinary, 0), 0).sum(axis=1, dtype=np.float64)
    return np.asarray(np.log1p(_STEEPNESS * excess))


class Verifier:
    """The second look of one campus. Safe to share between threads."""

    def __init__(self, engine: LocalEngine, gallery: LocalGallery, height: int, width: int) -> None:
        self.engine, self.gallery, self.height, self.width = engine, gallery, height, width

    def features(self, rgb: NDArray[np.uint8]) -> Float32:
        """(h, w, 3) uint8 RGB -> (n, 64) float32 descriptors, as many as a gallery photo has at most."""
        return self.features_on(self.canvas_of(rgb)())

    def canvas_of(self, rgb: NDArray[np.uint8]) -> Callable[[], Canvas]:
        """What puts a photo on this network's canvas, once that is wanted."""
        return partial(fitted, rgb, self.height, self.width)

    def features_on(self, canvas: Canvas) -> Float32:
        """The same of a photo on its canvas."""
        return local_features(self.engine.run(canvas.image), canvas, self.gallery.descriptor.shape[1])

    @property
    def least_side(self) -> int:
        """How many pixels a photo's short side needs.

        A quarter less than the canvas's lets most phones' JPEGs be decoded as small as without a second look.
        """
        return min(self.height, self.width) * 3 // 4

    def evidence(self, features: Float32, rows: Index) -> Evidence:
        """The match strengths of one photo with (K,) gallery rows, as evidence of weight 1."""
        return Evidence(rows[None], match_strength(features, self.gallery.at(rows))[None])


def open_verifier(bundle: Bundle, threads: int | None = None, on_gpu: bool = False) -> Verifier | None:
    """The second look of a bundle; None where it carries none. Raises BundleError, EngineError or MissingDependency.

    `on_gpu`: by the TensorRT engine that was built for this device, where there is one; else on ONNX Runtime's CPU.
    """
    look, gallery = bundle.manifest.second_look, bundle.local_gallery
    if look is None or gallery is None:
        return None
    network = open_if_built(bundle, LOCAL_FEATURES) if on_gpu else None
    engine: LocalEngine = (
        OnnxLocalEngine(bundle.read(LOCAL_MODEL), look.height, look.width, threads)
        if network is None
        else TensorRtLocalEngine(network, look.height, look.width)
    )
    return Verifier(engine, gallery, look.height, look.width)
