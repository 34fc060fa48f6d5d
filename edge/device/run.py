"""Locate what comes in: files, a watched folder, a camera or standard input -> files, GPS receivers, MQTT, MAVLink."""

from __future__ import annotations

import argparse
import logging
import os
import sys
import time
from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass
from pathlib import Path

from core.cli.campus import chosen_bundle
from core.cli.log_lines import add_log_argument, use_log
from core.cli.run import run_cli
from core.cli.service_manager import ServiceManager, stops_as_by_ctrl_c
from core.engines.choose import backends
from core.errors import EngineError, OccupiedError, PhotoError
from core.locate.localizer import Localizer
from edge.device.follow import Follow, Locate, single
from edge.device.newest import Newest
from edge.device.nmea_sentences import ESTIMATED, GPS_FIX, QUALITIES
from edge.device.sink import MQTT_PASSWORD, SinkOptions
from edge.device.sink_threads import SinkThread, close_all
from edge.device.sinks import addresses, open_sink
from edge.device.sources import Frame, camera, files, standard_input, watched
from edge.program import commands_in_remedies

log = logging.getLogger(__name__)


@dataclass
class Tally:
    """What became of the frames: located, unreadable and passed over, dropped because the device was busy."""

    located: int = 0
    skipped: int = 0
    dropped: int = 0

    @property
    def frames(self) -> int:
        return self.located + self.skipped + self.dropped

    def __str__(self) -> str:
        return f"{self.located} located, {self.skipped} unreadable and skipped, {self.dropped} dropped while busy"


def run(
    locate: Locate,
    frames: Iterable[Frame],
    sinks: Sequence[SinkThread],
    tally: Tally,
    every_s: float = 0.0,
    alive: Callable[[], None] = lambda: None,
    clock_s: Callable[[Frame], float] = lambda _: time.monotonic(),
) -> None:
    """Locate each frame and give its fix to every sink; counts in `tally`, also when it is interrupted.

    A frame that cannot be read is skipped and counted. Ends early where no sink is left.
    `every_s`: at most one fix in so many seconds, by `clock_s`. `alive` is called at each frame.
    """
    due = 0.0
    for frame in frames:
        alive()
        if sinks and all(sink.failure for sink in sinks):
            return
        if (now := clock_s(frame)) < due:
            tally.dropped += 1
            continue
        due = now + every_s
        try:
            if frame.photo is None:
                raise PhotoError(frame.unreadable, path=frame.name)
            frame, fix = locate(frame)
        except PhotoError as error:
            tally.skipped += 1
            log.warning("skipped: %s", error.replace(path=frame.name))
            continue
        tally.located += 1
        for sink in sinks:
            sink.put(frame, fix)


def open_frames(args: argparse.Namespace, alive: Callable[[], None] = lambda: None) -> Iterable[Frame]:
    """The source that the command line names; it calls `alive` while it waits for a photo or for a lost camera.

    Raises EngineError unless the command line names exactly one.
    """

    # A camera whose read hangs gives no sign of life: no frame comes, and no sleep.
    def sleep(seconds: float) -> None:
        alive()
        time.sleep(seconds)

    if sum((bool(args.photos), args.watch is not None, args.camera is not None)) != 1:
        raise EngineError(
            "give photos, or --watch FOLDER, or --camera CAMERA", remedy="one of the three (`-` is standard input)"
        )
    if args.every and args.camera is None:
        raise EngineError("--every drops frames of a camera or video", remedy="it needs --camera")
    if args.camera is not None:
        source = camera(args.camera, sleep, say=lambda text: log.warning("%s", text))
        # A video file is not in a hurry; a camera is.
        return source if Path(args.camera).is_file() else Newest(source)
    if args.watch is not None:
        return watched(args.watch, sleep, say=lambda text: log.warning("%s", text))
    return standard_input() if args.photos == [Path("-")] else files(args.photos)


def clock_of(camera: str | None) -> Callable[[Frame], float]:
    """What tells seconds between frames: a video file's own time, since it is read faster or slower than filmed."""
    if camera is not None and Path(camera).is_file():
        return lambda frame: frame.taken_s
    return lambda _: time.monotonic()


def add_arguments(parser: argparse.ArgumentParser) -> None:
    parser.add_argument("photos", nargs="*", type=Path, metavar="PHOTO", help="photos or folders; - is standard input")
    parser.add_argument("--watch", type=Path, metavar="FOLDER", help="locate photos as they appear in a folder")
    parser.add_argument(
        "--camera", metavar="CAMERA", help="a number, /dev/videoN, csi[:N], a video file, or a GStreamer pipeline"
    )
    parser.add_argument("--bundle", type=Path, help="campus bundle (default: $CAMPUS_BUNDLE, else the demo campus)")
    parser.add_argument("--backend", choices=backends(), default="auto", help="default: auto, the best that is there")
    parser.add_argument(
        "--to", action="append", metavar="SINK", default=None,
        help=f"{addresses()} (default: json); repeatable",
    )  # fmt: skip
    parser.add_argument(
        "--nmea-quality", type=int, choices=QUALITIES, default=GPS_FIX, metavar="N",
        help=f"GGA's quality of a fix: {GPS_FIX}, which every program takes (default), or {ESTIMATED}, estimated",
    )  # fmt: skip
    parser.add_argument(
        "--no-second-look", action="store_true", help="never match local features, even where the answer is in doubt"
    )
    how = parser.add_mutually_exclusive_group()
    how.add_argument(
        "--walk", action="store_true",
        help="read the photos as one walk, in the order they come: each fix is by all so far (default for a camera)",
    )  # fmt: skip
    how.add_argument("--single", action="store_true", help="read each frame of a camera by itself")
    parser.add_argument("--every", type=float, default=0.0, metavar="SECONDS", help="at most one fix in so long (0)")
    add_log_argument(parser)


def main(args: argparse.Namespace) -> int:
    use_log(args.log)
    tally = Tally()
    stops_as_by_ctrl_c()
    code = run_cli(lambda: _run(args, tally))  # what went wrong is said first, and what came of it after
    if tally.frames:
        log.info("%s", tally)
    if not tally.located and tally.skipped:
        return code if code > 1 else 2
    # A camera may give a bad frame, and a watched folder is never done; photos that were named are all wanted.
    return code or (1 if args.photos and tally.skipped else 0)


def _opened(address: str, options: SinkOptions) -> SinkThread:
    try:
        return SinkThread(address, open_sink(address, options))
    except OccupiedError as error:
        raise EngineError(error.reason, path=error.path, remedy="choose another place for --to") from error


@commands_in_remedies()
def _run(args: argparse.Namespace, tally: Tally) -> int:
    """0, or 1 where a sink was dropped on the way."""
    manager = ServiceManager.from_environment()
    frames = open_frames(args, manager.alive)
    localizer = Localizer.load(chosen_bundle(args.bundle), args.backend, not args.no_second_look)
    as_walk = args.walk or (args.camera is not None and not args.single)
    locate = Follow(localizer) if as_walk else single(localizer)
    log.info("%s, %s%s", localizer.bundle.manifest.name, localizer.engine.name, ", as one walk" if as_walk else "")
    options = SinkOptions(args.nmea_quality, os.environ.get(MQTT_PASSWORD))
    sinks: list[SinkThread] = []
    patient = False
    try:
        for address in args.to or ["json"]:
            sinks.append(_opened(address, options))
        manager.ready()
        run(locate, frames, sinks, tally, args.every, manager.alive, clock_of(args.camera))
        patient = True
    except KeyboardInterrupt:
        if sys.stderr.isatty():
            print(file=sys.stderr)  # below the ^C
    finally:
        manager.stopping()
        if isinstance(frames, Newest):
            tally.dropped += frames.dropped
        close_all(sinks, patient)
    return 1 if any(sink.failure for sink in sinks) else 0
