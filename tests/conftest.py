"""Fixtures that more than one folder of tests needs."""

from __future__ import annotations

import os
import shutil
import subprocess
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from benchmarks.browser import NoBrowser, launch
from tests import REPOSITORY


@pytest.fixture(scope="session")
def campus_data() -> Path:
    """The folder of real campus photos ($CAMPUS_DATA), or skip: they may not be redistributed with the project."""
    folder = Path(os.environ.get("CAMPUS_DATA", REPOSITORY / ".." / "shared" / "data")).resolve()
    if not folder.is_dir():
        pytest.skip(f"no real photos: {folder} is not a folder (set CAMPUS_DATA)")
    return folder


@pytest.fixture(scope="session")
def pristine(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The test campus's bundle, not to be changed."""
    from tests.bundles import make_bundle

    return make_bundle(tmp_path_factory.mktemp("bundles") / "field")


@pytest.fixture
def bundle(pristine: Path, tmp_path: Path) -> Path:
    """A copy of it, to damage."""
    return Path(shutil.copytree(pristine, tmp_path / "field"))


@pytest.fixture(scope="session")
def browser(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Any]:
    """Chromium whose camera shows a photo; one for all tests, since Playwright can be started only once at a time."""
    playwright = pytest.importorskip("playwright.sync_api", reason="playwright is not installed")
    flags = []
    if shutil.which("ffmpeg"):
        from tests.bundles import photo

        folder = tmp_path_factory.mktemp("camera")
        (folder / "p.jpg").write_bytes(photo(east_m=40, north_m=-40, size=(1280, 720)))
        command = "ffmpeg -loglevel error -loop 1 -i p.jpg -t 1 -r 15 -c:v mjpeg -q:v 2 camera.mjpeg"
        subprocess.run(command.split(), cwd=folder, check=True)
        flags.append(f"--use-file-for-fake-video-capture={folder / 'camera.mjpeg'}")
    with playwright.sync_playwright() as driver:
        try:
            running = launch(driver.chromium, *flags)
        except NoBrowser as absent:
            pytest.skip(str(absent))
        yield running
        running.close()
