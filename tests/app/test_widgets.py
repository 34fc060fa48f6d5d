"""The camera's message: a photo, its EXIF and the phone's position, or a reason."""

from __future__ import annotations

import base64
from typing import Any

import pytest

from app.map.deck import Place
from app.widgets import shot_from
from core.errors import PhotoError
from tests.bundles import photo


def message(data: bytes, **more: Any) -> dict[str, Any]:
    url = "data:image/jpeg;base64," + base64.b64encode(data).decode()
    return {"url": url, "exif": None, "phone": None, "number": 1} | more


def test_a_shot_brings_photo_exif_and_position() -> None:
    original = photo(at=(47.1, 8.5))
    at = original.index(b"Exif\0\0")
    length = int.from_bytes(original[at - 2 : at], "big") - 2
    exif = base64.b64encode(original[at : at + length]).decode()
    shot = shot_from(message(photo(), exif=exif, phone={"lat": 47.0, "lon": 8.4, "error_m": 12}))
    assert shot.recorded is not None
    assert shot.recorded.lat_deg == pytest.approx(47.1, abs=1e-5)
    assert shot.phone == Place(47.0, 8.4, 12.0)
    assert shot.number == "1"


@pytest.mark.parametrize(
    "value",
    [None, 3, [], {}, {"url": ""}, {"url": "data:image/jpeg;base64,"}, {"url": "data:,!!!"}, {"url": "no comma"}],
)
def test_a_broken_message_is_a_photo_error(value: Any) -> None:
    with pytest.raises(PhotoError):
        shot_from(value)


@pytest.mark.parametrize("number", [None, "", "none", [], 1.5])
def test_a_photo_without_its_number_is_refused(number: Any) -> None:
    """The camera would wait for its answer, and the page would take it for the one before."""
    with pytest.raises(PhotoError, match="without its number"):
        shot_from(message(photo(), number=number))


@pytest.mark.parametrize(
    "phone",
    [None, 1, {}, {"lat": "47", "lon": 8, "error_m": 1}, {"lat": float("nan"), "lon": 8, "error_m": 1},
     {"lat": 147, "lon": 8, "error_m": 1}],
)  # fmt: skip
def test_a_broken_position_is_no_position(phone: Any) -> None:
    assert shot_from(message(photo(), phone=phone)).phone is None
