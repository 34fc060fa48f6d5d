"""Which photos of the gallery look most like this one: exact cosine search, from a few photos to millions."""

from __future__ import annotations

from dataclasses import dataclass
from functools import cached_property
from typing import TYPE_CHECKING

import numpy as np

if TYPE_CHECKING:
    from numpy.typing import NDArray

    Float32 = NDArray[np.float32]
    Index = NDArray[np.intp]

# From here on a narrow first look pays; `python -m benchmarks growth` shows both sides of it.
LARGE = 20_000
_NARROW = 32  # numbers a photo in the first look: the campus's 31 main axes, and the length of all the rest
_SAMPLE = 20_000  # photos that the main axes are found from
_FIRST = 256  # photos compared in full to learn how similar the best ones are
_BLOCK = 512


@dataclass(frozen=True)
class Gallery:
    """The training photos as the network sees them: (N, D) unit embeddings, and (N, 2) local metres, float32."""

    embedding: Float32
    local_m: Float32

    def __len__(self) -> int:
        return len(self.embedding)

    @cached_property
    def narrow(self) -> NarrowView:
        """Made when a large gallery is first searched."""
        return NarrowView.of(self.embedding)


@dataclass(frozen=True)
class NarrowView:
    """A gallery in few numbers a photo, whose product with a photo's own is never below the cosine similarity.

    Along the main axes the product is exact; of the rest only the length is kept, and by Cauchy and Schwarz the
    product of two lengths is the most that the rest can add.
    """

    axes: Float32  # (D, 31) orthonormal
    photos: Float32  # (N, 32)

    @classmethod
    def of(cls, embedding: Float32) -> NarrowView:
        """The view of (N, D) unit embeddings along the main axes of a sample of them."""
        sample = embedding[:: -(-len(embedding) // _SAMPLE)].astype(np.float64)
        axes = np.linalg.eigh(sample.T @ sample)[1][:, ::-1][:, : _NARROW - 1].astype(np.float32)
        photos = np.empty((len(embedding), axes.shape[1] + 1), np.float32)
        for start in range(0, len(embedding), _SAMPLE):
            photos[start : start + _SAMPLE] = _narrowed(embedding[start : start + _SAMPLE], axes)
        return cls(axes, photos)

    def at_most(self, embedding: Float32) -> Float32:
        """(D,) -> (N,) upper bounds of the cosine similarities."""
        return np.asarray(self.photos @ _narrowed(embedding[None], self.axes)[0])


def _narrowed(embedding: Float32, axes: Float32) -> Float32:
    main = embedding @ axes
    rest = np.maximum((embedding**2).sum(axis=1) - (main**2).sum(axis=1), 0.0)
    return np.concatenate([main, np.sqrt(rest)[:, None]], axis=1)


def nearest_neighbours(embedding: Float32, gallery: Gallery, count: int) -> tuple[Index, Float32]:
    """(B, D) unit embeddings -> (B, count) indices and cosine similarities of the nearest photos, best first."""
    count = min(count, len(gallery))
    if len(gallery) >= LARGE:
        found = [_search_large(one, gallery, count) for one in embedding]
    else:
        found = [_best(row, count) for row in embedding @ gallery.embedding.T]
    rows, values = zip(*found, strict=True)
    return np.stack(rows), np.stack(values)


def _best(values: Float32, count: int) -> tuple[Index, Float32]:
    """The largest of (N,) values, best first: their indices and themselves."""
    top = largest(values, count)
    top = top[np.argsort(-values[top], kind="stable")]
    return top, values[top]


def largest(values: Float32, count: int) -> Index:
    """(N,) -> (count,) indices of the largest values, in no order.

    Where there are many blocks only those with the largest maxima are looked into: `count` blocks hold at least
    `count` values that are no smaller than the least of these maxima.
    """
    blocks = len(values) // _BLOCK
    if blocks <= 2 * count:
        return np.asarray(np.argpartition(values, len(values) - count)[len(values) - count :], np.intp)
    whole = values[: blocks * _BLOCK].reshape(blocks, _BLOCK)
    chosen = np.argpartition(whole.max(axis=1), blocks - count)[blocks - count :]
    rows = (chosen[:, None] * _BLOCK + np.arange(_BLOCK)).ravel()
    rows = np.concatenate([rows, np.arange(blocks * _BLOCK, len(values))])
    return np.asarray(rows[np.argpartition(values[rows], len(rows) - count)[len(rows) - count :]], np.intp)


def _search_large(embedding: Float32, gallery: Gallery, count: int) -> tuple[Index, Float32]:
    """The exact answer in two looks: all photos narrowly, then in full those that can still be among the best."""
    at_most = gallery.narrow.at_most(embedding)
    first = gallery.embedding[largest(at_most, min(max(_FIRST, count), len(gallery)))] @ embedding
    needed = np.partition(first, len(first) - count)[len(first) - count]
    rows = np.flatnonzero(at_most >= needed - 1e-5)  # rounding must not lose one
    top, similarity = _best(gallery.embedding[rows] @ embedding, count)
    return rows[top], similarity
