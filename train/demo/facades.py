"""Procedural walls: for each wall of a building a colour bitmap and a map of what shines at night."""

from __future__ import annotations

import zlib
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray
from PIL import Image, ImageDraw, ImageFont

from train.demo.world import Building, Rgb

PX_PER_M = 14
SIGN_PX_PER_M = 40


@dataclass(frozen=True)
class Wall:
    """Bitmaps of one wall, row 0 at the top: `albedo` (H, W, 3) uint8 sRGB, `glow` (H, W, 3) uint8 sRGB."""

    albedo: NDArray[np.uint8]
    glow: NDArray[np.uint8]


def blotches(height: int, width: int, cell: float, rng: np.random.Generator) -> NDArray[np.float32]:
    """Smooth noise in -1..1, (height, width); `cell` is the blotch size in pixels."""
    rows, columns = max(2, int(height / cell) + 2), max(2, int(width / cell) + 2)
    coarse = Image.fromarray(rng.uniform(-1, 1, (rows, columns)).astype(np.float32))
    return np.asarray(coarse.resize((width, height), Image.Resampling.BICUBIC), dtype=np.float32)


def seeded(*parts: object) -> np.random.Generator:
    """A generator that depends on the text of its arguments only."""
    return np.random.default_rng(zlib.crc32("/".join(map(str, parts)).encode()))


def wall(building: Building, part: int, side: str, width_m: float, height_m: float) -> Wall:
    """The wall of one box facing `side`; those of one look share layout but not stains or blinds."""
    layout = seeded("layout", building.look or building.name, part, side)
    rng = seeded("detail", building.name, part, side)
    width, height = max(8, round(width_m * PX_PER_M)), max(8, round(height_m * PX_PER_M))
    base = _base(building, width, height, rng)
    image = Image.fromarray(base)
    glow = Image.new("RGB", (width, height))
    draw, shine = ImageDraw.Draw(image), ImageDraw.Draw(glow)
    _stripe(building, draw, width, height, side)
    if building.window == "clock":
        _clock(draw, shine, width, height, building)
    elif building.window == "blank":
        _mural(draw, width, height, rng, building)
        _windows(building, draw, shine, width, height, layout, rng, only_ground=True)
    else:
        _windows(building, draw, shine, width, height, layout, rng)
        if layout.random() < 0.25:
            _mural(draw, width // 4, height, rng, building, left=int(layout.uniform(0, width * 0.7)))
    _clutter(draw, width, height, rng, building)
    if part == 0 and side == building.door:
        _door(draw, shine, width, height, building)
    elif rng.random() < 0.55:
        _side_door(draw, shine, width, height, rng)
    albedo = np.asarray(image).astype(np.float32)
    if rng.random() < 0.35:
        albedo = _ivy(albedo, rng)
    shade = 1 + 0.06 * blotches(height, width, 40, rng) + 0.04 * rng.standard_normal((height, width))
    fade = np.clip(np.linspace(1.03, 0.93, height), 0, 2)[:, None]
    return Wall(np.clip(albedo * (shade * fade)[..., None], 0, 255).astype(np.uint8), np.asarray(glow).copy())


def _base(building: Building, width: int, height: int, rng: np.random.Generator) -> NDArray[np.uint8]:
    """The bare material."""
    ys, xs = np.mgrid[0:height, 0:width]
    tone = np.ones((height, width), np.float32)
    if building.material in ("brick", "stone"):
        tall, long = (3, 9) if building.material == "brick" else (6, 13)
        row = ys // tall
        column = (xs + (row % 2) * (long // 2)) // long
        table = rng.normal(1, 0.10 if building.material == "brick" else 0.07, (row.max() + 1, column.max() + 1))
        tone = table[row, column].astype(np.float32)
        tone[(ys % tall == 0) | ((xs + (row % 2) * (long // 2)) % long == 0)] *= 0.82
    elif building.material == "concrete":
        step = int(3.0 * PX_PER_M)
        table = rng.normal(1, 0.035, (height // step + 1, width // step + 1))
        tone = table[ys // step, xs // step].astype(np.float32)
        tone[(ys % step < 2) | (xs % step < 2)] *= 0.72
    elif building.material == "panel":
        tone = (1 + 0.07 * np.sin(xs * 2 * np.pi / 6)).astype(np.float32)
        tone[ys % int(2.4 * PX_PER_M) < 2] *= 0.75
    elif building.material == "wood":
        table = rng.normal(1, 0.11, height // 4 + 1)
        tone = np.repeat(table[ys[:, :1] // 4], width, axis=1).astype(np.float32)
        tone[ys % 4 == 0] *= 0.7
    drip = blotches(1, width, 9, rng)
    tone *= 1 + 0.07 * np.minimum(drip, 0) * np.linspace(1, 0.1, height, dtype=np.float32)[:, None]
    return np.clip(np.array(building.wall_rgb) * tone[..., None], 0, 255).astype(np.uint8)


def _stripe(building: Building, draw: ImageDraw.ImageDraw, width: int, height: int, side: str) -> None:
    """The accent colour: a band under the roof, and a pillar of it at one corner; a darker plinth."""
    draw.rectangle((0, 0, width, int(0.55 * PX_PER_M)), fill=building.accent_rgb)
    if side in "NS":
        draw.rectangle((0, 0, int(1.3 * PX_PER_M), height), fill=building.accent_rgb)
    plinth = tuple(int(v * 0.62) for v in building.wall_rgb)
    draw.rectangle((0, height - int(0.5 * PX_PER_M), width, height), fill=plinth)


_SIZE = {"grid": (1.5, 1.8), "small": (1.2, 1.3), "tall": (1.3, 3.6), "arch": (1.5, 2.3),
         "ribbon": (9.0, 1.5), "curtain": (9.0, 9.0), "blank": (2.4, 1.6)}  # fmt: skip


def _windows(
    building: Building, draw: ImageDraw.ImageDraw, shine: ImageDraw.ImageDraw, width: int, height: int,
    layout: np.random.Generator, rng: np.random.Generator, only_ground: bool = False,
) -> None:  # fmt: skip
    """Rows of windows; each has its own pane, blind, clutter and lamp."""
    storey, bay = building.storey_m * PX_PER_M, building.bay_m * PX_PER_M
    margin = (0.0 if building.window == "curtain" else 1.6) * PX_PER_M
    columns, floors = max(1, int((width - 2 * margin) // bay)), max(1, int((height - 8) // storey))
    lead = (width - columns * bay) / 2
    skipped = set(layout.integers(0, columns, 2).tolist()) if columns > 5 and building.window != "curtain" else set()
    want_w, want_h = _SIZE[building.window]
    win_w, win_h = min(want_w * PX_PER_M, bay - 4), min(want_h * PX_PER_M, storey - 5)
    for floor in range(1 if only_ground else floors):
        lit_share = float(rng.choice([0.25, 0.45, 0.75]))
        for column in range(columns):
            if column in skipped:
                continue
            left = lead + column * bay + (bay - win_w) / 2
            low = height - floor * storey - 0.28 * (storey - win_h) - 6
            _window(building, draw, shine, (left, low - win_h, left + win_w, low), rng, rng.random() < lit_share)


def _window(
    building: Building, draw: ImageDraw.ImageDraw, shine: ImageDraw.ImageDraw,
    area: tuple[float, float, float, float], rng: np.random.Generator, lit: bool,
) -> None:  # fmt: skip
    left, top, right, low = area
    frame: Rgb = (245, 245, 242) if building.material in ("brick", "plaster") else (70, 72, 76)
    pane = tuple(int(v) for v in np.clip(np.array((62, 84, 102)) * rng.uniform(0.55, 1.5), 0, 255))
    if building.material == "glass":
        pane = tuple(int(v) for v in np.clip(np.array(building.wall_rgb) * rng.uniform(0.6, 1.1), 0, 255))
    bulb = ((255, 205, 130), (255, 236, 190), (215, 232, 255))[rng.integers(3)]
    light = tuple(int(v) for v in np.array(bulb) * rng.uniform(0.45, 1.0))
    if building.window == "arch":
        draw.pieslice((left - 2, top - 4, right + 2, top + (right - left)), 180, 360, fill=frame)
    draw.rectangle((left - 2, top - 2, right + 2, low + 2), fill=frame)
    draw.rectangle((left, top, right, low), fill=pane)
    sky = tuple(min(255, int(v * 1.5 + 20)) for v in pane)
    draw.polygon(((left, top), (right, top), (left, top + (low - top) * rng.uniform(0.2, 0.8))), fill=sky)
    if lit:
        shine.rectangle((left, top, right, low), fill=light)
    if rng.random() < 0.35:  # a blind or curtain
        drop = top + (low - top) * float(rng.uniform(0.2, 0.9))
        cloth = ((225, 220, 205), (190, 70, 60), (70, 110, 160), (200, 170, 90), (160, 165, 160))[rng.integers(5)]
        draw.rectangle((left, top, right, drop), fill=cloth)
        if lit:
            shine.rectangle(
                (left, top, right, drop),
                fill=tuple(int(a * b / 400) for a, b in zip(light, cloth, strict=True)),
            )
    for bar in np.arange(left + 1.1 * PX_PER_M, right - 4, 1.1 * PX_PER_M):
        draw.line((bar, top, bar, low), fill=frame)
        shine.line((bar, top, bar, low), fill=(0, 0, 0))
    draw.line((left, (top * 2 + low) / 3, right, (top * 2 + low) / 3), fill=frame)
    if rng.random() < 0.12 and building.material != "glass":  # an air conditioner under the window
        draw.rectangle((left, low + 3, left + 11, low + 11), fill=(205, 205, 200), outline=(90, 90, 90))
        draw.ellipse((left + 2, low + 4, left + 8, low + 10), fill=(110, 110, 110))


def _door(draw: ImageDraw.ImageDraw, shine: ImageDraw.ImageDraw, width: int, height: int, building: Building) -> None:
    half, tall, middle = int(1.6 * PX_PER_M), int(2.9 * PX_PER_M), width // 2
    draw.rectangle((middle - half - 5, height - tall - 5, middle + half + 5, height), fill=building.accent_rgb)
    draw.rectangle((middle - half, height - tall, middle + half, height), fill=(58, 66, 70))
    shine.rectangle((middle - half, height - tall, middle + half, height), fill=(255, 226, 170))
    for at in (middle - half // 2, middle, middle + half // 2):
        draw.line((at, height - tall, at, height), fill=(170, 170, 165), width=2)
        shine.line((at, height - tall, at, height), fill=(0, 0, 0), width=3)


def _side_door(
    draw: ImageDraw.ImageDraw, shine: ImageDraw.ImageDraw, width: int, height: int, rng: np.random.Generator
) -> None:
    at = int(rng.uniform(0.1, 0.85) * width)
    colour = ((90, 40, 30), (30, 70, 60), (60, 60, 66), (150, 110, 50), (40, 60, 110))[rng.integers(5)]
    draw.rectangle((at - 2, height - 33, at + 18, height), fill=(220, 216, 205))
    draw.rectangle((at, height - 31, at + 16, height), fill=colour)
    shine.rectangle((at + 3, height - 40, at + 13, height - 37), fill=(255, 220, 160))


def _mural(
    draw: ImageDraw.ImageDraw,
    width: int,
    height: int,
    rng: np.random.Generator,
    building: Building,
    left: int = 0,
) -> None:
    """A painted wall: big plain shapes in the building's accent and friends of it."""
    tones = [building.accent_rgb, (240, 230, 210), (40, 60, 90), (220, 120, 60), (80, 150, 140)]
    top, low = int(height * 0.16), int(height * 0.66)
    for _ in range(max(3, width // 70)):
        x, y = left + rng.uniform(0, width), rng.uniform(top, low)
        size = rng.uniform(0.12, 0.34) * height
        colour = tones[int(rng.integers(len(tones)))]
        if rng.random() < 0.5:
            draw.ellipse((x - size / 2, max(top, y - size / 2), x + size / 2, min(low, y + size / 2)), fill=colour)
        else:
            draw.polygon(((x, max(top, y - size)), (x + size, min(low, y + size / 2)), (x - size, low)), fill=colour)


def _clutter(draw: ImageDraw.ImageDraw, width: int, height: int, rng: np.random.Generator, building: Building) -> None:
    """Posters, meter boxes, pipes and graffiti near the ground."""
    tones = ((220, 60, 50), (250, 220, 60), (60, 120, 200), (240, 240, 235), (60, 160, 90), (30, 30, 34))
    for _ in range(int(width / PX_PER_M / 4)):
        x, y = rng.uniform(0, width - 20), height - rng.uniform(1.0, 2.2) * PX_PER_M
        wide, tall = rng.uniform(6, 17), rng.uniform(9, 20)
        colour, ink = tones[rng.integers(6)], tones[rng.integers(6)]
        draw.rectangle((x, y - tall, x + wide, y), fill=colour)
        draw.rectangle((x + 2, y - tall * 0.7, x + wide - 2, y - tall * 0.45), fill=ink)
    for _ in range(int(width / PX_PER_M / 14) + 1):
        x = rng.uniform(0, width)
        draw.line((x, 6, x, height), fill=tuple(int(v * 0.55) for v in building.wall_rgb), width=2)


def _ivy(albedo: NDArray[np.float32], rng: np.random.Generator) -> NDArray[np.float32]:
    height, width, _ = albedo.shape
    centre, reach = rng.uniform(0, width), rng.uniform(25, 70)
    climb = rng.uniform(0.3, 0.9) * height
    ys, xs = np.mgrid[0:height, 0:width]
    field = 1 - ((xs - centre) / reach) ** 2 - ((height - ys) / climb) ** 2 + 0.7 * blotches(height, width, 12, rng)
    leaf = np.array((52, 92, 38)) * (1 + 0.45 * rng.standard_normal((height, width, 1)))
    return np.where((field > 0.15)[..., None], np.clip(leaf, 10, 160), albedo).astype(np.float32)


def _clock(draw: ImageDraw.ImageDraw, shine: ImageDraw.ImageDraw, width: int, height: int, building: Building) -> None:
    radius, centre = width * 0.36, (width / 2, width * 0.62)
    ring = (centre[0] - radius, centre[1] - radius, centre[0] + radius, centre[1] + radius)
    draw.ellipse(ring, fill=(245, 242, 228), outline=building.accent_rgb, width=4)
    shine.ellipse(ring, fill=(255, 240, 200))
    for target in (draw, shine):
        target.line((*centre, centre[0] + radius * 0.5, centre[1] - radius * 0.3), fill=(20, 20, 24), width=4)
        target.line((*centre, centre[0] - radius * 0.1, centre[1] - radius * 0.8), fill=(20, 20, 24), width=3)
    for level in range(4):
        y = height * (0.36 + 0.13 * level)
        draw.rectangle((width * 0.42, y, width * 0.58, y + 26), fill=(56, 60, 70))
        draw.line((0, y + 40, width, y + 40), fill=building.accent_rgb, width=4)


def sign(building: Building) -> NDArray[np.uint8]:
    """The name board over the door, (H, W, 3) uint8 sRGB, one metre tall."""
    font = ImageFont.load_default(size=SIGN_PX_PER_M * 0.62)
    length = int(font.getlength(building.sign)) + SIGN_PX_PER_M
    image = Image.new("RGB", (length, SIGN_PX_PER_M), building.accent_rgb)
    bright = sum(building.accent_rgb) > 420
    ImageDraw.Draw(image).text(
        (length / 2, SIGN_PX_PER_M / 2), building.sign, font=font, anchor="mm",
        fill=(25, 25, 30) if bright else (250, 250, 245),
    )  # fmt: skip
    return np.asarray(image).copy()
