"""A second look fitted to photos: it pays where details tell places apart, and is left out where they do not."""

from __future__ import annotations

from concurrent.futures import Future
from dataclasses import replace
from multiprocessing import active_children
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from core.campus.file_names import LOCAL_GALLERY, LOCAL_LICENCE, LOCAL_MODEL
from core.campus.gallery import Gallery
from core.campus.grid import Grid
from core.campus.manifest import Calibration
from core.campus.parameters import PosteriorParams
from core.campus.zones import Zones
from core.engines.heads import Heads
from core.errors import EngineError
from core.io.arrays import read_npz
from core.locate.evidence import Evidence
from core.locate.posterior import Posterior
from tests.second_looks import PLACES_M, facade, needs_xfeat
from train.bundle.local_files import LocalNetwork, local_network
from train.bundle.look_again import LookedAgain, Questioned, look_again, network_to_look_again
from train.bundle.second_look import Asked, cross_fitted_gain, fit_evidence, look_limit_m, sharpest, strength_weight

PLACES = len(PLACES_M)
ASKED, MANY = 24, 300
CALIBRATION = Calibration(photos=ASKED, radius_at_m=(1.0,), radius68_factors=(1.0,), radius95_factors=(1.0,))


def _posterior() -> Posterior:
    """A gallery of places that look alike."""
    gallery = Gallery(np.ones((PLACES, 1), np.float32), np.array(PLACES_M, np.float32))
    grid = Grid.around(PLACES_M, margin_m=30.0, cell_m=4.0)
    params = PosteriorParams(regression_weight=0.01, zone_weight=0.0, retrieval_weight=0.94, floor_weight=0.05)
    return Posterior(grid, Zones(()), gallery, params, 100.0)


def _heads(photos: int) -> Heads:
    return Heads(np.zeros((photos, 2), np.float32), embedding=np.ones((photos, 1), np.float32))


def _asked(strength_of_truth: float) -> Asked:
    """Photos of places at random; the match strength of their own place, and noise on all."""
    rng = np.random.default_rng(0)
    place = rng.integers(0, PLACES, MANY)
    strength = rng.uniform(0, 1, (MANY, PLACES))
    strength[np.arange(MANY), place] += strength_of_truth
    evidence = Evidence(np.tile(np.arange(PLACES), (MANY, 1)), strength)
    return Asked(_posterior(), _heads(MANY), np.array(PLACES_M)[place] + rng.normal(0, 2, (MANY, 2)), evidence)


def test_matches_that_tell_the_place_get_weight_and_those_that_do_not_get_little() -> None:
    (_, telling), (_, idle) = fit_evidence([_asked(2.0)]), fit_evidence([_asked(0.0)])
    assert telling > 1.5 > 0.7 > idle
    assert cross_fitted_gain([_asked(2.0)]) > 1.0
    assert cross_fitted_gain([_asked(0.0)]) < 0.05


def test_a_match_counts_half_of_what_the_network_says_of_a_stranger_and_alone_where_it_says_nothing() -> None:
    rng = np.random.default_rng(0)
    own, best = rng.normal(0.1, 0.05, MANY), rng.normal(2.0, 0.5, MANY)
    assert strength_weight(own, best) == pytest.approx(0.05, rel=0.2)
    assert strength_weight(np.zeros(MANY), best) == 1.0
    assert np.isfinite(strength_weight(own, np.zeros(MANY)))


def test_halves_are_groups_where_there_are_several() -> None:
    good, idle = _asked(2.0), _asked(0.0)
    assert cross_fitted_gain([good, good]) > 1.0
    assert cross_fitted_gain([good, idle]) < cross_fitted_gain([good, good]) / 2


def test_maps_are_read_sharply_where_that_brings_fixes_nearer() -> None:
    telling, idle = _asked(2.0), _asked(0.0)
    wide = replace(telling.posterior.params, retrieval_weight=0.49, floor_weight=0.5)
    sharp = sharpest([telling], wide, 1.5)
    assert sharp == replace(wide, sharpness=sharp.sharpness)
    assert sharp.sharpness > 1
    assert _mean_error_m(telling, sharp) < _mean_error_m(telling, wide)
    assert sharpest([idle], wide, 1.5).sharpness == 1  # where nothing tells, the middle is the best guess


def _mean_error_m(asked: Asked, params: PosteriorParams) -> float:
    posterior, evidence = asked.with_params(params).posterior, asked.evidence.scaled(1.5)
    maps = [posterior.map(asked.heads.one(row), evidence.of(slice(row, row + 1))) for row in range(MANY)]
    return float(np.mean([np.linalg.norm(one.median_m() - at) for one, at in zip(maps, asked.truth_m, strict=True)]))


def test_where_a_first_look_is_as_good_there_is_no_second() -> None:
    radius_m = np.linspace(1, 100, 100)
    first = np.where(radius_m < 40, 5.0, 50.0)
    second = np.full(100, 5.0)
    limit_m = look_limit_m(first, second, radius_m, np.zeros(100, bool))
    assert 35 < limit_m < 41
    assert look_limit_m(second + 1, second, radius_m, np.zeros(100, bool)) < 10
    everywhere_split = look_limit_m(first, second, radius_m, np.ones(100, bool))
    assert everywhere_split > 85


@needs_xfeat
def test_a_dataset_gets_its_second_look_and_files(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("train.bundle.local_files.LONG_SIDE", 256)
    monkeypatch.setattr("train.bundle.local_files.SHORT_SIDE", 192)
    paths, place = [], np.arange(ASKED) % PLACES
    for index in range(PLACES + ASKED):
        gallery = index < PLACES
        pixels = facade(index) if gallery else facade(place[index - PLACES], shift=index % 15 - 7, noise=10)
        paths.append(tmp_path / f"{index}.png")
        Image.fromarray(pixels).save(paths[-1])
    gallery_rows, rows = np.arange(PLACES), np.arange(PLACES, PLACES + ASKED)
    asked = Questioned(_posterior(), _heads(ASKED), np.array(PLACES_M)[place], rows, gallery_rows)
    with network_to_look_again(paths, gallery_rows, rows) as network:
        assert network is not None
        again = look_again(paths, [asked], gallery_rows, CALIBRATION, network)
    look, files = again.look, again.files
    assert look is not None
    assert (look.height, look.width) == (192, 256)
    assert look.match_weight > 0.5
    (evidence,) = again.evidence
    assert len(evidence) == ASKED
    assert any(one is not None for one in evidence)
    assert all(one is None or one.rows.shape == (1, PLACES) for one in evidence)
    assert set(files) == {LOCAL_MODEL, LOCAL_GALLERY, LOCAL_LICENCE}
    descriptor = read_npz(files[LOCAL_GALLERY], ("descriptor",))["descriptor"]
    assert descriptor.dtype == np.int8
    assert descriptor[0].nbytes <= 16_000


@needs_xfeat
def test_an_export_that_is_killed_is_one_line_and_no_traceback(tmp_path: Path) -> None:
    Image.fromarray(facade(1)).save(photo := tmp_path / "a.jpg")
    others = set(active_children())
    with local_network([photo]) as network:
        (exporting,) = set(active_children()) - others
        exporting.kill()
        with pytest.raises(EngineError, match="ended from outside, as where memory runs out: try again"):
            network.exported()


@needs_xfeat
def test_few_photos_have_no_second_look_and_hear_why(caplog: pytest.LogCaptureFixture) -> None:
    caplog.set_level("INFO")
    with network_to_look_again([], np.arange(9), np.arange(9, 14)) as network:
        assert network is None
    assert "no second look: 5 photos to fit it to, fewer than 20" in caplog.text


def test_a_campus_without_a_gallery_has_no_second_look() -> None:
    plain = _posterior()
    plain.gallery = None
    asked = Questioned(plain, _heads(5), np.zeros((5, 2)), np.arange(5), np.arange(0))
    network = LocalNetwork((64, 64), Future())  # is not asked for
    assert look_again([], [asked], np.arange(0), CALIBRATION, network) == LookedAgain(None, {}, ((None,) * 5,))
