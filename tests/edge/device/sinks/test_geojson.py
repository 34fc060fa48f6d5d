"""A device's track stays whole, whatever happens to its program, its disk or its power."""

from __future__ import annotations

import json
import os
import resource
import signal
from pathlib import Path

import pytest

from core.errors import OccupiedError
from core.locate.localizer import Localizer
from edge.device.sinks import open_sink
from edge.device.sinks.geojson import GeoJson
from edge.device.sources import Frame
from tests.bundles import photo

NOON = 1772366400.25  # 2026-03-01 12:00:00.25 UTC


def test_a_track_is_whole_after_each_fix_and_a_former_one_is_gone_on_with(localizer: Localizer, tmp_path: Path) -> None:
    out, fix = tmp_path / "walks" / "track.geojson", localizer.locate(photo())
    former: list[str] = []
    for names in (("a", "b", "ג"), ("d",)):
        sink = GeoJson(out)
        before = out.read_bytes() if out.exists() else None
        for count, name in enumerate(names, 1):
            sink.put(Frame(name, None, NOON), fix)
            track = json.loads(out.read_text(encoding="utf-8"))
            assert track["type"] == "FeatureCollection"
            assert [feature["properties"]["photo"] for feature in track["features"]] == [
                *former,
                *names[:count],
            ]
        assert out.read_bytes() != before
        sink.close()
        former += names
    GeoJson(out).close()
    assert json.loads(out.read_text(encoding="utf-8")) == track  # a run without a fix takes nothing away


def test_a_point_of_a_track_is_east_before_north_and_tells_its_time_and_errors(
    localizer: Localizer, tmp_path: Path
) -> None:
    out, fix = tmp_path / "track.geojson", localizer.locate(photo(east_m=-30, north_m=10))
    sink = GeoJson(out)
    sink.put(Frame("a", None, NOON), fix)
    sink.close()
    (feature,) = json.loads(out.read_text(encoding="utf-8"))["features"]
    assert feature["geometry"]["type"] == "Point"
    assert feature["geometry"]["coordinates"] == pytest.approx([fix.lon, fix.lat], abs=1e-7)
    told = feature["properties"]
    assert (told["radius68_m"], told["radius95_m"], told["zone"]) == (fix.radius68_m, fix.radius95_m, fix.zone.name)
    assert told["time_utc"] == "2026-03-01T12:00:00.250Z"


def test_a_refused_photo_is_no_point_of_a_track(localizer: Localizer, tmp_path: Path) -> None:
    sink = GeoJson(tmp_path / "track.geojson")
    for name, picture in (("a", photo()), ("b", photo("elsewhere")), ("c", photo())):
        sink.put(Frame(name, None, NOON), localizer.locate(picture))
    sink.close()
    features = json.loads((tmp_path / "track.geojson").read_text(encoding="utf-8"))["features"]
    assert [feature["properties"]["photo"] for feature in features] == ["a", "c"]


@pytest.mark.parametrize("left", range(1, 60, 7))
def test_a_track_that_the_power_cut_short_goes_on_behind_its_last_whole_fix(
    localizer: Localizer, tmp_path: Path, left: int
) -> None:
    out, fix = tmp_path / "track.geojson", localizer.locate(photo())
    sink = GeoJson(out)
    for name in "ab":
        sink.put(Frame(name, None, NOON), fix)
    sink.close()
    os.truncate(out, out.stat().st_size - left)
    sink = GeoJson(out)
    sink.put(Frame("c", None, NOON), fix)
    sink.close()
    names = [feature["properties"]["photo"] for feature in json.loads(out.read_text(encoding="utf-8"))["features"]]
    assert names == ["a", "c"]
    os.truncate(out, len(GeoJson._HEAD) + 20)
    sink = GeoJson(out)
    sink.put(Frame("d", None, NOON), fix)
    sink.close()
    assert len(json.loads(out.read_text(encoding="utf-8"))["features"]) == 1


def test_a_track_on_a_disk_that_becomes_full_stays_whole_and_says_so(localizer: Localizer, tmp_path: Path) -> None:
    out, fix = tmp_path / "track.geojson", localizer.locate(photo())
    sink, limits = GeoJson(out), resource.getrlimit(resource.RLIMIT_FSIZE)
    ignored = signal.signal(signal.SIGXFSZ, signal.SIG_IGN)
    try:
        sink.put(Frame("a", None, NOON), fix)
        size = out.stat().st_size
        resource.setrlimit(resource.RLIMIT_FSIZE, (size + 20, limits[1]))
        for _ in range(2):
            with pytest.raises(OSError, match=r"No space left|File too large"):
                sink.put(Frame("b", None, NOON), fix)
            (feature,) = json.loads(out.read_text(encoding="utf-8"))["features"]
            assert feature["properties"]["photo"] == "a"
        resource.setrlimit(resource.RLIMIT_FSIZE, limits)
        sink.put(Frame("c", None, NOON), fix)
        assert len(json.loads(out.read_text(encoding="utf-8"))["features"]) == 2
    finally:
        resource.setrlimit(resource.RLIMIT_FSIZE, limits)
        signal.signal(signal.SIGXFSZ, ignored)
        sink.close()


def test_a_file_that_is_no_track_is_not_written_over(tmp_path: Path) -> None:
    (tmp_path / "thesis.txt").write_text("years of work")
    with pytest.raises(OccupiedError, match="no track"):
        open_sink(f"geojson:{tmp_path / 'thesis.txt'}")
    (tmp_path / "other.geojson").write_text('{"type": "FeatureCollection", "features": [{"type": "Feature"}]}')
    for other in (tmp_path, tmp_path / "other.geojson"):
        with pytest.raises(OccupiedError, match="no track"):
            open_sink(f"geojson:{other}")
    assert (tmp_path / "thesis.txt").read_text() == "years of work"
