"""Load on the field app as phones make it: `python -m benchmarks.app_load`.

`python -m app.serve` runs as a process of its own, over https with its own certificate and access key. The phones are
protocol clients, since 20 browsers do not fit two cores: each holds a real websocket session of the page and sends its
photos as the page's camera does, so all that the server does for a phone is done. Real phones have processors of their
own, so these make ready what they send before the clock starts; what they still take of the server's is told.
"""

from __future__ import annotations

import argparse
import asyncio
import base64
import io
import json
import os
import re
import ssl
import statistics
import subprocess
import tempfile
import time
import zlib
from collections.abc import Callable, Iterator, Sequence
from contextlib import AsyncExitStack
from dataclasses import dataclass, field
from functools import partial
from pathlib import Path
from typing import Any, Literal, Self, get_args

import numpy as np
from PIL import Image

from benchmarks.serving import Served, start
from benchmarks.timing import machine
from core.campus.bundle import Bundle
from core.cli.campus import chosen_bundle
from core.locate.localizer import DEMO_BUNDLE

Outcome = Literal["place", "elsewhere", "refused", "failed"]

PHONE_PX = (1600, 1200)  # what the page makes of a phone's photo before it sends it
CAMERA_PX = (4032, 3024)  # 12 megapixels, as the phone took it
BROKEN_EVERY = 10
_GRAIN = 14  # of 255: a 12-megapixel file then has the 3 to 4 MB of a phone's
_TIMEOUT_S = 300.0
_TIMING = re.compile(r"(\d+) ms on the server")


@dataclass(frozen=True)
class Answer:
    """What came back for a photo: after how long (s), as a place, an answer that it is of no place of this campus, a
    refusal in words or a failure, and in how many milliseconds the server says it made the fix, where it says so.
    """

    outcome: Outcome
    seconds: float
    server_ms: float | None = None
    said: str = ""


@dataclass
class Phone:
    """One open page: a websocket session of the app. `async with Phone(…)` opens it and waits for the first page."""

    url: str
    cookie: str
    trust: ssl.SSLContext
    camera: str = field(default="", init=False)
    _number: int = field(default=0, init=False)
    _wire: Any = field(default=None, init=False, repr=False)

    async def __aenter__(self) -> Self:
        from websockets.asyncio.client import connect
        from websockets.extensions.permessage_deflate import ClientPerMessageDeflateFactory
        from websockets.typing import Subprotocol

        self._wire = await connect(
            self.url.replace("https", "wss", 1) + "/_stcore/stream",
            ssl=self.trust,
            additional_headers={"Cookie": self.cookie},
            subprotocols=[Subprotocol("streamlit")],
            # Compressed as from a browser. A photo in base64 has no repeats to look for, and the search for them would
            # take more than twice the time.
            extensions=[ClientPerMessageDeflateFactory(compress_settings={"strategy": zlib.Z_HUFFMAN_ONLY})],
            max_size=None,
            open_timeout=_TIMEOUT_S,
            ping_interval=None,
        )
        await self._run(self._asking({}))
        if not self.camera:
            raise RuntimeError("the page came without its camera")
        return self

    async def __aexit__(self, *_: object) -> None:
        await self._wire.close()

    def message(self, photo: bytes) -> bytes:
        """What the page sends when its camera took this photo, which is the next to be sent."""
        self._number += 1
        # Streamlit's name for what a component triggers.
        trigger = f"$$STREAMLIT_INTERNAL_KEY_{self.camera}__events"
        url = "data:image/jpeg;base64," + base64.b64encode(photo).decode()
        value = {"url": url, "exif": None, "phone": None, "number": self._number}
        shot = json.dumps([{"event": "photo", "value": value}])
        return self._asking({trigger: shot})

    async def send(self, message: bytes) -> Answer:
        """Send a photo's message and wait until the page is whole again."""
        started = time.perf_counter()
        try:
            texts = await asyncio.wait_for(self._run(message), _TIMEOUT_S)
        except TimeoutError:
            await self.__aexit__()  # what comes yet would pass for the next photo's answer
            await self.__aenter__()
            return Answer("failed", time.perf_counter() - started, said=f"no answer in {_TIMEOUT_S:.0f} s")
        seconds = time.perf_counter() - started
        if texts["exception"]:
            return Answer("failed", seconds, said=texts["exception"])
        if texts["alert"]:
            refused = self._answered(texts)  # else it is kept for another try, as where too many wait
            return Answer("refused" if refused else "failed", seconds, said=texts["alert"])
        timing = _TIMING.search(texts["markdown"])
        if "class='answer" not in texts["html"] or not self._answered(texts):
            return Answer("failed", seconds, said="the page came back without an answer to this photo")
        if "class='answer elsewhere" in texts["html"]:  # and then without details
            return Answer("elsewhere", seconds, said=texts["html"])
        return Answer("place", seconds, float(timing[1]) if timing else None, texts["html"])

    def _answered(self, texts: dict[str, str]) -> bool:
        """Whether the page tells its camera that the last photo was answered, and not another one."""
        return texts["answered"] == str(self._number)

    def heard(self, told: Any) -> None:
        """Called with each message of the server while the page runs, for what is more than a phone."""

    def _asking(self, triggers: dict[str, str]) -> bytes:
        """The message that asks for a run of the page with these triggers."""
        from streamlit.proto.BackMsg_pb2 import BackMsg

        asked = BackMsg()
        asked.rerun_script.query_string = "lang=en"
        asked.rerun_script.context_info.url = self.url + "/"
        asked.rerun_script.context_info.timezone = "UTC"
        for name, value in triggers.items():
            asked.rerun_script.widget_states.widgets.add(id=name, json_trigger_value=value)
        message: bytes = asked.SerializeToString()
        return message

    async def _run(self, message: bytes) -> dict[str, str]:
        """Ask for one run of the page; gives the texts of its elements by kind."""
        await self._wire.send(message)
        return await self._whole()

    async def _whole(self) -> dict[str, str]:
        """Wait until a run of the page ends; gives the texts of its elements by kind."""
        from streamlit.proto.ForwardMsg_pb2 import ForwardMsg

        texts = {"html": "", "alert": "", "markdown": "", "exception": "", "answered": ""}
        while True:
            told = ForwardMsg.FromString(await self._wire.recv())
            self.heard(told)
            kind = told.WhichOneof("type")
            if kind == "script_finished":
                return texts
            if kind != "delta" or told.delta.WhichOneof("type") != "new_element":
                continue
            element = told.delta.new_element
            part = element.WhichOneof("type")
            if part == "bidi_component":
                self._component(element.bidi_component, texts)
            elif part == "exception":
                texts[part] += element.exception.message
            elif part in texts:
                texts[part] += getattr(element, part).body

    def _component(self, component: Any, texts: dict[str, str]) -> None:
        """Note the camera, and which of its photos the page says was answered."""
        if "campus_answered" in component.component_name:
            texts["answered"] = json.loads(component.json)["number"]
        elif "campus_camera" in component.component_name and not component.id.endswith("camera_another"):
            self.camera = component.id  # the other one's photos join those before


async def open_phones(served: Served, count: int, stack: AsyncExitStack) -> list[Phone]:
    """That many pages, opened one after the other."""
    cookie, trust = served.cookie(), served.trusting
    return [await stack.enter_async_context(Phone(served.home, cookie, trust)) for _ in range(count)]


async def at_once(phones: Sequence[Phone], photos: Sequence[bytes]) -> list[Answer]:
    """All phones send at the same moment, each its own photo."""
    ready = [(phone, phone.message(photo)) for phone, photo in zip(phones, photos, strict=True)]
    return list(await asyncio.gather(*(phone.send(message) for phone, message in ready)))


async def soak(
    phones: Sequence[Phone], photos: Iterator[bytes], note: Callable[[int], None], note_every: int
) -> list[Answer]:
    """Each phone sends the next photo once it has its answer, until none is left; calls `note(number answered)`."""
    answers: list[Answer] = []

    async def walk(phone: Phone) -> None:
        for photo in photos:
            answers.append(await phone.send(phone.message(photo)))
            if len(answers) % note_every == 0:
                note(len(answers))

    await asyncio.gather(*map(walk, phones))
    return answers


def tenth(count: int) -> int:
    """A tenth of so many photos, and at least one."""
    return max(1, count // 10)


def broken_photos(photo: bytes) -> list[bytes]:
    """What no phone should send: cut short, a web page, noise, nothing, and a picture that says it is immense."""
    noise = np.random.default_rng(0).bytes(20_000)
    huge = b"\x89PNG\r\n\x1a\n\0\0\0\rIHDR" + (100_000).to_bytes(4, "big") * 2 + b"\x08\x02\0\0\0\0\0\0\0"
    return [photo[: len(photo) // 40], b"<!doctype html><title>Sign in</title>", noise, b"", huge]


def mixed(good: Sequence[bytes], broken: Sequence[bytes], count: int) -> Iterator[bytes]:
    """`count` photos, every tenth of them broken."""
    for number in range(1, count + 1):
        turn = number // BROKEN_EVERY
        yield broken[turn % len(broken)] if number % BROKEN_EVERY == 0 else good[number % len(good)]


def rss_mb(process: subprocess.Popen[str]) -> float:
    """Memory that a process holds, in MB."""
    told = subprocess.run(["ps", "-o", "rss=", "-p", str(process.pid)], capture_output=True, text=True, check=True)
    return int(told.stdout) / 1000


def processor_s(process: subprocess.Popen[str]) -> float:
    """Processor time that a process has used, in seconds (Linux); other work on the machine adds none to it."""
    told = Path(f"/proc/{process.pid}/stat").read_text().rpartition(")")[2].split()
    return (int(told[11]) + int(told[12])) / os.sysconf("SC_CLK_TCK")


def phone_photos(bundle: Bundle, size: tuple[int, int], most: int, quality: int = 90) -> list[bytes]:
    """The bundle's sample photos at a phone's size, with the grain that enlarging takes away, so that a file is as
    large, and as long to decode, as a phone's.
    """
    rng = np.random.default_rng(0)
    photos = []
    for name in bundle.samples[:most]:
        small = Image.open(io.BytesIO(bundle.read(name))).convert("RGB")
        pixels = np.asarray(small.resize(size, Image.Resampling.BICUBIC), np.int16)
        pixels = pixels + rng.integers(-_GRAIN, _GRAIN + 1, size=pixels.shape, dtype=np.int16)
        buffer = io.BytesIO()
        Image.fromarray(pixels.clip(0, 255).astype(np.uint8)).save(buffer, "JPEG", quality=quality)
        photos.append(buffer.getvalue())
    return photos


def first_load_mb(served: Served) -> float:
    """What a browser fetches over the wire until the page can be used, in MB."""
    from playwright.sync_api import sync_playwright

    from benchmarks.browser import FirstLoad, launch

    with sync_playwright() as driver:
        context = launch(driver.chromium, "--ignore-certificate-errors").new_context(ignore_https_errors=True)
        context.set_default_timeout(1000 * _TIMEOUT_S)
        return FirstLoad(context.new_page(), f"{served.home}/?key={served.key}", mbit_s=4).usable_mb


async def measure(served: Served, args: argparse.Namespace, bundle: Bundle) -> None:
    """Print every figure."""
    before = rss_mb(served.process)
    sent = phone_photos(bundle, PHONE_PX, 8)
    taken = [args.photo.read_bytes()] if args.photo else phone_photos(bundle, CAMERA_PX, 3)
    async with AsyncExitStack() as stack:
        phones = await open_phones(served, args.phones, stack)
        for photo in sent[:2]:
            await phones[0].send(phones[0].message(photo))
        opened = rss_mb(served.process)

        turns = range(args.singles)
        single = [await phones[0].send(phones[0].message(taken[turn % len(taken)])) for turn in turns]
        ms = [answer.server_ms for answer in single if answer.server_ms is not None]
        if not ms:
            raise SystemExit("error: no camera photo looked like this campus: give one that does with --photo")
        megapixels = np.prod(Image.open(io.BytesIO(taken[0])).size) / 1e6
        print(
            f"photo -> fix on the server, {megapixels:.0f} megapixels, {np.mean([len(t) for t in taken]) / 1e6:.1f} MB:"
            f" median {statistics.median(ms):.0f} ms, least {min(ms):.0f} ms, of {len(ms)}"
        )
        used_s, phones_s = processor_s(served.process), time.process_time()
        for number in range(1, args.rounds + 1):
            wanted = [sent[(number + phone) % len(sent)] for phone in range(len(phones))]
            report(f"{len(phones)} phones at once, round {number}", await at_once(phones, wanted))
        used_s, phones_s = processor_s(served.process) - used_s, time.process_time() - phones_s
        each = 1e3 / (args.rounds * len(phones))
        print(f"processor time a photo: {each * used_s:.0f} ms of the server, {each * phones_s:.0f} ms of the phones")
        after_burst = rss_mb(served.process)

        if args.soak:
            started = time.perf_counter()
            photos = mixed(sent, broken_photos(sent[0]), args.soak)
            held: list[float] = []
            answers = await soak(phones, photos, lambda _: held.append(rss_mb(served.process)), tenth(args.soak))
            report(f"soak of {args.soak} photos in {time.perf_counter() - started:.0f} s", answers)
            print("memory every tenth of the soak: " + ", ".join(f"{mb:.0f}" for mb in held) + " MB")
    after = rss_mb(served.process)
    print(
        f"memory: {before:.0f} MB before the benchmark's pages, {opened:.0f} MB with {args.phones} pages open, "
        f"{after_burst:.0f} MB after the rounds, {after:.0f} MB at the end"
    )


def report(what: str, answers: Sequence[Answer]) -> None:
    """A line on these answers."""
    seconds = sorted(answer.seconds for answer in answers)
    count = {kind: sum(answer.outcome == kind for answer in answers) for kind in get_args(Outcome)}
    print(
        f"{what}: {count['place']} with a place, {count['elsewhere']} not of this campus, {count['refused']} refused, "
        f"{count['failed']} failed; "
        f"median {statistics.median(seconds):.2f} s, 95 % within {seconds[int(0.95 * (len(seconds) - 1))]:.2f} s, "
        f"slowest {seconds[-1]:.2f} s"
    )
    for said in {answer.said for answer in answers if answer.outcome == "failed"}:
        print(f"  failed: {said}")


def _number(least: int, text: str) -> int:
    """A number of at least so much, for a command line."""
    if (number := int(text)) < least:
        raise argparse.ArgumentTypeError(f"must be at least {least}, not {number}")
    return number


def main() -> int:
    parser = argparse.ArgumentParser(prog="python -m benchmarks.app_load", description=__doc__)
    parser.add_argument("--phones", type=partial(_number, 1), default=20, help="open pages (%(default)s)")
    parser.add_argument(
        "--rounds", type=partial(_number, 1), default=5, help="times that all of them send at once (%(default)s)"
    )
    parser.add_argument(
        "--singles", type=partial(_number, 1), default=20, help="camera photos of one phone alone (%(default)s)"
    )
    parser.add_argument(
        "--soak",
        type=partial(_number, 0),
        default=0,
        metavar="PHOTOS",
        help="then so many, every tenth broken (%(default)s)",
    )
    parser.add_argument("--photo", type=Path, metavar="FILE", help="the camera photo (default: made from samples)")
    parser.add_argument("--no-browser", action="store_true", help="leave out the first load, which needs Chromium")
    args = parser.parse_args()
    bundle = Bundle.load(chosen_bundle() or DEMO_BUNDLE)
    print(f"{bundle.manifest.name}; {machine()}")
    with tempfile.TemporaryDirectory() as folder:
        served = start(Path(folder) / "keys", bundle.path)
        try:
            if not args.no_browser:
                print(f"first load over the wire: {first_load_mb(served):.2f} MB")
            asyncio.run(measure(served, args, bundle))
        finally:
            served.stop()
    return 0


if __name__ == "__main__":
    raise SystemExit(main())
