"""Which file may import which: no circle, no room that knows one above it, and packs that carry what they need."""

from __future__ import annotations

from pathlib import Path

import pytest

from edge.pack import program_files
from tests import REPOSITORY
from tests.arrows import Arrow, arrows, broken_rules, circles, floor_of, sources, wrongly_packed


@pytest.fixture(scope="module")
def found() -> list[Arrow]:
    return arrows(sources(REPOSITORY))


def test_no_files_import_one_another_in_a_circle(found: list[Arrow]) -> None:
    assert len(found) > 400  # the reader reads
    assert circles(found) == []


def test_every_room_knows_only_rooms_below_it(found: list[Arrow]) -> None:
    assert broken_rules(found) == []


def test_the_former_name_of_a_command_is_the_one_exception(found: list[Arrow]) -> None:
    alias = Arrow("edge.__main__", "app.serve.serve")
    assert alias in found
    assert broken_rules([alias]) == []
    assert len(broken_rules([Arrow("edge.bench", "app.serve.serve"), Arrow("edge.__main__", "app.serve.web")])) == 2


@pytest.mark.parametrize("room", ["core", "train", "edge"])
def test_every_file_lies_on_a_floor(room: str) -> None:
    files = [name for name in sources(REPOSITORY) if name.startswith(f"{room}.")]
    assert [name for name in files if floor_of(name) is None] == []


def test_a_relative_import_is_followed_from_where_it_stands(tmp_path: Path) -> None:
    planted = plant(tmp_path, core__io__a="from . import b\n", core__io__b="from .a import f\n")
    assert circles(planted) == [["core.io.a", "core.io.b"]]


def plant(root: Path, **files: str) -> list[Arrow]:
    for name, text in files.items():
        path = root / f"{name if '/' in name else name.replace('__', '/')}.py"
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(text)
    return arrows(sources(root))


def test_a_circle_of_lazy_imports_is_found(tmp_path: Path) -> None:
    planted = plant(
        tmp_path,
        core__a="def f():\n    from core import b\n",
        core__b="import core.c\n",
        core__c="try:\n    from core.a import f\nexcept ImportError:\n    pass\n",
        core__d="from core.a import f\n",
    )
    assert circles(planted) == [["core.a", "core.b", "core.c"]]


def test_a_circle_by_what_only_type_checkers_import_is_found(tmp_path: Path) -> None:
    text = "from typing import TYPE_CHECKING\nif TYPE_CHECKING:\n    from core.b import X\n"
    assert circles(plant(tmp_path, core__a=text, core__b="from core.a import Y\n")) == [["core.a", "core.b"]]


@pytest.mark.parametrize(
    ("file", "text", "said"),
    [
        ("core__x", "from train.fit import y", "core does not know train"),
        ("core__x", "def f():\n    import app.serve.web", "core does not know app"),
        ("train__x", "from edge.pack import y", "train does not know edge"),
        ("edge__x", "from train import y", "edge does not know train"),
        ("train__x", "from app import y", "train does not know app"),
        ("edge__x", "import app", "edge does not know app"),
        ("app__x", "from train.dataset import y", "app does not know train"),
        ("predict", "from edge import y", "predict does not know edge"),
        ("core__io__x", "from core.campus.bundle import Bundle", "core.io.x imports core.campus.bundle: it lies below"),
        ("train__dataset__x", "from train.fit import y", "train.dataset.x imports train.fit: it lies below"),
        ("core__locate__x", "import torch", "may need it"),
        ("edge__device__x", "def f():\n    from torch import nn", "may need it"),
        ("benchmarks__x", "from tests import REPOSITORY", "nothing outside tests/ knows them"),
        ("core__locate__x", "from core.archive.run import y", "lies below"),
        ("edge__device__x", "def f():\n    from edge.export.export import y", "lies below"),
        ("edge__pack", "from edge.bench import y", "lies below"),
        ("app__map__x", "from app.cards import y", "lies below"),
        ("app__cards", "from app.collect.web import y", "lies below"),
        ("app__collect__x", "from app.serve.api.application import y", "lies below"),
        ("app__collect__x", "from app.serve.serve import y", "lies below"),
        ("campus_gps_client", "from core.locate.fix import Fix", "campus_gps_client does not know core"),
        ("core__x", "import campus_gps", "core does not know campus_gps"),
        ("scripts__x", "from core import y", "scripts does not know core"),
        ("core__io__x", "from ..campus import bundle", "lies below"),
        ("core/io/__init__", "from ..campus.bundle import Bundle", "lies below"),
        ("edge__x", 'COMMANDS = {"a": Command("app.serve.web", "a line")}', "edge does not know app"),
        ("edge__x", 'import_module("train.fit")', "edge does not know train"),
        ("edge__x", 'importlib.import_module(f"app.{name}")', "edge does not know app"),
        ("core__io__x", 'ROOM = "core.campus.bundle"', "lies below"),
        ("core__x", 'import_module("torch")', "may need it"),
        ("core__network__x", "import onnx", "may need it"),
        ("edge__device__x", "def f():\n    from onnx import helper", "may need it"),
    ],
)
def test_an_arrow_that_may_not_be_is_named(tmp_path: Path, file: str, text: str, said: str) -> None:
    (line,) = broken_rules(plant(tmp_path, **{file: text, "core__campus__bundle": "Bundle = 1\n"}))
    assert said in line


@pytest.fixture(scope="module")
def carried() -> set[str]:
    """The modules that a pack of this checkout carries."""
    names = [name for name in program_files() if name != "requirements-jetson.txt"]
    return {name.removesuffix(".py").replace("/", ".").removesuffix(".__init__") for name in names}


def test_a_pack_carries_what_a_device_can_import_and_nothing_else(carried: set[str]) -> None:
    assert "requirements-jetson.txt" in program_files()
    assert {"core.locate.localizer", "edge.device.run", "edge.pack"} <= carried
    assert wrongly_packed(carried, sources(REPOSITORY)) == []


@pytest.mark.parametrize("more", ["core.network.campus_net", "edge.export.export", "train.compare", "app.pages"])
def test_a_pack_that_carries_more_is_named(carried: set[str], more: str) -> None:
    assert wrongly_packed(carried | {more}, sources(REPOSITORY)) == [f"{more} is carried and should stay"]


def test_a_pack_that_carries_less_is_named(carried: set[str]) -> None:
    less = carried - {"core.locate.fix", "edge.device.sinks.nmea"}
    assert wrongly_packed(less, sources(REPOSITORY)) == [
        "core.locate.fix is not carried",
        "edge.device.sinks.nmea is not carried",
    ]


def test_no_carried_file_needs_at_once_what_stays_behind() -> None:
    """Lazy imports may: they belong to commands that no device has."""
    modules = sources(REPOSITORY)
    carried = [name for name in program_files() if name.endswith(".py")]
    for name in carried:
        module = name.removesuffix(".py").replace("/", ".").removesuffix(".__init__")
        top = "\n".join(
            line for line in modules[module].read_text().splitlines() if line.startswith(("import", "from"))
        )
        assert "core.network" not in top, name
        assert "edge.export" not in top, name
