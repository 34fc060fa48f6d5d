"""The words of the page in both languages: the same things said, distances, zones and how photos were held out."""

from __future__ import annotations

import re
from string import Formatter

import pytest

from app import words_en, words_he
from app.texts import Texts


def test_both_languages_say_the_same_things_with_the_same_blanks() -> None:
    english, hebrew = words_en.WORDS, words_he.WORDS
    assert english.keys() == hebrew.keys()
    for key in english:
        blanks = [{field for _, field, _, _ in Formatter().parse(said[key]) if field} for said in (english, hebrew)]
        assert blanks[0] == blanks[1], key
        assert hebrew[key].strip()


@pytest.mark.parametrize(
    ("described", "english", "hebrew"),
    [
        (
            "by session (test: dusk, walk)",
            "by session, tested on dusk, walk",
            "לפי סיור צילום, נבחנו \u2066dusk, walk\u2069",
        ),
        (
            "by standpoint, fold 2 of 5, seed 7",
            "by standpoint, fold 2 of 5, seed 7",
            "לפי נקודת עמידה, חלק 2 מתוך 5, גרעין אקראי 7",
        ),
        (
            "at random (a random split: photos of one place fall on both sides), seed 0",
            "at random (a random split: photos of one place fall on both sides), seed 0",
            "באקראי (תמונות ממקום אחד נמצאות בשני הצדדים), גרעין אקראי 0",
        ),
        ("as it was published", "as it was published", "\u2066as it was published\u2069"),
    ],
)
def test_how_photos_were_held_out_is_said_in_the_pages_language(described: str, english: str, hebrew: str) -> None:
    assert Texts("en").split(described) == english
    assert Texts("he").split(described) == hebrew


@pytest.mark.parametrize(
    ("name", "expected"),
    [
        ("Library, north-east side", "Library, צד צפון־מזרח"),
        ("Zone 12", "אזור 12"),
        ("Library", "Library"),
        ("A, B, west side", "A, B, צד מערב"),
    ],
)
def test_zone_names_in_hebrew(name: str, expected: str) -> None:
    assert Texts("he").zone_name(name) == expected
    assert Texts("en").zone_name(name) == name


@pytest.mark.parametrize(
    ("metres", "shown"),
    [
        (0.1, "less than 1 m"),
        (2.9, "3 m"),
        (9.6, "10 m"),
        (123.4, "120 m"),
        (994, "990 m"),
        (1440, "1.4 km"),
        (76_030, "76 km"),
        (9_347_228, "9,300 km"),
    ],
)
def test_distances_are_said_as_people_say_them(metres: float, shown: str) -> None:
    assert Texts("en").distance(metres) == shown
    assert re.findall(r"[\d.,]+", Texts("he").distance(metres)) == re.findall(r"[\d.,]+", shown)
