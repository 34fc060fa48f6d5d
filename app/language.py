"""The languages of the app and of its server's own pages, and which of them a visitor gets."""

from __future__ import annotations

import re
from typing import Literal

Lang = Literal["en", "he"]

LANGUAGES: dict[Lang, str] = {"en": "English", "he": "עברית"}
_FORMER = {"iw": "he"}  # the old code, which some Android phones still send


def language_of(asked: str | None, browser: str | None) -> Lang:
    """The language asked for in the address, else the browser's first one, else English.

    `browser` is a locale (`he-IL`) or an Accept-Language header (`en-US,he;q=0.9`).
    """
    for tag in (asked, browser):
        short = re.split(r"[-_,;]", (tag or "").strip().lower())[0]
        short = _FORMER.get(short, short)
        if short in LANGUAGES:
            return short
    return "en"
