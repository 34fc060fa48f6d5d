"""Maps of keypoints -> a photo's local features: what its best keypoints look like."""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np

if TYPE_CHECKING:
    from numpy.typing import NDArray

    from core.engines.local_engine import LocalMaps
    from core.photo.canvas import Canvas

    Float = NDArray[np.float64]
    Float32 = NDArray[np.float32]
    Index = NDArray[np.intp]

LEAST_KEYPOINT = 0.05  # XFeat's own detection threshold
_CUBIC = -0.75  # torch's bicubic kernel


def local_features(maps: LocalMaps, canvas: Canvas, count: int) -> Float32:
    """(n, 64) float32 unit descriptors of the best `count` keypoints of a photo, best first; n may be less, or 0.

    As XFeat reads them (Potje et al., CVPR 2024): a keypoint counts by its own score times the reliability beneath it,
    and its descriptor is interpolated bicubically. Keypoints beyond the photo's edges are none.
    """
    inside = np.zeros_like(maps.keypoints)
    inside[canvas.rows, canvas.columns] = maps.keypoints[canvas.rows, canvas.columns]
    row, column = np.divmod(np.flatnonzero(inside > LEAST_KEYPOINT), inside.shape[1])
    height, width = maps.reliability.shape
    at_row = row / (inside.shape[0] - 1) * height - 0.5
    at_column = column / (inside.shape[1] - 1) * width - 0.5
    reliability = _sampled(maps.reliability[:, :, None], _linear(at_row), _linear(at_column))[:, 0]
    best = np.argsort(-inside[row, column] * reliability, kind="stable")[:count]
    found = _sampled(maps.descriptors, _cubic(at_row[best]), _cubic(at_column[best]))
    return np.asarray(found / np.maximum(np.linalg.norm(found, axis=1, keepdims=True), 1e-12), np.float32)


def _linear(at: Float) -> tuple[Index, Float]:
    """(n,) fractional cells -> the first of two cells each, and (n, 2) their weights."""
    first = np.floor(at).astype(np.intp)
    part = at - first
    return first, np.stack([1 - part, part], axis=1)


def _cubic(at: Float) -> tuple[Index, Float]:
    """(n,) fractional cells -> the first of four cells each, and (n, 4) their weights."""
    middle = np.floor(at).astype(np.intp)
    part = at - middle
    away = np.stack([part + 1, part, 1 - part, 2 - part], axis=1)
    near = ((_CUBIC + 2) * away - (_CUBIC + 3)) * away**2 + 1
    far = ((_CUBIC * away - 5 * _CUBIC) * away + 8 * _CUBIC) * away - 4 * _CUBIC
    return middle - 1, np.where(away <= 1, near, far)


def _sampled(values: Float32, rows: tuple[Index, Float], columns: tuple[Index, Float]) -> Float32:
    """(h, w, C) at n places, each between some rows and columns -> (n, C); beyond the edge are zeros."""
    height, width = values.shape[:2]
    found = np.zeros((len(rows[0]), values.shape[2]), np.float32)
    for down in range(rows[1].shape[1]):
        for right in range(columns[1].shape[1]):
            row, column = rows[0] + down, columns[0] + right
            inside = (row >= 0) & (row < height) & (column >= 0) & (column < width)
            weight = (rows[1][:, down] * columns[1][:, right] * inside).astype(np.float32)
            found += weight[:, None] * values[row.clip(0, height - 1), column.clip(0, width - 1)]
    return found
