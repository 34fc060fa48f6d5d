"""Twenty phones at a served app, each with a session of its own over https: a short form of `benchmarks.app_load`."""

from __future__ import annotations

import re
from collections.abc import Iterator
from contextlib import AsyncExitStack
from pathlib import Path

import pytest

from benchmarks.app_load import Answer, broken_photos, mixed, open_phones, rss_mb, soak
from benchmarks.serving import Served, start
from core.locate.localizer import Localizer
from tests.bundles import photo
from tests.event_loop import run_apart

pytestmark = pytest.mark.slow

PHONES, WARM_UP, MEASURED = 20, 40, 60
GROWTH_MB = 25.0  # a photo leaked at each turn, decoded or as sent, would be several times more


@pytest.fixture(scope="module")
def served(bundle: Path, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Served]:
    running = start(tmp_path_factory.mktemp("served") / "keys", bundle)
    yield running
    running.stop()


def good_photos() -> list[bytes]:
    """Of four places, at a phone's size."""
    return [photo(east_m=east, north_m=20, size=(1600, 1200)) for east in (-70, -30, 10, 50)]


async def walk(served: Served) -> tuple[list[Answer], float]:
    """Every answer, and by how many MB the server grew once it was warm."""
    good = good_photos()
    broken = broken_photos(good[0])
    async with AsyncExitStack() as stack:
        phones = await open_phones(served, PHONES, stack)
        answers = await soak(phones, mixed(good, broken, WARM_UP), lambda _: None, WARM_UP)
        warm = rss_mb(served.process)
        answers += await soak(phones, mixed(good, broken, MEASURED), lambda _: None, MEASURED)
        return answers, rss_mb(served.process) - warm


def test_twenty_phones_at_once_all_get_answers_and_memory_stays_flat(served: Served) -> None:
    answers, grown_mb = run_apart(walk(served))
    failed = [answer.said for answer in answers if answer.outcome == "failed"]
    assert failed == []
    refused = [answer.said for answer in answers if answer.outcome == "refused"]
    assert len(refused) == (WARM_UP + MEASURED) // 10
    assert all("This photo cannot be used." in said for said in refused)
    assert len(answers) == WARM_UP + MEASURED
    assert grown_mb < GROWTH_MB


def test_each_photo_of_a_phone_gets_an_answer_of_its_own(served: Served, bundle: Path) -> None:
    async def send_each() -> list[Answer]:
        async with AsyncExitStack() as stack:
            [phone] = await open_phones(served, 1, stack)
            return [await phone.send(phone.message(one)) for one in good_photos()]

    localizer = Localizer.load(bundle)
    places = [re.findall(r"<h2>(.*?)</h2>", answer.said) for answer in run_apart(send_each())]
    assert places == [[localizer.locate(one).zone.name] for one in good_photos()]


def test_a_photo_that_the_page_passes_over_is_a_failure(served: Served) -> None:
    async def send_another() -> Answer:
        async with AsyncExitStack() as stack:
            [phone] = await open_phones(served, 1, stack)
            before = phone.message(photo())
            phone.message(photo())
            return await phone.send(before)

    assert run_apart(send_another()).outcome == "failed"
