"""The ground as one large bitmap: lawns, paving, lane markings, and small marks that tell places apart."""

from __future__ import annotations

import math

import numpy as np
from numpy.typing import NDArray
from PIL import Image, ImageDraw

from train.demo.facades import blotches
from train.demo.world import World

HALF_EAST_M, HALF_NORTH_M = 140.0, 165.0
PX_PER_M = 9

_PLAIN = {"earth": (176, 150, 112), "lawn": (84, 112, 50), "plaza": (196, 178, 152), "parking": (92, 92, 94),
          "court": (168, 80, 56), "water": (46, 84, 92), "brick": (158, 96, 74), "slab": (178, 174, 166),
          "herringbone": (150, 128, 112), "asphalt": (84, 84, 88), "cobble": (132, 126, 120),
          "gravel": (196, 178, 146)}  # fmt: skip


def ground_bitmap(world: World) -> NDArray[np.uint8]:
    """(H, W, 3) uint8 sRGB, row 0 in the north, PX_PER_M pixels per metre."""
    rng = np.random.default_rng(77)
    width, height = int(2 * HALF_EAST_M * PX_PER_M), int(2 * HALF_NORTH_M * PX_PER_M)
    kinds = list(_PLAIN)
    label = Image.new("L", (width, height), kinds.index("earth"))
    draw = ImageDraw.Draw(label)
    for area in world.areas:
        draw.polygon([_pixel(*p) for p in area.points], fill=kinds.index(area.kind))
    for building in world.buildings:
        apron = building.footprint.buffer(1.3, join_style="mitre")
        draw.polygon([_pixel(x, y) for x, y in apron.exterior.coords], fill=kinds.index("slab"))
    for path in sorted(world.paths, key=lambda p: p.width_m):
        shape = path.line.buffer(path.width_m / 2, cap_style="flat")
        draw.polygon([_pixel(x, y) for x, y in shape.exterior.coords], fill=kinds.index(path.paving))
    code = np.asarray(label)
    table = np.array([_PLAIN[k] for k in kinds], np.float32)
    colour = table[code]
    colour *= _pattern(code, kinds, rng)[..., None]
    image = Image.fromarray(np.clip(colour, 0, 255).astype(np.uint8))
    _marks(world, ImageDraw.Draw(image), rng)
    return np.asarray(image).copy()


def _pixel(east_m: float, north_m: float) -> tuple[float, float]:
    return (east_m + HALF_EAST_M) * PX_PER_M, (HALF_NORTH_M - north_m) * PX_PER_M


def _pattern(code: NDArray[np.uint8], kinds: list[str], rng: np.random.Generator) -> NDArray[np.float32]:
    """Brightness by pixel: the laying pattern of each paving, mowing stripes, and noise of three sizes."""
    height, width = code.shape
    ys, xs = (axis.astype(np.int32) for axis in np.ogrid[0:height, 0:width])  # most patterns are of one of them
    fine = rng.standard_normal((height, width)).astype(np.float32)
    tone = 1 + 0.10 * blotches(height, width, 120, rng) + 0.07 * blotches(height, width, 20, rng)
    grain = {"lawn": 0.14, "earth": 0.10, "gravel": 0.16, "asphalt": 0.07}
    amount = np.array([grain.get(k, 0.04) for k in kinds], np.float32)
    tone = (tone + amount[code] * fine).astype(np.float32)

    def lines(kind: str, mask: NDArray[np.bool_], factor: float) -> None:
        tone[(code == kinds.index(kind)) & mask] *= factor

    lines("lawn", (xs + ys) // 14 % 2 == 0, 0.93)
    lines("lawn", blotches(height, width, 45, rng) > 0.62, 1.25)
    lines("brick", (xs // 4 + ys // 4) % 2 == 0, 0.86)
    lines("brick", ys % 45 < 4, 1.35)
    lines("slab", (xs % 9 == 0) | (ys % 9 == 0), 0.78)
    lines("slab", ((xs // 9) * 7 + (ys // 9) * 13) % 11 == 0, 0.88)
    lines("herringbone", (xs + ys) % 12 < 6, 0.85)
    lines("herringbone", (xs - ys) % 12 < 2, 0.85)
    lines("cobble", ((xs + (ys // 4 % 2) * 2) % 4 == 0) | (ys % 4 == 0), 0.76)
    lines("plaza", (xs // 36 + ys // 36) % 2 == 0, 0.84)
    lines("plaza", (xs % 18 == 0) | (ys % 18 == 0), 0.80)
    lines("parking", (xs % 27 < 1) & (ys % 2 == 0), 2.2)
    lines("court", (xs % 90 < 2) | (ys % 80 < 2), 1.7)
    out: NDArray[np.float32] = tone
    return out


def _marks(world: World, draw: ImageDraw.ImageDraw, rng: np.random.Generator) -> None:
    """Manholes, repairs, stains, drain grates, painted arrows, flower beds; about every 3 m."""
    tones = ((230, 230, 220), (240, 200, 60), (70, 68, 66), (110, 90, 70), (60, 60, 62), (200, 90, 70))
    for path in world.paths:
        for along_m in np.arange(1.0, path.line.length, 3.2):
            here, ahead = path.line.interpolate(float(along_m)), path.line.interpolate(float(along_m) + 0.4)
            bearing = math.atan2(ahead.x - here.x, ahead.y - here.y)
            shift = float(rng.uniform(-0.42, 0.42)) * path.width_m
            x, y = _pixel(here.x + shift * math.cos(bearing), here.y - shift * math.sin(bearing))
            size, colour = float(rng.uniform(2.5, 8.0)), tones[int(rng.integers(len(tones)))]
            kind = int(rng.integers(6))
            if kind == 0:
                draw.ellipse((x - 4, y - 4, x + 4, y + 4), fill=(66, 64, 62), outline=(120, 118, 110))
            elif kind == 1:
                draw.rectangle((x - size, y - size * 0.6, x + size, y + size * 0.6), fill=colour)
            elif kind == 2:
                draw.polygon(((x, y - size), (x + size * 0.7, y + size), (x - size * 0.7, y + size)), fill=colour)
            elif kind == 3:
                draw.line((x - size, y, x + size, y), fill=(50, 50, 52), width=3)
            if kind >= 4:  # a flower bed beside the path
                side = 1 if rng.random() < 0.5 else -1
                out = side * (path.width_m / 2 + 1.4)
                bx, by = _pixel(here.x + out * math.cos(bearing), here.y - out * math.sin(bearing))
                for _ in range(40):
                    px, py = bx + rng.normal(0, 6), by + rng.normal(0, 6)
                    petal = ((220, 60, 70), (245, 210, 70), (170, 90, 190), (245, 245, 240))[kind * 7 % 4]
                    draw.point((px, py), fill=petal)
        if path.paving == "asphalt":
            for along_m in np.arange(2.0, path.line.length, 6.0):
                here, ahead = (
                    path.line.interpolate(float(along_m)),
                    path.line.interpolate(float(along_m) + 2.5),
                )
                draw.line((*_pixel(here.x, here.y), *_pixel(ahead.x, ahead.y)), fill=(225, 225, 215), width=2)
