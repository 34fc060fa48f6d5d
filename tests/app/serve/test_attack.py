"""Twenty phones while others attack: every photo gets its answer, and the attackers go.

How long that takes is for `python -m benchmarks attack` to say.
"""

from __future__ import annotations

import asyncio
import shutil
import socket
import threading
import time
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import AsyncExitStack, ExitStack
from pathlib import Path
from typing import Any

import pytest

from app.serve.connections import STRANGER_S
from benchmarks.app_load import Answer, open_phones, soak
from benchmarks.attack import ended
from benchmarks.serving import Served, start
from benchmarks.strange_campuses import loop_campus
from core.campus.bundle import Bundle, save_bundle
from tests import chromium
from tests.app.harness import Visit
from tests.bundles import photo

pytestmark = pytest.mark.slow
PHONES, SILENT = 20, 200
LOOPS = 3  # of which two once held both turns of the queue for ever
UPLOADED = ".st-key-campus_file-{turn} [data-testid=stFileUploaderDropzoneInput]"


@pytest.fixture
def campus(bundle: Path, tmp_path: Path) -> Path:
    """A copy of the test campus, which other tests open too, to be replaced."""
    return Path(shutil.copytree(bundle, tmp_path / "field"))


@pytest.fixture
def served(campus: Path, tmp_path: Path) -> Iterator[Served]:
    running = start(tmp_path / "keys", campus, "--workers", "1", "--no-inbox")
    yield running
    running.stop()


@pytest.fixture
def visitor(browser: Any, served: Served) -> Iterator[Visit]:
    """The campus page as a visitor with the key sees it."""
    running = chromium.start(browser.browser_type, "--ignore-certificate-errors")
    seen = Visit(running.new_context(ignore_https_errors=True, locale="en-GB").new_page())
    seen.page.set_default_timeout(180_000)
    seen.page.goto(f"{served.home}/?key={served.key}&lang=en")
    seen.page.locator(".st-key-nav button").first.wait_for()
    seen.turn_to(2)
    yield seen
    running.close()


def upload(visitor: Visit, campus: Path, turn: int) -> None:
    """Into the field of this turn, until the next one says that the server is done with it."""
    visitor.rests()
    visitor.page.locator(UPLOADED.format(turn=turn)).set_input_files(campus)
    visitor.page.locator(UPLOADED.format(turn=turn + 1)).wait_for(state="attached")
    visitor.rests()


class Phones:
    """Honest phones that go on sending, on a thread, until they are told that the attack is over."""

    def __init__(self, served: Served) -> None:
        self._served, self._over = served, threading.Event()
        self._pool = ThreadPoolExecutor(1)
        self.opened = threading.Event()
        self._answers = self._pool.submit(lambda: asyncio.run(self._go_on()))

    def photos(self) -> Iterator[bytes]:
        """At least one for each phone, then until it is over."""
        good, sent = [photo(east_m=east, north_m=20.0) for east in (-70, -30, 10, 50)], 0
        while sent < PHONES or not self._over.is_set():
            yield good[sent % len(good)]
            sent += 1

    async def _go_on(self) -> list[Answer]:
        async with AsyncExitStack() as stack:
            phones = await open_phones(self._served, PHONES, stack)
            self.opened.set()
            return await soak(phones, self.photos(), lambda _: None, 1000)

    def end(self) -> list[Answer]:
        self._over.set()
        try:
            return self._answers.result(300)
        finally:
            self._pool.shutdown()


def test_phones_go_on_while_loops_are_uploaded_and_strangers_hold_connections(
    served: Served, visitor: Visit, campus: Path, tmp_path: Path
) -> None:
    loops = [loop_campus(tmp_path / f"{turn}.campus", Bundle.load(campus)) for turn in range(LOOPS)]
    with ExitStack() as stack:
        silent = [stack.enter_context(socket.create_connection(("127.0.0.1", served.port))) for _ in range(SILENT)]
        phones = Phones(served)
        try:
            assert phones.opened.wait(180)
            for turn, loop in enumerate(loops):
                upload(visitor, loop, turn)
                visitor.page.get_by_text("a graph within an operator").first.wait_for()
            for client in silent:
                client.setblocking(False)
            until = time.monotonic() + 4 * STRANGER_S
            while (left := [client for client in silent if not ended(client)]) and time.monotonic() < until:
                time.sleep(1.0)
        finally:
            answers = phones.end()
    assert left == []
    assert [answer.said for answer in answers if answer.outcome != "place"] == []
    assert len(answers) >= PHONES
    assert "Traceback" not in served.folder.with_suffix(".said").read_text("utf-8")


def test_no_phone_sees_a_broken_answer_while_campuses_come_and_the_open_one_is_replaced(
    served: Served, visitor: Visit, campus: Path, tmp_path: Path
) -> None:
    plain = Bundle.load(campus)
    files = {name: plain.read(name) for name in plain.manifest.files}
    phones = Phones(served)
    try:
        assert phones.opened.wait(180)
        for turn in range(3):
            guest = plain.manifest.model_copy(update={"name": f"Guest {turn}"})
            save_bundle(tmp_path / f"{turn}.campus", guest, files)
            upload(visitor, tmp_path / f"{turn}.campus", turn)
            visitor.page.get_by_role("heading", name=f"Guest {turn}").wait_for()
            save_bundle(campus, plain.manifest.model_copy(update={"description": f"{turn}"}), files, force=True)
            time.sleep(1.0)
    finally:
        answers = phones.end()
    assert [answer.said for answer in answers if answer.outcome != "place"] == []
    assert "Traceback" not in served.folder.with_suffix(".said").read_text("utf-8")
