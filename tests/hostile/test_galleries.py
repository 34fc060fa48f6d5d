"""Galleries of wrong values or wrong files: nothing is unpickled, no promise of size is believed."""

from __future__ import annotations

import io
import pickle
import shutil
import struct
import zipfile
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from core.campus.bundle import Bundle
from core.errors import CampusError, EngineError
from core.io.arrays import read_npz
from core.locate.localizer import Localizer
from edge.manifest import Golden
from tests.hostile.sealed import npz, refusal, unit, with_file


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
