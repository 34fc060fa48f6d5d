"""Uploaded campuses: what their networks may not be, and what their own process may take."""

from __future__ import annotations

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
from core.campus.bundle import Bundle, save_bundle
from core.errors import BundleError, CampusError
from tests import REPOSITORY
from tests.bundles import make_bundle


def campus_with(folder: Path, **files: bytes) -> Path:
    """A zipped test campus; `files` replace or add to what it holds (`__` for the dot, `0` for the slash in names)."""
    plain = Bundle.load(make_bundle(folder / "plain"))
    held = {name: plain.read(name) for name in plain.manifest.files}
    held |= {name.replace("__", ".").replace("0", "/"): data for name, data in files.items()}
    save_bundle(folder / "stranger.campus", plain.manifest, held)
    return folder / "stranger.campus"


def loop_model() -> bytes:
    """A network of a few hundred bytes that never ends."""
    body = helper.make_graph(
        [helper.make_node("Identity", ["going"], ["again"])],
        "body",
        [
            helper.make_tensor_value_info("turn", TensorProto.INT64, []),
            helper.make_tensor_value_info("going", TensorProto.BOOL, []),
        ],
        [helper.make_tensor_value_info("again", TensorProto.BOOL, [])],
    )
    return model([helper.make_node("Loop", ["", "true"], [], body=body)], true=np.array(True))


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


def model(nodes: list[Any], **constants: Any) -> bytes:
    """A network that answers every photo with the middle of the campus, after `nodes`."""
    answer = [
        helper.make_node("Cast", ["image"], ["numbers"], to=TensorProto.FLOAT),
        helper.make_node("ReduceMean", ["numbers", "sides"], ["colour"], keepdims=0),
        helper.make_node("Slice", ["colour", "zero", "two", "one"], ["two_colours"]),
        helper.make_node("Mul", ["two_colours", "nothing"], ["offset"]),
    ]
    constants |= {
        "sides": np.array([1, 2]), "zero": np.array([0]), "two": np.array([2]), "one": np.array([1]),
        "nothing": np.array(0, np.float32),
    }  # fmt: skip
    graph = helper.make_graph(
        [*nodes, *answer],
        "stranger",
        [helper.make_tensor_value_info("image", TensorProto.UINT8, ["batch", 64, 64, 3])],
        [helper.make_tensor_value_info("offset", TensorProto.FLOAT, ["batch", 2])],
        [numpy_helper.from_array(value, name) for name, value in constants.items()],
    )
    return bytes(
        helper.make_model(graph, opset_imports=[helper.make_opsetid("", 18)], ir_version=9).SerializeToString()
    )


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


def test_a_campus_that_takes_too_long_is_refused(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    path = campus_with(tmp_path)
    monkeypatch.setattr(trial, "WALL_S", 0.01)
    with pytest.raises(BundleError, match="takes more than"):
        check_campus(path)


@pytest.mark.skipif(sys.platform != "linux", reason="only Linux holds a process to its address space")
@pytest.mark.parametrize(
    "work",
    ["trial.CPU_S = 1; trial._limit()\nwhile True: pass", "trial._limit()\nimport numpy\nnumpy.ones(1 << 30)"],
    ids=["time", "memory"],
)
def test_the_limits_end_a_process(work: str) -> None:
    line = [sys.executable, "-c", f"from app import trial; {work}"]
    assert subprocess.run(line, cwd=REPOSITORY, capture_output=True, check=False, timeout=60).returncode != 0


def test_a_refused_campus_leaves_no_file(tmp_path: Path) -> None:
    path = campus_with(tmp_path, model__onnx=loop_model())
    folder = Path(campuses._workshop().name)
    before = sorted(folder.iterdir())
    with pytest.raises(CampusError):
        campuses.taken_in(path.read_bytes(), "stranger.campus")
    assert sorted(folder.iterdir()) == before
