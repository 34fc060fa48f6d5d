"""Which language a visitor gets."""

from __future__ import annotations

import pytest

from app.language import language_of


@pytest.mark.parametrize(
    ("wanted", "browser", "expected"),
    [
        ("he", "en-US", "he"),
        ("en", "he", "en"),
        ("xx", "he", "he"),
        ("xx", "de-DE", "en"),
        (None, "he-IL", "he"),
        (None, "iw", "he"),
        (None, "iw-IL,he;q=0.9,en;q=0.8", "he"),
        (None, "he;q=1", "he"),
        (None, "en-US,he", "en"),
        (None, "hex", "en"),
        ("", "", "en"),
        (None, None, "en"),
    ],
)
def test_language_of(wanted: str | None, browser: str | None, expected: str) -> None:
    assert language_of(wanted, browser) == expected
