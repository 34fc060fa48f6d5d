"""Why a photo or a campus is refused, in the page's language."""

from __future__ import annotations

from pathlib import Path

import pytest

from app.language import Lang
from app.reasons import reason
from app.texts import Texts
from app.widgets import shot_from
from core.campus.bundle import Bundle
from core.engines.vet import check_model
from core.errors import CampusError, EngineError, PhotoError
from core.photo.load import load_photo
from tests.bundles import make_bundle, photo


def refused_photo(data: bytes) -> CampusError:
    with pytest.raises(PhotoError) as refused:
        load_photo(data)
    return refused.value


def refused_shot(value: object) -> CampusError:
    with pytest.raises(PhotoError) as refused:
        shot_from(value)
    return refused.value


def refused_campus(path: Path) -> CampusError:
    with pytest.raises(CampusError) as refused:
        Bundle.load(path)
    return refused.value


@pytest.mark.parametrize("lang", ["en", "he"])
def test_reasons_are_sentences_of_the_page_s_language(lang: Lang, monkeypatch: pytest.MonkeyPatch) -> None:
    whole = photo()
    with monkeypatch.context() as small:
        small.setattr("core.photo.load.MAX_JPEG_PIXELS", 100)
        large = refused_photo(whole)
    texts_ = Texts(lang)
    for error, key in (
        (refused_photo(whole[: len(whole) // 2]), "reason_damaged"),
        (refused_photo(b""), "reason_empty"),
        (large, "reason_too_big"),
        (refused_photo(b"<html>"), "reason_format"),
        (refused_shot(None), "reason_not_arrived"),
        (refused_shot({"url": ""}), "reason_not_arrived"),
        (refused_shot({"url": "data:,?"}), "reason_not_arrived"),
    ):
        assert reason(error, texts_) == texts_[key], str(error)


@pytest.mark.parametrize("lang", ["en", "he"])
def test_reasons_of_a_campus_name_the_part_at_fault(lang: Lang, tmp_path: Path) -> None:
    texts_ = Texts(lang)
    folder = make_bundle(tmp_path / "field")
    manifest = folder / "campus.json"
    plain = manifest.read_text("utf-8")
    said = [(refused_campus(tmp_path / "nowhere"), "reason_no_campus")]
    for text, key in (
        ("{", "reason_copy_campus"),
        (plain.replace('"schema_version": 1', '"schema_version": 999'), "reason_other_version"),
    ):
        assert text != plain
        manifest.write_text(text, "utf-8")
        said.append((refused_campus(folder), key))
    with pytest.raises(EngineError) as refused:
        check_model(b"no network")
    said.append((refused.value, "reason_make_campus"))
    for error, key in said:
        assert reason(error, texts_) == f"{texts_[key]} ({texts_.isolated(str(error))})"


def test_a_reason_is_chosen_by_its_kind_and_not_by_words_in_its_name() -> None:
    error = PhotoError("no such file", path="this is damaged, try again.jpg", remedy="check the path")
    assert reason(error, Texts("en")) == "No such file."
