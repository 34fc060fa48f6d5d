"""The report's maps of a campus without a map of its own: they show what the app does."""

from __future__ import annotations

from pathlib import Path

import numpy as np
from matplotlib.collections import LineCollection, PathCollection
from matplotlib.colors import to_rgba

from core.campus.basemap import LIGHT as LIGHT_MAP
from core.campus.bundle import Bundle
from core.campus.walked import thinned
from tests.bundles import make_bundle
from train.evaluate.map_plots import error_map
from train.evaluate.plots import LIGHT


def test_without_a_map_training_photos_ways_and_zones_are_drawn_and_one_scale_bar(tmp_path: Path) -> None:
    bundle = Bundle.load(make_bundle(tmp_path / "bare", with_map=False))
    assert bundle.gallery is not None
    ends = np.array([[-90.0, -90.0], [90.0, 90.0]])
    figure = error_map(bundle, ends, ends[::-1], np.array([255.0, 255.0]), "bare, n = 2", LIGHT)
    axes = figure.axes[0]
    dots = thinned(bundle.gallery.local_m.astype(np.float64))
    drawn = [np.asarray(found.get_offsets()) for found in axes.collections if isinstance(found, PathCollection)]
    assert any(offsets.shape == dots.shape and np.allclose(offsets, dots, atol=0.2) for offsets in drawn)
    assert any(isinstance(found, LineCollection) and len(found.get_segments()) for found in axes.collections)
    border = to_rgba(LIGHT_MAP["grounds_edge"])
    edges = [np.asarray(found.get_edgecolor()) for found in axes.collections if isinstance(found, PathCollection)]
    assert sum(edge.shape == (1, 4) and np.allclose(edge[0], border) for edge in edges) == len(bundle.zones)
    told = [text.get_text().replace("\n", " ") for text in axes.texts]
    assert {zone.name for zone in bundle.manifest.zones} & set(told)
    assert sum(" m" in text for text in told) == 1
