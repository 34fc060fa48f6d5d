from __future__ import annotations

import gc
import logging
import sys
from pathlib import Path
from threading import Thread
from types import SimpleNamespace

import numpy as np
import pytest

from core.campus.bundle import Bundle
from core.campus.file_names import ENGINE, KEY
from core.engines.choose import open_engine
from core.engines.cuda import Cuda, open_cuda
from core.engines.engine_key import device_model, l4t_release, read_key
from core.engines.onnx_engine import OnnxEngine
from core.engines.tensorrt_engine import TensorRtEngine
from core.engines.tensorrt_network import TensorRtNetwork, import_tensorrt
from core.errors import EngineError
from core.locate.localizer import Localizer
from edge.device.build import build
from edge.device.engine_build import BuildFlags
from edge.parity import head_parity
from tests.bundles import IMAGE_SIZE, photo
from tests.core.engines import fake_tensorrt
from tests.core.engines.fake_cuda import FakeCuda


def images(count: int, seed: int = 0) -> np.ndarray[tuple[int, ...], np.dtype[np.uint8]]:
    return np.random.default_rng(seed).integers(0, 256, (count, IMAGE_SIZE, IMAGE_SIZE, 3), np.uint8)


@pytest.fixture
def built(unpacked: Bundle, device: FakeCuda) -> Bundle:
    build(unpacked, BuildFlags(max_batch=4))
    assert not device.held  # the build gave all memory back
    return unpacked


@pytest.mark.parametrize("count", [1, 3, 4, 5, 9])
def test_it_answers_as_onnx_runtime_does_in_any_number(built: Bundle, count: int) -> None:
    engine = open_engine(built, "tensorrt")
    heads = engine.run(images(count))
    assert len(heads) == count
    assert heads.embedding is not None
    wanted = OnnxEngine(built.read("edge/model.fp16.onnx"), "FP16").run(images(count))
    assert head_parity(wanted, heads, 100.0).offset_max_m < 1e-3


def test_auto_takes_the_engine_of_this_device_and_locates_with_it(built: Bundle) -> None:
    localizer = Localizer.load(built.path)
    assert localizer.engine.name == "TensorRT 10.3.0 FP16"
    plain = Localizer.load(built.path, "onnxruntime").locate(photo())
    assert localizer.locate(photo()).lat == pytest.approx(plain.lat, abs=1e-5)


def test_memory_is_taken_once_and_used_for_every_frame(built: Bundle, device: FakeCuda) -> None:
    engine = open_engine(built, "tensorrt")
    before = device.allocations
    first = engine.run(images(1, seed=1))
    for seed in range(5):
        engine.run(images(1, seed=seed))
    assert device.allocations == before
    assert np.array_equal(first.offset, engine.run(images(1, seed=1)).offset)  # no frame overwrote an earlier answer
    device.copies.clear()
    engine.run(images(2))
    assert device.copies[0] == (1, 2 * IMAGE_SIZE * IMAGE_SIZE * 3)  # only the frames given are copied
    assert {direction for direction, _ in device.copies[1:]} == {2}


def test_closing_gives_everything_back(built: Bundle, device: FakeCuda) -> None:
    engine = open_engine(built, "tensorrt")
    assert isinstance(engine, TensorRtEngine)
    assert device.held
    engine.close()
    engine.close()
    assert not device.held
    assert not device.streams
    with pytest.raises(EngineError, match="closed"):
        engine.run(images(1))


def test_an_engine_that_nobody_closed_gives_everything_back_when_it_is_forgotten(
    built: Bundle, device: FakeCuda
) -> None:
    engine = open_engine(built, "tensorrt")
    assert device.held
    del engine
    gc.collect()
    assert not device.held
    assert not device.streams


def test_closing_waits_for_the_frame_under_way(built: Bundle, device: FakeCuda) -> None:
    engine = open_engine(built, "tensorrt")
    assert isinstance(engine, TensorRtEngine)
    with engine.network._lock:  # as a frame holds it
        closing = Thread(target=engine.close)
        closing.start()
        closing.join(0.2)
        assert closing.is_alive()
        assert device.held
    closing.join()
    assert not device.held


def test_threads_get_their_own_answers(built: Bundle) -> None:
    engine = open_engine(built, "tensorrt")
    wanted = {seed: engine.run(images(1, seed)).offset for seed in range(8)}
    given: dict[int, np.ndarray[tuple[int, ...], np.dtype[np.float32]]] = {}
    threads = [
        Thread(target=lambda seed=seed: given.update({seed: engine.run(images(1, seed)).offset})) for seed in wanted
    ]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert all(np.array_equal(wanted[seed], given[seed]) for seed in wanted)


@pytest.mark.parametrize(
    "wrong",
    [images(1)[0], images(1)[:, :32], images(1).astype(np.float32), images(1)[:0], images(1)[..., :2]],
    ids=["no batch", "too small", "float", "empty", "two channels"],
)
def test_a_wrong_shape_is_refused_with_the_right_one(
    built: Bundle, wrong: np.ndarray[tuple[int, ...], np.dtype[np.uint8]]
) -> None:
    with pytest.raises(EngineError, match=r"takes \(B, 64, 64, 3\) uint8"):
        open_engine(built, "tensorrt").run(wrong)


def test_running_out_of_gpu_memory_is_said_and_leaves_nothing_behind(built: Bundle, device: FakeCuda) -> None:
    device.limit = 60_000  # the pinned input, 49 152 bytes, no longer fits beside the one on the GPU
    with pytest.raises(EngineError, match="the GPU is out of memory") as caught:
        open_engine(built, "tensorrt")
    assert caught.value.step == "build smaller"
    assert not device.held
    assert not device.streams


def test_no_memory_for_the_context_is_said(built: Bundle, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(fake_tensorrt.ICudaEngine, "memory_for_context", False)
    with pytest.raises(EngineError, match="the GPU has no memory for the engine"):
        open_engine(built, "tensorrt")


def test_an_engine_of_another_tensorrt_is_not_used(
    built: Bundle, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    monkeypatch.setattr(fake_tensorrt, "__version__", "10.16.2")
    with pytest.raises(EngineError, match=r"TensorRT 10\.3\.0 instead of 10\.16\.2") as caught:
        open_engine(built, "tensorrt")
    assert (caught.value.path, caught.value.step) == (str(built.path), "build")
    with caplog.at_level(logging.WARNING):
        assert open_engine(built, "auto").name.startswith("ONNX Runtime")
    assert "is not used" in caplog.text
    with pytest.raises(EngineError, match=r"cannot load model\.engine \(engine of version 10\.3\.0"):
        TensorRtNetwork((built.path / ENGINE).read_bytes(), ENGINE)


@pytest.mark.parametrize(
    ("capability", "said"), [((11, 0), "GPU 8.7 instead of 11.0"), ((8, 7), None)], ids=["Thor", "Orin"]
)
def test_an_engine_of_another_gpu_is_not_used(
    built: Bundle, device: FakeCuda, capability: tuple[int, int], said: str | None
) -> None:
    device.capability = capability
    if said is None:
        assert open_engine(built, "tensorrt").name.startswith("TensorRT")
        return
    with pytest.raises(EngineError, match=said):
        open_engine(built, "tensorrt")


def test_another_release_of_jetson_linux_means_building_again(built: Bundle, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("core.engines.engine_key.l4t_release", lambda: "36.5.0")
    with pytest.raises(EngineError, match=r"L4T none instead of 36\.5\.0"):
        open_engine(built, "tensorrt")


def test_a_changed_engine_file_is_not_loaded(built: Bundle) -> None:
    (built.path / ENGINE).write_bytes((built.path / ENGINE).read_bytes() + b" ")
    with pytest.raises(EngineError, match=r"not the engine that engine\.json describes"):
        open_engine(built, "tensorrt")


@pytest.mark.parametrize("text", ["", "[]", "{}", '{"engine_sha256": 1, "surprise": 2}'])
def test_a_damaged_key_is_named(built: Bundle, text: str) -> None:
    (built.path / KEY).write_text(text)
    with pytest.raises(EngineError, match=r"engine\.json is damaged"):
        open_engine(built, "tensorrt")


def test_a_bundle_without_an_engine(unpacked: Bundle) -> None:
    with pytest.raises(EngineError, match=r"holds no model\.engine: build it on this device"):
        open_engine(unpacked, "tensorrt")
    assert open_engine(unpacked, "auto").name.startswith("ONNX Runtime")


def test_missing_tensorrt_says_what_to_install(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(sys.modules, "tensorrt", None)
    with pytest.raises(EngineError, match="sudo apt install nvidia-jetpack"):
        import_tensorrt()


def test_a_missing_library_under_tensorrt_is_named(monkeypatch: pytest.MonkeyPatch) -> None:
    def absent(_: str) -> None:
        raise ImportError("libnvdla_compiler.so: cannot open shared object file")

    monkeypatch.setattr("core.engines.tensorrt_network.import_module", absent)
    with pytest.raises(EngineError, match=r"libnvdla_compiler\.so.*reinstall nvidia-jetpack"):
        import_tensorrt()


def test_an_old_tensorrt_is_refused(device: FakeCuda, monkeypatch: pytest.MonkeyPatch) -> None:
    assert device.devices
    monkeypatch.setattr(fake_tensorrt, "__version__", "8.5.2")
    with pytest.raises(EngineError, match=r"TensorRT 8\.5\.2 is too old.*JetPack 6"):
        import_tensorrt()


def test_the_first_library_that_finds_a_gpu_is_used(monkeypatch: pytest.MonkeyPatch) -> None:
    too_old, too_new, fitting = SimpleNamespace(), FakeCuda(devices=0).library(), FakeCuda(devices=2).library()
    monkeypatch.setattr("core.engines.cuda.libraries", lambda: iter([too_old, too_new, fitting]))
    assert open_cuda().device_count() == 2


def test_without_any_cuda_the_remedy_is_said(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("core.engines.cuda.libraries", lambda: iter([]))
    with pytest.raises(EngineError, match="no NVIDIA GPU and no CUDA runtime on this machine"):
        open_cuda()


def test_a_library_without_a_gpu_is_told_from_no_library(device: FakeCuda) -> None:
    device.devices = 0
    with pytest.raises(EngineError, match="CUDA finds none"):
        open_cuda()


def test_any_other_failure_of_cuda_names_the_call(device: FakeCuda) -> None:
    with pytest.raises(EngineError, match="cudaFree failed with error 1"):
        Cuda(device.library()).free(12345)


def test_the_release_of_jetson_linux_is_read(tmp_path: Path) -> None:
    release = tmp_path / "nv_tegra_release"
    release.write_text("# R36 (release), REVISION: 4.3, GCID: 38968081, BOARD: generic, EABI: aarch64\n")
    assert l4t_release(release) == "36.4.3"
    assert l4t_release(tmp_path / "absent") == ""
    (tmp_path / "model").write_bytes(b"NVIDIA Jetson Orin Nano Developer Kit\0")
    assert device_model(tmp_path / "model") == "NVIDIA Jetson Orin Nano Developer Kit"


def test_the_key_says_what_the_engine_was_built_for(built: Bundle) -> None:
    key, _ = read_key(built.path)
    assert (key.tensorrt, key.compute_capability, key.cuda) == ("10.3.0", "8.7", "12.6")
    assert key.flags == {"max_batch": 4, "workspace_mb": 1024}
    assert key.onnx_sha256 == built.manifest.files["edge/model.fp16.onnx"]
