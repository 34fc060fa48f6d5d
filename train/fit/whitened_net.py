"""A network of pretrained features, whitened across a dataset's sessions."""

from __future__ import annotations

from dataclasses import replace
from functools import cache
from pathlib import Path

import numpy as np
import torch
from numpy.typing import NDArray

from core.io.files import written_atomically
from core.network.backbones import pooled_widths
from core.network.campus_net import CampusNet
from core.network.net_config import NetConfig
from core.network.weights import load_imagenet_weights
from train.dataset.dataset import Dataset
from train.dataset.images import cached_images
from train.dataset.split import groups_of
from train.fit.elsewhere import mean_feature, towards_elsewhere
from train.fit.recipes.whitened import WhitenedConfig
from train.fit.run_folder import Epoch
from train.fit.training_data import TrainingData
from train.fit.whitening import Whitening, fit_whitening, unit_length

SESSION_COLUMNS = ("session", "contributor", "device")  # the first that a dataset has says which photos are one session
PROBE_SIZE = 96  # pixels
_BATCH = 64
MOST_IN_ONE = 2 / 3  # of the photos, in one session: held out, it leaves at least a third to answer it by


def sessions_of(task: TrainingData) -> NDArray[np.str_]:
    """(M,) what each of the dataset's photos shares its light and phone with: a column, else the groups of its split.

    What puts nearly all training and calibration photos into one group tells nothing, since the few others are no
    gallery to answer that group by. Then it is the split's groups, the standpoints, at last each photo alone.
    """
    column = [name for name in SESSION_COLUMNS if task.dataset.has(name)][:1]
    rows = np.concatenate([task.rows["train"], task.rows["calibration"]])
    for by in (*column, task.splits.config.group_by, "standpoint"):
        sessions = groups_of(task.dataset, by)
        if np.unique(sessions[rows], return_counts=True)[1].max() <= MOST_IN_ONE * len(rows):
            return sessions
    return groups_of(task.dataset, None)


def whitened_net(task: TrainingData, config: WhitenedConfig) -> tuple[CampusNet, str, Epoch]:
    """The network, where its weights came from, and what it does on the calibration split; whitened on the training
    split alone. `bundle` whitens it anew, with the calibration photos, once they have told how far it can be trusted.
    """
    net, weights = pretrained_net(config)
    training, calibration = task.rows["train"], task.rows["calibration"]
    sessions = sessions_of(task)
    known, asked = (pooled_features(net, task.images[rows]) for rows in (training, calibration))
    whitened = whitened_across(net, known, task.local_m[training], sessions[training])
    stored = Whitening(whitened.whitening_mean.numpy(), whitened.whitening_axes.numpy())
    nearest = (stored.embed(asked) @ stored.embed(known).T).argmax(axis=1)
    truth_m = task.local_m[calibration]
    retrieval_m = float(np.linalg.norm(task.local_m[training][nearest] - truth_m, axis=1).mean())
    middle_m = float(np.linalg.norm(truth_m, axis=1).mean())
    return whitened, weights, Epoch(1, 0.0, middle_m, None, retrieval_m, retrieval_m, 0.0)


def pretrained_net(config: WhitenedConfig) -> tuple[CampusNet, str]:
    """The backbone with its ImageNet weights, in evaluation mode, not whitened yet; and where they came from."""
    net = CampusNet(
        NetConfig(
            backbone=config.backbone,
            image_size=config.image_size,
            layout="whitened",
            pooling=config.pooling,
            embedding=1,
        )
    )
    return net.eval(), load_imagenet_weights(net, Path(config.weights) if config.weights else None)


def whitened_across(
    net: CampusNet, features: NDArray[np.float32], local_m: NDArray[np.float64], sessions: NDArray[np.str_]
) -> CampusNet:
    """The same backbone, whitened across sessions and rounded as matrices are stored.

    features (N, F) of the network's own, taken at local_m (N, 2) metres in sessions (N,).
    """
    whitening = fit_whitening(features, local_m, sessions, pooled_widths(net.config))
    axes = torch.from_numpy(whitening.axes)
    # Their length cancels out of the embedding; near 1 half precision holds them best.
    axes = (axes / axes.abs().max()).half().float()
    whitened = CampusNet(
        replace(net.config, embedding=axes.shape[1], in_distribution_rank=0, known_photos=0, elsewhere=False)
    )
    of_photos = ("in_distribution", "known", "elsewhere")
    kept = {name: value for name, value in net.state_dict().items() if not name.startswith(of_photos)}
    state = {**kept, "whitening_mean": torch.from_numpy(whitening.mean), "whitening_axes": axes}
    whitened.load_state_dict(state)
    return whitened.eval()


def whitened_on(
    net: CampusNet, features: NDArray[np.float32], local_m: NDArray[np.float64], sessions: NDArray[np.str_]
) -> CampusNet:
    """The network whitened on (N, F) features, knowing which features this campus's photos have, and other places'."""
    averaged = net.config.pooling in ("mean", "multi")  # as those features are
    other = mean_feature(net.config.backbone, net.config.image_size, probe_of(net)) if averaged else None
    elsewhere = None if other is None else torch.from_numpy(towards_elsewhere(last_map_mean(net, features), other))
    whitened = whitened_across(net, features, local_m, sessions)
    return whitened.with_known_photos(torch.from_numpy(features), elsewhere)


def pooled_features(net: CampusNet, images: NDArray[np.uint8]) -> NDArray[np.float32]:
    """(N, S, S, 3) uint8 -> (N, F) the backbone's features, in evaluation mode."""
    net.eval()
    with torch.inference_mode():
        parts = [
            net.features(torch.tensor(images[i : i + _BATCH]).permute(0, 3, 1, 2).float()).numpy()
            for i in range(0, len(images), _BATCH)
        ]
    return np.concatenate(parts)


@cache
def _features(config: WhitenedConfig, root: Path) -> NDArray[np.float32]:
    dataset = Dataset.load(root)
    images = cached_images(dataset.image_paths, config.image_size, dataset.root / "cache")
    return pooled_features(pretrained_net(config)[0], images)


def dataset_features(config: WhitenedConfig, dataset: Dataset) -> NDArray[np.float32]:
    """(N, F) the pretrained features of a dataset's photos, computed once in a process: folds share them."""
    return _features(replace(config, seed=0), dataset.root)


def last_map_mean(net: CampusNet, features: NDArray[np.float32]) -> NDArray[np.float32]:
    """(N, F) features -> (N, C) those of the backbone's last map: its plain mean, where the pooling has that."""
    return features[:, : pooled_widths(net.config)[0]]


def probe_of(net: CampusNet) -> NDArray[np.float32]:
    """(C,) the unit feature, of the backbone's last map, of a fixed pattern: it tells whose weights these are."""
    wave = torch.sin(torch.arange(PROBE_SIZE) * (2 * torch.pi / 37))
    pattern = torch.stack([wave[:, None] + wave, wave[:, None] - wave, wave[:, None] * wave])
    net.eval()
    with torch.inference_mode():
        features = net.backbone(pattern[None]).numpy()
    unit: NDArray[np.float32] = unit_length(last_map_mean(net, features))[0]
    return unit


def save_whitened_net(net: CampusNet, file: Path) -> None:
    """Write the network's weights."""
    from safetensors.torch import save

    with written_atomically(file) as temporary:
        temporary.write_bytes(save({name: tensor.contiguous() for name, tensor in net.state_dict().items()}))
