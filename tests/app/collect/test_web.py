"""The pages that collect and review, without a browser: every word is there in both languages, and harmless."""

from __future__ import annotations

import json
import re

import pytest
from starlette.applications import Starlette
from starlette.testclient import TestClient

from app.collect.web import collect_routes
from app.collect.words import WORDS
from app.language import LANGUAGES, Lang
from app.settings import BLUR

CLIENT = TestClient(Starlette(routes=collect_routes()))


def test_both_languages_say_the_same_with_the_same_blanks() -> None:
    blanks = [{key: set(re.findall(r"\{\w+\}", text)) for key, text in WORDS[lang].items()} for lang in LANGUAGES]
    assert blanks[0] == blanks[1]


@pytest.mark.parametrize("lang", list(LANGUAGES))
@pytest.mark.parametrize("name", ["collect", "review"])
def test_a_page_brings_all_that_it_needs_from_here(name: str, lang: Lang) -> None:
    answer = CLIENT.get(f"/{name}?lang={lang}")
    assert WORDS[lang][name] in answer.text
    assert "$" not in answer.text
    assert "//" not in answer.text.replace("<\\/", "")
    files = re.findall(r'(?:src|href)="(/collect/[\w.]+)"', answer.text)
    assert len(files) >= 3
    for file in files:
        assert CLIENT.get(file).status_code == 200, file
    told = json.loads(re.findall(r'id="words">(.*?)</script>', answer.text)[0])
    script = CLIENT.get(f"/collect/{name}.js").text
    used = set(re.findall(r"\bwords\.(\w+)", script)) | set(re.findall(r'\bsay\("(\w+)"', script))
    assert used - set(told) == set()


@pytest.mark.parametrize("path", ["/collect/words.py", "/collect/..%2fweb.py", "/collect/collect.html"])
def test_nothing_else_lies_there(path: str) -> None:
    assert CLIENT.get(path).status_code == 404


@pytest.mark.parametrize("lang", list(LANGUAGES))
@pytest.mark.parametrize("blur", [False, True])
def test_a_contributor_reads_what_becomes_of_faces(lang: Lang, blur: bool, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv(BLUR, str(int(blur)))
    consent = re.findall(r'<p class="soft">(.*?)</p>', CLIENT.get(f"/collect?lang={lang}").text)[0]
    assert (WORDS[lang]["faces_blurred"] in consent) is blur
    assert (WORDS[lang]["faces_kept"] in consent) is not blur


def test_what_the_inbox_refuses_is_said_in_both_languages() -> None:
    said = []
    for lang in LANGUAGES:
        page = CLIENT.get(f"/review?lang={lang}").text
        said.append(json.loads(re.findall(r'id="words">(.*?)</script>', page)[0])["reasons"])
    for kind in ("full", "disk", "unplaced", "absent", "unusable", "damaged", "too large"):
        assert said[0][kind] != said[1][kind]
