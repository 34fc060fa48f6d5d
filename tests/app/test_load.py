"""Twenty phones at a served app, each with a session of its own over https: a short form of `benchmarks.app_load`."""

from __future__ import annotations

import asyncio
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import AsyncExitStack
from pathlib import Path

import pytest

from benchmarks.app_load import Answer, broken_photos, mixed, open_phones, rss_mb, soak
from benchmarks.serving import Served, start
from tests.bundles import photo

pytestmark = pytest.mark.slow

PHONES, WARM_UP, MEASURED = 20, 40, 60
GROWTH_MB = 25.0  # a photo leaked at each turn, decoded or as sent, would be several times more


@pytest.fixture(scope="module")
def served(bundle: Path, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Served]:
    running = start(tmp_path_factory.mktemp("served") / "keys", bundle)
    yield running
    running.stop()


async def walk(served: Served) -> tuple[list[Answer], float]:
    """Every answer, and by how many MB the server grew once it was warm."""
    size = (1600, 1200)
    good = [photo(east_m=east, north_m=20, size=size) for east in (-70, -30, 10, 50)]
    broken = broken_photos(good[0])
    async with AsyncExitStack() as stack:
        phones = await open_phones(served, PHONES, stack)
        answers = await soak(phones, mixed(good, broken, WARM_UP), lambda _: None, WARM_UP)
        warm = rss_mb(served.process)
        answers += await soak(phones, mixed(good, broken, MEASURED), lambda _: None, MEASURED)
        return answers, rss_mb(served.process) - warm


def test_twenty_phones_at_once_all_get_answers_and_memory_stays_flat(served: Served) -> None:
    with ThreadPoolExecutor(1) as apart:  # where browser tests ran before, this thread has their event loop
        answers, grown_mb = apart.submit(lambda: asyncio.run(walk(served))).result()
    failed = [answer.said for answer in answers if answer.outcome == "failed"]
    assert failed == []
    refused = [answer.said for answer in answers if answer.outcome == "refused"]
    assert len(refused) == (WARM_UP + MEASURED) // 10
    assert all("This photo cannot be used." in said for said in refused)
    assert len(answers) == WARM_UP + MEASURED
    assert grown_mb < GROWTH_MB
