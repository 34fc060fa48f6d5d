"""The soak in its short form, and what its curves are judged by."""

from __future__ import annotations

import io
import json
import os
import ssl
import sys
from pathlib import Path
from queue import Queue
from types import SimpleNamespace
from typing import Any, cast

import numpy as np
import pytest
from PIL import Image

import benchmarks.soak
from benchmarks.__main__ import length_s
from benchmarks.app_load import Answer, Phone
from benchmarks.curves import Curve, picture
from benchmarks.serving import Served
from benchmarks.soak import (
    APP,
    EDGE,
    FRAME,
    HTTP,
    PAGE,
    VISIT,
    Record,
    Walker,
    ask_over_http,
    feed_edge,
    soak,
    visit_pages,
)
from tests.event_loop import run_apart


def curve(rise_an_hour: float, noise: float = 3.0, hours: float = 1.0, first: float = 0.0) -> Curve:
    """500 samples of something at 400 MB that warms up by `first` in the first minutes."""
    rng, seconds = np.random.default_rng(0), np.linspace(0, 3600 * hours, 500)
    values = 400 + rise_an_hour * seconds / 3600 + rng.normal(0, noise, 500) - first * np.exp(-seconds / 120)
    return Curve("memory", "MB", seconds, values, allowed=20.0)


def test_a_leak_is_no_flat_curve_and_noise_and_a_warm_up_are() -> None:
    assert curve(0.0).flat
    assert curve(0.0, first=200.0).flat
    assert curve(-30.0).flat
    assert not curve(60.0).flat
    assert curve(60.0, hours=0.1).flat, "a rise of 6 MB is less than what is allowed"
    trend = curve(60.0).trend()
    assert trend.low < 60 < trend.high
    assert trend.high - trend.low < 10
    assert trend.hours == pytest.approx(0.75, abs=0.01)


def test_one_look_that_is_far_off_moves_no_line() -> None:
    odd = curve(0.0)
    odd.values[[130, 300, 450]] += 5000
    assert odd.flat


def test_a_stall_before_the_last_sample_leaves_a_trend() -> None:
    seconds = np.array([0.0, 0.1, 0.2, 0.3, 20.0])
    trend = Curve("a photo", "ms", seconds, np.full(5, 7.0), allowed=1.0).trend()
    assert (trend.slope_per_h, trend.level) == (0.0, 7.0)


def test_the_picture_shows_every_curve() -> None:
    image = Image.open(io.BytesIO(picture([curve(0.0), curve(60.0)])))
    assert image.format == "PNG"
    assert image.width == 800
    assert image.height == 300


def test_a_soak_takes_ten_minutes_where_nothing_is_said() -> None:
    assert (length_s("soak"), length_s("predicting")) == (600.0, 30.0)


def test_a_photo_that_is_refused_on_the_page_has_failed(monkeypatch: pytest.MonkeyPatch) -> None:
    """Each that is sent is a good one."""
    answers = iter([Answer("place", 0.1), Answer("elsewhere", 0.1), Answer("refused", 0.1, said="unreadable")])

    async def answered(_phone: Phone, _message: bytes = b"") -> Any:
        return next(answers)

    async def opened(phone: Phone, *_: object) -> Phone:
        return phone

    monkeypatch.setattr(Phone, "__aenter__", opened)
    monkeypatch.setattr(Phone, "__aexit__", opened)
    monkeypatch.setattr(Phone, "send", answered)
    served = SimpleNamespace(home="https://localhost", cookie=str, trusting=ssl.create_default_context())
    record = Record()

    def over() -> bool:
        return len(record.waits[PAGE]) == 3

    run_apart(visit_pages(cast(Served, served), [b"one"], record, over, 0.0))
    assert record.failures == [f"{PAGE}: unreadable"]


def test_each_photo_is_located_over_http_alone_and_in_a_walk(monkeypatch: pytest.MonkeyPatch) -> None:
    alone: list[bytes] = []
    walks: dict[str, list[bytes]] = {}

    class Program:
        def __init__(self, *_: object, **__: object) -> None: ...

        def __enter__(self) -> Program:
            return self

        def __exit__(self, *_: object) -> None: ...

        def locate(self, photo: bytes) -> None:
            alone.append(photo)

        def walk(self, name: str, photo: bytes) -> None:
            walks.setdefault(name, []).append(photo)

    monkeypatch.setattr(benchmarks.soak, "Campus", Program)
    record = Record()

    def over() -> bool:
        return len(record.waits[HTTP]) == 4 * VISIT

    photos, served = [b"a", b"b", b"c", b"d"], SimpleNamespace(home="", key="")
    ask_over_http(cast(Served, served), Path(), photos, record, over, 0.0)
    assert set(alone) == set(photos)
    assert [len(photos) for photos in walks.values()] == [VISIT, VISIT]
    assert all(set(walked) == set(photos) for walked in walks.values())


def test_a_photo_of_edge_run_takes_what_its_fix_says_and_no_look_into_the_folder(tmp_path: Path) -> None:
    lines, record = Queue[str](), Record()
    for number in range(3):
        photo = {"photo": f"{tmp_path}/{number:07d}.jpg", "timings_ms": {"decode": 20.0, "network": 10.0 * number}}
        lines.put(json.dumps(photo))
    feed_edge(Walker(cast(Any, None), tmp_path, lines), [b"one"], record, lines.empty, 0.0)
    assert [took_s for _, took_s in record.waits[FRAME]] == pytest.approx([0.02, 0.03, 0.04])
    assert record.failures == []


@pytest.mark.slow
@pytest.mark.skipif(sys.platform != "linux", reason="processes tell what they hold on Linux alone")
def test_the_app_http_and_edge_run_side_by_side_lose_no_photo_and_stay_flat(pristine: Path) -> None:
    minutes = float(os.environ.get("CAMPUS_SOAK_MINUTES", "0"))
    record = soak(pristine, 60 * minutes) if minutes else soak(pristine, 10.0, pause_s=0.05, every_s=0.25)
    assert record.failures == []
    assert all(len(record.waits[kind]) > 5 for kind in (PAGE, HTTP, FRAME))
    for program in (APP, EDGE):
        assert len(record.held[program]) > 10
        assert min(sample.memory_mb for sample in record.held[program]) > 30
        late = record.held[program][len(record.held[program]) // 2 :]
        assert abs(late[-1].handles - late[0].handles) < 20
        # A photo that was kept, decoded, is 6 MB.
        assert max(sample.memory_mb for sample in late) - np.median([sample.memory_mb for sample in late]) < 150
    curves = record.curves()
    assert len(curves) == 7
    if minutes:  # waits are the machine's too
        rises = {one.name: (one.allowed, one.trend()) for one in curves if one.unit != "ms"}
        for name, (allowed, trend) in rises.items():
            assert trend.slope_per_h * trend.hours <= 3 * allowed, (name, trend)
