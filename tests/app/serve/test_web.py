"""The pages around the app: their head, their manifest, and their words in both languages."""

from __future__ import annotations

import pytest

from app.front_page import streamlit_page
from app.serve import web_texts
from app.serve.web import manifest, own_page, with_head


def test_streamlits_page_takes_our_head() -> None:
    page = with_head(streamlit_page())
    head = page.partition("</head>")[0]
    assert head.count('rel="manifest"') == 1
    assert 'crossorigin="use-credentials"' in head
    with pytest.raises(RuntimeError, match="no </head>"):
        with_head("<p>")


def test_manifest_paths_do_not_depend_on_where_it_lies() -> None:
    assert all(icon["src"].startswith("/app/static/icon-") for icon in manifest(None)["icons"])
    assert manifest("k")["start_url"] == "/?key=k"


def test_both_languages_say_the_same_things_and_every_page_is_filled() -> None:
    english, hebrew = web_texts.TEXTS["en"], web_texts.TEXTS["he"]
    assert english.keys() == hebrew.keys()
    assert all(text.strip() for text in (*english.values(), *hebrew.values()))
    page = own_page("lock", "he", {"message": "<script>"})
    assert 'dir="rtl"' in page
    assert "&lt;script&gt;" in page
