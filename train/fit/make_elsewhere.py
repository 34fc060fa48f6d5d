"""`python -m train.fit.make_elsewhere DEMO_DATASET`: what other places look like, by the rendered demo campus."""

from __future__ import annotations

import sys
from pathlib import Path

import numpy as np

from train.dataset.dataset import Dataset
from train.dataset.images import decode_images
from train.fit.elsewhere import FILE, PROBE
from train.fit.recipes.whitened import WhitenedConfig
from train.fit.whitened_net import last_map_mean, pooled_features, pretrained_net, probe_of
from train.fit.whitening import unit_length

BACKBONES, SIZES = ("efficientnet_lite0",), (128, 192, 224, 288, 320)
PHOTOS = 300  # 30 of them serve as well


def main(dataset: Path) -> None:
    """Write the file of mean features from PHOTOS photos of a dataset, drawn by a fixed seed."""
    paths = Dataset.load(dataset).image_paths
    chosen = [paths[row] for row in np.random.default_rng(0).permutation(len(paths))[:PHOTOS]]
    means = {}
    for backbone in BACKBONES:
        for size in SIZES:
            net, _ = pretrained_net(WhitenedConfig(backbone=backbone, image_size=size))
            plain = last_map_mean(net, pooled_features(net, decode_images(chosen, size)))
            means[f"{backbone}-{size}"] = unit_length(plain).mean(axis=0).astype(np.float16)
            means[PROBE + backbone] = probe_of(net).astype(np.float16)
    np.savez_compressed(Path(__file__).with_name(FILE), **means)  # type: ignore[arg-type]


if __name__ == "__main__":
    main(Path(sys.argv[1]))
