"""The fictional campus itself: where buildings, paths, lawns, trees and small things stand."""

from __future__ import annotations

import math

import numpy as np
from shapely.geometry import Point
from shapely.ops import unary_union

from train.demo.world import Area, Box, Building, Path, Prop, Rgb, Side, Tree, World

CENTRE = (30.6000, 34.6000)  # lat, lon degrees: open desert, nothing is built there
SEED = 20240


def demo_world() -> World:
    """The one demo campus, about 250 m east-west by 300 m north-south; always the same."""
    buildings, paths, areas = _buildings(), _paths(), _areas()
    bare = World("Demo campus (rendered, fictional)", CENTRE, buildings, paths, areas, (), (), ())
    props = _props(bare)
    trees = _trees(bare, props)
    alike = (("Acacia Hall", "Olive Hall", "Tamarisk Hall"), ("Engineering", "Chemistry"))
    return World(bare.name, CENTRE, buildings, paths, areas, trees, props, alike)


def _b(
    name: str, boxes: list[tuple[float, float, float, float, float]], material: str, wall: Rgb, accent: Rgb,
    roof: Rgb, window: str, storey: float, bay: float, door: Side, *, kind: str = "building", look: str = "",
) -> Building:  # fmt: skip
    parts = tuple(Box(*values) for values in boxes)
    return Building(name, parts, material, wall, accent, roof, window, storey, bay, door, name.upper(), kind, look)


def _buildings() -> tuple[Building, ...]:
    dorm = {"look": "dormitory"}
    lab = {"look": "laboratory"}
    return (
        _b("Gate House", [(-105, 130, 18, 12, 7)], "stone", (214, 190, 150), (40, 70, 150), (150, 80, 60),
           "arch", 3.4, 3.0, "S"),
        _b("Acacia Hall", [(-101, 88, 36, 14, 13)], "plaster", (226, 205, 170), (200, 40, 40),
           (120, 110, 100), "small", 3.1, 2.6, "S", **dorm),
        _b("Olive Hall", [(-101, 61, 36, 14, 13)], "plaster", (226, 205, 170), (60, 140, 60),
           (120, 110, 100), "small", 3.1, 2.6, "S", **dorm),
        _b("Tamarisk Hall", [(-101, 18, 36, 14, 13)], "plaster", (226, 205, 170), (50, 80, 190),
           (120, 110, 100), "small", 3.1, 2.6, "S", **dorm),
        _b("Sports Centre", [(-100, -18, 38, 28, 10)], "panel", (70, 130, 190), (250, 210, 40),
           (210, 210, 215), "ribbon", 5.0, 4.0, "E"),
        _b("Workshop", [(-103, -78, 30, 30, 8)], "panel", (150, 155, 150), (240, 120, 20), (90, 90, 95),
           "ribbon", 4.0, 5.0, "E"),
        _b("Boiler House", [(-100, -130, 22, 16, 10)], "brick", (120, 60, 48), (40, 40, 40), (60, 60, 60),
           "arch", 5.0, 3.5, "N"),
        _b("Music School", [(-36, 130, 44, 18, 9)], "wood", (172, 112, 62), (250, 245, 230), (80, 75, 70),
           "tall", 4.5, 2.2, "S"),
        _b("Library", [(-38, 84, 44, 26, 17), (-52, 60, 16, 22, 12)], "stone", (226, 214, 188), (120, 30, 50),
           (170, 165, 155), "tall", 5.6, 2.8, "S"),
        _b("Student Centre", [(-50, 6, 24, 44, 11)], "glass", (110, 160, 175), (235, 90, 40), (200, 200, 200),
           "curtain", 3.7, 2.0, "E"),
        _b("Engineering", [(-40, -66, 48, 18, 18), (-56, -88, 16, 26, 14)], "brick", (168, 84, 60),
           (30, 60, 120), (100, 100, 100), "grid", 3.6, 3.2, "N", **lab),
        _b("Drama Theatre", [(-34, -130, 34, 20, 12)], "plaster", (120, 38, 58), (245, 200, 60), (50, 45, 50),
           "blank", 6.0, 6.0, "N"),
        _b("Observatory", [(34, 128, 24, 20, 9)], "plaster", (236, 236, 230), (30, 120, 130), (190, 195, 200),
           "small", 4.2, 3.6, "S"),
        _b("Humanities", [(24, 80, 30, 34, 15)], "brick", (205, 160, 110), (60, 100, 60), (130, 80, 60),
           "grid", 3.7, 2.6, "W"),
        _b("Auditorium", [(54, 68, 18, 38, 12)], "concrete", (178, 172, 162), (150, 40, 130), (90, 90, 90),
           "blank", 6.0, 5.0, "E"),
        _b("Administration", [(51, 6, 20, 44, 14)], "stone", (238, 226, 205), (20, 90, 60), (150, 90, 70),
           "arch", 4.5, 3.2, "W"),
        _b("Clock Tower", [(25, 20, 6, 6, 40)], "stone", (205, 170, 120), (30, 50, 110), (60, 110, 95),
           "clock", 6.0, 6.0, "S", kind="tower"),
        _b("Chemistry", [(36, -66, 46, 18, 18), (52, -88, 16, 26, 14)], "brick", (168, 84, 60),
           (230, 180, 30), (100, 100, 100), "grid", 3.6, 3.2, "N", **lab),
        _b("Physics", [(21, -92, 20, 14, 12)], "concrete", (190, 190, 186), (220, 60, 30), (110, 110, 115),
           "ribbon", 3.8, 3.0, "W"),
        _b("Refectory", [(34, -130, 40, 18, 8)], "wood", (196, 150, 96), (50, 130, 80), (150, 140, 120),
           "curtain", 4.0, 2.6, "N"),
        _b("Business School", [(98, 128, 34, 22, 19)], "glass", (90, 120, 150), (240, 240, 240), (70, 75, 80),
           "curtain", 3.8, 1.7, "S"),
        _b("Computer Science", [(100, 74, 30, 40, 21)], "panel", (232, 234, 236), (0, 160, 210), (80, 85, 90),
           "ribbon", 3.8, 3.4, "W"),
        _b("Medicine", [(100, 16, 34, 26, 17), (107, -14, 20, 34, 10)], "concrete", (222, 222, 216),
           (200, 30, 50), (170, 170, 170), "grid", 3.9, 2.4, "W"),
        _b("Biology", [(102, -63, 32, 20, 13)], "plaster", (150, 178, 130), (90, 60, 30), (110, 120, 100),
           "grid", 3.9, 3.0, "N"),
        _b("Greenhouse", [(93, -95, 20, 12, 6)], "glass", (180, 215, 195), (255, 255, 255), (190, 220, 205),
           "curtain", 3.0, 1.3, "N"),
    )  # fmt: skip


def _paths() -> tuple[Path, ...]:
    return (
        Path("Cedar Walk", ((-1, -146), (-3, -60), (-1, 0), (0, 60), (-2, 146)), 5.0, "brick"),
        Path("West Walk", ((-74, -112), (-75, -30), (-70, 8), (-74, 50), (-74, 108)), 3.6, "slab"),
        Path("Science Walk", ((72, -112), (71, -40), (74, 20), (72, 108)), 3.6, "herringbone"),
        Path("North Lane", ((-122, 106), (-40, 107), (40, 106), (122, 107)), 5.5, "asphalt"),
        Path("Library Street", ((-122, 40), (-60, 39), (0, 40), (122, 41)), 4.4, "cobble"),
        Path("Founders' Way", ((-122, -44), (-40, -45), (40, -44), (122, -43)), 4.4, "slab"),
        Path("South Lane", ((-122, -110), (-30, -110), (40, -111), (122, -110)), 5.5, "asphalt"),
        Path("Orchard Path", ((71, -79), (90, -81), (122, -80)), 2.6, "gravel"),
        Path("Reading Garden Path", ((-32, 40), (-34, 58), (-20, 64), (0, 62)), 2.6, "gravel"),
        Path("Laboratory Passage", ((-36, -110), (-37, -84), (-2, -80)), 2.8, "slab"),
        Path("Plaza Cross", ((-34, 2), (-14, 4), (13, 8), (38, 4)), 4.0, "slab"),
    )


def _rect(east0: float, north0: float, east1: float, north1: float) -> tuple[tuple[float, float], ...]:
    return ((east0, north0), (east1, north0), (east1, north1), (east0, north1))


def _areas() -> tuple[Area, ...]:
    pond = tuple((-22 + 7 * math.cos(a), -72 - 22 + 4 * math.sin(a)) for a in np.linspace(0, 2 * math.pi, 24)[:-1])
    return (
        Area("Library Lawn", "lawn", _rect(-66, 44, -5, 101)),
        Area("Humanities Green", "lawn", _rect(5, 45, 66, 101)),
        Area("Dormitory Lawn", "lawn", _rect(-124, 44, -78, 102)),
        Area("Court Lawn", "lawn", _rect(-124, -40, -78, 35)),
        Area("Engineers' Green", "lawn", _rect(-68, -105, -7, -49)),
        Area("Chemists' Green", "lawn", _rect(6, -105, 67, -49)),
        Area("Orchard", "lawn", _rect(77, -106, 124, -48)),
        Area("Medicine Lawn", "lawn", _rect(78, -39, 124, 36)),
        Area("Music Meadow", "lawn", _rect(-68, 111, -6, 150)),
        Area("Observatory Hill", "lawn", _rect(4, 111, 68, 150)),
        Area("Theatre Lawn", "lawn", _rect(-68, -150, -6, -115)),
        Area("Founders' Plaza", "plaza", _rect(-34, -26, 38, 32)),
        Area("South Car Park", "parking", _rect(78, -146, 122, -117)),
        Area("North Car Park", "parking", _rect(-92, 113, -80, 146)),
        Area("Ball Court", "court", _rect(-122, -66 + 6, -80, -49)),
        Area("Lily Pond", "water", pond),
    )


_PALETTE: tuple[Rgb, ...] = (
    (200, 50, 40), (40, 90, 180), (40, 140, 70), (240, 190, 40), (235, 235, 235), (50, 50, 55),
    (230, 110, 30), (130, 60, 150), (20, 150, 160), (150, 100, 60),
)  # fmt: skip
_ALONG = ("bench", "bin", "planter", "notice", "bike_rack", "banner", "hydrant", "bench", "planter", "rock",
          "signpost", "hedge", "bollards", "vending")  # fmt: skip


def _props(world: World) -> tuple[Prop, ...]:
    """Lamps every 17 m, and something different about every 7 m along every path; seeded."""
    rng = np.random.default_rng(SEED)
    blocked = unary_union([b.footprint.buffer(1.2) for b in world.buildings])
    walked = unary_union([p.line.buffer(p.width_m / 2 + 0.2) for p in world.paths])
    props = list(_landmarks())
    for path in world.paths:
        line, offset = path.line, path.width_m / 2 + 0.9
        spots = [("lamp", s) for s in np.arange(5.0, line.length, 17.0)]
        spots += [("", s) for s in np.arange(2.0, line.length, 6.0)]
        for index, (kind, along_m) in enumerate(spots):
            side = 1 if (index % 2 == 0) == (kind == "lamp") else -1
            if kind != "lamp" and rng.random() < 0.4:
                side = -side
            along_m = float(along_m + rng.uniform(-1.5, 1.5))
            here, ahead = line.interpolate(along_m), line.interpolate(along_m + 0.5)
            bearing = math.atan2(ahead.x - here.x, ahead.y - here.y)
            shift = side * (offset + (0.0 if kind == "lamp" else float(rng.uniform(0, 1.0))))
            spot = Point(here.x + shift * math.cos(bearing), here.y - shift * math.sin(bearing))
            chosen = kind or str(rng.choice(_ALONG))
            near = min((math.hypot(p.east_m - spot.x, p.north_m - spot.y) for p in props), default=9.0)
            if blocked.contains(spot) or walked.contains(spot) or near < 2.2:
                continue
            facing = math.degrees(bearing) - 90 * side
            rgb = _PALETTE[int(rng.integers(len(_PALETTE)))]
            props.append(Prop(chosen, spot.x, spot.y, facing, rgb, int(rng.integers(1 << 30))))
    return tuple(props)


def _landmarks() -> list[Prop]:
    """Sculptures, fountain, kiosks and parked cars, placed by hand."""
    rng = np.random.default_rng(SEED + 1)
    spots: list[tuple[str, float, float, float, Rgb]] = [
        ("fountain", 12, -8, 0, (190, 180, 165)), ("sculpture", -22, 18, 20, (200, 60, 30)),
        ("sculpture", -20, -18, 60, (40, 90, 170)), ("sculpture", -64, 66, 0, (90, 140, 110)),
        ("sculpture", 60, -40, 30, (220, 180, 40)), ("sculpture", 8, 112, 10, (160, 160, 165)),
        ("sculpture", 80, 46, 45, (120, 40, 110)), ("sculpture", -84, -104, 0, (180, 90, 40)),
        ("kiosk", 29, -19, 270, (210, 60, 50)), ("kiosk", -28, 27, 180, (40, 130, 90)),
        ("kiosk", 66, -104, 0, (240, 180, 50)), ("shelter", -60, 112, 180, (60, 90, 120)),
        ("shelter", 60, -116, 0, (150, 60, 40)), ("kiosk", -68, -100, 90, (80, 60, 140)),
    ]  # fmt: skip
    props = [Prop(k, e, n, h, rgb, index) for index, (k, e, n, h, rgb) in enumerate(spots)]
    for row_north in (-122.0, -140.0):
        for east in np.arange(81, 121, 3.0):
            if rng.random() < 0.6:
                props.append(_car(rng, float(east), row_north, 0.0))
    for north in np.arange(116, 145, 3.0):
        if rng.random() < 0.6:
            props.append(_car(rng, -86.0, float(north), 90.0))
    return props


def _car(rng: np.random.Generator, east_m: float, north_m: float, heading_deg: float) -> Prop:
    rgb = _PALETTE[int(rng.integers(len(_PALETTE)))]
    return Prop("car", east_m, north_m, heading_deg + float(rng.choice([0, 180])), rgb, int(rng.integers(1 << 30)))


def _trees(world: World, props: tuple[Prop, ...]) -> tuple[Tree, ...]:
    """About 110 trees: rows along some paths, groves on the lawns; never on a path or against a wall."""
    rng = np.random.default_rng(SEED + 2)
    closed = [b.footprint.buffer(2.6) for b in world.buildings]
    closed += [p.line.buffer(p.width_m / 2 + 0.8) for p in world.paths]
    closed += [a.polygon for a in world.areas if a.kind in ("plaza", "parking", "water", "court")]
    closed += [Point(p.east_m, p.north_m).buffer(1.6 if p.kind != "lamp" else 2.2) for p in props]
    blocked = unary_union(closed)
    rows = {"Cedar Walk": ("cypress", 15.0), "North Lane": ("palm", 17.0), "West Walk": ("broad", 16.0),
            "Science Walk": ("olive", 15.0), "Founders' Way": ("pine", 21.0), "South Lane": ("palm", 26.0),
            "Library Street": ("broad", 24.0), "Orchard Path": ("olive", 7.0)}  # fmt: skip
    wanted: list[tuple[str, float, float]] = []
    for path in world.paths:
        if path.name not in rows:
            continue
        kind, step_m = rows[path.name]
        for index, along_m in enumerate(np.arange(4.0, path.line.length, step_m)):
            here, ahead = path.line.interpolate(along_m), path.line.interpolate(along_m + 0.5)
            bearing = math.atan2(ahead.x - here.x, ahead.y - here.y)
            shift = (1 if index % 2 else -1) * (path.width_m / 2 + float(rng.uniform(1.4, 3.2)))
            wanted.append((kind, here.x + shift * math.cos(bearing), here.y - shift * math.sin(bearing)))
    for area in world.areas:
        if area.kind != "lawn":
            continue
        low_e, low_n, high_e, high_n = area.polygon.bounds
        for _ in range(8):
            kind = str(rng.choice(["broad", "pine", "olive", "cypress", "broad", "palm"]))
            wanted.append((kind, float(rng.uniform(low_e, high_e)), float(rng.uniform(low_n, high_n))))
    trees: list[Tree] = []
    height = {"broad": (6, 10), "pine": (8, 13), "olive": (3.5, 5), "cypress": (7, 12), "palm": (6, 10)}
    width = {"broad": 0.36, "pine": 0.25, "olive": 0.45, "cypress": 0.10, "palm": 0.26}
    for kind, east, north in wanted:
        close = any(math.hypot(t.east_m - east, t.north_m - north) < 3.5 for t in trees)
        if close or blocked.contains(Point(east, north)):
            continue
        tall = float(rng.uniform(*height[kind]))
        radius = tall * width[kind] * float(rng.uniform(0.85, 1.2))
        trees.append(Tree(kind, east, north, tall, radius, int(rng.integers(1 << 30))))
    return tuple(trees)
