"""What the app was started with, by arguments or by the environment."""

from __future__ import annotations

from pathlib import Path

import pytest

from app import settings as of_the_app
from app.settings import Settings, give, settings


def test_the_environment_speaks_until_someone_gives_settings(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(of_the_app, "_given", [])
    monkeypatch.delenv("CAMPUS_BUNDLE", raising=False)
    monkeypatch.setenv("CAMPUS_KEEP_PHOTOS", "")
    monkeypatch.setenv("CAMPUS_INBOX", "")
    monkeypatch.delenv("CAMPUS_NAME_ZONES", raising=False)
    monkeypatch.delenv("CAMPUS_BLUR", raising=False)
    assert settings() == Settings()
    monkeypatch.setenv("CAMPUS_BUNDLE", "campus")
    monkeypatch.setenv("CAMPUS_KEEP_PHOTOS", "kept")
    monkeypatch.delenv("CAMPUS_INBOX")
    monkeypatch.setenv("XDG_DATA_HOME", "/data")
    assert settings() == Settings(Path("campus"), Path("kept"), Path("/data/campus-gps/inbox"))
    monkeypatch.setenv("CAMPUS_INBOX", "sent")
    assert settings().inbox == Path("sent")
    monkeypatch.setenv("CAMPUS_BLUR", "0")
    assert not settings().blur
    monkeypatch.setenv("CAMPUS_BLUR", "1")
    assert settings().blur
    give(Settings(Path("other")))
    assert settings() == Settings(Path("other"), None)
