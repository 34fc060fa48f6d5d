from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import numpy as np

from core.campus.bundle import Bundle, save_bundle
from core.engines.heads import Heads
from core.locate.localizer import DEMO_BUNDLE
from train.bundle.calibration_photos import CALIBRATION, HELD_OUT, CalibrationPhotos
from train.grow.radii import leave_one_walk_out


def test_photos_that_the_network_has_seen_keep_what_was_said_before_it_had() -> None:
    bundle = Bundle.load(DEMO_BUNDLE)
    gallery = bundle.gallery
    assert gallery is not None
    rows = np.arange(6)
    heads = Heads(np.zeros((6, 2), np.float32), embedding=gallery.embedding[rows])
    truth_m = gallery.local_m[rows].astype(np.float64)
    photos = CalibrationPhotos.held_out(heads, truth_m, np.full(6, np.nan), len(gallery))
    judged = photos.judged.copy()
    judged[:4] = [50.0, 60.0, 120.0]
    error_m, raw_m = leave_one_walk_out(replace(photos, judged=judged), gallery, bundle.manifest.grid, bundle)
    assert (error_m[:4] == 50).all()
    assert (raw_m[:4] == [60, 120]).all()
    assert (error_m[4:] < 50).all()  # found in the gallery that holds them
    assert (raw_m[4:] > 0).all()
    more = replace(photos, judged=judged).with_walk(heads, truth_m, np.full(6, np.nan))
    assert np.isnan(more.judged[6:]).all()
    assert (more.judged[:4] == judged[:4]).all()


def test_the_file_holds_what_a_refresh_needs(tmp_path: Path) -> None:
    bundle = Bundle.load(DEMO_BUNDLE)
    assert bundle.gallery is not None
    heads = Heads(np.zeros((3, 2), np.float32), embedding=bundle.gallery.embedding[:3])
    photos = CalibrationPhotos.held_out(heads, np.zeros((3, 2)), np.full(3, np.nan), len(bundle.gallery))
    strength = np.array([0.5, 1.5, np.nan])
    told = replace(photos, strength=strength, known_row=np.arange(7, dtype=np.int32))
    files = {name: bundle.read(name) for name in bundle.manifest.files} | {CALIBRATION: told.file()}
    read = CalibrationPhotos.of(save_bundle(tmp_path / "new", bundle.manifest, files))
    assert read is not None
    assert np.array_equal(read.strength, strength, equal_nan=True)
    assert read.known_row is not None
    assert read.known_row.tolist() == list(range(7))


def test_the_rows_of_calibration_photos_in_the_gallery_by_hand() -> None:
    heads = Heads(np.zeros((5, 2), np.float32))
    photos = CalibrationPhotos.held_out(heads, np.zeros((5, 2)), np.full(5, np.nan), 6)
    walk, gallery_walk = np.array([1, 0, HELD_OUT, 0, 1], np.int32), np.array([0, 1, HELD_OUT, 1, 0, 1], np.int32)
    # Of walk 1 the first photo was let go.
    assert replace(photos, walk=walk, gallery_walk=gallery_walk).gallery_row.tolist() == [3, 0, HELD_OUT, 4, 5]
