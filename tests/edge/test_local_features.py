"""A second look on a device: exported in FP16, checked, packed, built for TensorRT, and used by the localizer."""

from __future__ import annotations

import ctypes
import logging
import shutil
import sys
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest

from core.campus.bundle import Bundle, save_bundle
from core.campus.file_names import (
    EDGE_LOCAL_MODEL,
    ENGINE,
    LOCAL_ENGINE,
    LOCAL_GALLERY,
    LOCAL_KEY,
    LOCAL_LICENCE,
    LOCAL_MODEL,
)
from core.engines.engine_key import LOCAL_FEATURES
from core.engines.local_engine import OnnxLocalEngine, TensorRtLocalEngine
from core.engines.tensorrt_network import open_built
from core.errors import BundleError, EngineError
from core.locate.localizer import Localizer
from edge.device import doctor
from edge.device.build import build
from edge.device.engine_build import BuildFlags
from edge.export.export import export
from edge.export.verify import verify
from edge.local_features import LOCAL_FP16, LOCAL_GOLDEN, LocalGolden
from edge.manifest import Export
from edge.pack import pack, unpack
from tests.core.engines import fake_tensorrt
from tests.core.engines.fake_cuda import FakeCuda
from tests.edge.export.test_verify import failures, replaced
from tests.edge.networks import npz, small_backbone
from tests.second_looks import HEIGHT, WIDTH, bundle_with_second_look, facade, needs_xfeat

pytestmark = needs_xfeat
FLAGS = BuildFlags(max_batch=2)


@pytest.fixture(scope="module")
def shelf(small: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A folder with `looked`, the small campus with a second look at every photo, its export and its pack."""
    folder = tmp_path_factory.mktemp("looked")
    plain, other = Bundle.load(small / "small"), bundle_with_second_look(folder / "other")
    descriptor = np.load(other.path / LOCAL_GALLERY)["descriptor"]
    rows = np.resize(np.arange(len(descriptor)), len(plain.gallery or ()))
    files = {name: plain.read(name) for name in plain.manifest.files}
    files |= {name: other.read(name) for name in (LOCAL_MODEL, LOCAL_LICENCE)}
    files[LOCAL_GALLERY] = npz(descriptor=descriptor[rows])
    manifest = plain.manifest.model_copy(update={"second_look": other.manifest.second_look})
    bundle = save_bundle(folder / "looked", manifest, files)
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr("core.network.campus_net.build_backbone", small_backbone)
        done = export(bundle, folder / "export")
    assert done.local is not None
    assert done.local.ok
    pack(bundle, folder / "export", folder / "looked.campus-edge")
    return folder


@pytest.fixture
def built(shelf: Path, device: FakeCuda, tmp_path: Path) -> Bundle:
    unpacked = unpack(Bundle.load(shelf / "looked.campus-edge"), tmp_path / "looked")
    build(unpacked, FLAGS)
    assert not device.held
    return unpacked


def test_an_export_passes_with_tensorrts_own_parser(shelf: Path) -> None:
    pytest.importorskip("tensorrt_rtx", reason="TensorRT for RTX is not installed")
    checks = {check.name: check for check in verify(shelf / "export", Bundle.load(shelf / "looked"))}
    assert [check for check in checks.values() if not check.ok] == []
    assert "27 FP16 convolutions" in checks["second look, fp16: TensorRT parse and build"].detail
    assert "keypoints found again" in checks["second look, fp16: golden answers"].detail


def test_fp16_is_half_as_large_and_nearly_the_same(shelf: Path) -> None:
    bundle = Bundle.load(shelf / "looked")
    half = (shelf / "export" / LOCAL_FP16).read_bytes()
    assert len(half) < 0.6 * len(bundle.read(LOCAL_MODEL))
    golden = LocalGolden.of(
        np.stack([canvas(place) for place in range(3)]), OnnxLocalEngine(bundle.read(LOCAL_MODEL), HEIGHT, WIDTH)
    )
    assert golden.parity(OnnxLocalEngine(bundle.read(LOCAL_MODEL), HEIGHT, WIDTH)).found == 1
    apart = golden.parity(OnnxLocalEngine(half, HEIGHT, WIDTH))
    assert 0 < apart.descriptor < 1e-4
    assert apart.found > 0.98


def canvas(place: int) -> np.ndarray[tuple[int, ...], np.dtype[np.uint8]]:
    return np.ascontiguousarray(facade(place)[:HEIGHT, :WIDTH])


def test_an_export_with_another_networks_answers_fails_there(shelf: Path, tmp_path: Path) -> None:
    bundle = Bundle.load(shelf / "looked")
    broken = tmp_path / "export"
    shutil.copytree(shelf / "export", broken)
    golden = Export.load(broken).local
    assert golden is not None
    turned = [replace(maps, descriptors=-maps.descriptors) for maps in golden.golden.maps]
    replaced(broken, LOCAL_GOLDEN, LocalGolden(golden.golden.images, turned).to_bytes())
    assert set(failures(broken, bundle)) == {"second look, fp16: golden answers"}
    replaced(broken, LOCAL_GOLDEN, npz(images=np.zeros((1, 8, 8, 3), np.uint8)))
    with pytest.raises(EngineError, match=f"{LOCAL_GOLDEN}: cannot be read"):
        verify(broken)


def test_the_device_builds_both_engines_and_looks_twice_on_the_gpu(built: Bundle, device: FakeCuda) -> None:
    assert {ENGINE, LOCAL_ENGINE, LOCAL_KEY} <= {file.name for file in built.path.iterdir()}
    localizer = Localizer.load(built.path)
    assert localizer.second_reader is not None
    assert isinstance(localizer.second_reader.verifier.engine, TensorRtLocalEngine)
    assert device.held
    on_cpu = Localizer.load(built.path, "onnxruntime")
    assert on_cpu.second_reader is not None
    assert isinstance(on_cpu.second_reader.verifier.engine, OnnxLocalEngine)
    fix, wanted = localizer.locate(facade(2)), on_cpu.locate(facade(2))
    assert "second_look" in fix.timings_ms
    assert (fix.lat, fix.lon) == pytest.approx((wanted.lat, wanted.lon), abs=1e-5)


def test_its_maps_are_those_of_onnx_runtime(built: Bundle, device: FakeCuda) -> None:
    engine = TensorRtLocalEngine(open_built(built, LOCAL_FEATURES), HEIGHT, WIDTH)
    wanted = OnnxLocalEngine(built.read(EDGE_LOCAL_MODEL), HEIGHT, WIDTH).run(canvas(1))
    for name, value in vars(engine.run(canvas(1))).items():
        assert value == pytest.approx(vars(wanted)[name], abs=1e-5)
    del engine
    assert not device.held


def test_an_engine_of_another_size_is_refused_and_gives_its_memory_back(built: Bundle, device: FakeCuda) -> None:
    with pytest.raises(EngineError, match="none of 64 × 64"):
        TensorRtLocalEngine(open_built(built, LOCAL_FEATURES), 64, 64)
    assert not device.held


def test_a_second_build_keeps_both_and_one_that_is_gone_is_built_alone(built: Bundle) -> None:
    assert build(built, FLAGS).count("up to date") == 2
    (built.path / LOCAL_ENGINE).unlink()
    first, second = build(built, FLAGS).splitlines()
    assert "up to date" in first
    assert "keypoints found again" in second


def test_an_engine_of_another_device_leaves_the_second_look_to_the_cpu(
    built: Bundle, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    (built.path / LOCAL_KEY).write_text((built.path / LOCAL_KEY).read_text().replace('"8.7"', '"7.2"'))
    with caplog.at_level(logging.WARNING):
        localizer = Localizer.load(built.path)
    assert f"{LOCAL_ENGINE} is not used: the engine was built for GPU 7.2 instead of 8.7" in caplog.text
    assert localizer.second_reader is not None
    assert isinstance(localizer.second_reader.verifier.engine, OnnxLocalEngine)
    (fact,) = (fact for fact in doctor._campus(built.path) if fact.name == "second look")
    assert (fact.state, fact.found) == ("note", f"no usable {LOCAL_ENGINE}")
    monkeypatch.setitem(sys.modules, "onnxruntime", None)
    without = Localizer.load(built.path)  # a device with TensorRT alone, and no engine for the second look
    assert without.second_reader is None


def test_wrong_local_features_are_not_installed(
    shelf: Path, device: FakeCuda, monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    unpacked = unpack(Bundle.load(shelf / "looked.campus-edge"), tmp_path / "looked")
    plain = fake_tensorrt.IExecutionContext.execute_async_v3

    def wrong(context: fake_tensorrt.IExecutionContext, stream_handle: int) -> bool:
        done = plain(context, stream_handle)
        if "keypoints" in context._addresses:
            ctypes.memset(context._addresses["keypoints"], 0, HEIGHT * WIDTH * 4)
        return done

    monkeypatch.setattr(fake_tensorrt.IExecutionContext, "execute_async_v3", wrong)
    with pytest.raises(EngineError, match=r"answers are wrong on this device \(of local features: .* 0\.0% of"):
        build(unpacked, FLAGS)
    assert (unpacked.path / ENGINE).is_file()
    assert not (unpacked.path / LOCAL_ENGINE).exists()
    assert not device.held


@pytest.mark.parametrize("name", [LOCAL_ENGINE, LOCAL_KEY])
def test_machine_code_may_not_travel(shelf: Path, tmp_path: Path, name: str) -> None:
    bundle = Bundle.load(shelf / "looked")
    files = {file: bundle.read(file) for file in bundle.manifest.files} | {name: b"code"}
    with pytest.raises(BundleError, match=f"{name} may not travel"):
        save_bundle(tmp_path / "other", bundle.manifest, files)
