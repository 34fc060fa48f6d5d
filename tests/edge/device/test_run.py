from __future__ import annotations

import io
import json
import os
import shutil
import signal
import socket
import subprocess
import sys
import time
from pathlib import Path
from typing import Any

import pynmea2
import pytest
from PIL import Image

from core.campus.bundle import Bundle
from core.errors import MissingDependency, TimeReversed
from core.locate.fix import Fix
from core.locate.localizer import Localizer
from edge.device.follow import Follow, single
from edge.device.nmea_sentences import KNOTS_PER_M_S
from edge.device.run import Tally, clock_of, run
from edge.device.sources import Frame
from edge.manifest import MANIFEST
from edge.pack import pack, unpack
from tests import REPOSITORY
from tests.bundles import photo


def edge_run(*arguments: str, stdin: bytes = b"") -> subprocess.CompletedProcess[bytes]:
    line = [sys.executable, "-m", "edge", "run", *arguments]
    return subprocess.run(line, cwd=REPOSITORY, input=stdin, capture_output=True, check=False, timeout=60)


def test_a_folder_of_photos_becomes_json_lines(field: Path, photos: Path) -> None:
    (photos / "c.jpg").write_bytes(b"\xff\xd8 damaged")
    done = edge_run(str(photos), "--bundle", str(field))
    lines = [json.loads(line) for line in done.stdout.splitlines()]
    assert [Path(line["photo"]).name for line in lines] == ["a.JPG", "b.jpg"]
    assert lines[0]["lon"] < lines[1]["lon"]
    assert lines[0]["radius68_m"] > 0
    assert done.returncode == 1
    assert b"skipped: " in done.stderr
    assert b"2 located, 1 unreadable and skipped, 0 dropped while busy" in done.stderr


def test_nothing_but_unreadable_photos_is_a_failure(field: Path, tmp_path: Path) -> None:
    (tmp_path / "c.jpg").write_bytes(b"\xff\xd8 damaged")
    assert edge_run(str(tmp_path / "c.jpg"), "--bundle", str(field)).returncode == 2


def test_a_missing_argument_is_one_line_and_the_rest_goes_on(field: Path, photos: Path) -> None:
    arguments = [str(photos / name) for name in ("absent.jpg", "a.JPG", "b.jpg")]
    done = edge_run(*arguments, "--bundle", str(field))
    assert done.returncode == 1
    assert len(done.stdout.splitlines()) == 2
    assert len([line for line in done.stderr.splitlines() if b"absent.jpg: no such file" in line]) == 1
    assert edge_run(arguments[0], "--bundle", str(field)).returncode == 2


def test_a_full_disk_ends_its_own_sink_alone(field: Path, photos: Path, tmp_path: Path) -> None:
    track = tmp_path / "track.geojson"
    sinks = ("--to", "json:/dev/full", "--to", "json", "--to", f"geojson:{track}")
    done = edge_run(str(photos), "--bundle", str(field), *sinks)
    assert done.returncode == 1
    assert len(done.stdout.splitlines()) == len(json.loads(track.read_text())["features"]) == 2
    assert b"--to json:/dev/full is dropped: No space left on device" in done.stderr
    assert b"standard output" not in done.stderr


def test_without_any_sink_left_the_run_ends(field: Path, photos: Path) -> None:
    done = edge_run(str(photos), "--bundle", str(field), "--to", "json:/dev/full")
    assert done.returncode == 2
    assert b"error: no sink is left: No space left on device" in done.stderr
    assert b"Traceback" not in done.stderr


def test_a_reader_that_has_enough_ends_the_run_without_a_word(field: Path, photos: Path) -> None:
    line = [sys.executable, "-m", "edge", "run", *[str(photos)] * 20, "--bundle", str(field)]
    with subprocess.Popen(line, cwd=REPOSITORY, stdout=subprocess.PIPE, stderr=subprocess.PIPE) as process:
        assert process.stdout is not None
        assert process.stderr is not None
        process.stdout.close()
        errors = process.stderr.read()
    assert process.returncode == 0
    assert b"error" not in errors
    assert b"Traceback" not in errors


def test_standard_input_and_several_sinks(field: Path, tmp_path: Path) -> None:
    out = tmp_path / "track.geojson"
    done = edge_run("-", "--bundle", str(field), "--to", "nmea", "--to", f"geojson:{out}", stdin=photo())
    rmc, *rest = (pynmea2.parse(line) for line in done.stdout.decode().splitlines())
    assert rmc.latitude == pytest.approx(47.0, abs=1e-3)
    assert [sentence.sentence_type for sentence in rest] == ["GGA", "GSA", "GST", "VTG", "ZDA"]
    feature = json.loads(out.read_text())["features"][0]
    assert feature["geometry"]["coordinates"] == pytest.approx([8.4, 47.0], abs=1e-3)


@pytest.mark.parametrize(
    ("arguments", "said"),
    [
        ((), "one of the three"),
        (("x.jpg", "--camera", "0"), "one of the three"),
        (("--watch", "absent"), "not a folder to watch"),
        (("-", "--to", "fax"), "--to fax: not one of"),
        (("-", "--backend", "tensorrt"), "was not packed for a device"),
        (("-", "--every", "1"), "needs --camera"),
    ],
)
def test_bad_command_lines_give_one_line_and_code_2(field: Path, arguments: tuple[str, ...], said: str) -> None:
    done = edge_run(*arguments, "--bundle", str(field))
    errors = [line for line in done.stderr.decode().splitlines() if line.startswith("error: ")]
    assert done.returncode == 2
    assert len(errors) == 1
    assert said in errors[0]
    assert b"Traceback" not in done.stderr


def test_with_a_log_of_json_every_line_is_json(field: Path, tmp_path: Path) -> None:
    def said(stderr: bytes) -> list[tuple[str, str]]:
        return [(line["level"], line["message"]) for line in map(json.loads, stderr.splitlines())]

    done = edge_run("--log", "json", "--bundle", str(tmp_path / "gone"), "a.jpg")
    ((level, message),) = said(done.stderr)
    assert (level, done.returncode) == ("error", 2)
    assert message.startswith(str(tmp_path / "gone"))
    line = [sys.executable, "-m", "edge", "run", "--log", "json", "--bundle", str(field), "--watch", str(tmp_path)]
    with socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM) as manager:
        manager.bind(str(tmp_path / "notify"))
        manager.settimeout(120)
        environment = os.environ | {"NOTIFY_SOCKET": str(tmp_path / "notify")}
        running = subprocess.Popen(
            line, cwd=REPOSITORY, env=environment, stdout=subprocess.DEVNULL, stderr=subprocess.PIPE
        )
        try:
            while manager.recv(100) != b"READY=1":  # before it, SIGTERM interrupts the start
                pass
        finally:
            running.send_signal(signal.SIGTERM)
            _, stderr = running.communicate(timeout=60)
    assert [level for level, _ in said(stderr)] == ["info"]
    assert running.returncode == 0


@pytest.mark.parametrize("as_walk", [False, True])
def test_a_photo_whose_decoder_is_absent_is_skipped_and_its_remedy_can_be_typed(
    as_walk: bool,
    localizer: Localizer,
    pristine_pack: Path,
    monkeypatch: pytest.MonkeyPatch,
    caplog: pytest.LogCaptureFixture,
) -> None:
    monkeypatch.setitem(sys.modules, "pillow_heif", None)
    monkeypatch.setattr(sys, "argv", [str(pristine_pack)])
    heic = b"\0\0\0\x18ftypheic\0\0\0\0mif1heic" + bytes(100)
    frames = [Frame("a.heic", heic, 0.0), Frame("b.jpg", photo(), 1.0)]
    tally = Tally()
    run(Follow(localizer) if as_walk else single(localizer), frames, [], tally)
    assert (tally.located, tally.skipped) == (1, 1)
    (line,) = (record.getMessage() for record in caplog.records)
    assert line.startswith("skipped: a.heic: pillow-heif is not installed (needed for HEIC photos)")
    assert line.endswith(": pip install pillow-heif")


def test_a_package_that_every_frame_needs_ends_the_run() -> None:
    def locate(_: Frame) -> tuple[Frame, Fix]:
        raise MissingDependency("threadpoolctl", "requirements.txt")

    with pytest.raises(MissingDependency):
        run(locate, [Frame("a.jpg", photo(), 0.0)], [], Tally())


def test_every_thins_a_stream(localizer: Localizer) -> None:
    frames = [Frame(str(number), photo(), 0.0) for number in range(3)]
    tally = Tally()
    run(single(localizer), frames, [], tally, every_s=60)
    assert (tally.located, tally.dropped) == (1, 2)


def walk_of(folder: Path, count: int = 8) -> Path:
    """A walk to the east, and on its way a photo of the far corner."""
    folder.mkdir()
    for number in range(count):
        east, north = (-70, 70) if number == 5 else (-50 + 5 * number, 0)
        taken(
            photo(east_m=east, north_m=north, view=number + 1),
            f"10:00:{4 * number:02d}",
            folder / f"{number}.jpg",
            quality=95,
        )
    return folder


def test_every_thins_a_video_by_its_own_time(localizer: Localizer, tmp_path: Path) -> None:
    (tmp_path / "film.mp4").touch()
    frames = [Frame(str(number), photo(), 1e9 + number / 4) for number in range(12)]  # three seconds, read in less
    tally = Tally()
    run(single(localizer), frames, [], tally, 1.0, clock_s=clock_of(str(tmp_path / "film.mp4")))
    assert (tally.located, tally.dropped) == (3, 9)
    for camera in (None, "0", "/dev/video0"):
        assert clock_of(camera)(frames[0]) == pytest.approx(time.monotonic(), abs=60)


def test_a_folder_as_a_walk_carries_its_state_in_every_line(field: Path, tmp_path: Path) -> None:
    track = tmp_path / "walk.geojson"
    walked = ("--walk", "--backend", "onnxruntime", "--to", "json", "--to", f"geojson:{track}")
    done = edge_run(str(walk_of(tmp_path / "photos")), "--bundle", str(field), *walked)
    assert done.returncode == 0
    assert b"as one walk" in done.stderr
    lines = [json.loads(line) for line in done.stdout.splitlines()]
    assert [line["photos"] for line in lines] == list(range(1, 9))
    assert lines[5]["outliers"] == [5]  # it contradicts those before it
    assert abs(lines[5]["lon"] - lines[4]["lon"]) < 2e-4
    assert {"course_deg", "speed_m_s"} <= set(lines[-1])
    feature = json.loads(track.read_text())["features"][-1]
    assert feature["properties"]["photos"] == 8


def test_a_walk_of_photos_without_a_time_is_no_walk(field: Path, tmp_path: Path) -> None:
    """They come as fast as they are read, and nobody walks so."""
    (tmp_path / "0.jpg").write_bytes(photo())
    done = edge_run(str(tmp_path / "0.jpg"), "--bundle", str(field), "--walk")
    assert done.returncode == 2
    assert b"0.jpg: has no time: leave --walk out, or give photos with EXIF times" in done.stderr
    assert edge_run(str(tmp_path / "0.jpg"), "--bundle", str(field)).returncode == 0


def test_a_remedy_comes_with_the_command_to_type(field: Path, tmp_path: Path) -> None:
    (tmp_path / "0.jpg").write_bytes(photo())
    done = edge_run(str(tmp_path / "0.jpg"), "--bundle", str(field), "--backend", "tensorrt")
    assert done.returncode == 2
    (line,) = done.stderr.splitlines()
    assert line.endswith(b"--out NAME.campus-edge`)") or b"doctor`" in line, line


def test_each_frame_by_itself_unless_told(field: Path, tmp_path: Path) -> None:
    done = edge_run(str(walk_of(tmp_path / "photos")), "--bundle", str(field))
    assert {json.loads(line)["photos"] for line in done.stdout.splitlines()} == {1}
    assert edge_run("-", "--walk", "--single", "--bundle", str(field), stdin=photo()).returncode == 2


def test_a_walk_restarts_where_the_clock_is_set_back(localizer: Localizer, caplog: pytest.LogCaptureFixture) -> None:
    caplog.set_level("INFO")
    follow = Follow(localizer)
    fixes = [follow(Frame(str(t), photo(east_m=10, view=t), float(t)))[1] for t in (1, 3, 5, 2, 4)]
    assert [fix.photos for fix in fixes] == [1, 2, 3, 1, 2]
    assert "a new walk begins: a photo is 3.0 s older" in caplog.text


def test_a_walk_goes_on_where_the_clock_is_put_right_by_a_little(localizer: Localizer) -> None:
    follow = Follow(localizer)
    fixes = [follow(Frame(str(t), photo(east_m=10, view=int(t)), t))[1] for t in (1.0, 3.0, 2.95, 4.0)]
    assert [fix.photos for fix in fixes][-1] > 2


def test_a_walk_s_photo_without_utc_is_dated_by_those_before_it(localizer: Localizer, tmp_path: Path) -> None:
    follow = Follow(localizer)
    times = []
    for number, offset in enumerate(("+03:00", None, None, "+03:00")):
        exif = Image.Exif()
        exif.get_ifd(0x8769).update(
            {0x9003: f"2026:03:01 13:00:{10 * number:02d}"} | ({0x9011: offset} if offset else {})
        )
        file = tmp_path / f"{number}.jpg"
        Image.open(io.BytesIO(photo(east_m=10, view=number + 1))).save(file, exif=exif)
        frame, fix = follow(Frame(file.name, file, 1e9, undated=True))
        times.append(frame.taken_s - 1772359200.0)  # 2026-03-01 10:00 UTC
    assert times == [0.0, 10.0, 20.0, 30.0]
    assert fix.photos == 4


def taken(data: bytes, time: str, path: Path, **save: Any) -> Path:
    """A photo's file whose EXIF says that it was taken on 2026-03-01 at `time`, UTC."""
    exif = Image.Exif()
    exif.get_ifd(0x8769).update({0x9003: f"2026:03:01 {time}", 0x9011: "+00:00"})
    Image.open(io.BytesIO(data)).save(path, exif=exif, **save)
    return path


def test_files_are_of_when_their_exif_says(localizer: Localizer, tmp_path: Path) -> None:
    follow = Follow(localizer)
    for number, second in enumerate((10, 40)):
        file = taken(photo(east_m=10, view=number + 1), f"10:00:{second}", tmp_path / f"{number}.jpg")
        frame, _ = follow(Frame(str(number), file, 1e9 + number))
        assert frame.taken_s == 1772359200.0 + second
    with pytest.raises(TimeReversed):
        follow._walk.add(photo(), 1772359239.0)  # 10:00:39 of that day
    follow._walk.add(photo(), 1772359241.0)


def test_a_camera_s_frame_is_of_when_it_came_in(localizer: Localizer, tmp_path: Path) -> None:
    data = taken(photo(east_m=10), "10:00:00", tmp_path / "0.jpg").read_bytes()
    for locate in (Follow(localizer), single(localizer)):
        assert locate(Frame("0", data, 1e9))[0].taken_s == 1e9


def test_a_pack_walks_through_a_folder_by_the_photos_own_times(
    field: Path, pristine_export: Path, tmp_path: Path
) -> None:
    """As on a device: eight stops on the way east, eight seconds apart, each of two near copies."""
    export = Path(shutil.copytree(pristine_export, tmp_path / "export"))
    about = json.loads((export / MANIFEST).read_text())
    about["bundle_digest"] = Bundle.load(field).manifest.digest  # another network's engine: nothing here runs it
    (export / MANIFEST).write_text(json.dumps(about))
    campus = unpack(pack(Bundle.load(field), export, tmp_path / "field.campus-edge"), tmp_path / "unpacked")
    (tmp_path / "photos").mkdir()
    for stop in range(8):
        picture, minute, second = photo(east_m=-45 + 10 * stop, view=stop + 1), 8 * stop // 60, 8 * stop % 60
        for copy in (0, 1):
            file = tmp_path / "photos" / f"{stop}-{copy}.jpg"
            taken(picture, f"10:{minute:02d}:{second + copy:02d}", file, quality=95 - 10 * copy)
    walk = ("--backend", "onnxruntime", "--walk", "--to", f"json:{tmp_path / 'walk.jsonl'}", "--to", "nmea")
    done = edge_run(str(tmp_path / "photos"), "--bundle", str(campus.path), *walk)
    assert done.returncode == 0, done.stderr
    lines = [json.loads(line) for line in (tmp_path / "walk.jsonl").read_text().splitlines()]
    assert [line["time_utc"] for line in lines[:3]] == [f"2026-03-01T10:00:0{s}.000Z" for s in (0, 1, 8)]
    assert [line["photos"] for line in lines] == [1, 1, 2, 2, 3, 3, 4, 4, 5, 5, 6, 6, 7, 7, 8, 8]
    said = [pynmea2.parse(line) for line in done.stdout.decode().splitlines()]
    ways = [sentence for sentence in said if sentence.sentence_type == "RMC"]
    assert ways[0].true_course is None
    assert str(ways[0].timestamp)[:8] == "10:00:00"
    assert ways[-1].true_course == pytest.approx(90, abs=20)
    assert ways[-1].spd_over_grnd == pytest.approx(1.25 * KNOTS_PER_M_S, rel=0.4)


def test_a_camera_s_frame_that_cannot_be_read_leaves_the_walk(localizer: Localizer) -> None:
    tally = Tally()
    frames = [Frame("0", photo(view=1), 0.0), Frame("1", b"damaged", 1.0), Frame("2", photo(view=2), 2.0)]
    run(Follow(localizer), frames, [], tally)
    assert (tally.located, tally.skipped) == (2, 1)


def test_each_frame_is_a_sign_of_life_read_or_not(localizer: Localizer) -> None:
    frames = [Frame("good", photo(), 1.0), Frame("bad", None, 2.0, unreadable="torn"), Frame("dropped", photo(), 3.0)]
    signs: list[int] = []
    tally = Tally()
    run(single(localizer), frames, [], tally, 60.0, alive=lambda: signs.append(tally.frames))
    assert (signs, tally.frames) == ([0, 1, 2], 3)
