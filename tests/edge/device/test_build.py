from __future__ import annotations

import argparse
import json
import os
import shutil
import stat
import subprocess
import sys
import zipfile
from dataclasses import replace
from pathlib import Path

import pytest

from core.campus.bundle import Bundle
from core.campus.file_names import ENGINE, KEY, THUMBNAILS
from core.engines.engine_key import key_text, read_key
from core.errors import CampusError, EngineError, MissingDependency, OccupiedError
from edge.device import build as build_module
from edge.device.build import TIMING_CACHE, build
from edge.device.engine_build import BuildFlags, _check_export, build_engine
from edge.device.trtexec import arguments, tensorrt_version
from edge.manifest import Profile
from edge.pack import pack, unpack
from edge.program import with_command
from tests import REPOSITORY
from tests.bundles import make_bundle
from tests.core.engines import fake_tensorrt
from tests.core.engines.fake_cuda import FakeCuda

FLAGS = BuildFlags(max_batch=4)


def command(pack_file: Path, *more: str) -> int:
    parser = argparse.ArgumentParser()
    build_module.add_arguments(parser)
    return build_module.main(parser.parse_args([str(pack_file), *more]))


def test_a_pack_becomes_a_folder_with_an_engine(
    pristine_pack: Path, device: FakeCuda, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    assert device.devices
    assert command(pristine_pack, "--out", str(tmp_path / "here"), "--max-batch", "2") == 0
    assert {ENGINE, KEY, TIMING_CACHE, "campus.json"} <= {file.name for file in (tmp_path / "here").iterdir()}
    said = capsys.readouterr().out
    assert "GPU (8.7), TensorRT 10.3.0, CUDA 12.6" in said
    assert "golden answers: offsets 0.0" in said
    assert command(pristine_pack, "--out", str(tmp_path / "here"), "--max-batch", "2") == 0
    assert "up to date" in capsys.readouterr().out


@pytest.mark.parametrize("change", ["tensorrt", "gpu", "flags", "engine", "key", "nothing"])
def test_an_engine_is_built_again_when_anything_differs(
    unpacked: Bundle, device: FakeCuda, monkeypatch: pytest.MonkeyPatch, change: str
) -> None:
    build(unpacked, FLAGS)
    flags = FLAGS
    if change == "tensorrt":
        monkeypatch.setattr(fake_tensorrt, "__version__", "10.16.2")
    elif change == "gpu":
        device.capability = (11, 0)
    elif change == "flags":
        flags = BuildFlags(max_batch=2)
    elif change == "engine":
        (unpacked.path / ENGINE).write_bytes(b"half an eng")
    elif change == "key":
        (unpacked.path / KEY).write_text("{")
    said = build(unpacked, flags)
    assert ("up to date" in said) == (change == "nothing")
    assert "up to date" in build(unpacked, flags)


def test_an_engine_that_was_never_tried_is_built_anew_once_it_can_be(unpacked: Bundle, device: FakeCuda) -> None:
    assert device.devices
    build(unpacked, FLAGS)
    key, _ = read_key(unpacked.path)
    assert key.tried
    (unpacked.path / KEY).write_text(key_text(replace(key, tried=False), (unpacked.path / ENGINE).read_bytes()))
    assert "golden answers: offsets" in build(unpacked, FLAGS)
    assert "up to date" in build(unpacked, FLAGS)


def test_the_timing_cache_is_used_by_the_next_build(unpacked: Bundle, device: FakeCuda) -> None:
    assert device.devices
    build(unpacked, FLAGS)
    build(unpacked, FLAGS, force=True)
    assert (unpacked.path / TIMING_CACHE).read_bytes() == b"timed timed "


def test_a_timing_cache_of_another_version_is_dropped(
    unpacked: Bundle, device: FakeCuda, monkeypatch: pytest.MonkeyPatch
) -> None:
    assert device.devices
    (unpacked.path / TIMING_CACHE).write_bytes(b"strange ")
    plain = fake_tensorrt.IBuilderConfig.set_timing_cache

    def picky(config: fake_tensorrt.IBuilderConfig, cache: fake_tensorrt.ITimingCache, ignore_mismatch: bool) -> bool:
        return cache._data != b"strange " and plain(config, cache, ignore_mismatch)

    monkeypatch.setattr(fake_tensorrt.IBuilderConfig, "set_timing_cache", picky)
    build(unpacked, FLAGS)
    assert (unpacked.path / TIMING_CACHE).read_bytes() == b"timed "


def test_want_of_memory_names_the_remedies_and_installs_nothing(
    unpacked: Bundle, device: FakeCuda, monkeypatch: pytest.MonkeyPatch
) -> None:
    assert device.devices
    monkeypatch.setattr(fake_tensorrt, "workspace_needed", 1 << 40)
    with pytest.raises(EngineError, match=r"not enough memory.*--workspace-mb.*--max-batch 1"):
        build(unpacked, FLAGS)
    assert not (unpacked.path / ENGINE).exists()
    assert not (unpacked.path / KEY).exists()


def test_an_engine_with_wrong_answers_is_not_installed(
    unpacked: Bundle, device: FakeCuda, monkeypatch: pytest.MonkeyPatch
) -> None:
    plain = fake_tensorrt.IExecutionContext.execute_async_v3
    build(unpacked, FLAGS)
    before = (unpacked.path / ENGINE).read_bytes()

    def wrong(context: fake_tensorrt.IExecutionContext, stream_handle: int) -> bool:
        done = plain(context, stream_handle)
        import ctypes

        ctypes.c_float.from_address(context._addresses["offset"]).value += 50.0
        return done

    monkeypatch.setattr(fake_tensorrt.IExecutionContext, "execute_async_v3", wrong)
    with pytest.raises(EngineError, match="answers are wrong on this device"):
        build(unpacked, BuildFlags(max_batch=3))
    assert (unpacked.path / ENGINE).read_bytes() == before
    assert not device.held


def test_a_forced_build_keeps_the_engine_until_the_new_one_is_good(
    pristine_pack: Path, device: FakeCuda, monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    assert device.devices
    command(pristine_pack, "--out", str(tmp_path / "here"))
    before = (tmp_path / "here" / ENGINE).read_bytes()
    monkeypatch.setattr(fake_tensorrt, "workspace_needed", 1 << 40)
    with pytest.raises(EngineError, match="not enough memory"):
        command(pristine_pack, "--out", str(tmp_path / "here"), "--force")
    assert (tmp_path / "here" / ENGINE).read_bytes() == before


def test_a_model_that_tensorrt_refuses_is_said_with_its_reason(device: FakeCuda) -> None:
    assert device.devices
    with pytest.raises(EngineError, match="does not accept the model"):
        build_engine(b"no model", Profile().shapes(64), FLAGS)


@pytest.mark.parametrize("flags", [{"max_batch": 0}, {"workspace_mb": 1}])
def test_senseless_flags_are_refused(flags: dict[str, int]) -> None:
    with pytest.raises(EngineError, match=r"--max-batch|--workspace-mb"):
        BuildFlags(**flags)


def test_without_gpu_and_tensorrt_both_are_named_and_nothing_is_unpacked(pristine_pack: Path, tmp_path: Path) -> None:
    environment = {**os.environ, "CUDA_VISIBLE_DEVICES": "", "PATH": "/usr/bin:/bin"}
    line = [sys.executable, "-m", "edge", "build", str(pristine_pack), "--out", str(tmp_path / "here")]
    done = subprocess.run(line, cwd=REPOSITORY, env=environment, capture_output=True, text=True, check=False)
    assert done.returncode == 2
    assert done.stderr.startswith("error: no NVIDIA GPU")
    assert "TensorRT's Python module is not installed: on a Jetson `sudo apt install nvidia-jetpack`" in done.stderr
    assert len(done.stderr.splitlines()) == 1
    assert not (tmp_path / "here").exists()


def test_without_a_pack_the_same_is_said_first() -> None:
    line = [sys.executable, "-m", "edge", "build"]
    environment = {**os.environ, "CUDA_VISIBLE_DEVICES": ""}
    done = subprocess.run(line, cwd=REPOSITORY, env=environment, capture_output=True, text=True, check=False)
    assert done.returncode == 2
    assert done.stderr.startswith("error: no NVIDIA GPU")


def test_a_pack_that_python_runs_builds_itself(
    pristine_pack: Path, tmp_path: Path, device: FakeCuda, monkeypatch: pytest.MonkeyPatch
) -> None:
    assert device.devices
    alone = Path(shutil.copy(pristine_pack, tmp_path))
    parser = argparse.ArgumentParser()
    build_module.add_arguments(parser)
    monkeypatch.setattr(sys, "argv", ["edge"])
    with pytest.raises(EngineError, match="give the pack to build"):
        build_module.main(parser.parse_args([]))
    monkeypatch.setattr(sys, "argv", [str(alone)])
    assert build_module.main(parser.parse_args([])) == 0
    assert (alone.with_suffix("") / ENGINE).is_file()


def test_more_than_the_model_takes_is_refused(pristine_pack: Path, device: FakeCuda) -> None:
    assert device.devices
    with pytest.raises(EngineError, match="at most 16"):
        command(pristine_pack, "--max-batch", "17")


def test_a_plain_bundle_cannot_be_built(bundle: Bundle, device: FakeCuda) -> None:
    assert device.devices
    with pytest.raises(EngineError, match="was not packed") as caught:
        command(bundle.path)
    assert "python -m edge pack BUNDLE DIR" in with_command(caught.value).remedy


@pytest.fixture
def trtexec(tmp_path: Path, monkeypatch: pytest.MonkeyPatch, device: FakeCuda) -> Path:
    """A machine with a GPU and trtexec but no Python module; the program writes its arguments as the engine."""
    assert device.devices
    program = tmp_path / "bin" / "trtexec"
    program.parent.mkdir()
    program.write_text(
        '#!/bin/sh\necho "&&&& RUNNING TensorRT.trtexec [TensorRT v${V:-100300}] [b30] # trtexec"\n'
        'for a in "$@"; do case $a in --saveEngine=*) file=${a#*=};; esac; done\n'
        '[ -n "$FAIL" ] && { echo "[E] Error[10]: $FAIL"; exit 1; }\necho "$@" > "$file"\n'
    )
    program.chmod(program.stat().st_mode | stat.S_IXUSR)
    monkeypatch.setenv("PATH", f"{program.parent}:/usr/bin:/bin")
    monkeypatch.setitem(sys.modules, "tensorrt", None)
    return program


def test_trtexec_builds_where_the_python_module_is_absent(unpacked: Bundle, trtexec: Path) -> None:
    assert trtexec.exists()
    said = build(unpacked, FLAGS)
    assert "TensorRT 10.3.0" in said
    assert "not tried" in said
    assert (read_key(unpacked.path)[0].tensorrt, read_key(unpacked.path)[0].tried) == ("10.3.0", False)
    given = (unpacked.path / ENGINE).read_text()
    assert (
        "--stronglyTyped --minShapes=image:1x64x64x3 --optShapes=image:1x64x64x3 --maxShapes=image:4x64x64x3" in given
    )
    assert "up to date" in build(unpacked, FLAGS)


def test_a_failing_trtexec_is_quoted(unpacked: Bundle, trtexec: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("FAIL", "Could not find any implementation")
    with pytest.raises(EngineError, match=rf"{trtexec} could not build .*Could not find any implementation"):
        build(unpacked, FLAGS)
    assert not (unpacked.path / ENGINE).exists()


def test_an_old_trtexec_is_refused(unpacked: Bundle, trtexec: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("V", "8502")
    with pytest.raises(EngineError, match=rf"{trtexec} is of TensorRT 8\.5\.2"):
        build(unpacked, FLAGS)


@pytest.mark.parametrize(
    ("line", "version"),
    [("[TensorRT v100300]", "10.3.0"), ("[TensorRT v101602]", "10.16.2"), ("[TensorRT v8502]", "8.5.2"), ("", "")],
)
def test_trtexec_versions(line: str, version: str) -> None:
    assert tensorrt_version(f"&&&& RUNNING TensorRT.trtexec {line} [b30]") == version


def test_trtexec_gets_the_flags() -> None:
    given = arguments(Path("m"), Path("e"), Path("c"), Profile(most=8).shapes(224), BuildFlags(8, 512))
    assert "--optShapes=image:1x224x224x3" in given
    assert "--memPoolSize=workspace:512M" in given


def test_the_pack_is_a_campus_bundle_without_torch_weights(pristine_pack: Path, bundle: Bundle) -> None:
    made = Bundle.load(pristine_pack)
    assert made.manifest.name == bundle.manifest.name
    assert {"model.safetensors", THUMBNAILS} & made.manifest.files.keys() == set()
    assert THUMBNAILS in bundle.manifest.files
    assert made.read("gallery.npz") == bundle.read("gallery.npz")


def test_the_pack_runs_itself(pristine_pack: Path, tmp_path: Path) -> None:
    line = [sys.executable, str(pristine_pack), "run", "--bundle", str(pristine_pack), "samples"]
    (tmp_path / "samples").mkdir()
    (tmp_path / "samples" / "one.jpg").write_bytes(Bundle.load(pristine_pack).read("samples/library.jpg"))
    done = subprocess.run(line, cwd=tmp_path, capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stderr
    assert json.loads(done.stdout)["lat"] == pytest.approx(47.0, abs=0.01)


def test_a_pack_lists_what_a_device_can_do_and_names_itself(pristine_pack: Path) -> None:
    def said(*arguments: str) -> str:
        line = [sys.executable, pristine_pack.name, *arguments]
        done = subprocess.run(line, cwd=pristine_pack.parent, capture_output=True, text=True, check=False)
        return done.stdout + done.stderr

    listed = said("--help")
    assert f"usage: python3 {pristine_pack.name} " in listed
    for command in ("build", "run", "bench", "doctor"):
        assert f"    {command} " in listed
    for command in ("serve", "export", "pack"):
        assert f"    {command} " not in listed
    assert said("doctor").splitlines()[-1].startswith(f"next: python3 {pristine_pack.name} ")
    assert "python -m edge" not in said("run", "--backend", "tensorrt", "-")


def test_a_pack_carries_what_pip_is_to_bring_and_says_how(pristine_pack: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    missing = MissingDependency("pydantic", "requirements-jetson.txt")
    assert str(missing) == "pydantic is not installed: pip install -r requirements-jetson.txt"
    monkeypatch.setattr(sys, "argv", [str(pristine_pack)])
    packed = MissingDependency("pydantic", "requirements-jetson.txt")
    assert f"`unzip {pristine_pack} requirements-jetson.txt`" in packed.remedy
    assert str(MissingDependency("onnxruntime", "requirements.txt")).endswith(": pip install onnxruntime")
    with zipfile.ZipFile(pristine_pack) as archive:
        assert "pydantic" in archive.read("requirements-jetson.txt").decode()


def test_an_export_of_another_bundle_is_not_packed(pristine_export: Path, tmp_path: Path) -> None:
    other = Bundle.load(make_bundle(tmp_path / "other"))
    with pytest.raises(EngineError, match="from another bundle"):
        pack(other, pristine_export, tmp_path / "x.campus-edge")
    assert not (tmp_path / "x.campus-edge").exists()


def test_packing_over_a_file_or_under_another_name_is_refused(
    bundle: Bundle, pristine_export: Path, tmp_path: Path
) -> None:
    with pytest.raises(EngineError, match="a pack is called"):
        pack(bundle, pristine_export, tmp_path / "x.zip")
    (tmp_path / "x.campus-edge").touch()
    with pytest.raises(CampusError, match="exists already"):
        pack(bundle, pristine_export, tmp_path / "x.campus-edge")


def test_unpacking_never_replaces_another_campus_unasked(pristine_pack: Path, tmp_path: Path) -> None:
    given = Bundle.load(pristine_pack)
    make_bundle(tmp_path / "taken")
    with pytest.raises(OccupiedError, match="exists already"):
        unpack(given, tmp_path / "taken")
    (tmp_path / "full" / "home").mkdir(parents=True)
    with pytest.raises(OccupiedError, match="no campus bundle"):
        unpack(given, tmp_path / "full")
    assert unpack(given, tmp_path / "taken", force=True).manifest.digest == given.manifest.digest


def test_a_check_of_the_export_is_typed_as_this_program_was(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(sys, "argv", ["/usr/bin/campus-gps"])
    assert "`campus-gps edge verify`" in _check_export()
