from __future__ import annotations

import argparse
import json
import math
import time
from pathlib import Path

import numpy as np
import pytest

from core.campus.bundle import Bundle
from core.errors import CampusError, EngineError
from edge import bench as bench_module
from edge.bench import STAGES, bench, bench_apart, percentiles, photos_per_s, sample_bytes, table
from edge.device.build import build
from edge.device.engine_build import BuildFlags
from edge.device.tegrastats import measured, parse
from tests.bundles import make_bundle, photo
from tests.core.engines.fake_cuda import FakeCuda
from tests.edge.networks import small_net
from tests.second_looks import bundle_with_second_look

ORIN = (
    "03-01-2026 12:00:00 RAM 3012/7620MB (lfb 4x4MB) SWAP 0/3810MB (cached 0MB) CPU [12%@1510,0%@729,off,3%@1510] "
    "EMC_FREQ 2%@2133 GR3D_FREQ 68%@[624] cpu@48.2C soc2@47.1C gpu@51.5C tj@51.5C "
    "VDD_IN 8520mW/7900mW VDD_CPU_GPU_CV 2100mW/1900mW VDD_SOC 1500mW/1480mW"
)


def test_a_line_of_tegrastats() -> None:
    assert parse(ORIN) == {
        "gpu_share": 0.68, "gpu_mhz": 624.0, "cpu_mhz": 1510.0, "power_w": 8.52, "warmest_c": 51.5,
    }  # fmt: skip
    xavier = "RAM 1/2MB CPU [1%@1190] GR3D_FREQ 0% GPU 1000mW/900mW CPU 500mW/400mW"
    assert parse(xavier) == {"gpu_share": 0.0, "cpu_mhz": 1190.0, "power_w": 1.5}
    assert parse("nothing of ours") == {}


def wait_for(file: Path) -> None:
    until = time.monotonic() + 90
    while not file.exists():
        assert time.monotonic() < until, "it waits for a reader"
        time.sleep(0.02)


def test_a_run_is_measured_by_tegrastats_where_it_is(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    program, told = tmp_path / "tegrastats", tmp_path / "told"
    program.write_text(f"#!/bin/sh\nwhile :; do echo '{ORIN}'; : >'{told}'; sleep 0.02; done\n")
    program.chmod(0o755)
    monkeypatch.setenv("PATH", f"{tmp_path}:/usr/bin:/bin")
    with measured(50) as load:
        wait_for(told)
    assert load.samples >= 1
    assert (load.power_w, load.gpu_mhz, load.warmest_c) == (8.52, 624.0, 51.5)


def test_a_long_run_is_measured_to_its_end(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    program, done = tmp_path / "tegrastats", tmp_path / "done"
    program.write_text(
        f"#!/bin/sh\nfor i in $(seq 500); do echo '{ORIN}'; done\n"
        f"echo '{ORIN.replace('8520mW', '9999999mW')}'\n: >'{done}'\nexec sleep 60\n"
    )
    program.chmod(0o755)
    monkeypatch.setenv("PATH", f"{tmp_path}:/usr/bin:/bin")
    with measured(50) as load:
        wait_for(done)
    assert load.samples == 501


def test_without_tegrastats_nothing_is_said(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("PATH", "/nowhere")
    with measured() as load:
        pass
    assert load.samples == 0
    assert load.power_w is None


def test_percentiles_are_those_of_the_times() -> None:
    latency = percentiles([float(value) for value in range(101)])
    assert (latency.p50_ms, latency.p95_ms, latency.p99_ms) == (50.0, 95.0, 99.0)


def test_throughput_counts_photos_not_calls(monkeypatch: pytest.MonkeyPatch) -> None:
    now_s = [0.0]
    monkeypatch.setattr("edge.bench.time.perf_counter", lambda: now_s[0])

    class Slow:
        name = "slow"

        def run(self, images: np.ndarray[tuple[int, ...], np.dtype[np.uint8]]) -> None:
            assert images.shape == (4, 8, 8, 3)
            now_s[0] += 0.01

    assert photos_per_s(Slow(), 4, 8, least_s=0.1) == pytest.approx(400)  # type: ignore[arg-type]


@pytest.mark.parametrize("backend", ["onnxruntime", "onnxruntime-fp32", "torch", "tensorrt"])
def test_every_backend_is_measured_by_stage_batch_and_memory(
    backend: str, unpacked: Bundle, bundle: Bundle, device: FakeCuda, monkeypatch: pytest.MonkeyPatch
) -> None:
    assert device.devices
    small_net(monkeypatch)
    if backend == "tensorrt":
        build(unpacked, BuildFlags(max_batch=4))
    report = bench(backend, bundle if backend == "torch" else unpacked, sample_bytes(unpacked), repeats=4)
    assert set(report.latency) == set(STAGES)
    assert all(0 < latency.p50_ms <= latency.p99_ms for latency in report.latency.values())
    assert set(report.photos_per_s) == {"1", "2", "4", "8", "16"}
    assert report.memory_mb > 10
    assert (report.call is not None) == backend.startswith("onnxruntime")
    assert report.call is None or 0 < report.call.bare_ms < 1000
    stages = sum(report.latency[stage].p50_ms for stage in STAGES[:-1])
    assert report.latency["end to end"].p99_ms > 0.5 * stages


@pytest.mark.slow
def test_a_campus_with_a_second_look_is_measured_too(tmp_path: Path) -> None:
    doubted = bundle_with_second_look(tmp_path / "field")
    report = bench("onnxruntime", doubted, [photo()], repeats=2)
    assert report.latency["second_look"].p50_ms > 0


def command(*arguments: str) -> int:
    parser = argparse.ArgumentParser()
    bench_module.add_arguments(parser)
    return bench_module.main(parser.parse_args(arguments))


@pytest.mark.slow
def test_the_command_measures_what_is_here_and_names_what_is_not(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    field, out = make_bundle(tmp_path / "field"), tmp_path / "bench.json"
    assert command(str(field), "--repeats", "3", "--json", str(out)) == 0
    said = capsys.readouterr().out
    assert "tensorrt: not here: " in said
    assert "torch: not here: " in said  # this bundle carries no weights
    report = json.loads(out.read_text())
    assert [backend["backend"] for backend in report["backends"]] == ["onnxruntime", "onnxruntime-fp32"]
    assert set(report["absent"]) == {"tensorrt", "torch"}
    assert math.isfinite(report["backends"][0]["latency"]["network"]["p95_ms"])
    assert "photos a second by batch: 1: " in table(report["backends"][0])


def test_bad_input(tmp_path: Path) -> None:
    with pytest.raises(EngineError, match="--repeats 0"):
        command(str(tmp_path), "--repeats", "0")
    with pytest.raises(CampusError, match="is a folder, not a file"):  # before anything is measured
        command(str(tmp_path / "nowhere"), "--json", str(tmp_path))
    bare = make_bundle(tmp_path / "bare", samples=False)
    with pytest.raises(EngineError, match="carries no sample photos"):
        command(str(bare))
    with pytest.raises(EngineError, match=r"was not packed for a device"):
        bench_apart("tensorrt", make_bundle(tmp_path / "field"), 1)
