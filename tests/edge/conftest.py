"""One small bundle and its export, made once and shared by every test of this folder."""

from __future__ import annotations

import shutil
import sys
from pathlib import Path

import pytest

from core.campus.bundle import Bundle
from core.locate.localizer import Localizer
from edge.pack import unpack
from tests.bundles import make_bundle, photo
from tests.core.engines import fake_tensorrt
from tests.core.engines.fake_cuda import FakeCuda
from tests.edge.networks import small_shelf


@pytest.fixture(scope="session")
def small(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return small_shelf(tmp_path_factory)


@pytest.fixture(scope="session")
def bundle(small: Path) -> Bundle:
    return Bundle.load(small / "small")


@pytest.fixture(scope="session")
def pristine_export(small: Path) -> Path:
    return small / "small-export"


@pytest.fixture
def exported(pristine_export: Path, tmp_path: Path) -> Path:
    """A copy of the export that a test may break."""
    return Path(shutil.copytree(pristine_export, tmp_path / "export"))


@pytest.fixture
def device(monkeypatch: pytest.MonkeyPatch) -> FakeCuda:
    """A device with one GPU and TensorRT 10.3, both fakes."""
    cuda = FakeCuda()
    monkeypatch.setattr("core.engines.cuda.libraries", lambda: iter([cuda.library()]))
    monkeypatch.setitem(sys.modules, "tensorrt", fake_tensorrt.module())
    return cuda


@pytest.fixture(scope="session")
def pristine_pack(small: Path) -> Path:
    return small / "small.campus-edge"


@pytest.fixture
def unpacked(pristine_pack: Path, tmp_path: Path) -> Bundle:
    """The pack as a folder that an engine can be built in."""
    return unpack(Bundle.load(pristine_pack), tmp_path / "small")


@pytest.fixture(scope="session")
def field(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return make_bundle(tmp_path_factory.mktemp("run") / "field")


@pytest.fixture(scope="session")
def localizer(field: Path) -> Localizer:
    return Localizer.load(field)


@pytest.fixture
def photos(tmp_path: Path) -> Path:
    folder = tmp_path / "photos"
    folder.mkdir()
    for name, east in (("b.jpg", 20.0), ("a.JPG", -30.0)):
        (folder / name).write_bytes(photo(east_m=east))
    (folder / "notes.txt").write_text("no photo")
    return folder
