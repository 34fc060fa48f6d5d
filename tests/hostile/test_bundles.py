"""Campus bundles that are damaged, absurd, or made to do harm: refused with a reason, nothing executed or unpickled."""

from __future__ import annotations

import hashlib
import io
import json
import os
import pickle
import shutil
import stat
import struct
import time
import zipfile
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from core.campus.basemap import style_url
from core.campus.bundle import Bundle
from core.campus.file_names import CAMPUS_JSON, ENGINE, KEY
from core.campus.manifest import manifest_digest
from core.engines.choose import open_engine
from core.engines.onnx_engine import OnnxEngine
from core.errors import BundleError, CampusError, EngineError
from core.io.arrays import read_npz
from core.locate.localizer import Localizer
from edge.manifest import Golden, Manifest
from edge.pack import unpack
from tests.bundles import photo


def manifest_of(bundle: Path) -> dict[str, Any]:
    return dict(json.loads((bundle / CAMPUS_JSON).read_text()))


def sealed(manifest: dict[str, Any]) -> bytes:
    """The manifest with the digest that it should have: whoever makes a hostile bundle can do this too."""
    manifest["digest"] = manifest_digest(manifest)
    return json.dumps(manifest).encode()


def with_file(bundle: Path, name: str, data: bytes) -> Path:
    """The bundle with a file replaced or added, its hash and digest made right."""
    manifest = manifest_of(bundle)
    manifest["files"][name] = hashlib.sha256(data).hexdigest()
    (bundle / name).parent.mkdir(exist_ok=True)
    (bundle / name).write_bytes(data)
    (bundle / CAMPUS_JSON).write_bytes(sealed(manifest))
    return bundle


def refusal(use: Callable[[], object], kind: type[CampusError] = BundleError) -> str:
    """The one line that `use` is refused with."""
    with pytest.raises(kind) as caught:
        use()
    message = str(caught.value)
    assert message.isprintable()
    assert len(message) < 700
    return message


# --- the manifest -------------------------------------------------------------------------------------------------

NAN, INF = float("nan"), float("inf")


@pytest.mark.parametrize(
    ("path", "value", "named"),
    [
        ("frame.zone", 0, "frame"),
        ("frame.zone", 61, "frame"),
        ("frame.easting_m", NAN, CAMPUS_JSON),
        ("frame.northing_m", 1e12, "frame"),
        ("frame.easting_m", "east", "frame"),
        ("frame", None, "frame"),
        ("scale_m", -1, "scale_m"),
        ("scale_m", 0, "scale_m"),
        ("scale_m", 1e300, CAMPUS_JSON),
        ("scale_m", INF, CAMPUS_JSON),
        ("image_size", 1, "image_size"),
        ("image_size", 10**9, "image_size"),
        ("image_size", 64.5, "image_size"),
        ("grid.rows", 10**9, "grid"),
        ("grid.columns", 0, "grid"),
        ("grid.rows", -5, "grid"),
        ("grid.cell_m", 0, "grid"),
        ("grid.cell_m", -2, "grid"),
        ("grid.cell_m", NAN, CAMPUS_JSON),
        ("grid.cell_m", 1e9, "grid"),
        ("grid.west_m", INF, CAMPUS_JSON),
        ("grid.west_m", 1e9, "grid"),
        ("grid.rows", 10**400, CAMPUS_JSON),
        ("grid.rows", "ten", "grid"),
        ("zones.0.spread_m", -1, "zones"),
        ("zones.0.spread_m", NAN, CAMPUS_JSON),
        ("zones.0.centre_m", [1e9, 0], "zones"),
        ("zones.0.centre_m", [1, 2, 3], "zones"),
        ("zones.0.name", "x" * 10_000, "zones"),
        ("zones.0.outline_m", [[0, 0]] * 200_000, "zones"),
        ("zones.0.outline_m", [[NAN, 0]], CAMPUS_JSON),
        ("posterior.floor_weight", 0.5, "posterior"),
        ("posterior.zone_weight", -0.1, "posterior"),
        ("posterior.regression_weight", NAN, CAMPUS_JSON),
        ("posterior.regression_width_m", -6, "posterior"),
        ("posterior.retrieval_temperature", 0, "posterior"),
        ("posterior.neighbours", 0, "posterior"),
        ("posterior.neighbours", 10**9, "posterior"),
        ("posterior.zone_width", 1e300, CAMPUS_JSON),
        ("calibration.radius68_factors", [0], "radius68_factors"),
        ("calibration.radius95_factors", [INF], CAMPUS_JSON),
        ("calibration.ood_quantiles", [0.5] * 20_000, "ood_quantiles"),
        ("calibration.off_campus_share", 2, "off_campus_share"),
        ("calibration.ood_quantiles", [NAN], CAMPUS_JSON),
        ("metrics.test.mean_m", NAN, CAMPUS_JSON),
        ("metrics.test.n", "many", "metrics"),
        ("created_utc", "yesterday", "created"),
        ("name", 7, "name"),
        ("name", "x" * 100_000, "name"),
        ("name", "\ud800", "name"),
        ("cpu_model", "/bin/sh", "cpu_model"),
        ("unknown", 1, "unknown"),
        ("files", {"model.onnx": "short"}, "files"),
        ("files", {}, "model.onnx"),
        ("files", [], "files"),
        ("schema_version", 2, "schema version 2"),
        ("schema_version", "1", "schema version"),
        ("schema_version", None, "schema version"),
        ("schema_version", [1] * 10_000, "schema version"),
    ],
)
def test_a_card_of_absurd_values_names_the_field(bundle: Path, path: str, value: Any, named: str) -> None:
    manifest = manifest_of(bundle)
    at: Any = manifest
    *parents, last = path.split(".")
    for key in parents:
        at = at[int(key) if isinstance(at, list) else key]
    at[last] = value
    (bundle / CAMPUS_JSON).write_bytes(sealed(manifest))
    assert named in refusal(lambda: Bundle.load(bundle))


def test_a_grid_and_zones_that_are_too_many_together(bundle: Path) -> None:
    manifest = manifest_of(bundle)
    manifest["grid"] |= {"rows": 2000, "columns": 2000}
    manifest["zones"] = manifest["zones"] * 300
    (bundle / CAMPUS_JSON).write_bytes(sealed(manifest))
    assert "too many together" in refusal(lambda: Bundle.load(bundle))


@pytest.mark.parametrize(
    "text",
    [b"[" * 100_000, b'{"a":' * 100_000, b"\xff\xfe\0", b"null", b'"x"', b"NaN", b"1e999", b"9" * 10_000, b"{}" * 2],
)
def test_a_card_that_is_no_json_object(bundle: Path, text: bytes) -> None:
    (bundle / CAMPUS_JSON).write_bytes(text)
    refusal(lambda: Bundle.load(bundle))


def test_a_card_that_is_too_large_is_not_parsed(bundle: Path) -> None:
    with (bundle / CAMPUS_JSON).open("wb") as file:
        file.truncate(1 << 30)
    assert "larger than 16 MB" in refusal(lambda: Bundle.load(bundle))


# --- files of a folder ----------------------------------------------------------------------------------------


def test_every_changed_byte_of_the_card_is_noticed(bundle: Path) -> None:
    good = (bundle / CAMPUS_JSON).read_bytes()
    for at in range(0, len(good), 37):
        bad = bytearray(good)
        bad[at] ^= 0x10
        (bundle / CAMPUS_JSON).write_bytes(bytes(bad))
        try:
            manifest = Bundle.load(bundle).manifest
        except BundleError:
            continue
        assert manifest == Bundle.load(_restored(bundle, good)).manifest  # white space is not data


def _restored(bundle: Path, manifest: bytes) -> Path:
    (bundle / CAMPUS_JSON).write_bytes(manifest)
    return bundle


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


# --- zips -----------------------------------------------------------------------------------------------------


def zipped(bundle: Path, out: Path, extra: dict[str | zipfile.ZipInfo, bytes] | None = None, skip: str = "") -> Path:
    with zipfile.ZipFile(out, "w", zipfile.ZIP_DEFLATED) as archive:
        for file in sorted(bundle.rglob("*")):
            if file.is_file() and file.name != skip:
                archive.write(file, file.relative_to(bundle).as_posix())
        for name, data in (extra or {}).items():
            archive.writestr(name, data)
    return out


def test_extra_entries_of_a_zip_are_neither_read_nor_unpacked(bundle: Path, tmp_path: Path) -> None:
    nested = zipped(bundle, tmp_path / "nested.zip").read_bytes()
    extra: dict[str | zipfile.ZipInfo, bytes] = {
        "../../evil.txt": b"x",
        "/tmp/evil.txt": b"x",
        "samples/": b"",
        "nested.zip": nested,
        "__main__.py": b"raise SystemExit",
        "bomb": bytes(50_000_000),
    }
    loaded = Bundle.load(zipped(bundle, tmp_path / "field.campus-edge", extra))
    unpack(loaded, tmp_path / "out" / "field")
    kept = {
        path.relative_to(tmp_path / "out" / "field").as_posix()
        for path in (tmp_path / "out").rglob("*")
        if path.is_file()
    }
    assert kept == {CAMPUS_JSON, *loaded.manifest.files}
    assert not list(tmp_path.rglob("evil.txt"))


def test_a_linked_entry_is_refused(bundle: Path, tmp_path: Path) -> None:
    link = zipfile.ZipInfo("gallery.npz")
    link.external_attr = (stat.S_IFLNK | 0o777) << 16
    manifest = manifest_of(bundle)
    manifest["files"]["gallery.npz"] = hashlib.sha256(b"/etc/passwd").hexdigest()
    (bundle / CAMPUS_JSON).write_bytes(sealed(manifest))
    out = zipped(bundle, tmp_path / "field.campus", {link: b"/etc/passwd"}, skip="gallery.npz")
    assert "symbolic link" in refusal(lambda: Bundle.load(out))


@pytest.mark.filterwarnings("ignore:Duplicate name")
def test_two_entries_of_one_name_are_refused(bundle: Path, tmp_path: Path) -> None:
    assert "one name" in refusal(lambda: Bundle.load(zipped(bundle, tmp_path / "field.campus", {CAMPUS_JSON: b"{}"})))


def bomb(bundle: Path, out: Path, size: int, compression: int = zipfile.ZIP_DEFLATED) -> Path:
    """A bundle with a map of zeros, its hash right."""
    manifest = manifest_of(bundle)
    manifest["files"]["map.geojson"] = hashlib.sha256(bytes(size)).hexdigest()
    (bundle / CAMPUS_JSON).write_bytes(sealed(manifest))
    zipped(bundle, out, skip="map.geojson")
    with zipfile.ZipFile(out, "a", compression) as archive:
        archive.writestr("map.geojson", bytes(size))
    return out


def test_a_zip_bomb_is_refused_before_it_is_unpacked(bundle: Path, tmp_path: Path) -> None:
    out = bomb(bundle, tmp_path / "field.campus", 200_000_000)
    started = time.process_time()
    assert "bomb" in refusal(lambda: Bundle.load(out))
    spent = time.process_time() - started
    started = time.process_time()
    hashlib.sha256(bytes(200_000_000)).hexdigest()  # the least that unpacking it would cost
    assert spent < (time.process_time() - started) / 2


@pytest.mark.parametrize("compression", [zipfile.ZIP_BZIP2, zipfile.ZIP_LZMA])
def test_other_compressions_are_refused(bundle: Path, tmp_path: Path, compression: int) -> None:
    assert "deflate" in refusal(lambda: Bundle.load(bomb(bundle, tmp_path / "field.campus", 100, compression)))


def patched(path: Path, change: Callable[[bytearray], None]) -> Path:
    data = bytearray(path.read_bytes())
    change(data)
    path.write_bytes(bytes(data))
    return path


def central(data: bytearray, name: bytes) -> int:
    """Where the central entry of a name begins."""
    return data.rindex(name) - 46


@pytest.mark.parametrize("size", [0, 10, 0xFFFFFFFF])
def test_sizes_that_lie(bundle: Path, tmp_path: Path, size: int) -> None:
    out = zipped(bundle, tmp_path / "field.campus")

    def lie(data: bytearray) -> None:
        at = central(data, b"gallery.npz")
        data[at + 24 : at + 28] = struct.pack("<I", size)

    refusal(lambda: Bundle.load(patched(out, lie)))


def test_a_name_of_thousands_of_bytes_is_not_repeated(bundle: Path, tmp_path: Path) -> None:
    def change(data: bytearray) -> None:
        struct.pack_into("<H", data, 26, 4000)  # the length of the first entry's name, in the entry itself

    assert len(refusal(lambda: Bundle.load(patched(zipped(bundle, tmp_path / "a.campus"), change)))) < 500


def test_overlapping_entries(bundle: Path, tmp_path: Path) -> None:
    out = zipped(bundle, tmp_path / "field.campus")

    def overlap(data: bytearray) -> None:
        one, other = central(data, b"gallery.npz"), central(data, b"model.onnx")
        data[other + 42 : other + 46] = data[one + 42 : one + 46]

    refusal(lambda: Bundle.load(patched(out, overlap)))


def test_a_listing_of_millions_is_not_read(tmp_path: Path) -> None:
    end = struct.pack("<4s4H2IH", b"PK\5\6", 0, 0, 65_535, 65_535, 46_000_000, 0, 0)
    (tmp_path / "field.campus").write_bytes(bytes(46_000_000) + end)
    assert "more than 2000 files" in refusal(lambda: Bundle.load(tmp_path / "field.campus"))
    zip64 = b"PK\6\7" + bytes(16) + struct.pack("<4s4H2IH", b"PK\5\6", 0, 0, 1, 1, 46, 0, 0)
    (tmp_path / "field.campus").write_bytes(bytes(1000) + zip64)
    refusal(lambda: Bundle.load(tmp_path / "field.campus"))


def test_a_zip_cut_short_anywhere(bundle: Path, tmp_path: Path) -> None:
    whole = zipped(bundle, tmp_path / "field.campus").read_bytes()
    for keep in range(0, len(whole), len(whole) // 40):
        (tmp_path / "field.campus").write_bytes(whole[:keep])
        refusal(lambda: Bundle.load(tmp_path / "field.campus"))


def test_a_changed_byte_anywhere_in_a_zip(bundle: Path, tmp_path: Path) -> None:
    out = zipped(bundle, tmp_path / "field.campus")
    good, manifest = out.read_bytes(), Bundle.load(out).manifest
    refused = 0
    for at in range(0, len(good), len(good) // 250):
        bad = bytearray(good)
        bad[at] ^= 0x41
        out.write_bytes(bytes(bad))
        try:
            assert Bundle.load(out).manifest == manifest  # dates and permissions of entries are not data
        except BundleError:
            refused += 1
    assert refused > 150


# --- the gallery ----------------------------------------------------------------------------------------------


def npz(**arrays: Any) -> bytes:
    file = io.BytesIO()
    np.savez_compressed(file, **arrays)
    return file.getvalue()


def unit(rows: int = 4, columns: int = 6, dtype: Any = np.float16) -> Any:
    return np.eye(rows, columns).astype(dtype)


class Dropper:
    """Unpickling it creates a file."""

    def __init__(self, path: Path) -> None:
        self.path = path

    def __reduce__(self) -> Any:
        return Path.touch, (self.path,)


def test_nothing_is_unpickled(bundle: Path, tmp_path: Path) -> None:
    trap = tmp_path / "unpickled"
    pickle.loads(pickle.dumps(Dropper(trap)))
    assert trap.exists()  # the trap works
    trap.unlink()
    objects = np.empty((4, 6), object)
    objects[:] = Dropper(trap)
    data = npz(embedding=objects, local_m=np.zeros((4, 2)))
    assert "gallery.npz" in refusal(lambda: Bundle.load(with_file(bundle, "gallery.npz", data)).gallery)
    as_npy = io.BytesIO()
    np.save(as_npy, objects, allow_pickle=True)
    for file in (as_npy.getvalue(), pickle.dumps(Dropper(trap))):
        for name in ("gallery.npz", "model.onnx", "map.geojson", "samples/library.jpg", "model.safetensors"):
            with pytest.raises(CampusError):  # whichever part is asked first
                _use_all(
                    with_file(Path(shutil.copytree(bundle, tmp_path / f"{len(file)}{Path(name).name}")), name, file)
                )
    with pytest.raises(EngineError):
        Golden.parse(npz(images=objects, photo=objects, photo_image=objects, offset=objects), "golden.npz")
    assert not trap.exists()


def _use_all(path: Path) -> None:
    localizer = Localizer.load(path)
    _ = localizer.bundle.campus_map
    for name in localizer.bundle.samples:
        localizer.locate(localizer.bundle.read(name))
    if "model.safetensors" in localizer.bundle.manifest.files:
        raise EngineError("weights are read by edge export alone, with safetensors")


def test_a_gallery_of_wrong_values(bundle: Path) -> None:
    places, nan, huge = np.zeros((4, 2), np.float32), unit(), unit(dtype=np.float64)
    nan[0, 0], huge[0, 0] = np.nan, 1e300
    wrong = {
        "nan": npz(embedding=nan, local_m=places),
        "overflowing": npz(embedding=huge, local_m=places),
        "not of unit length": npz(embedding=unit() * 9, local_m=places),
        "zeros": npz(embedding=np.zeros((4, 6)), local_m=places),
        "infinite places": npz(embedding=unit(), local_m=places + np.inf),
        "places far away": npz(embedding=unit(), local_m=places + 1e9),
        "text": npz(embedding=np.full((4, 6), "x"), local_m=places),
        "complex": npz(embedding=unit().astype(np.complex64), local_m=places),
        "times": npz(embedding=unit().astype("datetime64[s]"), local_m=places),
        "records": npz(embedding=np.zeros(4, [("a", "f4", 6)]), local_m=places),
        "fewer places": npz(embedding=unit(), local_m=places[:3]),
        "places in space": npz(embedding=unit(), local_m=np.zeros((4, 3))),
        "flat": npz(embedding=unit().ravel(), local_m=places),
        "nobody": npz(embedding=unit()[:0], local_m=places[:0]),
        "no places": npz(embedding=unit()),
        "one too many": npz(embedding=unit(), local_m=places, other=places),
        "no zip": b"x" * 1000,
        "nothing": b"",
        "cut short": npz(embedding=unit(), local_m=places)[:-30],
    }
    for name, data in wrong.items():
        message = refusal(lambda data=data: Bundle.load(with_file(bundle, "gallery.npz", data)).gallery)  # type: ignore[misc]
        assert "gallery.npz" in message, name


def header(shape: str, descr: str = "'<f2'") -> bytes:
    text = f"{{'descr': {descr}, 'fortran_order': False, 'shape': {shape}, }}".encode()
    return b"\x93NUMPY\1\0" + struct.pack("<H", len(text)) + text


def raw_npz(**members: bytes) -> bytes:
    file = io.BytesIO()
    with zipfile.ZipFile(file, "w", zipfile.ZIP_DEFLATED) as archive:
        for name, data in members.items():
            archive.writestr(f"{name}.npy", data)
    return file.getvalue()


@pytest.mark.parametrize(
    "shape",
    [
        "(10**12, 128)",
        "(1000000000000, 128)",
        "(-1, 6)",
        "(4, 6.5)",
        "4",
        "('a', 'b')",
        "(" * 5000,
        "(4, 6",
        "[4, 6]",
        "(99999999999999999999, 99999999999999999999)",
    ],
)
def test_an_array_that_promises_what_it_does_not_hold(shape: str) -> None:
    good = raw_npz(a=header("(4, 6)") + bytes(48))
    assert read_npz(good, ("a",))["a"].shape == (4, 6)
    with pytest.raises(ValueError, match=r"."):
        read_npz(raw_npz(a=header(shape) + bytes(48)), ("a",))


def test_an_npz_that_is_a_bomb() -> None:
    with pytest.raises(ValueError, match="claim"):
        read_npz(raw_npz(a=header("(20000, 2500)") + bytes(100_000_000)), ("a",))


# --- the network, the map, the samples ------------------------------------------------------------------------


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


# --- what a pack holds besides --------------------------------------------------------------------------------


def golden(**changed: Any) -> bytes:
    pictures = np.zeros((2, 32, 32, 3), np.uint8)
    arrays = {
        "images": pictures,
        "photo": pictures[0],
        "photo_image": pictures[0],
        "offset": np.zeros((2, 2), np.float32),
    }
    return npz(**{name: value for name, value in (arrays | changed).items() if value is not None})


@pytest.mark.parametrize(
    "changed",
    [
        {"images": None},
        {"images": np.zeros(5)},
        {"images": np.zeros((2, 8, 8, 3), np.uint8)},
        {"photo": np.zeros((0, 0, 3), np.uint8)},
        {"images": np.zeros((0, 32, 32, 3), np.uint8)},
        {"offset": np.full((2, 2), np.nan, np.float32)},
        {"offset": np.zeros((3, 2), np.float32)},
        {"offset": np.zeros((2, 2), np.uint8)},
        {"other": np.zeros(3)},
        {"photo_image": np.zeros((32, 32, 3), np.float32)},
        {"embedding": np.zeros(2, np.float32)},
    ],
)
def test_hostile_golden_answers(changed: dict[str, Any]) -> None:
    assert len(Golden.parse(golden(), "golden.npz").images) == 2
    refusal(lambda: Golden.parse(golden(**changed), "golden.npz"), EngineError)


@pytest.mark.parametrize(
    "text", [b"", b"[" * 100_000, b"[]", b"7", b'{"schema_version": 1}', b'{"schema_version": 9}', b"\xff"]
)
def test_a_hostile_manifest(text: bytes) -> None:
    refusal(lambda: Manifest.parse(text, "manifest.json"), EngineError)
