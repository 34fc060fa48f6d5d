from __future__ import annotations

from dataclasses import replace

import numpy as np

from core.campus.bundle import Bundle
from core.engines.heads import Heads
from core.locate.localizer import DEMO_BUNDLE
from train.bundle.calibration_photos import CalibrationPhotos
from train.grow.refresh import _judged


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
    error_m, raw_m = _judged(replace(photos, judged=judged), gallery, bundle.manifest.grid, bundle)
    assert (error_m[:4] == 50).all()
    assert (raw_m[:4] == [60, 120]).all()
    assert (error_m[4:] < 50).all()  # found in the gallery that holds them
    assert (raw_m[4:] > 0).all()
    more = replace(photos, judged=judged).with_walk(heads, truth_m, np.full(6, np.nan))
    assert np.isnan(more.judged[6:]).all()
    assert (more.judged[:4] == judged[:4]).all()
