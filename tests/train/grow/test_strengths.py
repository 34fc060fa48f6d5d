"""What a second look says of photos of other places grows with new photos."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import numpy as np

from core.campus.bundle import save_bundle
from tests.second_looks import bundle_with_second_look, needs_xfeat
from tests.train.grow.walks import scattered, write_walks
from train.bundle.calibration_photos import CALIBRATION, CalibrationPhotos
from train.grow.arrivals import read_arrivals
from train.grow.refresh import refreshed

SIZE = 64


@needs_xfeat
def test_quantiles_are_of_old_and_new_photos_where_the_bundle_holds_matches(tmp_path: Path) -> None:
    """A bundle that holds none keeps them, and says so."""
    old = bundle_with_second_look(tmp_path)
    assert old.manifest.second_look is not None
    arrivals = read_arrivals(write_walks(tmp_path / "new", {"a": scattered(12, 1), "b": scattered(12, 2)}), SIZE)
    features = np.eye(64, dtype=np.float32)[:60]
    arrivals = replace(arrivals, local=(features,) * len(arrivals))
    kept = refreshed(old, arrivals)
    assert kept.manifest.second_look is not None
    assert kept.manifest.second_look.calibration.ood_quantiles == old.manifest.second_look.calibration.ood_quantiles
    assert any("second look" in line for line in kept.lines())

    first = save_bundle(tmp_path / "first", kept.manifest, kept.files)
    photos = CalibrationPhotos.of(first)
    assert photos is not None
    assert np.isnan(photos.strength).all()
    strength = np.full(len(photos), 1.0)
    files = {name: first.read(name) for name in first.manifest.files}
    files[CALIBRATION] = replace(photos, strength=strength).file()
    one = np.uint64(1)
    later = replace(arrivals, digest=arrivals.digest + one, source_digest=arrivals.source_digest + one)
    again = refreshed(save_bundle(tmp_path / "holds", first.manifest, files), later)
    grown = CalibrationPhotos.of(save_bundle(tmp_path / "grown", again.manifest, again.files))
    assert grown is not None
    assert (grown.strength[: len(photos)] == 1.0).all()
    assert np.isfinite(grown.strength).all()  # each walk is matched with the other
    look = again.manifest.second_look
    assert look is not None
    statistic = look.ood_statistic(grown.heads.own_ood_score, grown.strength)
    assert np.allclose(look.calibration.ood_quantiles[::50], np.quantile(statistic, [0, 0.5, 1]), atol=2e-3)
    assert not any("second look" in line for line in again.lines())
