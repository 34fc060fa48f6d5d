"""The network's own OOD score grows with the photos that join a campus."""

from __future__ import annotations

import io
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
import torch
from numpy.typing import NDArray
from onnx import ModelProto, helper, load_model_from_string, numpy_helper

from core.campus.bundle import Bundle, save_bundle
from core.campus.file_names import MODEL_SAFETENSORS
from core.engines.onnx_engine import OnnxEngine
from core.locate.localizer import Localizer
from core.network.net_config import MOST_KNOWN_PHOTOS
from core.network.onnx_export import export_fp32
from core.network.weights import load_net, safetensors_of
from tests.bundles import photo
from tests.train.bundle.test_held_out import make_net
from tests.train.fit.training_sets import SIZE as NET_SIZE
from tests.train.grow.walks import scattered, write_walks
from train.bundle.calibration_photos import CalibrationPhotos
from train.fit.elsewhere import towards_elsewhere
from train.grow import known_photos
from train.grow.arrivals import read_arrivals
from train.grow.checkup import Limits, checkup
from train.grow.known_photos import KnownPhotos, heads_and_features
from train.grow.refresh import refreshed

SIZE = 64


def npz(**arrays: NDArray[np.generic]) -> bytes:
    buffer = io.BytesIO()
    np.savez(buffer, **arrays)  # type: ignore[arg-type]
    return buffer.getvalue()


def with_known_photos(plain: Bundle, out: Path) -> Bundle:
    """The test campus with clear photos alone in its gallery, whose distance is the OOD score."""
    assert plain.gallery is not None
    clear = np.abs(plain.gallery.embedding[:, 4:]).max(axis=1) < 0.01
    embedding = plain.gallery.embedding[clear].astype(np.float16)
    model: ModelProto = load_model_from_string(plain.read("model.onnx"))
    kept = [node for node in model.graph.node if "ood_score" not in node.output]
    added = [
        helper.make_node("MatMul", ["embedding", "known_features"], ["cosine"]),
        helper.make_node("ReduceMax", ["cosine", "axis1"], ["nearest"], keepdims=1),
        helper.make_node("Sub", ["one", "nearest"], ["apart"]),
        helper.make_node("Div", ["apart", "two"], ["ood_score"]),
    ]
    del model.graph.node[:]
    model.graph.node.extend([*kept, *added])
    model.graph.initializer.append(numpy_helper.from_array(embedding.T.astype(np.float32).copy(), "known_features"))
    quantiles = tuple(np.linspace(0.0, 0.02, 101).tolist())
    calibration = plain.manifest.calibration.model_copy(update={"ood_quantiles": quantiles})
    files = {name: plain.read(name) for name in plain.manifest.files} | {
        "model.onnx": model.SerializeToString(),
        "gallery.npz": npz(embedding=embedding, local_m=plain.gallery.local_m[clear].astype(np.float16)),
    }
    return save_bundle(out, plain.manifest.model_copy(update={"calibration": calibration}), files)


def test_light_that_only_new_photos_show_is_refused_before_and_not_after(pristine: Path, tmp_path: Path) -> None:
    """A third kind of photo, which nobody added, stays refused."""
    old = with_known_photos(Bundle.load(pristine), tmp_path / "old")
    night, stranger = photo("elsewhere", east_m=12, north_m=-31), photo("split", east_m=12, north_m=-31)
    before = Localizer.load(old.path)
    assert before.locate(night).refused
    assert before.locate(stranger).refused
    assert not before.locate(photo(east_m=12, north_m=-31)).refused

    walks = write_walks(tmp_path / "new", {"a": scattered(40, 1), "b": scattered(40, 2)}, kind="elsewhere", night=True)
    result = refreshed(old, read_arrivals(walks, SIZE))
    assert result.refused > 0.9
    grown = save_bundle(tmp_path / "new.campus", result.manifest, result.files)
    after = Localizer.load(grown.path)
    assert not after.locate(night).refused
    assert after.locate(stranger).refused
    assert not any("(OOD)" in what for what in result.left)


def test_what_came_is_judged_without_its_own_walk(pristine: Path, tmp_path: Path) -> None:
    """One walk of a light that nothing else shows stays strange to the rest: by it the limit is set."""
    old = with_known_photos(Bundle.load(pristine), tmp_path / "old")
    alone = write_walks(tmp_path / "new", {"a": scattered(40, 1)}, kind="elsewhere")
    limit = refreshed(old, read_arrivals(alone, SIZE)).manifest.calibration.ood_quantiles
    assert limit[-1] > 0.1
    assert old.manifest.calibration.ood_quantiles[-1] == pytest.approx(0.02)


def test_a_second_refresh_goes_on_from_the_first(pristine: Path, tmp_path: Path) -> None:
    bundle = with_known_photos(Bundle.load(pristine), tmp_path / "old")
    assert bundle.gallery is not None
    photos = len(bundle.gallery)
    for seed, name in enumerate(("a", "b"), 1):
        walks = write_walks(tmp_path / name, {name: scattered(10, seed)}, kind="elsewhere")
        result = refreshed(bundle, read_arrivals(walks, SIZE))
        bundle = save_bundle(tmp_path / f"{name}.campus", result.manifest, result.files)
    known = KnownPhotos.of(bundle, CalibrationPhotos.of(bundle))
    assert known is not None
    assert bundle.gallery is not None
    assert known.row.tolist() == list(range(photos + 20))
    assert np.allclose(known.unit, bundle.gallery.embedding, atol=1e-3)


def test_each_figure_of_the_fp32_network_says_so_where_the_campus_runs_in_int8(pristine: Path, tmp_path: Path) -> None:
    old = with_known_photos(Bundle.load(pristine), tmp_path / "old")
    fp32 = refreshed(old, read_arrivals(write_walks(tmp_path / "a", {"a": scattered(10, 1)}), SIZE))
    manifest = fp32.manifest.model_copy(update={"cpu_model": "model.int8.onnx"})
    int8 = replace(fp32, manifest=manifest, files={**fp32.files, "model.int8.onnx": fp32.files["model.onnx"]})
    for name, result, said in (("fp32", fp32, 0), ("int8", int8, 1)):
        errors = [line for line in result.lines() if "error mean" in line]
        assert [line.count("by the FP32 network") for line in errors] == [said, said]
        later = save_bundle(tmp_path / name, result.manifest, result.files)
        found = checkup(
            later, read_arrivals(write_walks(tmp_path / f"{name}-b", {"b": scattered(5, 2)}), SIZE), Limits()
        )
        assert found.when.count("by the FP32 network") == said


def test_photos_that_an_earlier_version_added_are_told_from_the_first_ones(pristine: Path, tmp_path: Path) -> None:
    """It grew the gallery and not what the network knows, and did not say which photos that were."""
    old = with_known_photos(Bundle.load(pristine), tmp_path / "old")
    assert old.gallery is not None
    walks = write_walks(tmp_path / "a", {"a": scattered(10, 1)}, kind="elsewhere")
    result = refreshed(old, read_arrivals(walks, SIZE))
    files = dict(result.files) | {"model.onnx": old.read("model.onnx")}
    early = save_bundle(tmp_path / "early.campus", result.manifest, files)
    photos = CalibrationPhotos.of(early)
    assert photos is not None
    known = KnownPhotos.of(early, replace(photos, known_row=None))
    assert known is not None
    assert known.row.tolist() == list(range(len(old.gallery)))


def test_a_network_that_knows_no_photos_says_so(pristine: Path, tmp_path: Path) -> None:
    walks = write_walks(tmp_path / "new", {"a": scattered(5, 1)})
    result = refreshed(Bundle.load(pristine), read_arrivals(walks, SIZE))
    assert any("takes for those of other places (OOD)" in line for line in result.lines())
    assert result.files["model.onnx"] == Bundle.load(pristine).read("model.onnx")


@pytest.mark.slow
def test_the_grown_network_is_the_one_that_a_new_bundle_would_hold(
    pristine: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    plain, images = make_net(), np.random.default_rng(0).integers(0, 256, (30, NET_SIZE, NET_SIZE, 3), np.uint8)
    with torch.inference_mode():
        features = plain.features(torch.from_numpy(images).permute(0, 3, 1, 2).float())
    width = len(plain.with_known_photos(features).known_features)
    other = np.random.default_rng(1).uniform(0, 1, width).astype(np.float32)
    other /= np.linalg.norm(other)
    monkeypatch.setattr(known_photos, "mean_feature", lambda *_: other)

    def knowing(rows: slice) -> tuple[bytes, bytes]:
        towards = torch.from_numpy(towards_elsewhere(features[rows, :width].numpy(), other))
        net = plain.with_known_photos(features[rows], towards)
        return export_fp32(net), safetensors_of(net)

    model, weights = knowing(slice(20))
    base = Bundle.load(pristine)
    files = {name: base.read(name) for name in base.manifest.files}
    files |= {"model.onnx": model, "model.int8.onnx": model, MODEL_SAFETENSORS: weights}
    files["gallery.npz"] = npz(embedding=np.eye(20, dtype=np.float16), local_m=np.zeros((20, 2), np.float16))
    bundle = save_bundle(tmp_path / "old", base.manifest, files)
    known = KnownPhotos.of(bundle, None)
    assert known is not None
    heads, unit = heads_and_features(bundle, None, known, images)
    assert heads.ood_score is not None
    assert heads.ood_score[:20].max() < heads.ood_score[20:].max()
    grown = save_bundle(
        tmp_path / "new", base.manifest, files | known.and_of(unit[20:], np.arange(20, 30)).files(bundle)
    )

    wanted = OnnxEngine(knowing(slice(30))[0], "test").run(images)
    for name in ("model.onnx", "model.int8.onnx"):
        found = OnnxEngine(grown.read(name), "test").run(images)
        assert found.ood_score == pytest.approx(wanted.ood_score, abs=2e-3)
        assert found.embedding == pytest.approx(wanted.embedding, abs=1e-5)
    in_torch = load_net(grown)
    assert in_torch.config.known_photos == 30
    with torch.inference_mode():
        assert in_torch.heads(features).ood_score.numpy() == pytest.approx(wanted.ood_score, abs=2e-3)  # type: ignore[union-attr]


def test_a_network_knows_no_more_photos_than_it_may() -> None:
    known = KnownPhotos(np.eye(2, dtype=np.float32)[np.zeros(MOST_KNOWN_PHOTOS, int)], np.arange(MOST_KNOWN_PHOTOS))
    grown = known.and_of(np.eye(2, dtype=np.float32)[np.ones(MOST_KNOWN_PHOTOS, int)], MOST_KNOWN_PHOTOS + known.row)
    assert len(grown) == MOST_KNOWN_PHOTOS
    assert grown.unit[:, 1].mean() == pytest.approx(0.5)
    assert grown.row[[0, -1]].tolist() == [0, 2 * MOST_KNOWN_PHOTOS - 1]


def test_scores_leave_out_the_photo_s_own_walk_by_hand() -> None:
    unit = np.array([[1, 0], [0, 1], [0.6, 0.8], [1, 0]], np.float32)
    scores = KnownPhotos(unit, np.arange(4)).scores(np.array([-1, 0, 0, 1], np.int32))
    assert np.isnan(scores[0])
    assert scores[1:] == pytest.approx([0.5, 0.2, 0.0])
