"""Bursts and walks of a small real bundle: what is fitted on them, and how they are judged."""

from __future__ import annotations

import csv
import json
import sys
from dataclasses import replace
from datetime import datetime, timedelta
from pathlib import Path

import numpy as np
import pytest
from numpy.typing import NDArray

import train.__main__
from core.campus.bundle import Bundle, save_bundle
from core.campus.fusion_parameters import Fusion, RadiusKind
from core.campus.parameters import PosteriorParams
from core.cli.run import run_cli
from core.engines.heads import run_all
from core.locate.evidence import Evidence
from core.locate.localizer import Localizer
from core.locate.posterior import Posterior
from tests.bundles import make_bundle, photo
from train.bundle.fit_fusion import Answered, fit_fusion
from train.dataset.dataset import Dataset
from train.dataset.images import decode_images
from train.evaluate.fused import FOREIGN_DRAWS, as_json, evaluate_fused, lines

BURSTS, PHOTOS = 24, 4


@pytest.fixture(scope="module")
def localizer(tmp_path_factory: pytest.TempPathFactory) -> Localizer:
    return Localizer.load(make_bundle(tmp_path_factory.mktemp("bundles") / "field"))


def walk(folder: Path, localizer: Localizer, seed: int, off_m: float = 14.0, timed: bool = True) -> Dataset:
    """A walk over the field: at each standpoint a few photos, whose colours err independently."""
    rng, frame = np.random.default_rng(seed), localizer.bundle.manifest.frame
    (folder / "images").mkdir(parents=True)
    start = datetime(2026, 3, 1, 10, 0, 0)
    with (folder / "gt.csv").open("w", newline="") as stream:
        writer = csv.writer(stream)
        writer.writerow(["image_name", "lat", "lon", "local_time", "session"])
        for burst in range(BURSTS):
            place = np.array([-70 + 6 * burst, 20 * np.sin(burst / 3)])
            for number in range(PHOTOS):
                east, north = place + rng.normal(0, off_m, 2)
                name = f"{burst:02d}-{number}.jpg"
                data = photo(east_m=east, north_m=north, size=(64, 64), view=1 + burst * PHOTOS + number)
                (folder / "images" / name).write_bytes(data)
                time = start + timedelta(seconds=20 * burst + 2 * number)
                lat, lon = frame.to_latlon(place)
                writer.writerow([name, f"{lat:.8f}", f"{lon:.8f}", time.isoformat() if timed else "", seed])
    return Dataset.load(folder)


def fit(
    localizer: Localizer,
    dataset: Dataset,
    count: int | None = None,
    posterior: Posterior | None = None,
    evidence: tuple[Evidence | None, ...] = (),
    gain: float = 1.0,
    closed: NDArray[np.bool_] | None = None,
) -> Fusion:
    rows = np.arange(len(dataset))[:count]
    images = decode_images([dataset.image_paths[row] for row in rows], localizer.bundle.manifest.image_size)
    local_m = localizer.bundle.manifest.frame.to_local(*dataset.latlon.T)
    heads = run_all(localizer.engine, images)
    said, calibration = evidence or (None,) * len(rows), localizer.bundle.manifest.calibration
    answered = Answered.by(rows, heads, images, posterior or localizer.posterior, said, calibration, None)
    plain = Answered.by(rows, heads, images, localizer.posterior, (None,) * len(rows), calibration, None)
    return fit_fusion(dataset, local_m, [answered], gain, closed, [plain] if evidence else [])


@pytest.fixture(scope="module")
def calibration(localizer: Localizer, tmp_path_factory: pytest.TempPathFactory) -> Dataset:
    """A walk to fit on."""
    return walk(tmp_path_factory.mktemp("walks") / "calibration", localizer, 1)


@pytest.fixture(scope="module")
def fusion(localizer: Localizer, calibration: Dataset) -> Fusion:
    """What is fitted on all of it."""
    return fit(localizer, calibration)


@pytest.fixture(scope="module")
def fusion_of_60(localizer: Localizer, calibration: Dataset) -> Fusion:
    """What is fitted on its first 60 photos."""
    return fit(localizer, calibration, 60)


def test_what_is_fitted_holds_for_another_walk(localizer: Localizer, fusion: Fusion, tmp_path: Path) -> None:
    assert set(fusion.radii) == {"2", "3", "4+", "walk", "smoothed"}
    assert (fusion.photos, fusion.walks) == (BURSTS * PHOTOS, 1)
    assert (fusion.together.floor, fusion.together.further_weight) == (0.05, 0.5)  # held, not fitted
    manifest = localizer.bundle.manifest
    fitted = Localizer(Bundle(localizer.bundle.path, manifest.model_copy(update={"fusion": fusion})), localizer.engine)
    other = walk(tmp_path / "test", localizer, 2)
    found = evaluate_fused(fitted, other, np.arange(len(other)), 12.0, as_walks=True)
    single = found.together["1"].metrics
    assert [judged.metrics.n for judged in found.together.values()] == [96, 96, 72, 96, 96]
    errors = [judged.metrics.mean_m for judged in found.together.values()]
    assert errors[0] > errors[1] > errors[2] > errors[3] == errors[4]
    assert found.walk is not None
    assert found.smoothed is not None
    assert found.smoothed.metrics.mean_m < found.walk.metrics.mean_m < single.mean_m
    for judged in (*found.together.values(), found.walk, found.smoothed)[1:]:
        assert judged.metrics.coverage68 == pytest.approx(0.68, abs=0.2)
        assert judged.metrics.coverage95 > 0.75  # 24 bursts, each of one error
    # The defaults, with a single photo's radii, promise what they do not hold.
    plain = evaluate_fused(localizer, other, np.arange(len(other)), 12.0).together["3"].metrics
    assert abs(plain.coverage68 - 0.68) > abs(found.together["3"].metrics.coverage68 - 0.68)


def test_a_foreign_photo_in_every_burst_is_named_and_not_obeyed(localizer: Localizer, tmp_path: Path) -> None:
    """Rendered: each burst with a photo of the walk's other end, as sure as its own four."""
    made = walk(tmp_path / "test", localizer, 2)
    found = evaluate_fused(localizer, made, np.arange(len(made)), 12.0, foreign=True)
    whole, mixed = found.together["bursts"], found.foreign
    assert mixed is not None
    assert len(mixed.row) % (FOREIGN_DRAWS * PHOTOS) == 0
    assert len(np.unique(mixed.row)) == len(made)
    assert np.mean([fix.outliers == (PHOTOS,) for fix in mixed.fixes]) > 0.5
    own_m = dict(zip(whole.row, whole.error_m, strict=True))
    assert mixed.error_m.mean() < 1.15 * np.mean([own_m[row] for row in mixed.row])
    assert any("and a foreign one" in line for line in lines(found))
    assert as_json(found)["foreign"] == mixed.metrics.model_dump()


def test_a_foreign_photo_without_bursts_is_an_error(
    localizer: Localizer, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setattr(sys, "argv", ["train", "evaluate", str(localizer.bundle.path), str(tmp_path), "--foreign"])
    assert run_cli(train.__main__.main) == 2
    assert "give --together" in capsys.readouterr().err


@pytest.mark.parametrize("flag", ["--together", "--walk"])
def test_photos_without_times_are_found_before_they_are_located(
    flag: str,
    localizer: Localizer,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
) -> None:
    untimed = walk(tmp_path / "untimed", localizer, 1, timed=False)
    untimed.image_paths[0].write_bytes(b"locating ends here")
    words = ["train", "evaluate", str(localizer.bundle.path), str(untimed.root), flag]
    monkeypatch.setattr(sys, "argv", words)
    assert run_cli(train.__main__.main) == 2
    assert "no photo has a date and time" in capsys.readouterr().err


def test_without_times_or_with_few_bursts_it_is_the_defaults(
    localizer: Localizer, calibration: Dataset, tmp_path: Path
) -> None:
    untimed = walk(tmp_path / "untimed", localizer, 1, timed=False)
    assert fit(localizer, untimed) == Fusion()
    assert fit(localizer, calibration, 8) == Fusion()


def test_fixes_are_counted_and_not_their_photos(fusion: Fusion, fusion_of_60: Fusion) -> None:
    """Fifteen bursts of four are thirty pairs; they are only fifteen fixes of three or of four photos."""
    counted = {kind: radii.fixes for kind, radii in fusion.radii.items()}
    assert counted == {"2": 2 * BURSTS, "3": BURSTS, "4+": BURSTS, "walk": BURSTS * PHOTOS, "smoothed": BURSTS * PHOTOS}
    assert set(fusion_of_60.radii) == {"2", "walk", "smoothed"}


def test_the_section_survives_the_bundle_s_file(localizer: Localizer, fusion_of_60: Fusion, tmp_path: Path) -> None:
    bundle = localizer.bundle
    files = {name: bundle.read(name) for name in bundle.manifest.files}
    saved = save_bundle(tmp_path / "saved", bundle.manifest.model_copy(update={"fusion": fusion_of_60}), files)
    assert Bundle.load(saved.path).manifest.fusion == fusion_of_60
    assert Bundle.load(bundle.path).manifest.fusion == Fusion()


@pytest.mark.slow
def test_evaluate_prints_and_writes_bursts_and_walks(
    localizer: Localizer, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    walk(tmp_path / "walk", localizer, 3)
    words = [
        "evaluate",
        localizer.bundle.path,
        tmp_path / "walk",
        "--together",
        "--walk",
        "--json",
        tmp_path / "m.json",
    ]
    words += ["--report", tmp_path / "report"]
    monkeypatch.setattr(sys, "argv", ["train", *map(str, words)])
    assert run_cli(train.__main__.main) == 0
    printed = capsys.readouterr().out
    assert "whole bursts" in printed
    assert "walk, smoothed" in printed
    figures = json.loads((tmp_path / "m.json").read_text())
    assert list(figures["together"]) == ["1", "2", "3", "4+", "bursts"]
    assert figures["together"]["1"]["mean_m"] == pytest.approx(figures["mean_m"], rel=1e-6)
    for found in (*figures["together"].values(), figures["walk"], figures["smoothed"]):
        assert {"n", "mean_m", "median_m", "coverage68", "coverage95"} <= set(found)
    drawn = {path.name for path in (tmp_path / "report").iterdir()}
    assert {"error-by-photos.png", "walk-map.png", "worst-bursts.png"} <= drawn


def test_photos_looked_at_twice_are_fused_by_their_second_maps(
    localizer: Localizer, calibration: Dataset, fusion: Fusion
) -> None:
    first = localizer.posterior
    gallery = first.gallery
    assert gallery is not None
    twice = Posterior(first.grid, first.zones, gallery, first.params, first.scale_m)
    twice.matched = Posterior(
        first.grid, first.zones, gallery, PosteriorParams(0.01, 0.0, 0.97, 0.02, neighbours=len(gallery)), first.scale_m
    )
    truth_m = localizer.bundle.manifest.frame.to_local(*calibration.latlon.T)
    nearest = np.linalg.norm(gallery.local_m - truth_m[:, None], axis=2).argmin(axis=1)
    evidence = tuple(Evidence(np.array([[row]]), np.array([[50.0]])) for row in nearest)
    seen_twice = fit(localizer, calibration, posterior=twice, evidence=evidence)
    for kind in ("2", "walk"):
        assert seen_twice.radii[kind].radius_at_m[0] < 0.7 * fusion.radii[kind].radius_at_m[0]
        # Where no second look is taken their radii are those of first looks, fused by what was fitted to second ones.
        first_look = seen_twice.first_look_radii[kind].radius_at_m[0]
        assert first_look == pytest.approx(fusion.radii[kind].radius_at_m[0], rel=0.1)
    assert fusion.first_look_radii == {}


def test_a_further_session_s_gain_narrows_68_radii_alone(
    localizer: Localizer, calibration: Dataset, fusion_of_60: Fusion
) -> None:
    gained = fit(localizer, calibration, 60, gain=0.8)
    assert {"2", "walk", "smoothed"} <= gained.radii.keys() == fusion_of_60.radii.keys()
    for kind, radii in fusion_of_60.radii.items():
        assert gained.radii[kind].radius68_factors == pytest.approx([0.8 * factor for factor in radii.radius68_factors])
        assert gained.radii[kind].radius95_factors == radii.radius95_factors


def test_refused_photos_of_a_burst_are_counted_as_run_time_will(localizer: Localizer, calibration: Dataset) -> None:
    """Half of the photos are refused, though they are right: radii are of the fixes that their bursts will get."""
    rows = np.arange(48)
    images = decode_images(calibration.image_paths[:48], localizer.bundle.manifest.image_size)
    heads, radii = run_all(localizer.engine, images), localizer.bundle.manifest.calibration
    none = (None,) * len(rows)
    answered = Answered.by(rows, heads, images, localizer.posterior, none, radii, None)
    assert answered.known.all()
    assert heads.ood_score is not None
    strange = replace(heads, ood_score=np.where(rows[:, None] % 2, 1.0, heads.ood_score).astype(np.float32))
    half = Answered.by(rows, strange, images, localizer.posterior, none, radii, None)
    assert (half.known == (rows % 2 == 0)).all()
    manifest = localizer.bundle.manifest
    fusion = fit_fusion(calibration, manifest.frame.to_local(*calibration.latlon.T), [half])
    assert fusion.together.refused_until > 2  # they say where the others are, so they are worth being counted


def test_refused_photos_move_no_calibration_walk(
    localizer: Localizer, calibration: Dataset, fusion_of_60: Fusion
) -> None:
    """Every other photo is refused, and says another place: run time passes it by, and so do the walk's radii."""
    rows = np.arange(60)
    images = decode_images(calibration.image_paths[:60], localizer.bundle.manifest.image_size)
    heads, radii = run_all(localizer.engine, images), localizer.bundle.manifest.calibration
    assert heads.ood_score is not None
    said = heads.at(np.where(rows % 2, np.roll(rows, 30), rows))
    strange = replace(said, ood_score=np.where(rows[:, None] % 2, 1.0, heads.ood_score).astype(np.float32))
    half = Answered.by(rows, strange, images, localizer.posterior, (None,) * len(rows), radii, None)
    local_m = localizer.bundle.manifest.frame.to_local(*calibration.latlon.T)
    assert radius68_m(fit_fusion(calibration, local_m, [half]), "walk") < 1.5 * radius68_m(fusion_of_60, "walk")


def test_radii_are_fitted_where_the_map_lets_people_stand(
    localizer: Localizer, calibration: Dataset, fusion_of_60: Fusion
) -> None:
    """A map on which buildings stand wherever no training photo was taken draws fixes to those places."""
    grid, gallery = localizer.bundle.manifest.grid, localizer.posterior.gallery
    assert gallery is not None
    closed = np.ones((grid.rows, grid.columns), bool)
    column, row = ((gallery.local_m - (grid.west_m, grid.south_m)) / grid.cell_m).astype(int).T
    closed[row, column] = False
    shut = fit(localizer, calibration, 60, closed=closed)
    assert radius68_m(shut, "2") < 0.99 * radius68_m(fusion_of_60, "2")


def radius68_m(fusion: Fusion, kind: RadiusKind) -> float:
    """The calibrated 68 % radius of a fix of usual doubt."""
    radii = fusion.radii[kind]
    return radii.radius_at_m[0] * radii.radius68_factors[0]
