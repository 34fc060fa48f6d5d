"""Fixtures that more than one folder of tests needs."""

from __future__ import annotations

import gc
import os
import shutil
import subprocess
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from benchmarks.browser import NoBrowser
from tests import REPOSITORY, chromium


@pytest.hookimpl(wrapper=True)
def pytest_collection() -> Iterator[None]:
    """Collect without garbage collection, and leave what is loaded by then out of every later one.

    All modules of the program and of torch are half a million objects, which each full collection would look through.
    """
    gc.disable()
    try:
        return (yield)
    finally:
        gc.freeze()
        gc.enable()


def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    """Put the files with slow tests first, so that none of them is left at the end to one worker alone.

    A slow test or one in a real browser that fails is run once more, and told as RERUN: it drives servers, brokers and
    pages, and where the machine is busy a click may meet an element that the page is just putting anew. One that fails
    twice fails.
    """
    for item in items:
        if item.get_closest_marker("slow") or "browser" in getattr(item, "fixturenames", ()):
            item.add_marker(pytest.mark.flaky(reruns=1))
    slow = {item.path for item in items if item.get_closest_marker("slow")}
    items.sort(key=lambda item: item.path not in slow)


@pytest.hookimpl(optionalhook=True)
def pytest_xdist_make_scheduler(config: pytest.Config, log: Any) -> Any:
    """Give a worker a whole file, or the whole of tests/interrupted: what its files start from is made once."""
    from xdist.scheduler import LoadFileScheduling

    class LoadFileOrRoom(LoadFileScheduling):  # type: ignore[misc]
        def _split_scope(self, nodeid: str) -> str:
            return "interrupted" if nodeid.startswith("tests/interrupted/") else super()._split_scope(nodeid)

    return LoadFileOrRoom(config, log) if config.getvalue("dist") == "loadfile" else None


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
    playwright.expect.set_options(timeout=90_000)  # as a visit's own: no test asks how fast a page is
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
            running = chromium.start(driver.chromium, *flags)
        except NoBrowser as absent:
            pytest.skip(str(absent))
        yield running
        running.close()
