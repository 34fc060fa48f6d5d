"""Uploaded campuses: what their networks may not be, and what their own process may take."""

from __future__ import annotations

import json
import shutil
import signal
import subprocess
import sys
from pathlib import Path
from typing import Any

import numpy as np
import onnx
import pytest
from onnx import TensorProto, helper, numpy_helper

from app import campuses, trial
from app.trial import check_campus
from benchmarks.strange_campuses import loop_model, model
from core.campus.bundle import Bundle, save_bundle
from core.campus.frame import LocalFrame
from core.errors import BundleError, CampusError
from tests import REPOSITORY
from tests.bundles import CENTRE, make_bundle, photo


def campus_with(folder: Path, **files: bytes) -> Path:
    """A zipped test campus; `files` replace or add to what it holds (`__` for the dot, `0` for the slash in names)."""
    plain = Bundle.load(make_bundle(folder / "plain"))
    held = {name: plain.read(name) for name in plain.manifest.files}
    held |= {name.replace("__", ".").replace("0", "/"): data for name, data in files.items()}
    save_bundle(folder / "stranger.campus", plain.manifest, held)
    return folder / "stranger.campus"


def reading_model(path: str) -> bytes:
    """A network that answers with the bytes of another file."""
    data = model([helper.make_node("Identity", ["secret"], ["read"])], secret=np.zeros(2, np.float32))
    parsed = onnx.load_from_string(data)
    secret = next(tensor for tensor in parsed.graph.initializer if tensor.name == "secret")
    secret.ClearField("raw_data")
    secret.data_location = TensorProto.EXTERNAL
    for key, value in (("location", path), ("length", "8")):
        secret.external_data.add(key=key, value=value)
    return bytes(parsed.SerializeToString())


def trying(work: str) -> list[str]:
    """The command of a process that does some of a trial's work, and gives way to no other as a trial does."""
    return [sys.executable, "-c", f"import os; os.nice = int; from app import trial; {work}"]


def test_a_stranger_s_plain_campus_is_taken_in(tmp_path: Path) -> None:
    path = campus_with(tmp_path, model__onnx=model([]))
    assert campuses.taken_in(path.read_bytes(), "stranger.campus").is_file()


def test_a_campus_that_loops_or_reads_is_refused_before_a_process_is_made(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    (tmp_path / "key.txt").write_bytes(b"secret42")

    def never(*_: Any, **__: Any) -> None:
        raise AssertionError("its network was given to a runtime")

    monkeypatch.setattr(subprocess, "run", never)
    for number, (data, said) in enumerate(
        [(loop_model(), "a graph within an operator"), (reading_model("key.txt"), "data outside the file")]
    ):
        path = campus_with(tmp_path / str(number), model__onnx=data)
        with pytest.raises(CampusError, match=said) as caught:
            campuses.taken_in(path.read_bytes(), "stranger.campus")
        assert str(caught.value).startswith("stranger.campus: model.onnx: ")
    # A network that the manifest lists for later, too.
    path = campus_with(tmp_path / "later", edge0model__fp16__onnx=loop_model())
    with pytest.raises(CampusError, match=r"edge/model\.fp16\.onnx: .*a graph within"):
        check_campus(path)


def test_a_campus_must_answer_its_own_samples(tmp_path: Path) -> None:
    parsed = onnx.load_from_string(model([]))
    nothing = next(tensor for tensor in parsed.graph.initializer if tensor.name == "nothing")
    nothing.CopyFrom(numpy_helper.from_array(np.array(np.nan, np.float32), "nothing"))
    for file, kind, said in (
        ({"model__onnx": parsed.SerializeToString()}, "unusable", "not finite"),
        ({"samples0library__jpg": b"no photo"}, "unknown format", "photo"),
        ({"thumbnails__npz": b"no arrays"}, "unusable", "thumbnails"),
    ):
        with pytest.raises(BundleError, match=said) as caught:
            check_campus(campus_with(tmp_path / said.replace(" ", "-"), **file))
        assert caught.value.kind == kind


@pytest.mark.slow
def test_a_campus_whose_map_takes_too_long_is_refused(tmp_path: Path) -> None:
    """Where people may stand follows from all its buildings, at the first photo of several."""
    off = np.random.default_rng(0).integers(0, 10_000, (100_000, 1, 2)) / 1e7
    square = np.array([[8.39, 46.99], [8.41, 46.99], [8.41, 47.01], [8.39, 47.01], [8.39, 46.99]])
    shape = {"type": "MultiPolygon", "coordinates": (square + off).round(7)[:, None].tolist()}
    features = [{"type": "Feature", "properties": {"kind": "building"}, "geometry": shape}]
    data = json.dumps({"type": "FeatureCollection", "features": features}).encode()
    path = campus_with(tmp_path, map__geojson=data)
    work = f"import sys; from pathlib import Path; trial.CPU_S = 3; sys.exit(trial.main(Path({str(path)!r})))"
    assert subprocess.run(trying(work), cwd=REPOSITORY, capture_output=True, check=False).returncode in trial._ENDED


def test_only_samples_that_were_tried_are_shown(tmp_path: Path) -> None:
    tried = {f"samples0{letter}__jpg": photo(east_m=20) for letter in "abcdefghijklmn"}  # with two that are there
    path = campus_with(tmp_path, **tried, samples0z__jpg=b"no photo")
    bundle = Bundle.load(campuses.taken_in(path.read_bytes(), "stranger.campus"))
    assert len(bundle.samples) == 17
    assert len(campuses.sample_pictures(bundle)) == 16


def test_a_campus_that_takes_too_long_is_refused(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    path = campus_with(tmp_path)
    monkeypatch.setattr(trial, "WALL_S", 0.01)
    with pytest.raises(BundleError, match="takes more than"):
        check_campus(path)


@pytest.mark.parametrize(
    ("code", "said", "kind"),
    [
        (-signal.SIGKILL, b"", "too large"),
        (-signal.SIGXCPU, b"", "too large"),
        (3, b"", "too large"),
        (-signal.SIGABRT, b"terminate called after throwing an instance of 'std::bad_alloc'\n", "too large"),
        (1, b"Traceback\nImportError: no such library\n", "unusable"),
        (-signal.SIGSEGV, b"", "unusable"),
    ],
)
def test_only_a_trial_that_its_limits_ended_is_called_too_large(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture, code: int, said: bytes, kind: str
) -> None:
    path = campus_with(tmp_path)
    ended = subprocess.CompletedProcess([], code, stderr=said)
    monkeypatch.setattr(subprocess, "run", lambda *_, **__: ended)
    with pytest.raises(BundleError) as caught:
        check_campus(path)
    assert caught.value.kind == kind
    assert ("cannot be tried out here" in str(caught.value)) == (kind == "unusable")
    assert ("no such library" in caplog.text) == (code == 1), "whoever runs the server reads why"


@pytest.mark.parametrize(("north_m", "fits"), [(70.0, True), (900.0, False)])
def test_a_campus_that_puts_all_its_samples_elsewhere_is_refused(tmp_path: Path, north_m: float, fits: bool) -> None:
    frame = LocalFrame.about(*CENTRE)
    lat, lon = (float(value) for value in frame.to_latlon((0.0, north_m)))
    path = campus_with(tmp_path, samples0library__jpg=photo(at=(lat, lon)), samples0gymnasium__jpg=photo(at=(lat, lon)))
    if fits:
        check_campus(path)
        return
    with pytest.raises(BundleError, match="over 100 m from where it was taken"):
        check_campus(path)
    honest = {"samples0library__jpg": photo(at=CENTRE), "samples0gymnasium__jpg": photo(at=(lat, lon))}
    check_campus(campus_with(tmp_path / "one", **honest))


@pytest.mark.skipif(sys.platform != "linux", reason="only Linux holds a process to its address space")
@pytest.mark.parametrize(
    "work",
    ["trial.CPU_S = 1; trial._limit()\nwhile True: pass", "trial._limit()\nimport numpy\nnumpy.ones(1 << 30)"],
    ids=["time", "memory"],
)
def test_the_limits_end_a_process(work: str) -> None:
    assert subprocess.run(trying(work), cwd=REPOSITORY, capture_output=True, check=False).returncode != 0


def test_the_folder_of_campuses_may_be_cleaned_away(tmp_path: Path) -> None:
    data = campus_with(tmp_path).read_bytes()
    shutil.rmtree(campuses.taken_in(data, "stranger.campus").parent)
    assert campuses.taken_in(data, "stranger.campus").is_file()


def test_a_refused_campus_leaves_no_file(tmp_path: Path) -> None:
    path = campus_with(tmp_path, model__onnx=loop_model())
    folder = Path(campuses._workshop().name)
    before = sorted(folder.iterdir())
    with pytest.raises(CampusError):
        campuses.taken_in(path.read_bytes(), "stranger.campus")
    assert sorted(folder.iterdir()) == before
