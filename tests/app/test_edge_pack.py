"""The campus page offers a bundle's pack for a Jetson, and says how it is made where there is none."""

from __future__ import annotations

import shlex
import shutil
from pathlib import Path

import pytest
from streamlit.testing.v1 import AppTest

from app import campuses
from core.campus.bundle import Bundle, save_bundle
from edge.pack import pack
from tests.app.harness import Start
from tests.bundles import make_bundle
from tests.edge.networks import small_shelf


@pytest.fixture(scope="module")
def shelf(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return small_shelf(tmp_path_factory)


def campus_page(path: Path, start: Start) -> AppTest:
    app = start(path)
    app.button_group(key="page").set_value("campus").run()
    assert not app.exception
    return app


def downloads(app: AppTest) -> list[str]:
    return [button.proto.label for button in app.get("download_button")]


def test_a_pack_beside_its_bundle_can_be_downloaded(shelf: Path, start: Start) -> None:
    bundle = Bundle.load(shelf / "small")
    assert campuses.edge_packs(bundle) == [shelf / "small.campus-edge"]
    assert "Download the edge pack for a Jetson" in downloads(campus_page(shelf / "small", start))
    opened = Bundle.load(shelf / "small.campus-edge")
    assert campuses.edge_packs(opened) == [opened.path], "a pack opened as a campus is its own"
    assert campuses.is_pack_of(opened.path, opened)


@pytest.mark.parametrize("what", ["of another bundle", "cut short", "no pack"])
def test_only_a_whole_pack_of_this_very_bundle_is_offered(shelf: Path, tmp_path: Path, what: str) -> None:
    bundle = Bundle.load(shelf / "small")
    beside = tmp_path / "x.campus-edge"
    if what == "of another bundle":
        files = {name: bundle.read(name) for name in bundle.manifest.files}
        bundle = save_bundle(tmp_path / "retrained", bundle.manifest.model_copy(update={"description": "later"}), files)
        shutil.copy(shelf / "small.campus-edge", beside)
    elif what == "cut short":
        beside.write_bytes((shelf / "small.campus-edge").read_bytes()[:-4000])
    else:
        make_bundle(tmp_path / "plain.campus").rename(beside)
    assert not campuses.is_pack_of(beside, bundle)


def test_without_a_pack_the_page_says_what_to_type(shelf: Path, tmp_path: Path, start: Start) -> None:
    alone = Path(shutil.copytree(shelf / "small", tmp_path / "alone"))
    app = campus_page(alone, start)
    assert downloads(app) == ["Download this campus"]
    # The bundle lies outside the project, so the commands take the file that the button above gives.
    assert app.code[-1].value.splitlines() == [
        "python -m edge export Testfield.campus --out Testfield-export",
        "python -m edge pack Testfield.campus Testfield-export --out Testfield.campus-edge",
    ]
    assert str(tmp_path) not in "".join(code.value for code in app.code)


def test_the_commands_make_a_pack_that_the_page_then_offers(
    shelf: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(campuses, "PROJECT", tmp_path)
    (tmp_path / "campuses").mkdir()
    bundle = Bundle.load(shutil.copytree(shelf / "small", tmp_path / "campuses" / "my own"))
    exporting, packing = map(shlex.split, campuses.pack_commands(bundle))
    assert exporting == ["python", "-m", "edge", "export", "campuses/my own", "--out", "campuses/my own-export"]
    shutil.copytree(shelf / "small-export", tmp_path / exporting[-1])
    assert [shlex.split(line) for line in campuses.pack_commands(bundle)] == [packing], "an export is not made twice"
    assert packing[:4] == ["python", "-m", "edge", "pack"]
    made = pack(Bundle.load(tmp_path / packing[4]), tmp_path / packing[5], tmp_path / packing[7])
    assert campuses.edge_packs(bundle) == [made.path]
    assert campuses.is_pack_of(made.path, bundle)
    assert campuses.pack_commands(bundle)[-1].endswith(".campus-edge' --force")


def test_a_bundle_without_weights_cannot_be_exported(bundle: Path, start: Start) -> None:
    app = campus_page(bundle, start)
    assert any("carries no weights" in caption.value for caption in app.caption)
    assert not app.code
