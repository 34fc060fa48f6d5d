"""The campus and one session's light as a Mitsuba scene (variant scalar_rgb)."""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from core.errors import MissingDependency
from train.demo.facades import blotches, sign, wall
from train.demo.ground import HALF_EAST_M, HALF_NORTH_M, ground_bitmap
from train.demo.meshes import Mesh, MeshBuilder
from train.demo.plants import add_tree
from train.demo.props import LAMP_HEIGHT_M, add_prop
from train.demo.sessions import Session, sun_direction
from train.demo.surroundings import add_roof, add_surroundings
from train.demo.world import Box, Building, World

LAMP_SLOTS = 10  # night: only this many lamps shine at once, those nearest to what the camera sees
WHITE = 0.8  # reflectance of the white copy
LAMP_POWER = 26.0  # radiant intensity of one lamp, W/sr per channel
_TURN = {"N": 180.0, "S": 0.0, "E": 90.0, "W": 270.0}  # a wall drawn facing south, turned about the vertical


def mitsuba() -> Any:
    """The mitsuba module, set to its scalar variant with one thread; MissingDependency where it is absent."""
    try:
        import drjit
        import mitsuba as mi
    except ImportError as error:
        raise MissingDependency("mitsuba", "requirements-train.txt") from error
    if mi.variant() != "scalar_rgb":
        mi.set_variant("scalar_rgb")
        drjit.set_thread_count(1)
    return mi


@dataclass(frozen=True)
class Place:
    """What all sessions share: the shapes of the campus, and the scenes whose light is the same at any time."""

    shapes: dict[str, Any]
    shining: dict[str, Any]  # walls that only shine, not loaded yet
    painted: Any  # lit by a lamp at the camera: with `white`, tells the surface colour
    white: Any  # everything white: how much sky each surface sees
    lamps: NDArray[np.float64]  # (n, 2) east, north metres


@dataclass(frozen=True)
class Stage:
    """A place in the light of one session: sun or lamps, and at night what shines by itself."""

    session: Session
    place: Place
    light: Any
    glow: Any | None


def load_place(world: World) -> Place:
    """Build textures and meshes and load them; takes a few seconds."""
    mi = mitsuba()
    panels: dict[str, Any] = {}
    shining: dict[str, Any] = {"type": "scene"}
    panels["ground"] = _panel(mi, ground_bitmap(world), _ground_place(mi))
    desert = _shift(mi, 0, 0, -0.15) @ _scale(mi, 3000, 3000, 1)
    panels["desert"] = _panel(mi, _desert_bitmap(), desert)
    for building in world.buildings:
        _add_walls(mi, panels, shining, building)
    meshes = _meshes(world)
    shapes = {name: mi.load_dict(item) for name, item in panels.items()}
    shapes.update({f"mesh_{name}": _mesh(mi, mesh) for name, mesh in meshes.items()})
    chalk = mi.load_dict(
        {"type": "twosided", "bsdf": {"type": "diffuse", "reflectance": {"type": "rgb", "value": WHITE}}}
    )
    white = {name: mi.load_dict({**item, "bsdf": chalk}) for name, item in panels.items()}
    white.update({f"mesh_{name}": _mesh(mi, mesh, chalk) for name, mesh in meshes.items()})
    sky = {"type": "constant", "radiance": {"type": "rgb", "value": 1.0}, "sampling_weight": 0.0}
    return Place(
        shapes,
        shining,
        painted=mi.load_dict({"type": "scene", "head": _head_light(), **shapes}),
        white=mi.load_dict({"type": "scene", "head": _head_light(), "sky": sky, **white}),
        lamps=np.array([(p.east_m, p.north_m) for p in world.props if p.kind == "lamp"]),
    )


def load_stage(place: Place, world: World, session: Session) -> Stage:
    """Light a place as in a session."""
    mi = mitsuba()
    emitters = _lamp_lights() if session.is_night else {"sun": _sun(world, session)}
    return Stage(
        session,
        place,
        light=mi.load_dict({"type": "scene", **emitters, **place.shapes}),
        glow=mi.load_dict({**place.shining, **_heads(mi, place)}) if session.is_night else None,
    )


def _head_light() -> dict[str, Any]:
    return {"type": "point", "position": [0.0, 0.0, 1.6], "intensity": {"type": "rgb", "value": 10.0}}


def _meshes(world: World) -> dict[str, Mesh]:
    plants, things, far = MeshBuilder(), MeshBuilder(), MeshBuilder()
    for tree in world.trees:
        add_tree(plants, tree)
    for prop in world.props:
        add_prop(things, prop)
    for building in world.buildings:
        add_roof(things, building)
    add_surroundings(far)
    return {"plants": plants.build(), "things": things.build(), "far": far.build()}


def _mesh(mi: Any, mesh: Mesh, bsdf: Any = None) -> Any:
    """A Mitsuba mesh of that material; without one, with its colours per vertex, lit from both sides."""
    properties = mi.Properties()
    properties["bsdf"] = bsdf or mi.load_dict(
        {
            "type": "twosided",
            "bsdf": {"type": "diffuse", "reflectance": {"type": "mesh_attribute", "name": "vertex_color"}},
        }
    )
    made = mi.Mesh("mesh", len(mesh.vertices), len(mesh.faces), props=properties)
    made.add_attribute("vertex_color", 3, mesh.colours.ravel())
    params = mi.traverse(made)
    params["vertex_positions"] = mesh.vertices.ravel()
    params["faces"] = mesh.faces.ravel()
    params.update()
    return made


def _add_walls(mi: Any, scene: dict[str, Any], glow: dict[str, Any], building: Building) -> None:
    """Four textured rectangles for each box, a name board over the door, and the same walls' lights."""
    slug = building.name.replace(" ", "_").replace("'", "").lower()
    for number, part in enumerate(building.boxes):
        for side in "NESW":
            length = part.width_m if side in "NS" else part.depth_m
            look = wall(building, number, side, length, part.height_m)
            place = _wall_place(mi, part, side, 0.0, part.height_m / 2, length, part.height_m)
            scene[f"wall_{slug}_{number}{side}"] = _panel(mi, look.albedo, place)
            glow[f"wall_{slug}_{number}{side}"] = _shining(mi, look.glow, place)
    board, first = sign(building), building.boxes[0]
    for side, size in ((building.door, 1.35), ("S" if building.door in "EW" else "E", 1.0)):
        wide = board.shape[1] / board.shape[0] * size
        level = min(first.height_m - 1.2, 4.1 if side == building.door else 5.2)
        span = first.width_m if side in "NS" else first.depth_m
        wide = min(wide, span - 0.4)
        place = _wall_place(mi, first, side, 0.06, level, wide, size)
        scene[f"sign_{slug}_{side}"] = _panel(mi, board, place)
        glow[f"sign_{slug}_{side}"] = _shining(mi, (board * 0.75).astype(np.uint8), place)


def _wall_place(mi: Any, part: Box, side: str, gap: float, level: float, wide: float, tall: float) -> Any:
    """Where a rectangle (x right, y up, facing +z) hangs on a wall: `gap` before it, centred at `level`."""
    depth = (part.depth_m if side in "NS" else part.width_m) / 2 + gap
    transform = mi.ScalarTransform4f
    return (
        _shift(mi, part.east_m, part.north_m, level) @ transform().rotate([0, 0, 1], _TURN[side])
        @ _shift(mi, 0, -depth, 0) @ transform().rotate([1, 0, 0], 90) @ _scale(mi, wide / 2, tall / 2, 1)
    )  # fmt: skip


def _ground_place(mi: Any) -> Any:
    return _scale(mi, HALF_EAST_M, HALF_NORTH_M, 1)


def _panel(mi: Any, bitmap: NDArray[np.uint8], place: Any) -> dict[str, Any]:
    return {"type": "rectangle", "to_world": place, "bsdf": _diffuse(mi, bitmap)}


def _diffuse(mi: Any, bitmap: NDArray[np.uint8]) -> dict[str, Any]:
    return {"type": "twosided", "bsdf": {"type": "diffuse", "reflectance": _texture(mi, bitmap)}}


def _texture(mi: Any, bitmap: NDArray[np.uint8]) -> dict[str, Any]:
    """Row 0 of the bitmap is the top of the wall."""
    return {"type": "bitmap", "bitmap": mi.Bitmap(np.ascontiguousarray(bitmap[::-1])), "wrap_mode": "clamp"}


def _shining(mi: Any, bitmap: NDArray[np.uint8], place: Any) -> dict[str, Any]:
    """A wall that only shines: linear radiance from the sRGB glow map."""
    radiance = ((bitmap / 255.0) ** 2.2).astype(np.float32)
    texture = {
        "type": "bitmap",
        "bitmap": mi.Bitmap(np.ascontiguousarray(radiance[::-1])),
        "raw": True,
        "wrap_mode": "clamp",
    }
    return {"type": "rectangle", "to_world": place, "emitter": {"type": "area", "radiance": texture},
            "bsdf": {"type": "diffuse", "reflectance": {"type": "rgb", "value": 0.0}}}  # fmt: skip


def _desert_bitmap() -> NDArray[np.uint8]:
    rng = np.random.default_rng(3)
    tone = 1 + 0.12 * blotches(1024, 1024, 60, rng) + 0.08 * blotches(1024, 1024, 6, rng)
    out: NDArray[np.uint8] = np.clip(np.array((176, 150, 112)) * tone[..., None], 0, 255).astype(np.uint8)
    return out


def _sun(world: World, session: Session) -> dict[str, Any]:
    """Parallel sunlight of the session's time; under a closed cloud cover none worth seeing."""
    azimuth, elevation = (math.radians(v) for v in sun_direction(session.start, *world.centre))
    down = [
        -math.sin(azimuth) * math.cos(elevation),
        -math.cos(azimuth) * math.cos(elevation),
        -math.sin(elevation),
    ]
    return {"type": "directional", "direction": down,
            "irradiance": {"type": "rgb", "value": list(sun_colour(world, session))}}  # fmt: skip


def sun_colour(world: World, session: Session) -> tuple[float, float, float]:
    """Irradiance of the sun by channel, redder when low and in turbid air (Kasten-Young air mass)."""
    if session.sky == "overcast":
        return 0.02, 0.02, 0.02  # too little for shadows: `trace` leaves it out
    elevation = max(sun_direction(session.start, *world.centre)[1], 1.0)
    mass = 1 / (math.sin(math.radians(elevation)) + 0.50572 * (elevation + 6.07995) ** -1.6364)
    red, green, blue = (5.0 * math.exp(-k * mass * (0.6 + 0.1 * session.turbidity)) for k in (0.055, 0.09, 0.165))
    return red, green, blue


def _lamp_lights() -> dict[str, Any]:
    power = [LAMP_POWER * 1.15, LAMP_POWER * 0.86, LAMP_POWER * 0.52]
    return {
        f"lamp_{slot}": {"type": "point", "position": [0.0, 0.0, LAMP_HEIGHT_M],
                         "intensity": {"type": "rgb", "value": power}}
        for slot in range(LAMP_SLOTS)
    }  # fmt: skip


def _heads(mi: Any, place: Place) -> dict[str, Any]:
    """What blocks the view of the shining walls, and the lamp heads."""
    black = {"type": "diffuse", "reflectance": {"type": "rgb", "value": 0.0}}
    found = {"ground": {"type": "rectangle", "to_world": _scale(mi, 3000, 3000, 1), "bsdf": black}}
    found.update({name: item for name, item in place.shapes.items() if name.startswith("mesh_")})
    for index, (east, north) in enumerate(place.lamps):
        found[f"head_{index}"] = {
            "type": "sphere", "center": [float(east), float(north), LAMP_HEIGHT_M - 0.08], "radius": 0.24,
            "emitter": {"type": "area", "radiance": {"type": "rgb", "value": [9.0, 7.0, 4.4]}},
        }  # fmt: skip
    return found


def _shift(mi: Any, east: float, north: float, up: float) -> Any:
    return mi.ScalarTransform4f().translate([east, north, up])


def _scale(mi: Any, east: float, north: float, up: float) -> Any:
    return mi.ScalarTransform4f().scale([east, north, up])
