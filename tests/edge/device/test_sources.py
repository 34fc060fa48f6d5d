from __future__ import annotations

import io
import json
import os
import socket
import sys
import threading
import time
from collections.abc import Callable, Iterable, Iterator
from pathlib import Path
from types import ModuleType
from typing import Any, ClassVar

import numpy as np
import pytest

from core.errors import EngineError, PhotoError
from core.locate.localizer import Localizer
from edge.device.follow import single
from edge.device.newest import Newest
from edge.device.run import Tally, run
from edge.device.sink_threads import SinkThread
from edge.device.sinks import open_sink
from edge.device.sources import Frame, camera, files, standard_input, watched


class Enough(Exception):
    """Ends a source that never does."""


def stepping(steps: Iterable[Callable[[], object]]) -> Callable[[float], None]:
    """A sleep that takes the next step each time, and raises Enough after the last."""
    left = iter(steps)

    def sleep(_: float) -> None:
        step = next(left, None)
        if step is None:
            raise Enough
        step()

    return sleep


def test_an_empty_standard_input_is_said() -> None:
    with pytest.raises(PhotoError, match="no photo came in"):
        next(standard_input(io.BytesIO()))


def odd_files(folder: Path) -> dict[str, str]:
    """Things that are called like photos and are none, and what is said of each."""
    (folder / "dangling.jpg").symlink_to(folder / "absent")
    (folder / "loop.jpg").symlink_to(folder / "loop.jpg")
    os.mkfifo(folder / "pipe.jpg")
    (folder / "device.jpg").symlink_to("/dev/zero")
    with socket.socket(socket.AF_UNIX) as bound:
        bound.bind(str(folder / "socket.jpg"))
    return {
        "dangling.jpg": "is a link to nothing",
        "loop.jpg": "cannot be read",
        "pipe.jpg": "is not a regular file",
        "device.jpg": "is not a regular file",
        "socket.jpg": "is not a regular file",
    }


@pytest.mark.parametrize("named", [False, True], ids=["in a folder", "each by its name"])
def test_what_is_no_file_is_said_and_the_rest_goes_on(photos: Path, named: bool) -> None:
    odd = odd_files(photos)
    paths = [photos / "absent.jpg", photos / "a.JPG", *(photos / name for name in odd), photos / "b.jpg"]
    frames = {Path(frame.name).name: frame for frame in files(paths if named else [photos])}
    said = odd | ({"absent.jpg": "no such file"} if named else {})
    assert [name for name, frame in frames.items() if not frame.unreadable] == ["a.JPG", "b.jpg"]
    assert {name for name, frame in frames.items() if frame.unreadable} == set(said)
    for name, text in said.items():
        assert text in frames[name].unreadable
        assert frames[name].photo is None


def test_an_empty_folder_is_said_and_the_next_argument_read(tmp_path: Path, photos: Path) -> None:
    (tmp_path / "empty").mkdir()
    empty, *rest = files([tmp_path / "empty", photos])
    assert "holds no photos" in empty.unreadable
    assert len(rest) == 2


def test_a_watched_folder_passes_over_what_is_no_file_and_says_it_once(photos: Path) -> None:
    odd = odd_files(photos)
    said: list[str] = []
    looks = 0

    def sleep(_: float) -> None:
        nonlocal looks
        looks += 1
        if looks == 1:
            (photos / "new.jpg").write_bytes(b"12")
        if looks == 4:
            raise Enough

    found: list[str] = []
    with pytest.raises(Enough):  # noqa: PT012
        for frame in watched(photos, sleep, said.append):
            found.append(frame.name)
    assert found == [str(photos / "new.jpg")]
    assert len(said) == len(odd)
    for name, text in odd.items():
        assert any(f"{photos / name}: {text}" in line for line in said)


def test_a_watched_folder_gives_new_photos_once_and_only_when_whole(photos: Path) -> None:
    sleep = stepping(
        [
            lambda: (photos / "new.jpg").write_bytes(b"12"),
            lambda: (photos / "new.jpg").write_bytes(b"1234"),  # still growing
            lambda: None,
            lambda: (photos / ".hidden.jpg").write_bytes(b"1"),
            lambda: (photos / "last.jpg").write_bytes(b"1"),
            lambda: None,
        ]
    )

    found: list[str] = []
    with pytest.raises(Enough):  # noqa: PT012
        for frame in watched(photos, sleep):
            assert isinstance(frame.photo, Path)
            found.append(f"{frame.photo.name} {frame.photo.stat().st_size}")
    assert found == ["new.jpg 4", "last.jpg 1"]


def test_a_watched_folder_that_is_away_for_a_while_is_said_once_and_watched_on(photos: Path, tmp_path: Path) -> None:
    away, said = tmp_path / "away", list[str]()
    sleep = stepping(
        [
            lambda: photos.rename(away),
            lambda: None,
            lambda: (away / "new.jpg").write_bytes(b"12"),
            lambda: away.rename(photos),
            lambda: None,
            lambda: None,
        ]
    )

    found: list[str] = []
    with pytest.raises(Enough):  # noqa: PT012
        for frame in watched(photos, sleep, said.append):
            found.append(frame.name)
    assert found == [str(photos / "new.jpg")]  # and none of those that were there before
    assert said == [f"skipped: {photos}: cannot be read (No such file or directory); looked for again"]


class FakeCapture:
    """cv2.VideoCapture that gives what `script` says: pictures, then nothing until it is opened again."""

    script: ClassVar[list[list[Any]]] = []
    opened: ClassVar[list[tuple[Any, ...]]] = []
    released = 0

    def __init__(self, *arguments: Any) -> None:
        type(self).opened.append(arguments)
        self._pictures = type(self).script.pop(0) if type(self).script else []
        self._at_ms = 1000.0

    def isOpened(self) -> bool:  # noqa: N802
        return bool(self._pictures)

    def read(self) -> tuple[bool, Any]:
        self._at_ms += 40.0
        return (True, self._pictures.pop(0)) if self._pictures else (False, None)

    def get(self, what: int) -> float:
        assert what == 0  # CAP_PROP_POS_MSEC: where the video is after the frame just read
        return self._at_ms

    def release(self) -> None:
        type(self).released += 1


@pytest.fixture
def cv2(monkeypatch: pytest.MonkeyPatch) -> type[FakeCapture]:
    module: Any = ModuleType("cv2")
    module.error = type("error", (Exception,), {})

    def convert(picture: Any, code: int) -> Any:
        assert code == 4
        if isinstance(picture, str):
            raise module.error(picture)
        return picture[..., ::-1]

    module.cvtColor, module.COLOR_BGR2RGB, module.CAP_V4L2, module.CAP_GSTREAMER = convert, 4, 200, 1800
    capture = type("Capture", (FakeCapture,), {"script": [], "opened": [], "released": 0})
    module.VideoCapture, module.CAP_PROP_POS_MSEC = capture, 0
    monkeypatch.setitem(sys.modules, "cv2", module)
    return capture


def picture(red: int = 0) -> Any:
    bgr = np.zeros((4, 4, 3), np.uint8)
    bgr[..., 2] = red
    return bgr


def test_a_lost_camera_is_opened_again_with_growing_waits(cv2: type[FakeCapture]) -> None:
    cv2.script = [[picture(9)], [], [], [picture(7)], [], []]
    waits: list[float] = []
    said: list[str] = []

    def sleep(seconds: float) -> None:
        waits.append(seconds)
        if len(waits) == 5:
            raise Enough

    frames: list[Frame] = []
    with pytest.raises(Enough):
        frames.extend(camera("/dev/video0", sleep, said.append))
    # `extend` keeps what came before the interruption
    assert [int(frame.photo[0, 0, 0]) for frame in frames if isinstance(frame.photo, np.ndarray)] == [9, 7]
    assert waits == [0.5, 1.0, 2.0, 0.5, 1.0]  # a picture starts the waits anew
    assert cv2.opened[0] == ("/dev/video0", 200)
    assert cv2.released == len(cv2.opened)
    assert "trying again in 0.5 s" in said[0]


def test_waits_do_not_grow_for_ever(cv2: type[FakeCapture]) -> None:
    waits: list[float] = []

    def sleep(seconds: float) -> None:
        waits.append(seconds)
        if len(waits) == 12:
            raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        next(camera("0", sleep))
    assert max(waits) == 30.0
    assert cv2.opened[0] == (0,)


def test_a_video_ends_and_its_bad_frame_is_skipped_and_counted(
    cv2: type[FakeCapture], tmp_path: Path, localizer: Localizer
) -> None:
    (tmp_path / "walk.mp4").touch()
    grey = np.full((100, 100, 3), 128, np.uint8)
    cv2.script = [[grey, "broken frame", grey]]
    tally, out = Tally(), tmp_path / "out.jsonl"
    sink = SinkThread("json", open_sink(f"json:{out}"))
    run(single(localizer), camera(str(tmp_path / "walk.mp4")), [sink], tally)
    sink.close()
    assert (tally.located, tally.skipped) == (2, 1)
    assert [json.loads(line)["photo"][-2:] for line in out.read_text().splitlines()] == ["#1", "#3"]


def test_a_video_s_frames_are_as_far_apart_as_they_were_filmed(cv2: type[FakeCapture], tmp_path: Path) -> None:
    (tmp_path / "walk.mp4").touch()
    cv2.script = [[picture(), "broken frame", picture()]]
    before_s = time.time()
    times_s = [frame.taken_s for frame in camera(str(tmp_path / "walk.mp4"))]
    after_s = time.time()
    assert np.diff(times_s) == pytest.approx([0.04, 0.04])
    assert before_s - 1e-3 <= times_s[0] - 1.04 <= after_s + 1e-3


def test_an_unreadable_video_is_said(cv2: type[FakeCapture], tmp_path: Path) -> None:
    (tmp_path / "walk.mp4").touch()
    with pytest.raises(EngineError, match="cannot read this video"):
        list(camera(str(tmp_path / "walk.mp4")))
    assert cv2.released == 1


@pytest.mark.parametrize(("address", "said"), [("csi:x", "csi or csi:N"), ("absent.mp4", "no such camera or video")])
def test_a_wrong_camera_is_said(cv2: type[FakeCapture], address: str, said: str) -> None:
    with pytest.raises(EngineError, match=said):
        next(camera(address))
    assert not cv2.opened


def test_a_csi_camera_goes_through_gstreamer_and_drops_there(cv2: type[FakeCapture]) -> None:
    cv2.script = [[picture()]]
    next(camera("csi:1"))
    pipeline, way = cv2.opened[0]
    assert way == 1800
    assert "nvarguscamerasrc sensor-id=1" in pipeline
    assert "drop=1 max-buffers=1" in pipeline


def test_without_opencv_the_remedy_is_said(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(sys.modules, "cv2", None)
    with pytest.raises(EngineError, match="sudo apt install python3-opencv"):
        next(camera("0"))


def test_frames_are_dropped_not_queued_when_the_device_falls_behind() -> None:
    gate, read_all = threading.Event(), threading.Event()

    def source() -> Iterator[Frame]:
        yield Frame("0", b"", 0.0)
        gate.wait(90)  # the device is busy with frame 0 meanwhile
        for number in range(1, 6):
            yield Frame(str(number), b"", 0.0)
        read_all.set()

    newest = Newest(source())
    frames = iter(newest)
    assert next(frames).name == "0"
    gate.set()
    assert read_all.wait(90)
    assert [frame.name for frame in frames] == ["5"]
    assert newest.dropped == 4


def test_a_failing_camera_is_reported_where_frames_are_asked_for() -> None:
    def source() -> Iterator[Frame]:
        yield Frame("0", b"", 0.0)
        raise EngineError("gone")

    with pytest.raises(EngineError, match="gone"):
        list(Newest(source()))


def test_a_folder_that_is_not_there_is_said_before_a_photo_is_asked_for(tmp_path: Path) -> None:
    with pytest.raises(PhotoError, match="not a folder to watch"):
        watched(tmp_path / "absent")  # and so before a campus is loaded
