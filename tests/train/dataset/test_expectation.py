from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest

from core.campus.frame import LocalFrame
from train.dataset.dataset import Dataset
from train.dataset.expectation import WITHIN, expect
from train.dataset.ingest import ingest

FRAME = LocalFrame.about(47.0, 8.4)


def grid(steps: int, apart_m: float) -> np.ndarray:
    axis = np.arange(steps) * apart_m
    return np.stack([part.ravel() for part in np.meshgrid(axis, axis)], axis=1)


def test_it_counts_photos_places_and_metres() -> None:
    points = np.repeat(grid(5, 20.0), 3, axis=0)
    told = expect(FRAME.to_latlon(points))
    assert (told.photos, told.places) == (75, 25)
    assert told.width_m == pytest.approx(80, abs=0.1)
    assert told.area_m2 == pytest.approx(80 * 80 + 4 * 80 * 15 + np.pi * 15**2, rel=0.02)


def test_more_places_and_more_views_help_and_a_larger_campus_hurts() -> None:
    base = expect(FRAME.to_latlon(grid(5, 20.0)))
    assert base.with_more(25).median_m < base.median_m
    assert expect(FRAME.to_latlon(np.repeat(grid(5, 20.0), 4, axis=0))).median_m < base.median_m
    assert expect(FRAME.to_latlon(grid(5, 40.0))).median_m > base.median_m


def test_thin_campuses_are_told_what_would_help_and_thick_ones_are_not() -> None:
    thin = expect(FRAME.to_latlon(grid(6, 40.0))).lines()
    assert len(thin) == 2
    assert "4 at each of" in thin[1]
    assert len(expect(FRAME.to_latlon(np.repeat(grid(12, 6.0), 10, axis=0))).lines()) == 1


def test_one_photo_is_no_reason_to_stumble() -> None:
    assert expect(np.array([[47.0, 8.4]])).median_m > 0


def test_the_original_s_campus_comes_out_as_measured(campus_data: Path) -> None:
    """1,050 photos of all other sessions gave a median of 18 m on B-1225-night, 813 gave 20 m on A-1222-night."""
    dataset = Dataset.load(campus_data / "bgu")
    session = np.array(dataset.column("session"))
    for held, measured_m in (("B-1225-night", 18.1), ("A-1222-night", 19.8), ("A-1223-morning", 19.5)):
        told_m = expect(dataset.latlon[session != held]).median_m
        assert measured_m / WITHIN < told_m < measured_m * WITHIN


def test_a_small_quad_is_told_that_its_photos_are_few(campus_data: Path, tmp_path: Path) -> None:
    """52 training photos of this quad gave a median of 53 m; these are 34 of it."""
    ingest(campus_data / "penn" / "photos", tmp_path / "penn")
    told = expect(Dataset.load(tmp_path / "penn").latlon)
    assert 53 / WITHIN < told.median_m < 53 * WITHIN * (52 / 34) ** 0.35
    assert len(told.lines()) == 2
