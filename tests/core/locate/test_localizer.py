from __future__ import annotations

import subprocess
import sys
from copy import copy
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
import threadpoolctl

from core.campus.manifest import LEAST_TO_TELL
from core.engines.choose import open_engine
from core.engines.heads import Heads, checked_heads, run_all
from core.engines.onnx_engine import OnnxEngine
from core.errors import BundleError, EngineError, PhotoError
from core.locate.localizer import Localizer, shared_localizer
from predict import predict_gps
from tests import REPOSITORY
from tests.bundles import Kind, off_m, photo


@pytest.mark.parametrize("place", [(0.0, 0.0), (50.0, -34.0), (-70.0, 70.0)])
def test_a_fix_is_where_the_photo_was_taken(localizer: Localizer, place: tuple[float, float]) -> None:
    fix = localizer.locate(photo(east_m=place[0], north_m=place[1]))
    assert off_m(fix, *place) < 10
    assert fix.on_campus
    assert fix.radius68_m is not None
    assert fix.radius95_m is not None
    assert 0 < fix.radius68_m <= fix.radius95_m
    assert (fix.radius68_m, fix.radius95_m) == fix.map_radii_m
    assert fix.zone is fix.zones[0]
    assert sum(zone.probability for zone in fix.zones) == pytest.approx(1, abs=0.1)
    assert [zone.probability for zone in fix.zones] == sorted((z.probability for z in fix.zones), reverse=True)
    assert set(fix.timings_ms) == {"decode", "preprocess", "network", "posterior"}


@pytest.mark.parametrize("kind", ["good", "wide", "split", "elsewhere"])
def test_a_position_alone_is_that_of_the_fix(localizer: Localizer, kind: Kind) -> None:
    fix = localizer.locate(photo(kind))
    assert localizer.position(photo(kind)) == (fix.lat, fix.lon)


def test_a_fix_leaves_the_threads_of_numpy_as_they_were(localizer: Localizer) -> None:
    def blas() -> list[int]:
        return [library["num_threads"] for library in threadpoolctl.threadpool_info() if library["user_api"] == "blas"]

    with threadpoolctl.threadpool_limits(2, user_api="blas"):
        before = blas()
        localizer.locate(photo())
        assert blas() == before


def test_two_places_that_fit_are_two_candidates_and_a_wide_radius(localizer: Localizer) -> None:
    good, split = localizer.locate(photo()), localizer.locate(photo("split"))
    assert len(split.candidates) >= 2
    assert split.radius68_m > good.radius68_m


def test_a_photo_of_elsewhere_is_not_on_campus_has_no_radius_and_still_a_best_guess(localizer: Localizer) -> None:
    fix = localizer.locate(photo("elsewhere"))
    assert not fix.on_campus
    assert (fix.radius68_m, fix.radius95_m) == (None, None)
    assert 0 < fix.map_radii_m[0] <= fix.map_radii_m[1]
    assert {"map_radii_m", "probability"}.isdisjoint(plain := fix.as_dict())
    assert plain["radius68_m"] is None
    assert fix.ood_score > 1 - localizer.bundle.manifest.calibration.off_campus_share
    assert np.isfinite([fix.lat, fix.lon]).all()


def test_a_campus_of_few_photos_cannot_tell_other_places_from_itself(localizer: Localizer) -> None:
    few, manifest = copy(localizer.bundle), localizer.bundle.manifest
    calibration = manifest.calibration.model_copy(update={"photos": LEAST_TO_TELL - 1})
    few.manifest = manifest.model_copy(update={"calibration": calibration})
    small = Localizer(few, localizer.engine)
    fix = small.locate(photo())
    assert (fix.on_campus, fix.refused) == (None, False)
    assert fix.as_dict()["on_campus"] is None
    assert replace(fix, on_campus=True) == replace(localizer.locate(photo()), timings_ms=fix.timings_ms)
    assert small.locate(photo("elsewhere")).refused  # beyond every photo that it has seen
    assert small.locate_together([photo(), photo(view=1)]).on_campus is None
    walk = small.walk()
    assert walk.add(photo(), 0.0).on_campus is None
    assert walk.add(photo("elsewhere"), 100.0).refused


def test_a_fix_is_ready_for_json(localizer: Localizer) -> None:
    import json

    plain = json.loads(json.dumps(localizer.locate(photo()).as_dict()))
    assert plain["zone"] == plain["zones"][0]
    assert plain["lat"] == pytest.approx(47.0, abs=0.01)


@pytest.mark.parametrize("size", [(1, 1), (1, 500), (3000, 2)])
def test_any_size_of_photo_is_accepted(
    monkeypatch: pytest.MonkeyPatch, localizer: Localizer, size: tuple[int, int]
) -> None:
    monkeypatch.setenv("CAMPUS_BUNDLE", str(localizer.bundle.path))
    answer = predict_gps(np.full((*size, 3), 127, np.uint8))
    assert answer.shape == (2,)
    assert answer.dtype == np.float32
    assert answer == pytest.approx([47.0, 8.4], abs=0.01)


@pytest.mark.parametrize(
    ("wrong", "said"),
    [
        (np.zeros((4, 4), np.uint8), r"\(4, 4\)"),
        (np.zeros((4, 4, 4), np.uint8), r"\(4, 4, 4\)"),
        (np.zeros((0, 4, 3), np.uint8), r"\(0, 4, 3\)"),
        (np.zeros((4, 4, 3), np.float32), "float32"),
        ([[0, 0, 0]], "list"),
        ("photo.jpg", "str"),
        (None, "NoneType"),
    ],
)
def test_predict_gps_says_what_was_given_and_what_is_wanted(
    monkeypatch: pytest.MonkeyPatch, localizer: Localizer, wrong: object, said: str
) -> None:
    monkeypatch.setenv("CAMPUS_BUNDLE", str(localizer.bundle.path))
    with pytest.raises(PhotoError, match=said) as error:
        predict_gps(wrong)  # type: ignore[arg-type]
    assert "(H, W, 3) uint8" in str(error.value)


def test_a_localizer_is_loaded_once(localizer: Localizer) -> None:
    path = localizer.bundle.path
    assert shared_localizer(path) is shared_localizer(path)


def test_an_unknown_backend_is_named(localizer: Localizer) -> None:
    with pytest.raises(EngineError, match="'abacus'"):
        open_engine(localizer.bundle, "abacus")


def test_a_model_that_is_no_model() -> None:
    with pytest.raises(EngineError, match="no ONNX file"):
        OnnxEngine(b"not a model", "broken")


def test_outputs_that_are_not_finite_are_an_error_and_never_an_answer() -> None:
    with pytest.raises(EngineError, match="zone_logits"):
        checked_heads({"offset": np.zeros((1, 2), np.float32), "zone_logits": np.full((1, 3), np.nan, np.float32)})
    with pytest.raises(EngineError, match="no output `offset`"):
        checked_heads({"embedding": np.zeros((1, 2), np.float32)})


def test_batches_give_what_single_photos_give(localizer: Localizer) -> None:
    size = localizer.bundle.manifest.image_size
    images = np.random.default_rng(0).integers(0, 255, (5, size, size, 3), dtype=np.uint8)
    whole = run_all(localizer.engine, images, batch=2)
    for index in range(5):
        one = localizer.engine.run(images[index : index + 1])
        assert isinstance(one, Heads)
        assert whole.one(index).offset == pytest.approx(one.offset, abs=1e-5)


def test_importing_core_loads_nothing_heavy() -> None:
    code = "import sys, core; print(sorted({'torch', 'streamlit', 'onnxruntime'} & set(sys.modules)))"
    done = subprocess.run([sys.executable, "-c", code], cwd=REPOSITORY, capture_output=True, text=True, check=True)
    assert done.stdout.strip() == "[]"


def test_locating_needs_no_torch(localizer: Localizer) -> None:
    code = (
        "import sys; sys.modules['torch'] = None\n"
        "import numpy as np; from predict import predict_gps; print(predict_gps(np.zeros((8, 8, 3), np.uint8)))"
    )
    done = subprocess.run(
        [sys.executable, "-c", code],
        cwd=REPOSITORY,
        env={"CAMPUS_BUNDLE": str(localizer.bundle.path), "PATH": ""},
        capture_output=True,
        text=True,
        check=True,
    )
    assert done.stdout.startswith("[")


def test_a_missing_default_bundle_says_so(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    monkeypatch.setenv("CAMPUS_BUNDLE", str(tmp_path / "nowhere"))
    with pytest.raises(BundleError, match="nowhere"):
        predict_gps(np.zeros((8, 8, 3), np.uint8))
