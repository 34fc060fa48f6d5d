"""The training photo that a photo is most like, beside its answer, for campuses that carry thumbnails."""

from __future__ import annotations

import re
from collections.abc import Iterator
from pathlib import Path

import numpy as np
import pytest

from app.most_alike import most_alike
from app.standpoint import read, sighted
from core.campus.bundle import Bundle
from core.errors import PhotoError
from core.locate.localizer import Localizer
from tests.app.harness import DESKTOP, LANDSCAPE, PHONE, SMALL, Open, Server, Start, give, html, start_app
from tests.bundles import photo
from tests.thumbnailed import with_thumbnails


@pytest.fixture(scope="module")
def pictured(bundle: Path, tmp_path_factory: pytest.TempPathFactory) -> Bundle:
    return with_thumbnails(bundle, tmp_path_factory.mktemp("pictured") / "testfield")


def test_it_is_the_gallery_s_best_match_and_its_distance_from_the_answer(pictured: Bundle) -> None:
    localizer = Localizer.load(pictured.path)
    taken = read(localizer, photo(east_m=-42.0, north_m=20.0))
    found = most_alike(taken.reading, sighted(localizer, [taken]), pictured)
    assert found is not None
    assert found.away_m < 10  # the gallery has a photo every 10 m
    assert found.picture.startswith("data:image/jpeg;base64,")
    assert pictured.thumbnails is not None
    for row in range(len(pictured.thumbnails)):
        assert len(pictured.thumbnails.at(row)) > 500


def test_a_picture_that_is_none_is_said(pictured: Bundle) -> None:
    localizer = Localizer.load(pictured.path)
    taken = read(localizer, photo(east_m=-42.0, north_m=20.0))
    assert pictured.thumbnails is not None
    other = Bundle(pictured.path, pictured.manifest)
    other.__dict__["thumbnails"] = type(pictured.thumbnails)(
        np.zeros_like(pictured.thumbnails.jpeg), pictured.thumbnails.end
    )
    with pytest.raises(PhotoError):
        most_alike(taken.reading, sighted(localizer, [taken]), other)


@pytest.mark.parametrize(("lang", "said"), [("en", r"taken .+ from this answer"), ("he", "תמונת האימון")])
def test_it_stands_under_an_answer_and_not_under_a_refusal(
    pictured: Bundle, bundle: Path, start: Start, lang: str, said: str
) -> None:
    def answered(campus: Path, data: bytes) -> str:
        return html(give(start(campus, lang), data))

    shown = answered(pictured.path, photo(east_m=20.0))
    assert "class='alike'" in shown
    assert re.search(said, shown)
    assert "class='alike'" not in answered(pictured.path, photo("elsewhere"))
    assert "class='alike'" not in answered(bundle, photo(east_m=20.0))


@pytest.fixture(scope="module")
def running(pictured: Bundle) -> Iterator[Server]:
    server = start_app({"CAMPUS_BUNDLE": str(pictured.path)})
    yield server
    server.stop()


@pytest.mark.slow
@pytest.mark.parametrize(
    ("size", "dark", "lang"),
    [(PHONE, False, "en"), (SMALL, True, "he"), (LANDSCAPE, False, "he"), (DESKTOP, True, "en")],
)
def test_it_is_seen_beside_one_s_own(
    visit: Open, running: Server, size: tuple[int, int], dark: bool, lang: str
) -> None:
    seen = visit(size, dark, lang, url=running.url)
    seen.upload(photo(east_m=20.0, north_m=10.0))
    pictures = seen.page.locator(".alike img")
    pictures.nth(1).wait_for()
    seen.map_drawn()
    pictures.nth(1).evaluate("image => image.scrollIntoView({ block: 'center' })")
    assert pictures.nth(1).evaluate("async (image) => (await image.decode(), image.naturalWidth)") == 160
    own, match = (pictures.nth(at).bounding_box() for at in (0, 1))
    assert (own["y"], own["width"], own["height"]) == (match["y"], match["width"], match["height"])
    assert own["width"] > 100
    apart_px = match["x"] - own["x"] if lang == "en" else own["x"] - match["x"]  # one's own is read first
    assert own["width"] < apart_px < own["width"] + 20
    seen.screenshot(f"alike-{size[0]}-{'dark' if dark else 'light'}-{lang}")
    assert seen.poor_contrast() == []
    assert seen.page.evaluate("document.documentElement.scrollWidth <= innerWidth")
    seen.clean()
