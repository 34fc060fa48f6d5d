"""Things along the paths, as coloured pieces; each kind comes in variants that tell places apart."""

from __future__ import annotations

import math
from collections.abc import Callable

import numpy as np

from train.demo.meshes import MeshBuilder, linear
from train.demo.world import Prop

LAMP_HEIGHT_M = 4.3
_STEEL, _DARK, _WOOD, _STONE = (
    linear((150, 152, 156)),
    linear((44, 46, 50)),
    linear((140, 92, 56)),
    linear((190, 180, 160)),
)


def add_prop(builder: MeshBuilder, prop: Prop) -> None:
    """Add one prop, standing on the ground and turned to its heading."""
    _MAKERS[prop.kind](_Placed(builder, prop), np.random.default_rng(prop.seed))


class _Placed:
    """A builder in the prop's own frame: x to its right, y forward, z up; metres."""

    def __init__(self, builder: MeshBuilder, prop: Prop) -> None:
        self.builder, self.prop, self.rgb = builder, prop, linear(prop.rgb)
        angle = math.radians(prop.heading_deg)
        self._cos, self._sin = math.cos(angle), math.sin(angle)

    def at(self, x: float, y: float, z: float) -> tuple[float, float, float]:
        """Own frame -> east, north, up."""
        east = self.prop.east_m + self._cos * x + self._sin * y
        return east, self.prop.north_m - self._sin * x + self._cos * y, z

    def box(self, x: float, y: float, z: float, w: float, d: float, h: float, c: tuple[float, float, float]) -> None:
        """A block whose bottom face is centred at (x, y, z)."""
        self.builder.box(self.at(x, y, z), (w, d, h), c, self.prop.heading_deg)


def _bench(p: _Placed, rng: np.random.Generator) -> None:
    seat = p.rgb if rng.random() < 0.6 else _WOOD
    for x in (-0.7, 0.7):
        p.box(x, 0, 0, 0.1, 0.45, 0.42, _DARK)
    p.box(0, 0, 0.42, 1.8, 0.5, 0.07, seat)
    p.box(0, -0.24, 0.5, 1.8, 0.06, 0.45, seat)


def _lamp(p: _Placed, rng: np.random.Generator) -> None:
    p.builder.prism(p.at(0, 0, 0), 0.11, LAMP_HEIGHT_M, _DARK, 7, 0.06)
    p.builder.prism(p.at(0, 0, LAMP_HEIGHT_M), 0.3, 0.16, _DARK, 8, 0.12)
    p.builder.ball(p.at(0, 0, LAMP_HEIGHT_M - 0.06), (0.2, 0.2, 0.13), linear((240, 236, 220)))
    if rng.random() < 0.4:
        p.box(
            0.33,
            0,
            2.4,
            0.55,
            0.05,
            1.1,
            linear(((200, 60, 40), (40, 90, 170), (60, 140, 80))[rng.integers(3)]),
        )


def _bin(p: _Placed, _rng: np.random.Generator) -> None:
    p.builder.prism(p.at(0, 0, 0), 0.3, 0.95, p.rgb, 9, 0.34)
    p.builder.prism(p.at(0, 0, 0.95), 0.36, 0.08, _DARK, 9)


def _planter(p: _Placed, rng: np.random.Generator) -> None:
    p.box(0, 0, 0, 1.3, 0.8, 0.55, _STONE if rng.random() < 0.5 else _WOOD)
    centre = np.array(p.at(0, 0, 0.7))
    points = centre + rng.normal(size=(60, 3)) * (0.35, 0.3, 0.14)
    p.builder.leaves(points, 0.2, linear((70, 120, 50)), rng)
    p.builder.leaves(points[:26] + np.array((0, 0, 0.15)), 0.16, p.rgb, rng)


def _notice(p: _Placed, rng: np.random.Generator) -> None:
    for x in (-0.75, 0.75):
        p.box(x, 0, 0, 0.08, 0.08, 2.1, _DARK)
    p.box(0, 0, 0.9, 1.5, 0.06, 1.15, p.rgb)
    for _ in range(7):
        tone = linear(tuple(int(v) for v in rng.integers(40, 255, 3)))
        p.box(float(rng.uniform(-0.5, 0.5)), 0, float(rng.uniform(0.95, 1.6)), 0.3, 0.1, 0.36, tone)


def _bike_rack(p: _Placed, rng: np.random.Generator) -> None:
    for index in range(5):
        x = index * 0.6 - 1.2
        p.box(x, 0, 0, 0.05, 0.05, 0.8, _STEEL)
        if rng.random() < 0.65:
            paint = linear(tuple(int(v) for v in rng.integers(30, 240, 3)))
            for y in (-0.5, 0.5):
                _wheel(p, x + 0.15, y)
            p.box(x + 0.15, 0, 0.55, 0.06, 0.95, 0.08, paint)
            p.box(x + 0.15, -0.25, 0.55, 0.06, 0.08, 0.4, paint)
            p.box(x + 0.15, 0.45, 0.6, 0.5, 0.05, 0.4, _DARK)


def _wheel(p: _Placed, x: float, y: float) -> None:
    for k in range(8):
        angle = k * math.pi / 4
        p.box(x, y + 0.3 * math.cos(angle), 0.27 + 0.3 * math.sin(angle), 0.05, 0.2, 0.1, _DARK)


def _banner(p: _Placed, rng: np.random.Generator) -> None:
    p.builder.prism(p.at(0, 0, 0), 0.05, 4.6, _STEEL, 6)
    p.box(0.42, 0, 2.4, 0.75, 0.04, 2.1, p.rgb)
    tone = linear(tuple(int(v) for v in rng.integers(60, 255, 3)))
    p.box(0.42, 0, 2.6 + float(rng.uniform(0, 1.2)), 0.77, 0.06, 0.4, tone)


def _hydrant(p: _Placed, _rng: np.random.Generator) -> None:
    p.builder.prism(p.at(0, 0, 0), 0.13, 0.7, p.rgb, 8)
    p.builder.ball(p.at(0, 0, 0.72), (0.16, 0.16, 0.14), p.rgb)
    p.box(0, 0, 0.42, 0.5, 0.14, 0.14, p.rgb)


def _rock(p: _Placed, rng: np.random.Generator) -> None:
    for _ in range(int(rng.integers(1, 4))):
        size = float(rng.uniform(0.25, 0.65))
        spot = p.at(float(rng.normal(0, 0.5)), float(rng.normal(0, 0.4)), size * 0.4)
        p.builder.ball(spot, (size, size * 0.8, size * 0.8), linear((168, 150, 124)), 0.25, rng)


def _signpost(p: _Placed, rng: np.random.Generator) -> None:
    p.box(0, 0, 0, 0.09, 0.09, 2.8, _DARK)
    for index in range(int(rng.integers(2, 5))):
        reach = 0.35 if rng.random() < 0.5 else -0.35
        tone = p.rgb if index % 2 == 0 else linear((240, 238, 230))
        p.box(reach, 0, 2.5 - 0.3 * index, 0.95, 0.05, 0.22, tone)


def _hedge(p: _Placed, rng: np.random.Generator) -> None:
    p.box(0, 0, 0, 2.6, 0.6, 0.8, linear((44, 66, 30)))
    points = np.array([_in_hedge(p, rng, float(z)) for z in rng.random(220)])
    p.builder.leaves(points, 0.24, linear((76, 112, 46)), rng)


def _in_hedge(p: _Placed, rng: np.random.Generator, share: float) -> tuple[float, float, float]:
    return p.at(float(rng.uniform(-1.35, 1.35)), float(rng.uniform(-0.36, 0.36)), 0.05 + 0.85 * share)


def _bollards(p: _Placed, _rng: np.random.Generator) -> None:
    for x in (-1.2, 0.0, 1.2):
        p.builder.prism(p.at(x, 0, 0), 0.1, 0.85, p.rgb, 8)
        p.builder.prism(p.at(x, 0, 0.6), 0.11, 0.12, linear((240, 240, 235)), 8)


def _vending(p: _Placed, rng: np.random.Generator) -> None:
    p.box(0, 0, 0, 1.0, 0.8, 1.9, p.rgb)
    p.box(-0.12, 0.4, 0.6, 0.6, 0.04, 1.1, linear((30, 40, 50)))
    for row in range(3):
        for column in range(3):
            tone = linear(tuple(int(v) for v in rng.integers(60, 255, 3)))
            p.box(-0.32 + 0.2 * column, 0.42, 0.7 + 0.34 * row, 0.12, 0.04, 0.2, tone)


def _car(p: _Placed, rng: np.random.Generator) -> None:
    long = float(rng.uniform(3.7, 4.6))
    p.box(0, 0, 0.35, 1.75, long, 0.55, p.rgb)
    p.box(0, -0.2, 0.9, 1.5, long * 0.52, 0.5, linear((36, 44, 52)))
    p.box(0, -0.2, 1.36, 1.45, long * 0.45, 0.08, p.rgb)
    for x in (-0.8, 0.8):
        for y in (-long * 0.3, long * 0.3):
            p.box(x, y, 0, 0.22, 0.62, 0.62, linear((22, 22, 24)))
    for x in (-0.6, 0.6):
        p.box(x, long / 2, 0.6, 0.3, 0.04, 0.15, linear((240, 238, 220)))
        p.box(x, -long / 2, 0.6, 0.3, 0.04, 0.15, linear((170, 20, 20)))


def _kiosk(p: _Placed, _rng: np.random.Generator) -> None:
    p.box(0, 0, 0, 3.0, 2.4, 2.6, p.rgb)
    p.box(0, 1.2, 1.0, 2.2, 0.08, 1.1, linear((40, 44, 50)))
    p.box(0, 1.5, 0.9, 2.6, 0.7, 0.08, _WOOD)
    for index in range(6):
        tone = p.rgb if index % 2 else linear((245, 242, 235))
        p.box(-1.4 + 0.56 * index, 1.5, 2.3, 0.56, 1.2, 0.08, tone)
    p.box(0, 0, 2.6, 3.3, 2.7, 0.15, _DARK)


def _shelter(p: _Placed, _rng: np.random.Generator) -> None:
    for x in (-1.7, 1.7):
        p.box(x, -0.7, 0, 0.1, 0.1, 2.5, _STEEL)
        p.box(x, 0.6, 0, 0.1, 0.1, 2.5, _STEEL)
    p.box(0, 0, 2.5, 3.9, 1.9, 0.14, p.rgb)
    p.box(0, -0.7, 0.5, 3.4, 0.05, 1.5, linear((120, 150, 160)))
    p.box(0, -0.4, 0.42, 3.0, 0.4, 0.07, _WOOD)


def _fountain(p: _Placed, _rng: np.random.Generator) -> None:
    stone, water = p.rgb, linear((70, 130, 150))
    p.builder.prism(p.at(0, 0, 0), 3.8, 0.5, stone, 16, 3.9)
    p.builder.prism(p.at(0, 0, 0.45), 3.4, 0.08, water, 16)
    p.builder.prism(p.at(0, 0, 0.5), 0.5, 1.5, stone, 10, 0.3)
    p.builder.prism(p.at(0, 0, 2.0), 0.4, 0.35, stone, 12, 1.5)
    p.builder.prism(p.at(0, 0, 2.3), 1.35, 0.06, water, 12)
    p.builder.prism(p.at(0, 0, 2.3), 0.14, 1.0, linear((225, 235, 240)), 6, 0.03)


def _sculpture(p: _Placed, _rng: np.random.Generator) -> None:
    """Seven different ones, by seed."""
    p.box(0, 0, 0, 1.8, 1.8, 0.5, _STONE)
    style = p.prop.seed % 7
    if style == 1:  # a stack of balls
        for index, size in enumerate((0.8, 0.6, 0.4)):
            p.builder.ball(p.at(0, 0, 1.2 + 1.15 * index), (size, size, size), p.rgb)
    elif style == 2:  # an obelisk
        p.builder.prism(p.at(0, 0, 0.5), 0.55, 4.5, p.rgb, 4, 0.2)
    elif style == 3:  # a gate
        for x in (-0.7, 0.7):
            p.box(x, 0, 0.5, 0.35, 0.5, 3.0, p.rgb)
        p.box(0, 0, 3.5, 2.2, 0.6, 0.4, p.rgb)
    elif style == 4:  # turned cubes
        for index in range(4):
            p.builder.box(p.at(0, 0, 0.5 + 0.9 * index), (0.9, 0.9, 0.9), p.rgb, 27.0 * index)
    elif style == 5:  # a ring
        for index in range(16):
            angle = 2 * math.pi * index / 16
            p.box(1.3 * math.cos(angle), 0, 1.9 + 1.3 * math.sin(angle), 0.5, 0.4, 0.4, p.rgb)
    elif style == 6:  # leaning blades
        for index in range(3):
            p.builder.prism(p.at(0.5 * index - 0.5, 0, 0.5), 0.25, 2.6 + index, p.rgb, 4, 0.05, (0.6, 0.3))
    else:  # a figure
        p.builder.prism(p.at(0, 0, 0.5), 0.45, 1.7, p.rgb, 9, 0.3)
        p.builder.ball(p.at(0, 0, 2.45), (0.3, 0.3, 0.35), p.rgb)
        p.box(0.25, 0, 1.6, 1.1, 0.2, 0.2, p.rgb)


_MAKERS: dict[str, Callable[[_Placed, np.random.Generator], None]] = {
    "bench": _bench, "lamp": _lamp, "bin": _bin, "planter": _planter, "notice": _notice,
    "bike_rack": _bike_rack, "banner": _banner, "hydrant": _hydrant, "rock": _rock, "signpost": _signpost,
    "hedge": _hedge, "bollards": _bollards, "vending": _vending, "car": _car,
    "kiosk": _kiosk, "shelter": _shelter,
    "fountain": _fountain, "sculpture": _sculpture,
}  # fmt: skip
