from __future__ import annotations

from pathlib import Path

import pytest

from core.io.csv_cells import as_it_was, harmless
from core.io.labels import read_labels

FORMULAS = ["=HYPERLINK(1)", "+1+1", "-2+3", "@SUM(1)", "\t=1", "\r=1", "\n=1", "  =1", "＝1+1", "'=1", "''@x"]
PLAIN = ["", "IMG_1.jpg", "a=b", "'quoted'", "'", "-33.9", "+1e3", "-inf", "הנדסה", "0-1"]


@pytest.mark.parametrize("text", FORMULAS)
def test_what_would_start_a_formula_starts_with_an_apostrophe(text: str) -> None:
    assert harmless(text) == "'" + text


@pytest.mark.parametrize("text", PLAIN)
def test_other_texts_and_numbers_stay_as_they_are(text: str) -> None:
    assert harmless(text) == text


@pytest.mark.parametrize("text", [*FORMULAS, *PLAIN])
def test_it_can_be_undone(text: str) -> None:
    assert as_it_was(str(harmless(text))) == text


def test_numbers_and_nothing_are_no_texts() -> None:
    assert [harmless(cell) for cell in (-1.5, 3, None, True)] == [-1.5, 3, None, True]


def test_a_table_of_ours_gives_back_the_names_of_its_photos(tmp_path: Path) -> None:
    names = ["=1+1.jpg", "-dash.jpg", "'=both.jpg", "plain.jpg"]
    rows = [f"{harmless(name)},47.0,-8.4" for name in names]
    (tmp_path / "gt.csv").write_text("\n".join(["image_name,lat,lon", *rows]), encoding="utf-8")
    table = read_labels(tmp_path / "gt.csv")
    assert list(table["image_name"]) == names
    assert set(table["lon"]) == {-8.4}
