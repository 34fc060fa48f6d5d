"""Campus bundles that are damaged, absurd, or made to do harm: refused with a reason, nothing executed or unpickled."""

from __future__ import annotations

import json
import os
import shutil
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from core.campus.basemap import style_url
from core.campus.bundle import Bundle
from core.campus.file_names import CAMPUS_JSON, ENGINE, KEY
from core.engines.choose import open_engine
from core.engines.onnx_engine import OnnxEngine
from core.errors import BundleError, CampusError, EngineError
from core.locate.localizer import Localizer
from tests.bundles import photo
from tests.hostile.sealed import manifest_of, npz, refusal, sealed, unit, with_file


@pytest.mark.parametrize("name", ["a//b", "./x", "samples/", "a\0b", "a\nb", "x" * 5000, "~/x:y", "/", "."])
def test_an_odd_name_is_refused(bundle: Path, name: str) -> None:
    manifest = manifest_of(bundle)
    manifest["files"][name] = "0" * 64
    (bundle / CAMPUS_JSON).write_bytes(sealed(manifest))
    refusal(lambda: Bundle.load(bundle))


def test_a_linked_folder_and_a_linked_card_are_refused(bundle: Path, tmp_path: Path) -> None:
    shutil.move(bundle / "samples", tmp_path / "elsewhere")
    os.symlink(tmp_path / "elsewhere", bundle / "samples")
    assert "symbolic link" in refusal(lambda: Bundle.load(bundle))
    (bundle / "samples").unlink()
    shutil.move(bundle / CAMPUS_JSON, tmp_path / CAMPUS_JSON)
    os.symlink(tmp_path / CAMPUS_JSON, bundle / CAMPUS_JSON)
    assert "symbolic link" in refusal(lambda: Bundle.load(bundle))


@pytest.mark.skipif(not hasattr(os, "mkfifo"), reason="this system has no named pipes")
def test_a_pipe_is_not_waited_for(bundle: Path) -> None:
    (bundle / "gallery.npz").unlink()
    os.mkfifo(bundle / "gallery.npz")
    assert "regular file" in refusal(lambda: Bundle.load(bundle))


def test_a_folder_where_a_file_should_be(bundle: Path) -> None:
    (bundle / "gallery.npz").unlink()
    (bundle / "gallery.npz").mkdir()
    assert "gallery.npz" in refusal(lambda: Bundle.load(bundle))


@pytest.mark.parametrize("path", ["a\0b", "x" * 5000])
def test_what_is_no_path(path: str) -> None:
    with pytest.raises(BundleError, match="no such campus bundle"):
        Bundle.load(path)


def test_files_that_the_card_does_not_list_are_never_read(bundle: Path) -> None:
    (bundle / "__init__.py").write_text("raise SystemExit")
    (bundle / "notes.txt").write_text("a picnic")
    loaded = Bundle.load(bundle)
    assert "has no file notes.txt" in refusal(lambda: loaded.read("notes.txt"))


@pytest.mark.parametrize("name", [ENGINE, KEY])
def test_an_engine_does_not_travel(bundle: Path, name: str) -> None:
    assert "may not travel" in refusal(lambda: Bundle.load(with_file(bundle, name, b"machine code")))


def model_of(bundle: Path, change: Callable[[Any], None]) -> Path:
    import onnx

    model = onnx.load_from_string((bundle / "model.onnx").read_bytes())
    change(model)
    return with_file(bundle, "model.onnx", model.SerializeToString())


def test_a_model_with_a_file_outside_is_refused_and_its_file_not_read(bundle: Path, tmp_path: Path) -> None:
    from onnx import TensorProto

    secret = tmp_path / "secret"
    secret.write_bytes(np.full(4, 7, np.float32).tobytes())

    def outside(model: Any) -> None:
        tensor = next(tensor for tensor in model.graph.initializer if tensor.name == "half")
        tensor.ClearField("raw_data")
        tensor.data_location = TensorProto.EXTERNAL
        for key, value in (("location", str(secret)), ("length", "4")):
            tensor.external_data.add(key=key, value=value)

    path = model_of(bundle, outside)
    refusal(lambda: Localizer.load(path), EngineError)


def test_models_that_are_none_or_of_another_campus(pristine: Path, tmp_path: Path) -> None:
    def custom(model: Any) -> None:
        model.graph.node[0].domain = "evil.example"
        model.opset_import.add(domain="evil.example", version=1)

    def other_size(model: Any) -> None:
        for axis in (1, 2):
            model.graph.input[0].type.tensor_type.shape.dim[axis].dim_value = 4096

    def other_name(model: Any) -> None:
        model.graph.input[0].name = "picture"
        model.graph.node[0].input[0] = "picture"

    def no_offset(model: Any) -> None:
        del model.graph.output[0]

    def second_input(model: Any) -> None:
        model.graph.input.add().CopyFrom(model.graph.input[0])
        model.graph.input[1].name = "other"

    for change in (custom, other_size, other_name, no_offset, second_input):
        copy = Path(shutil.copytree(pristine, tmp_path / change.__name__))
        refusal(lambda copy=copy, change=change: Localizer.load(model_of(copy, change)), EngineError)  # type: ignore[misc]
    for name, data in (("noise", b"\x08\x07" * 5000), ("empty", b""), ("text", b"import os")):
        copy = Path(shutil.copytree(pristine, tmp_path / name))
        refusal(lambda copy=copy, data=data: Localizer.load(with_file(copy, "model.onnx", data)), EngineError)  # type: ignore[misc]


def test_a_model_that_does_not_fit_its_gallery_or_zones(bundle: Path, pristine: Path, tmp_path: Path) -> None:
    other = with_file(bundle, "gallery.npz", npz(embedding=unit(4, 9), local_m=np.zeros((4, 2))))
    assert "embedding" in refusal(lambda: Localizer.load(other), EngineError)
    fewer = Path(shutil.copytree(pristine, tmp_path / "fewer"))
    manifest = manifest_of(fewer)
    manifest["zones"] = manifest["zones"][:3]
    (fewer / CAMPUS_JSON).write_bytes(sealed(manifest))
    assert "zone_logits" in refusal(lambda: Localizer.load(fewer), EngineError)
    assert isinstance(open_engine(Bundle.load(pristine)), OnnxEngine)


def deep(levels: int) -> str:
    return "[" * levels + "0" + "]" * levels


@pytest.mark.parametrize(
    "text",
    [
        "",
        "[]",
        "7",
        "null",
        '{"features": 7}',
        '{"type": "FeatureCollection"}',
        deep(100_000),
        '{"features": [NaN]}',
        '{"features": [{"geometry": {"coordinates": [1e999, 0]}}]}',
        f'{{"features": [{deep(60)}]}}',
        '{"features": [%s]}' % ("9" * 400),
        '{"features": ["\xff',
        " " * (17 << 20),
    ],
)
def test_a_hostile_map_is_refused(bundle: Path, text: str) -> None:
    path = with_file(bundle, "map.geojson", text.encode("latin-1"))
    assert "map.geojson" in refusal(lambda: Bundle.load(path).campus_map)


@pytest.mark.parametrize(
    "feature",
    [
        None,
        7,
        [],
        {},
        {"geometry": None, "properties": None},
        {"geometry": {"type": "Polygon", "coordinates": "x"}, "properties": {"kind": "path"}},
        {"geometry": {"type": "Point", "coordinates": [500, 900]}, "properties": {"kind": "tree"}},
        {"geometry": {"type": "Point", "coordinates": [True, 1]}, "properties": {"kind": "tree"}},
        {"geometry": {"type": 7, "coordinates": [1, 1]}, "properties": {"kind": []}},
        {
            "geometry": {"type": "Polygon", "coordinates": [[[0, 0], [1]]]},
            "properties": {"kind": "building", "name": 7},
        },
    ],
)
def test_a_feature_that_is_none_is_left_out(bundle: Path, feature: Any) -> None:
    data = json.dumps({"type": "FeatureCollection", "features": [feature]}).encode()
    campus_map = Bundle.load(with_file(bundle, "map.geojson", data)).campus_map
    empty = style_url({"type": "FeatureCollection", "features": []}, dark=False)
    assert style_url(campus_map, dark=False) == empty


def test_a_sample_that_is_no_photo(bundle: Path) -> None:
    localizer = Localizer.load(with_file(bundle, "samples/library.jpg", b"<html>"))
    refusal(lambda: localizer.locate(localizer.bundle.read("samples/library.jpg")), CampusError)
    assert localizer.locate(photo()).on_campus
