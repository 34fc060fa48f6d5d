from __future__ import annotations

import json
import os
import re
import subprocess
import sys
import time
from pathlib import Path
from typing import Any

import pytest
import torch

import benchmarks.__main__
from benchmarks import photo_to_fix, training
from benchmarks.__main__ import NAMES, RESULTS, measure, page, results, save_pyperf
from benchmarks.large_archive import killed_and_resumed, linked_photos, report
from benchmarks.many_photos import JOBS, LOOP, MANY, archive_ways
from benchmarks.predicting import new_process
from benchmarks.timing import TINY, Effort, Times, interleaved
from core.engines.onnx_engine import OnnxEngine
from core.errors import CampusError, PhotoError
from core.locate.localizer import DEMO_BUNDLE, Localizer

QUICK = "photo_to_fix"


@pytest.mark.parametrize("name", [pytest.param(name, marks=[pytest.mark.slow][: name != QUICK]) for name in NAMES])
def test_every_benchmark_runs_and_its_page_holds_figures(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path, name: str
) -> None:
    monkeypatch.setenv("CAMPUS_BUNDLE", "")
    kept = measure(name, TINY)
    assert kept["targets"] or name == "backbones"  # which compares, without a goal
    assert kept["raw"]
    assert all(seconds > 0 for rounds in kept["raw"].values() for seconds in rounds)
    for head, *rows in kept["tables"]:
        assert rows
        assert {len(row) for row in rows} == {len(head)}
    (tmp_path / f"{name}.json").write_text(json.dumps(kept))
    whole = results(tmp_path)
    assert page(name, kept) in whole
    assert whole.count("Not measured") == len(NAMES) - 1
    assert not re.search(r"\b(nan|inf)\b", whole)


def test_without_a_gpu_each_part_says_what_is_lacking(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("CUDA_VISIBLE_DEVICES", "")
    monkeypatch.setattr("torch.cuda.is_available", lambda: False)
    monkeypatch.setattr("onnxruntime.get_available_providers", lambda: ["CPUExecutionProvider"])
    monkeypatch.setitem(sys.modules, "tensorrt", None)  # as where it is not installed
    kept = measure("gpu", TINY)
    assert not kept["tables"]
    assert [line.partition(":")[0] for line in kept["lacks"]] == ["training", "ONNX Runtime", "TensorRT"]
    assert all(len(line.splitlines()) == 1 for line in kept["lacks"])
    assert page("gpu", kept).count("**not here**") == 3


def test_a_page_of_a_gpu_stands_only_where_it_was_measured(tmp_path: Path) -> None:
    assert "On a GPU" not in results(tmp_path)
    kept = {"title": "On a GPU", "what": "x", "tables": [], "targets": [], "when": "", "machine": "", "lacks": ["y"]}
    (tmp_path / "gpu.json").write_text(json.dumps(kept))
    assert "- **not here**: y" in results(tmp_path)


def test_pages_that_another_machine_measured_stay(tmp_path: Path) -> None:
    before = RESULTS.read_text(encoding="utf-8")
    assert results(tmp_path, before) == before
    kept = {"title": "Training", "what": "x", "tables": [], "targets": [], "when": "now", "machine": "here"}
    (tmp_path / "training.json").write_text(json.dumps(kept))
    after = results(tmp_path, before)
    assert after.count("## Training") == 1
    assert "`python -m benchmarks training`, now: here." in after
    assert "2 x the original's samples a second" not in after
    assert after.count("## ") == before.count("## ")


def test_a_stale_page_takes_the_place_of_no_newer_one(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Of two that are measured the second fails, and a third was measured here long ago."""
    pages, out = tmp_path / "pages", tmp_path / "RESULTS.md"
    pages.mkdir()
    before = RESULTS.read_text(encoding="utf-8")
    out.write_text(before, encoding="utf-8")
    kept = {"what": "x", "tables": [], "targets": [], "machine": "here"}
    for name in ("training", "growth", "backbones"):
        (pages / f"{name}.json").write_text(json.dumps({"title": name, "when": "long ago", **kept}))

    def measured(words: list[str], **_: object) -> subprocess.CompletedProcess[str]:
        if (name := words[3]) == "training":
            (pages / f"{name}.json").write_text(json.dumps({"title": name, "when": "now", **kept}))
        return subprocess.CompletedProcess(words, int(name != "training"))

    monkeypatch.setattr(benchmarks.__main__, "PAGES", pages)
    monkeypatch.setattr(benchmarks.__main__, "RESULTS", out)
    monkeypatch.setattr(subprocess, "run", measured)
    monkeypatch.setattr(sys, "argv", ["benchmarks", "training", "growth"])
    with pytest.raises(CampusError, match=r"^growth: failed"):
        benchmarks.__main__.main()
    after = out.read_text(encoding="utf-8")
    assert "`python -m benchmarks training`, now: here." in after
    assert "long ago" not in after
    assert after.count("## ") == before.count("## ")


@pytest.mark.slow
def test_a_photo_that_has_a_reason_in_place_of_a_place_is_lost(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    names = linked_photos(tmp_path / "photos", 4)
    (tmp_path / "out").mkdir()
    Path(names[2]).unlink()
    Path(names[2]).write_bytes(b"no photo")
    with pytest.raises(SystemExit, match="ended with 1"):  # and what goes on there passes over its row
        killed_and_resumed(tmp_path / "photos", tmp_path / "out", kills=0, after_s=1.0)
    rows, _ = killed_and_resumed(tmp_path / "photos", tmp_path / "out", kills=0, after_s=1.0)
    assert report(names, rows, 1.0) == 1
    assert "1 lost" in capsys.readouterr().out


@pytest.mark.slow
@pytest.mark.parametrize("way", [LOOP, MANY, JOBS])
def test_no_way_over_many_photos_is_timed_where_one_is_not_located(tmp_path: Path, way: str) -> None:
    names = linked_photos(tmp_path / "photos", 3)
    Path(names[1]).unlink()
    Path(names[1]).write_bytes(b"no photo")
    ways = archive_ways(Localizer.load(DEMO_BUNDLE), [Path(name) for name in names], tmp_path, with_ray=False)
    with pytest.raises((RuntimeError, PhotoError)):
        ways[way]()


@pytest.mark.slow
def test_a_large_archive_survives_its_kills(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    names = linked_photos(tmp_path / "photos", 60)
    (tmp_path / "out").mkdir()
    rows, _ = killed_and_resumed(tmp_path / "photos", tmp_path / "out", kills=1, after_s=3.0)
    assert report(names, rows, 1.0) == 0
    assert report(names, rows[1:], 1.0) == report(names, [*rows, rows[0]], 1.0) == 1
    assert "1 lost" in capsys.readouterr().out


def test_ways_are_timed_in_turn_and_none_always_follows_the_same() -> None:
    calls: list[str] = []
    times = interleaved({name: lambda name=name: calls.append(name) for name in "abc"}, Effort(0.0, 20, 20))  # type: ignore[misc]
    rounds = ["".join(calls[at : at + 3]) for at in range(0, len(calls), 3)]
    assert rounds.pop(0) == "abc"  # not counted
    assert {"".join(sorted(each)) for each in rounds} == {"abc"}
    assert len(set(rounds)) == 6
    assert [len(value.seconds) for value in times.values()] == [20, 20, 20]


class _Clock:
    """Time that passes only where somebody lets it."""

    now_s = 0.0

    def __call__(self) -> float:
        return self.now_s

    def passes(self, seconds: float) -> None:
        self.now_s += seconds


def test_only_the_second_of_two_calls_counts() -> None:
    clock, took = _Clock(), iter([0.0] + [0.5, 0.25] * 3)  # the first call of all is in no round
    [times] = interleaved({"warm": lambda: clock.passes(next(took))}, Effort(0.0, 3, 3), clock, again=True).values()
    assert times.seconds == (0.25, 0.25, 0.25)
    assert next(took, None) is None


@pytest.mark.parametrize("name", ["photo_to_fix", "predicting"])
def test_torch_has_as_many_threads_as_what_it_is_compared_with(monkeypatch: pytest.MonkeyPatch, name: str) -> None:
    seen: set[int] = set()

    class Seen(Exception):
        """Enough is known: nothing has to be timed."""

    def timed(*_: object, **__: object) -> None:
        seen.add(torch.get_num_threads())
        raise Seen

    monkeypatch.setenv("CAMPUS_BUNDLE", "")
    monkeypatch.setattr(f"benchmarks.{name}.interleaved", timed)
    engine, before = Localizer.load(DEMO_BUNDLE).engine, torch.get_num_threads()
    assert isinstance(engine, OnnxEngine)
    threads = engine.session.get_session_options().intra_op_num_threads
    torch.set_num_threads(threads + 1)
    try:
        with pytest.raises(Seen):
            measure(name, TINY)
        assert torch.get_num_threads() == threads + 1
    finally:
        torch.set_num_threads(before)
    assert seen == {threads}


def test_both_sides_of_training_compute_alike(monkeypatch: pytest.MonkeyPatch) -> None:
    """Its page says FP32, and a GPU would choose another precision by itself."""
    asked: dict[str, str] = {}

    def epochs(_folder: Path, _effort: Effort, precisions: dict[str, str]) -> tuple[dict[str, Any], int]:
        asked.update(precisions)
        return dict.fromkeys((*precisions, training.ORIGINAL), time.perf_counter), 1

    monkeypatch.setattr(training, "epochs", epochs)
    assert "FP32" in training.run(TINY).what
    assert set(asked.values()) == {"fp32"}


def test_stages_are_those_of_the_calls_that_count() -> None:
    took = iter([9.0] + [5.0, 1.0] * 3)  # the first call of all, then two a round
    noted: list[float] = []
    times = interleaved({"a": lambda: noted.append(next(took))}, Effort(0.0, 3, 3), again=True)["a"]
    assert photo_to_fix.counted(noted, times) == [1.0, 1.0, 1.0]
    assert photo_to_fix.counted([2.0], Times((0.1,))) == [2.0]


def test_a_new_process_is_one_and_not_two() -> None:
    """Its parent is this one: a process between would be timed with it."""
    new_process("-c", "import os, sys; sys.exit(os.getppid() != int(sys.argv[1]))", os.getpid())
    with pytest.raises(subprocess.CalledProcessError):
        new_process("-c", "raise SystemExit(1)")


def test_a_slower_way_measures_slower() -> None:
    clock = _Clock()
    ways = {"slow": lambda: clock.passes(0.25), "fast": lambda: None}
    times = interleaved(ways, Effort(0.0, 3, 3), clock)
    assert (times["slow"].median, times["fast"].median) == (0.25, 0.0)


def test_spread_is_from_the_10th_to_the_90th_percentile() -> None:
    assert str(Times(tuple(ms / 1000 for ms in range(1, 12)))) == "6.00 ms (2.00 – 10.0)"


def test_rounds_can_be_read_by_pyperf(tmp_path: Path) -> None:
    import pyperf

    (tmp_path / "one.json").write_text(json.dumps({"raw": {"warm: this": [0.25, 0.5, 0.75]}}))
    save_pyperf(tmp_path, tmp_path / "out.json")
    [benchmark] = pyperf.BenchmarkSuite.load(str(tmp_path / "out.json"))
    assert (benchmark.get_name(), benchmark.median()) == ("warm: this", 0.5)
