"""Where `run` takes photos from: files, a watched folder, a camera or video, standard input."""

from __future__ import annotations

import os
import stat
import sys
import time
from collections.abc import Callable, Iterator
from contextlib import suppress
from dataclasses import dataclass
from importlib import import_module
from pathlib import Path
from typing import TYPE_CHECKING, Any, BinaryIO

import numpy as np

from core.errors import EngineError, PhotoError, reason_of
from core.photo.names import PHOTO_SUFFIXES, is_photo
from edge.program import edge_program

if TYPE_CHECKING:
    from numpy.typing import NDArray

POLL_S = 0.5
FIRST_WAIT_S, LONGEST_WAIT_S = 0.5, 30.0  # between attempts to open a lost camera, doubled each time
MAX_STDIN_BYTES = 256 * 2**20


@dataclass(frozen=True)
class Frame:
    """One photo to locate. `photo` is whatever `core.photo.load.load_photo` takes; `taken_s` seconds since 1970.

    `undated`: `taken_s` is when a file was read, which does not tell when it was taken.

    `unreadable` is set instead where a source could not read the frame: what the command line or a folder names as a
    photo may be absent, a link to nowhere, a pipe, a device.
    """

    name: str
    photo: Path | bytes | NDArray[np.uint8] | None
    taken_s: float
    unreadable: str = ""
    undated: bool = False


Source = Iterator[Frame]


def files(paths: list[Path]) -> Source:
    """Each file; a folder stands for the photos in it, by name. What is no file is a frame that is `unreadable`."""
    for path in paths:
        if os.path.isdir(path):
            try:
                found = sorted(photo for photo in path.iterdir() if is_photo(photo))
            except OSError as error:
                yield _no_file(path, f"cannot be read ({error.strerror})")
                continue
            if not found:
                yield _no_file(path, f"holds no photos ({', '.join(PHOTO_SUFFIXES)})")
        else:
            found = [path]
        for photo in found:
            problem = no_regular_file(photo)
            yield _no_file(photo, problem) if problem else Frame(str(photo), photo, time.time(), undated=True)


def _no_file(path: Path, problem: str) -> Frame:
    return Frame(str(path), None, time.time(), unreadable=problem)


def no_regular_file(path: Path) -> str:
    """Why a path cannot be read as a file, without opening it; "" where it can."""
    try:
        mode = path.stat().st_mode
    except FileNotFoundError:
        return "is a link to nothing" if path.is_symlink() else "no such file; check the path"
    except (OSError, ValueError) as error:  # a link to itself, a folder of another user, a NUL
        return f"cannot be read ({getattr(error, 'strerror', None) or error})"
    return "" if stat.S_ISREG(mode) else "is not a regular file; give photos"


def watched(
    folder: Path, sleep: Callable[[float], None] = time.sleep, say: Callable[[str], None] = lambda _: None
) -> Source:
    """Photos that appear in a folder, once each and only when whole. Never ends. Raises PhotoError without the folder,
    when it is called.

    A file counts as whole when its size has not changed between two looks. What is called like a photo and is no file
    is said once and passed over. So is a folder that is away later, as a network drive may be, until it is back.
    """
    if not folder.is_dir():
        raise PhotoError("not a folder to watch", path=folder, remedy="make it first")
    return _watched(folder, sleep, say)


def _watched(folder: Path, sleep: Callable[[float], None], say: Callable[[str], None]) -> Source:
    said: dict[str, str] = {}
    done = {(name, state.st_mtime_ns) for name, state in (_photos_in(folder, said, say) or {}).items()}
    growing: dict[str, int] = {}
    while True:
        if (present := _photos_in(folder, said, say)) is None:
            sleep(POLL_S)
            continue
        # What was taken away is forgotten, or weeks of photos would pile up.
        done = {(name, time_ns) for name, time_ns in done if name in present}
        growing = {name: size for name, size in growing.items() if name in present}
        for name, state in present.items():
            if (name, state.st_mtime_ns) in done:
                continue
            if state.st_size and growing.get(name) == state.st_size:
                done.add((name, state.st_mtime_ns))
                del growing[name]
                yield Frame(str(folder / name), folder / name, time.time())
            else:
                growing[name] = state.st_size
        sleep(POLL_S)


def _photos_in(folder: Path, said: dict[str, str], say: Callable[[str], None]) -> dict[str, os.stat_result] | None:
    """The state of each photo in a folder, by name; None where it cannot be read. `said` holds what was said so far."""
    problems: dict[str, str] = {}
    found: dict[str, os.stat_result] = {}
    try:
        for path in sorted(folder.iterdir()):
            if not is_photo(path):
                continue
            if problem := no_regular_file(path):
                problems[path.name] = problem
                continue
            with suppress(OSError):  # taken away between the two looks
                found[path.name] = path.stat()
        folder.stat()
    except OSError as error:
        problems = {"": f"cannot be read ({error.strerror}); looked for again"}
    for name, problem in problems.items():
        if said.get(name) != problem:
            say(f"skipped: {folder / name}: {problem}")
    said.clear()
    said.update(problems)
    return None if "" in problems else found


def standard_input(stream: BinaryIO | None = None) -> Source:
    """One photo, the bytes of standard input. Raises PhotoError where there are none."""
    data = (stream or sys.stdin.buffer).read(MAX_STDIN_BYTES + 1)
    if not data:
        raise PhotoError(
            "no photo came in", path="standard input", remedy=f"pipe one, e.g. `cat photo.jpg | {edge_program()} run -`"
        )
    yield Frame("-", data, time.time())


def camera(
    address: str, sleep: Callable[[float], None] = time.sleep, say: Callable[[str], None] = lambda _: None
) -> Source:
    """Frames of a camera or video file, by OpenCV; a video file ends, a lost camera is opened again.

    `address`: a number or /dev/videoN, `csi` or `csi:N` (a Jetson's ribbon-cable camera), the path of a video, or a
    GStreamer pipeline that ends in appsink. Raises EngineError where OpenCV or the video file is absent.
    """
    try:
        cv2 = import_module("cv2")
    except ImportError as error:
        raise EngineError(
            "OpenCV is not installed, which cameras and videos need",
            remedy="on a Jetson `sudo apt install python3-opencv`, elsewhere `pip install opencv-python-headless`",
        ) from error
    target, arguments, is_file = _target(cv2, address)
    wait_s, number, begun_s = FIRST_WAIT_S, 0, time.time()
    while True:
        capture = cv2.VideoCapture(target, *arguments)
        try:
            while capture.isOpened():
                good, picture = capture.read()
                if not good:
                    break
                wait_s, number = FIRST_WAIT_S, number + 1
                # A video is read faster or slower than it was filmed.
                taken_s = begun_s + capture.get(cv2.CAP_PROP_POS_MSEC) / 1e3 if is_file else time.time()
                yield _frame(cv2, f"{address}#{number}", picture, taken_s)
        finally:
            capture.release()
        if is_file:
            if not number:
                raise EngineError("OpenCV cannot read this video", path=address, remedy="convert it to MP4 (H.264)")
            return
        say(f"{address}: no picture; trying again in {wait_s:g} s")
        sleep(wait_s)
        wait_s = min(2 * wait_s, LONGEST_WAIT_S)


def _frame(cv2: Any, name: str, picture: Any, taken_s: float) -> Frame:
    try:
        rgb = cv2.cvtColor(picture, cv2.COLOR_BGR2RGB)
    except cv2.error as error:
        return Frame(name, None, taken_s, unreadable=reason_of(error))
    return Frame(name, np.ascontiguousarray(rgb, dtype=np.uint8), taken_s)


def _target(cv2: Any, address: str) -> tuple[int | str, tuple[int, ...], bool]:
    """What VideoCapture takes for an address, and whether it is a file that ends."""
    if address.isdigit():
        return int(address), (), False
    if address.startswith("/dev/video"):
        return address, (cv2.CAP_V4L2,), False
    if address == "csi" or address.startswith("csi:"):
        sensor = address.partition(":")[2] or "0"
        if not sensor.isdigit():
            raise EngineError("a CSI camera is csi or csi:N with its number N", path=address)
        pipeline = (
            f"nvarguscamerasrc sensor-id={sensor} ! video/x-raw(memory:NVMM),width=1280,height=720,framerate=30/1 ! "
            "nvvidconv ! video/x-raw,format=BGRx ! videoconvert ! video/x-raw,format=BGR ! appsink drop=1 max-buffers=1"
        )
        return pipeline, (cv2.CAP_GSTREAMER,), False
    if "appsink" in address:
        return address, (cv2.CAP_GSTREAMER,), False
    if not Path(address).is_file():
        raise EngineError(
            "no such camera or video", path=address, remedy="give a number, /dev/videoN, csi, or a video file"
        )
    return address, (), True
