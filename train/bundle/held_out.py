"""Photos that a gallery and a network were made without, and what is said of them: all calibration rests on these."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace
from itertools import combinations
from typing import TYPE_CHECKING

import numpy as np
from numpy.typing import NDArray

from core.campus.gallery import Gallery, nearest_neighbours
from core.campus.grid import Grid
from core.campus.parameters import PosteriorParams
from core.campus.zones import Zones
from core.engines.heads import Heads
from core.locate.posterior import Posterior
from core.locate.threads import one_blas_thread

if TYPE_CHECKING:
    from core.network.campus_net import CampusNet
    from train.fit.training_data import TrainingData

Float = NDArray[np.float64]
Rows = NDArray[np.int64]  # of the dataset

MOST_FOLDS = 8  # of cross-fitting: sessions beyond these are held out together
LEAST_SESSIONS = 4  # of fewer, leaving out two leaves too little to tell what one more brings
LEAST_LEFT = 1 / 6  # of the photos, where two sessions are left out


@dataclass(frozen=True)
class Ground:
    """What every posterior of one campus stands on."""

    grid: Grid
    zones: Zones
    scale_m: float

    def posterior(self, gallery: Gallery | None, params: PosteriorParams) -> Posterior:
        return Posterior(self.grid, self.zones, gallery, params, self.scale_m)


@dataclass(frozen=True)
class HeldOut:
    """N photos, their true positions (N, 2) in local metres, and the gallery that holds none of their group."""

    heads: Heads
    truth_m: Float
    gallery: Gallery | None

    def at(self, chosen: NDArray[np.bool_]) -> HeldOut:
        """Some of the photos, by a mask (N,)."""
        return replace(self, heads=self.heads.at(np.flatnonzero(chosen)), truth_m=self.truth_m[chosen])

    def nearest(self, count: int) -> tuple[NDArray[np.intp], NDArray[np.float32]] | None:
        """(N, count) rows and similarities of the nearest gallery photos; None without a gallery."""
        if self.gallery is None or self.heads.embedding is None:
            return None
        return nearest_neighbours(self.heads.embedding, self.gallery, count)

    def positions_m(self, ground: Ground, params: PosteriorParams) -> Float:
        """(N, 2) local metres of the fixes."""
        posterior = ground.posterior(self.gallery, params)
        with one_blas_thread():
            return np.array([posterior.map(self.heads.one(index)).median_m() for index in range(len(self.heads))])


@dataclass(frozen=True)
class Fitted:
    """A network ready to export, the `rows` that its gallery holds, and the photos to calibrate on.

    `asked` are the rows of each of `held_out`. `apart`: the network as the largest of them is answered by it, which saw
    none of its photos. `fewer`: each held-out part again, once for each other one that network and gallery lack as
    well; empty where they are not cross-fitted.
    """

    net: CampusNet
    rows: Rows
    gallery: Gallery
    asked: tuple[Rows, ...]
    held_out: tuple[HeldOut, ...]
    apart: CampusNet
    fewer: tuple[HeldOut, ...] = ()

    @property
    def asked_rows(self) -> Rows:
        """(N,) the rows of all held-out photos, in their order."""
        return np.concatenate(self.asked)


def largest(asked: Sequence[Rows]) -> int:
    """The index of the held-out part that has the most photos."""
    return int(np.argmax([len(rows) for rows in asked]))


def heads_of(net: CampusNet, features: NDArray[np.float32]) -> Heads:
    """What the network's heads say of (N, F) pooled features."""
    import torch

    with torch.inference_mode():
        answers = net.heads(torch.from_numpy(features))
    return Heads(**{name: value.numpy() for name, value in answers._asdict().items() if value is not None})


def gallery_of(heads: Heads, local_m: Float) -> Gallery:
    """The gallery as it will be read back from half precision, so that calibration sees what run time will."""
    assert heads.embedding is not None
    return Gallery(heads.embedding.astype(np.float16).astype(np.float32), local_m.astype(np.float32))


def folds(group: NDArray[np.str_], most: int = MOST_FOLDS) -> list[NDArray[np.bool_]]:
    """(N,) groups -> masks (N,), each of one group or, where there are more than `most`, of several."""
    names, count = np.unique(group, return_counts=True)
    size = [0] * min(most, len(names))
    dealt: list[list[str]] = [[] for _ in size]
    for name in np.argsort(-count, kind="stable"):  # the largest first, each to the smallest fold
        fold = int(np.argmin(size))
        size[fold] += int(count[name])
        dealt[fold].append(str(names[name]))
    return [np.isin(group, members) for members in dealt]


def cross_fitted(
    net: CampusNet, task: TrainingData, features: NDArray[np.float32] | None = None, whiten: bool = True
) -> Fitted:
    """Whitened features need no photos kept apart: each session in turn is answered by a network that was whitened, and
    a gallery that was filled, without it. The network itself is whitened on all, calibration photos too.

    features (M, F) of the dataset's photos, where known already. Without `whiten` they are centred only.
    """
    from train.fit.whitened_net import pooled_features, sessions_of, whitened_on

    rows = np.concatenate([task.rows["train"], task.rows["calibration"]])
    local_m, sessions = task.local_m[rows], sessions_of(task)[rows]
    features = pooled_features(net, task.images[rows]) if features is None else features[rows]

    def fitted(known: NDArray[np.bool_]) -> tuple[CampusNet, Gallery]:
        apart = sessions[known] if whiten else np.full(int(known.sum()), "")  # one session has no pairs to whiten by
        whitened = whitened_on(net, features[known], local_m[known], apart)
        return whitened, gallery_of(heads_of(whitened, features[known]), local_m[known])

    def answered(*without: NDArray[np.bool_]) -> tuple[CampusNet, list[HeldOut]]:
        whitened, gallery = fitted(~np.any(without, axis=0))
        return whitened, [HeldOut(heads_of(whitened, features[mask]), local_m[mask], gallery) for mask in without]

    asked = [mask for mask in folds(sessions) if not mask.all()]
    nets, held_out = zip(*((net, part) for net, (part,) in map(answered, asked)), strict=True)
    two_largest = sum(sorted(int(mask.sum()) for mask in asked)[-2:])
    tells_gain = len(asked) >= LEAST_SESSIONS and len(rows) - two_largest >= LEAST_LEFT * len(rows)
    pairs = combinations(asked, 2) if tells_gain else ()
    fewer = [part for pair in pairs for part in answered(*pair)[1]]
    whole, gallery = fitted(np.ones(len(rows), np.bool_))
    asked_rows = tuple(rows[mask] for mask in asked)
    return Fitted(whole, rows, gallery, asked_rows, held_out, nets[largest(asked_rows)], tuple(fewer))


def with_ood_score(net: CampusNet, task: TrainingData) -> tuple[CampusNet, NDArray[np.float32]]:
    """A trained network that tells other places by its training photos, and the (N, F) features of these."""
    import torch

    from train.fit.whitened_net import pooled_features

    features = pooled_features(net, task.images[task.rows["train"]])
    return net.with_ood_score(torch.from_numpy(features)), features


def held_out_split(net: CampusNet, task: TrainingData) -> Fitted:
    """A trained network has seen its training photos: it is calibrated on the calibration split alone."""
    from core.engines.heads import run_all
    from core.network.torch_engine import TorchEngine

    training, calibration = task.rows["train"], task.rows["calibration"]
    net, features = with_ood_score(net, task)
    gallery = gallery_of(heads_of(net, features), task.local_m[training])
    heads = run_all(TorchEngine(net), task.images[calibration])
    return Fitted(net, training, gallery, (calibration,), (HeldOut(heads, task.local_m[calibration], gallery),), net)
