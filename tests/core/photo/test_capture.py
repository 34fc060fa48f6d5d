"""What the camera recorded, as clean and as dirty as phones write it."""

from __future__ import annotations

import io
import random
from datetime import datetime, timezone
from fractions import Fraction
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from PIL import Image
from PIL.TiffImagePlugin import IFDRational

from core.photo.capture import Capture, capture_from_tags, parse_local_time, tags_of, utc_by_place
from core.photo.exif import ExifTags
from core.photo.load import load_photo

PENN = {1: "N", 2: (39.0, 57.0, 5.238), 3: "W", 4: (75.0, 11.0, 30.99588)}


def jpeg(gps: dict[int, Any] | None = None, photo: dict[int, Any] | None = None, **main: Any) -> Image.Image:
    """A JPEG, written and opened again, with these EXIF tags (main: make, model, time)."""
    exif = Image.Exif()
    for name, tag in (("make", 271), ("model", 272), ("time", 306), ("orientation", 274)):
        if name in main:
            exif[tag] = main[name]
    if photo:
        exif.get_ifd(0x8769).update(photo)
    if gps:
        exif.get_ifd(0x8825).update(gps)
    file = io.BytesIO()
    Image.new("RGB", (8, 6)).save(file, "JPEG", exif=exif)
    return Image.open(io.BytesIO(file.getvalue()))


def of(gps: dict[int, Any] | None = None, photo: dict[int, Any] | None = None, **main: Any) -> Capture:
    """The capture of tag values that no writer would write."""
    numbers = {"make": 271, "model": 272, "time": 306}
    return capture_from_tags(ExifTags({numbers[k]: v for k, v in main.items()}, photo or {}, gps or {}))


def test_a_photo_without_exif_recorded_nothing() -> None:
    capture = capture_from_tags(tags_of(Image.new("RGB", (4, 4))))
    assert capture == Capture()
    assert not capture.has_position


def test_a_clean_photo() -> None:
    image = jpeg(
        {**PENN, 7: (20.0, 5.0, 35.99), 29: "2024:09:23", 31: 14.25, 16: "T", 17: 183.03},
        {36867: "2024:09:23 16:05:37", 36881: "-04:00"},
        make="Apple",
        model="iPhone 13",
    )
    capture = capture_from_tags(tags_of(image))
    assert capture.lat_deg == pytest.approx(39 + 57 / 60 + 5.238 / 3600, abs=1e-9)
    assert capture.lon_deg == pytest.approx(-(75 + 11 / 60 + 30.99588 / 3600), abs=1e-9)
    assert capture.error_m == pytest.approx(14.25)
    assert capture.heading_deg == pytest.approx(183.03)
    assert capture.time_utc == datetime(2024, 9, 23, 20, 5, 35, 990_000, timezone.utc)
    assert capture.local_time == datetime(2024, 9, 23, 16, 5, 37)
    assert capture.device == "Apple iPhone 13"
    assert capture.has_position
    assert load_photo(image).capture == capture


@pytest.mark.parametrize(("lat_ref", "lon_ref"), [("N", "E"), ("N", "W"), ("S", "E"), ("S", "W")])
def test_hemispheres(lat_ref: str, lon_ref: str) -> None:
    capture = capture_from_tags(tags_of(jpeg({**PENN, 1: lat_ref, 3: lon_ref})))
    assert capture.lat_deg is not None
    assert capture.lon_deg is not None
    assert (capture.lat_deg < 0) == (lat_ref == "S")
    assert (capture.lon_deg < 0) == (lon_ref == "W")


@pytest.mark.parametrize(
    "gps",
    [
        {},
        {1: "N", 3: "E"},
        {2: (39.0, 57.0, 5.0)},
        {2: (0.0, 0.0, 0.0), 4: (0.0, 0.0, 0.0)},
        {**PENN, 2: (float("nan"),) * 3},
        {**PENN, 2: (float("inf"), 0.0, 0.0)},
        {**PENN, 2: (91.0, 0.0, 0.0)},
        {**PENN, 4: (180.0, 0.0, 1.0)},
        {**PENN, 2: (39.0, 61.0, 0.0)},
        {**PENN, 2: (39.0, -1.0, 0.0)},
        {**PENN, 2: (39.0, 57.0, 5.0, 1.0)},
        {**PENN, 2: "north"},
        {**PENN, 2: b"\x27\x39\x05"},
        {**PENN, 2: ()},
    ],
)
def test_no_position_rather_than_a_wrong_one(gps: dict[int, Any]) -> None:
    capture = of(gps)
    assert capture.lat_deg is None
    assert capture.lon_deg is None
    assert not capture.has_position


@pytest.mark.parametrize(
    ("gps", "lat_deg", "lon_deg"),
    [
        ({2: (39.0, 57.0, 0.0), 4: (75.0, 12.0, 0.0)}, 39.95, 75.2),  # no references: north, east
        ({**PENN, 1: "", 3: "\0", 2: (39.5,), 4: (75.25,)}, 39.5, 75.25),  # unreadable references
        ({2: (-33.5,), 4: (-70.5,)}, -33.5, -70.5),  # signed numbers without references
        ({1: "S", 2: (-33.5,), 3: "W", 4: (-70.5,)}, -33.5, -70.5),  # sign and reference: not twice
        ({1: b"S\0", 2: (33.5,), 3: b"W\0", 4: (70.5,)}, -33.5, -70.5),
        ({1: "South", 2: (33.5,), 3: "west", 4: (70.5,)}, -33.5, -70.5),
        ({**PENN, 2: "39.5", 4: b"75.25\0"}, 39.5, -75.25),  # text where numbers belong
        ({**PENN, 2: (39.0, 30.0), 4: (75.0, 15.0)}, 39.5, -75.25),
        ({**PENN, 2: (39.0, 30.0, float("nan")), 4: (75.0, 15.0, float("nan"))}, 39.5, -75.25),  # seconds 0/0
        ({1: "N", 2: (0.0,), 3: "E", 4: (32.5,)}, 0.0, 32.5),  # on the equator is a place
    ],
)
def test_positions_as_phones_write_them(gps: dict[int, Any], lat_deg: float, lon_deg: float) -> None:
    capture = of(gps)
    assert capture.lat_deg == pytest.approx(lat_deg)
    assert capture.lon_deg == pytest.approx(lon_deg)


def test_the_dirt_of_a_samsung() -> None:
    image = jpeg(
        {
            **PENN,
            0: b"\x02\x02\x00\x00",
            5: b"\x00",
            7: (20.0, 20.0, 25.0),
            27: b"ASCII\0\0\0GPS" + b"\0" * 50,
            29: "2024:09:23",
        },
        {36867: "2024:09:23 16:20:30"},
        make="samsung",
        model="SM-A315F" + "\0" * 23,
    )
    capture = capture_from_tags(tags_of(image))
    assert capture.device == "samsung SM-A315F"
    assert capture.time_utc == datetime(2024, 9, 23, 20, 20, 25, tzinfo=timezone.utc)
    assert capture.lat_deg == pytest.approx(39.951455, abs=1e-6)


@pytest.mark.parametrize(
    ("photo", "gps", "expected"),
    [
        ({}, {}, None),
        ({36867: "2024:09:23 16:20:30"}, {}, None),  # a clock, but no place and no offset
        ({36867: "2024:09:23 16:20:30", 36881: "-04:00"}, {}, datetime(2024, 9, 23, 20, 20, 30)),
        ({36867: "2024:09:23 16:20:30", 36880: "+0530"}, {}, datetime(2024, 9, 23, 10, 50, 30)),
        ({36867: "2024:09:23 16:20:30", 36881: "Z"}, {}, datetime(2024, 9, 23, 16, 20, 30)),
        ({36867: "2024:09:23 16:20:30", 36881: "+99:00"}, PENN, datetime(2024, 9, 23, 21, 20, 30)),
        ({36867: "2024:09:23 16:20:30"}, PENN, datetime(2024, 9, 23, 21, 20, 30)),  # by place: 75 W is UTC-5
        ({36868: "2024-09-23T16:20"}, PENN, datetime(2024, 9, 23, 21, 20)),
        ({36867: "0000:00:00 00:00:00"}, PENN, None),
        ({36867: "    :  :     :  :  "}, PENN, None),
        ({36867: "2024:13:40 16:20:30"}, PENN, None),
        ({36867: "2024:09:23 24:00:00", 36881: "Z"}, {}, datetime(2024, 9, 24)),
        ({36867: "1904:01:01 00:00:00", 36881: "Z"}, {}, None),
        ({36867: "9999:12:31 23:59:59", 36881: "-14:00"}, {}, None),
        ({}, {7: (20.0, 5.0, 35.0), 29: "2024:09:23\0"}, datetime(2024, 9, 23, 20, 5, 35)),
        ({}, {7: (25.0, 5.0, 35.0), 29: "2024:09:23"}, None),
        ({}, {7: (float("nan"), 5.0, 35.0), 29: "2024:09:23"}, None),
        ({}, {7: "noon", 29: "2024:09:23"}, None),
        ({}, {7: (20.0, 5.0, 35.0), 29: b"\xff\xfe"}, None),
        ({}, {7: (20.0, 5.0, 35.0)}, None),
        # The satellites' clock beats the camera's.
        ({36867: "2020:01:01 00:00"}, {7: (1.0, 2.0, 3.0), 29: "2024:09:23"}, datetime(2024, 9, 23, 1, 2, 3)),
    ],
)  # fmt: skip
def test_time_utc(photo: dict[int, Any], gps: dict[int, Any], expected: datetime | None) -> None:
    assert of(gps, photo).time_utc == (expected.replace(tzinfo=timezone.utc) if expected else None)


def test_local_time_falls_back_to_when_the_file_was_written() -> None:
    assert of(time="2024:09:23 16:20:30").local_time == datetime(2024, 9, 23, 16, 20, 30)
    assert parse_local_time("") is None


def test_utc_by_place() -> None:
    noon = datetime(2024, 6, 1, 12)
    assert utc_by_place(noon, 0.0) == datetime(2024, 6, 1, 12, tzinfo=timezone.utc)
    assert utc_by_place(noon, 34.8) == datetime(2024, 6, 1, 10, tzinfo=timezone.utc)
    assert utc_by_place(noon, -179.0) == datetime(2024, 6, 2, 0, tzinfo=timezone.utc)


@pytest.mark.parametrize(
    ("value", "error_m"),
    [(None, None), ((14.5,), 14.5), ((0.0,), None), ((-3.0,), None), ((float("nan"),), None),
     ((float("inf"),), None), ((1e9,), None), ((1.0, 2.0), None), ("accurate", None), ("7.5", 7.5)],
)  # fmt: skip
def test_error_m(value: Any, error_m: float | None) -> None:
    assert of({31: value}).error_m == error_m


@pytest.mark.parametrize(
    ("value", "heading"),
    [(None, None), ((0.0,), 0.0), ((359.9,), 359.9), ((360.0,), 0.0), ((360.1,), None), ((-1.0,), None),
     ((float("nan"),), None), (b"\x10", 16.0)],
)  # fmt: skip
@pytest.mark.parametrize("reference", ["T", "M", None])
def test_heading(value: Any, heading: float | None, reference: str | None) -> None:
    assert of({16: reference, 17: value}).heading_deg == heading


@pytest.mark.parametrize(
    ("make", "model", "device"),
    [
        (None, None, None),
        ("", " \0", None),
        ("Apple", "iPhone 13", "Apple iPhone 13"),
        ("Canon", "Canon EOS 5D", "Canon EOS 5D"),
        ("Canon\0\0junk", None, "Canon"),
        (b"Nokia\0", b"\xff\xfe3310", "Nokia 3310"),
        ("evil\n\x1b[31m", "x", "evil[31m x"),
        ("x" * 500, None, "x" * 80),
        ((1.0,), None, None),
    ],
)
def test_device(make: Any, model: Any, device: str | None) -> None:
    assert of(make=make, model=model).device == device


def test_tags_edited_in_memory_are_read() -> None:
    image = Image.new("RGB", (4, 4))
    gps = image.getexif().get_ifd(0x8825)
    gps.update({1: "S", 2: (IFDRational(33), IFDRational(1, 2), IFDRational(0, 0)), 3: "E", 4: (Fraction(7), 0, 0)})
    capture = capture_from_tags(tags_of(image))
    assert capture.lat_deg == pytest.approx(-(33 + 0.5 / 60))
    assert capture.lon_deg == 7


@pytest.mark.parametrize("blob", [b"", b"junk", b"Exif\0\0II*\0\xff\xff\xff\xff"])
def test_broken_exif_blocks_are_no_exif(blob: bytes) -> None:
    image = Image.new("RGB", (4, 4))
    image.info["exif"] = blob
    assert capture_from_tags(tags_of(image)) == Capture()


@pytest.mark.parametrize("profile", ["", "exif\n 4\n zz", "\n\nexif\n" + "49492a00" * 10, 7])
def test_broken_png_profiles_are_no_exif(profile: object) -> None:
    image = Image.new("RGB", (4, 4))
    image.info["Raw profile type exif"] = profile
    assert capture_from_tags(tags_of(image)) == Capture()


def test_random_tag_values_never_raise_and_stay_in_range() -> None:
    rng = random.Random(0)
    nan, inf = float("nan"), float("inf")
    scraps: list[Any] = [
        (), (0.0,), (1.0, 2.0, 3.0), (nan,), (inf, -inf, nan), (1e300,), (-5.0,), "", "N", "S", "2024:09:23",
        "\0", "2024:02:30 25:61:61", b"", b"\x00", b"\xff" * 9, "9" * 300, "+14:00", (90.0,), (180.0,),
    ]  # fmt: skip
    tags = [1, 2, 3, 4, 7, 16, 17, 29, 31]
    seen = 0
    for _ in range(3000):
        gps = {tag: rng.choice(scraps) for tag in tags if rng.random() < 0.8}
        photo = {tag: rng.choice(scraps) for tag in (36867, 36868, 36880, 36881, 36882)}
        capture = of(gps, photo, make=rng.choice(scraps), model=rng.choice(scraps), time=rng.choice(scraps))
        assert (capture.lat_deg is None) == (capture.lon_deg is None)
        if capture.lat_deg is not None and capture.lon_deg is not None:
            seen += 1
            assert abs(capture.lat_deg) <= 90
            assert abs(capture.lon_deg) <= 180
        assert capture.heading_deg is None or 0 <= capture.heading_deg < 360
        assert capture.error_m is None or 0 < capture.error_m < np.inf
    assert seen > 10


def test_real_photos_match_their_exif(campus_data: Path) -> None:
    folder = campus_data / "penn" / "photos"
    devices = set()
    for path in sorted(folder.iterdir()):
        with Image.open(path) as image:
            gps = image.getexif().get_ifd(0x8825)
            capture = capture_from_tags(tags_of(image))
        degrees = [float(gps[tag][0]) + float(gps[tag][1]) / 60 + float(gps[tag][2]) / 3600 for tag in (2, 4)]
        assert capture.lat_deg == pytest.approx(degrees[0], abs=1e-9)
        assert capture.lon_deg == pytest.approx(-degrees[1], abs=1e-9)
        assert capture.time_utc is not None
        assert capture.time_utc.date().isoformat() == "2024-09-23"
        assert capture.time_utc.hour == 20
        devices.add(capture.device)
    assert devices == {"Apple iPhone 13", "samsung SM-A315F"}
