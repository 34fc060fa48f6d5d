"""What an attack costs honest ones: phones beside silent connections and uploads of loops, NMEA beside deaf clients."""

from __future__ import annotations

import asyncio
import selectors
import socket
import ssl
import tempfile
import time
from collections.abc import Awaitable, Sequence
from concurrent.futures import ThreadPoolExecutor
from contextlib import AsyncExitStack, ExitStack, suppress
from dataclasses import dataclass
from itertools import count
from pathlib import Path
from statistics import median
from typing import TypeVar

from app.serve.connections import GONE_S, HANDSHAKE_S
from benchmarks.app_load import PHONE_PX, Answer, Phone, open_phones, phone_photos
from benchmarks.serving import Served, start
from benchmarks.strange_campuses import loop_campus
from benchmarks.timing import Effort, Section, Target, Times
from benchmarks.uploads import Visitor
from core.campus.bundle import Bundle
from core.locate.fix import Fix
from core.locate.localizer import DEMO_BUNDLE, Localizer
from edge.device.sink_threads import SinkThread
from edge.device.sinks.nmea import NmeaTcp
from edge.device.sources import Frame

Result = TypeVar("Result")

REFUSED_S, HONEST_S, NMEA_S = 2.0, 1.0, 0.1
REFUSAL = "a graph within an operator"
FIXES = 1000  # that an honest NMEA client gets at least
MOST_FIXES = 100_000  # until clients that do not read are let go
ALONE, SILENT, LOOPS = "nobody else", "silent connections", "a loop campus, again and again"
_ONE_BY_ONE = "Phones, attackers and the server share this machine's cores, and the server runs one page at a time."


@dataclass(frozen=True)
class Attack:
    """How many attack how many, and for how long: `pause_s` between a phone's answer and its next photo."""

    phones: int = 20
    pause_s: float = 5.0  # a person turns and looks
    silent: int = 200
    shake_hands: bool = True  # half of the silent ones, which then have up to GONE_S
    loops: int = 5
    deaf: int = 100
    phase_s: float = 30.0


TINY_ATTACK = Attack(phones=2, pause_s=0.1, silent=4, shake_hands=False, loops=1, deaf=3, phase_s=0.0)


@dataclass(frozen=True)
class Phase:
    """What honest ones met in a phase: each photo's answer, and seconds of each newcomer's first answer."""

    answers: list[Answer]
    newcomers_s: list[float]

    @property
    def waits_s(self) -> list[float]:
        """Seconds of every honest request."""
        return [answer.seconds for answer in self.answers] + self.newcomers_s

    @property
    def lost(self) -> list[str]:
        """What became of photos that were not answered with a place."""
        return [answer.said for answer in self.answers if answer.outcome != "place"]


async def beside(
    served: Served, phones: Sequence[Phone], photos: Sequence[bytes], attack: Awaitable[Result], size: Attack
) -> tuple[Phase, Result]:
    """Honest phones and newcomers while the attack lasts, and `phase_s` at least; what the attack gives."""
    over = asyncio.Event()
    phase, cookie = Phase([], []), served.cookie()

    async def pause(seconds: float) -> None:
        with suppress(TimeoutError):
            await asyncio.wait_for(over.wait(), seconds)

    async def photograph(number: int, phone: Phone) -> None:
        await pause(size.pause_s * number / len(phones))  # people do not tap at once
        for turn in count(number):
            phase.answers.append(await phone.send(phone.message(photos[turn % len(photos)])))
            await pause(size.pause_s)
            if over.is_set():
                return

    async def arrive() -> None:
        while not over.is_set():
            started = time.perf_counter()
            reply = await asyncio.to_thread(served.ask, "/_stcore/health", Cookie=cookie)
            if reply.status != 200:
                raise RuntimeError(f"a newcomer with the key met {reply.status}")
            phase.newcomers_s.append(time.perf_counter() - started)
            await pause(1.0)

    honest = [asyncio.create_task(photograph(*each)) for each in enumerate(phones)]
    honest.append(asyncio.create_task(arrive()))
    try:
        result, _ = await asyncio.gather(attack, asyncio.sleep(size.phase_s))
    finally:
        over.set()
        await asyncio.gather(*honest)
    return phase, result


def silent_until_gone(
    port: int, number: int, trust: ssl.SSLContext | None, patience_s: float = GONE_S + 15
) -> list[float | None]:
    """Open so many connections, say nothing on them, and see how old each is when the server ends it.

    With `trust` half of them shake hands first. Seconds; None for one that is open after `patience_s`.
    """
    with ExitStack() as stack:
        watch = stack.enter_context(selectors.DefaultSelector())
        ages: list[float | None] = []
        for turn in range(number):
            client = stack.enter_context(socket.create_connection(("127.0.0.1", port), 30))
            opened = time.monotonic()
            if trust is not None and turn % 2:
                client = stack.enter_context(trust.wrap_socket(client, server_hostname="localhost"))
            client.setblocking(False)
            watch.register(client, selectors.EVENT_READ, (turn, opened, client))
            ages.append(None)
        until = time.monotonic() + patience_s
        while watch.get_map() and time.monotonic() < until:
            for key, _ in watch.select(0.5):
                turn, opened, client = key.data
                if ended(client):
                    ages[turn] = time.monotonic() - opened
                    watch.unregister(client)
    return ages


def ended(client: socket.socket) -> bool:
    """Whether the other side has ended a connection that does not block; what it said before is passed over."""
    try:
        while client.recv(4096):
            pass
    except (BlockingIOError, ssl.SSLWantReadError):
        return False
    except OSError:  # reset, or ended without TLS's goodbye
        return True
    return True


async def upload_loops(visitor: Visitor, campus: bytes, times: int) -> list[float]:
    """Seconds until each upload of a campus that never ends is refused. Raises RuntimeError where it is not."""
    taken = []
    for _ in range(times):
        seconds, said = await visitor.upload(campus)
        if REFUSAL not in said:
            raise RuntimeError(f"the loop was not refused: {said}")
        taken.append(seconds)
    return taken


def nmea_waits(fix: Fix, deaf: int, least: int) -> tuple[list[float], int]:
    """Seconds from a fix to its last sentence at an honest client, with so many before it that never read.

    Until those are let go, and for `least` fixes. Also how many were still connected after MOST_FIXES.
    """
    sink = NmeaTcp("127.0.0.1", 0)
    thread = SinkThread(f"nmea:tcp:{sink.port}", sink)
    waits: list[float] = []
    with ExitStack() as stack:
        stack.callback(thread.close)
        for _ in range(deaf):
            stack.enter_context(socket.create_connection(("127.0.0.1", sink.port)))
        honest = stack.enter_context(socket.create_connection(("127.0.0.1", sink.port), 30))
        lines = stack.enter_context(honest.makefile())
        while sink.clients <= deaf:
            time.sleep(0.01)
        while len(waits) < least or (sink.clients > 1 and len(waits) < MOST_FIXES):
            started = time.perf_counter()
            thread.put(Frame("photo", None, time.time()), fix)
            while "ZDA" not in lines.readline():  # the last of a fix's sentences
                pass
            waits.append(time.perf_counter() - started)
        return waits, sink.clients - 1


def photos_with_a_place(bundle: Bundle, px: tuple[int, int], most: int) -> list[bytes]:
    """Phone photos, without those that do not look like the campus: for want of a place a photo counts as lost."""
    localizer = Localizer.load(bundle.path)
    photos = phone_photos(bundle, px, len(bundle.samples))
    return [photo for photo in photos if localizer.locate(photo).on_campus is not False][:most]


async def attacked(
    served: Served, bundle: Bundle, campus: bytes, size: Attack, px: tuple[int, int]
) -> tuple[dict[str, Phase], list[float | None], list[float]]:
    """The phases in turn: phones alone, beside silent connections, beside uploads of loops.

    Also the ages at which silent connections ended, and the seconds until each upload was refused.
    """
    photos, trust = photos_with_a_place(bundle, px, 4), served.trusting
    async with AsyncExitStack() as stack:
        phones = await open_phones(served, size.phones, stack)
        visitor = await stack.enter_async_context(Visitor(served.home, served.cookie(), trust))
        await visitor.to_campus()
        await upload_loops(visitor, campus, 1)  # what is loaded once is loaded
        for phone in phones[:2]:
            await phone.send(phone.message(photos[0]))
        phases = {}
        phases[ALONE], _ = await beside(served, phones, photos, asyncio.sleep(0), size)
        silence = asyncio.to_thread(silent_until_gone, served.port, size.silent, trust if size.shake_hands else None)
        phases[SILENT], ages = await beside(served, phones, photos, silence, size)
        phases[LOOPS], refused = await beside(served, phones, photos, upload_loops(visitor, campus, size.loops), size)
    return phases, ages, refused


def run(effort: Effort) -> Section:
    """The app's phases, then NMEA with and without deaf clients."""
    size = TINY_ATTACK if effort.tiny else Attack(phase_s=effort.seconds)
    bundle = Bundle.load(DEMO_BUNDLE)
    with tempfile.TemporaryDirectory() as folder:
        campus = loop_campus(Path(folder) / "loop.campus", bundle).read_bytes()
        served = start(Path(folder) / "keys", bundle.path, "--workers", "1", "--no-inbox")
        try:
            px = (320, 240) if effort.tiny else PHONE_PX
            with ThreadPoolExecutor(1) as pool:  # whose thread has no loop yet, whoever asks
                ran = pool.submit(lambda: asyncio.run(attacked(served, bundle, campus, size, px)))
            phases, ages, refused = ran.result()
        finally:
            served.stop()
    fix = Localizer.load(DEMO_BUNDLE).locate(bundle.read(bundle.samples[0]))
    least = 20 if effort.tiny else FIXES
    nmea = {number: nmea_waits(fix, number, least) for number in (0, size.deaf)}
    section = Section(
        "Under attack",
        f"`app.serve` with the demo campus: {size.phones} phones (protocol clients, photos of {PHONE_PX[0]} x "
        f"{PHONE_PX[1]}, the next {size.pause_s:g} s after an answer) and each second a newcomer with the key, on the "
        f"cores of the server and its attackers: {size.silent} connections that say nothing, "
        f"{'half of them after the TLS handshake' if size.shake_hands else 'all before the TLS handshake'}; and a "
        f"{len(campus) / 1000:.1f} kB campus whose network never ends, uploaded {size.loops} times. Then "
        f"`edge run`'s NMEA sink with {size.deaf} clients that never read, until the last is let go.",
    )
    tell_app(section, phases, ages, refused, size, len(campus))
    tell_nmea(section, nmea, size)
    return section


def tell_app(
    section: Section,
    phases: dict[str, Phase],
    ages: list[float | None],
    refused: list[float],
    size: Attack,
    campus_bytes: int,
) -> None:
    """Add what phones and newcomers met, and whether it is what was asked for."""
    section.tables.append(
        [("beside", "photos", "with a place", "median", "slowest", "newcomers", "median", "slowest")]
        + [
            (
                name, str(len(phase.answers)), str(len(phase.answers) - len(phase.lost)),
                *_spread([answer.seconds for answer in phase.answers]),
                str(len(phase.newcomers_s)), *_spread(phase.newcomers_s),
            )
            for name, phase in phases.items()
        ]
    )  # fmt: skip
    section.raw |= {f"attack: beside {name}": tuple(phase.waits_s) for name, phase in phases.items()}
    section.raw["attack: a loop refused"] = tuple(refused)
    gone = [age for age in ages if age is not None]
    slowest, left = max(refused), len(ages) - len(gone)
    section.targets += [
        Target(
            f"a looping campus of {campus_bytes / 1000:.1f} kB refused in {REFUSED_S:g} s beside {size.phones} phones",
            f"{slowest:.2f} s, the slowest of {len(refused)}", slowest <= REFUSED_S, _ONE_BY_ONE,
        ),
        Target(
            "every photo beside it gets its place",
            f"{len(phases[LOOPS].lost)} of {len(phases[LOOPS].answers)} without",
            not phases[LOOPS].lost, "; ".join(sorted(set(phases[LOOPS].lost)))[:300],
        ),
        Target(
            f"{size.silent} silent connections are gone in {GONE_S:g} s",
            f"{max(gone, default=0.0):.1f} s" + (f", {left} still there" if left else ""),
            not left and max(gone) <= GONE_S,
            f"Before the handshake they have {HANDSHAKE_S:g} s.",
        ),
    ]  # fmt: skip
    for name in (SILENT, LOOPS):
        wait, alone = max(phases[name].waits_s), max(phases[ALONE].waits_s)
        section.targets.append(
            Target(
                f"beside {name}: no honest one waits over {HONEST_S:g} s", f"{wait:.2f} s", wait <= HONEST_S,
                f"With nobody else the slowest waits {alone:.2f} s. {_ONE_BY_ONE}",
            )
        )  # fmt: skip


def tell_nmea(section: Section, nmea: dict[int, tuple[list[float], int]], size: Attack) -> None:
    """Add what deaf clients cost an honest one; `nmea`: by their number, none first, what `nmea_waits` gave."""
    section.tables.append(
        [("deaf NMEA clients", "fixes", "to an honest one: median (p10 – p90)", "slowest", "deaf ones let go")]
        + [
            (str(number), str(len(waits)), str(Times(tuple(waits))), f"{1e3 * max(waits):.1f} ms", str(number - left))
            for number, (waits, left) in nmea.items()
        ]
    )
    section.raw |= {f"attack: {number} deaf": tuple(waits) for number, (waits, _) in nmea.items()}
    [(alone, _), (waits, left)] = nmea.values()
    cost = max(waits) - median(alone)
    section.targets.append(
        Target(
            f"{size.deaf} deaf NMEA clients cost an honest one less than {NMEA_S:g} s",
            f"{1e3 * cost:.1f} ms at most" + (f", {left} never let go" if left else ""), cost < NMEA_S and not left,
        )
    )  # fmt: skip


def _spread(seconds: Sequence[float]) -> tuple[str, str]:
    """Median and slowest in milliseconds."""
    return f"{1e3 * median(seconds):.0f} ms", f"{1e3 * max(seconds):.0f} ms"
