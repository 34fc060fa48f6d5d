"""Every photo of the corpus ends in a photo or a PhotoError of one line, within two seconds and 400 MB."""

from __future__ import annotations

import json
import math
import subprocess
import sys
from typing import Any

import pytest

from tests import REPOSITORY
from tests.hostile.corpus import BUILD
from tests.hostile.run_corpus import colours
from tests.pictures import quartered

MAX_SECONDS = 2.0  # of one core: the promise of core/photo/load.py; the slowest case takes about half
MAX_PEAK_MB = 400.0
JPEG_LOSS = 25  # of 255: what compression may do to the mean colour of a quarter

pytestmark = [
    pytest.mark.slow,
    pytest.mark.skipif(sys.platform != "linux", reason="peaks of memory are read from Linux's /proc"),
]


@pytest.fixture(scope="module")
def results() -> dict[str, dict[str, Any]]:
    """What became of each case, by name. One process reads them all, so a crash or a hang shows where it happened."""
    run = subprocess.run(
        [sys.executable, "-X", "faulthandler", "-W", "error", "-m", "tests.hostile.run_corpus"],
        cwd=REPOSITORY, capture_output=True, text=True, timeout=1200,
    )  # fmt: skip
    lines = [json.loads(line) for line in run.stdout.splitlines()]
    assert run.returncode == 0, f"at {lines[-1:]}: {run.stderr[-2000:]}"
    assert run.stderr == ""  # no decoder prints
    return {line["name"]: line for line in lines if len(line) > 1}


@pytest.mark.parametrize("name", BUILD)
def test_a_photo_or_a_reason(name: str, results: dict[str, dict[str, Any]]) -> None:
    case, result = BUILD[name], results[name]
    became = "photo" if "photo" in result else "refused"
    assert case.outcome in (became, "either"), result
    assert result["seconds"] <= MAX_SECONDS
    assert result["peak_mb"] <= MAX_PEAK_MB
    if became == "refused":
        check_reason(result["refused"], case.file_name, case.says)
    else:
        check_photo(result)
    if case.quarters:
        wanted = colours(quartered())
        apart = [
            abs(a - b)
            for got, want in zip(result["quarters"], wanted, strict=True)
            for a, b in zip(got, want, strict=True)
        ]
        assert max(apart) <= JPEG_LOSS, result["quarters"]
        assert result["photo"][1] > result["photo"][0]  # upright it is wider than high


def check_reason(message: str, file_name: str, says: str) -> None:
    """One line that names the photo and is no traceback."""
    assert file_name in message
    assert says in message
    assert len(message) < 600
    assert message.isprintable()
    assert "Traceback" not in message


def check_photo(result: dict[str, Any]) -> None:
    height, width, channels = result["photo"]
    assert min(height, width) >= 1
    assert channels == 3
    assert result["dtype"] == "uint8"
    capture = result["capture"]
    lat, lon = capture["lat_deg"], capture["lon_deg"]
    assert (lat is None) == (lon is None)
    assert lat is None or (abs(lat) <= 90 and abs(lon) <= 180)
    assert capture["heading_deg"] is None or 0 <= capture["heading_deg"] < 360
    assert capture["error_m"] is None or 0 < capture["error_m"] <= 100_000
    assert all(math.isfinite(value) for value in capture.values() if isinstance(value, float))
    assert capture["device"] is None or capture["device"].isprintable()
