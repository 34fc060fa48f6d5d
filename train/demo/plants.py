"""Trees and hedges as clouds of leaf quads round a trunk; each kind has its own outline and green."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from train.demo.meshes import MeshBuilder, linear
from train.demo.world import Tree

_GREEN = {"broad": (86, 120, 44), "pine": (48, 84, 50), "olive": (128, 140, 96), "cypress": (44, 78, 40),
          "palm": (98, 128, 56)}  # fmt: skip
_BARK = {"broad": (98, 76, 56), "pine": (110, 72, 50), "olive": (120, 108, 92), "cypress": (90, 70, 52),
         "palm": (140, 116, 84)}  # fmt: skip


def add_tree(builder: MeshBuilder, tree: Tree) -> None:
    """Trunk, boughs and crown of one tree, standing on the ground."""
    rng = np.random.default_rng(tree.seed)
    base, bark = (tree.east_m, tree.north_m, 0.0), linear(_BARK[tree.kind])
    tint = rng.uniform(0.8, 1.2, 3)
    green = linear(tuple(int(v) for v in np.clip(np.array(_GREEN[tree.kind]) * tint, 0, 255)))
    trunk_share = {"broad": 0.35, "pine": 0.22, "olive": 0.3, "cypress": 0.06, "palm": 0.86}[tree.kind]
    lean = (float(rng.normal(0, 0.25)), float(rng.normal(0, 0.25)))
    builder.prism(base, 0.05 + 0.025 * tree.height_m, tree.height_m * (trunk_share + 0.12), bark, 7, 0.10, lean)
    top = np.array((tree.east_m + lean[0], tree.north_m + lean[1], 0.0))
    if tree.kind == "palm":
        _fronds(builder, tree, top, green, rng)
        return
    crown = tree.height_m * (1 - trunk_share)
    lumps = _lumps(tree, crown, top, rng)
    for centre, radii in lumps:
        builder.ball(
            (float(centre[0]), float(centre[1]), float(centre[2])),
            (float(radii[0]) * 0.72, float(radii[1]) * 0.72, float(radii[2]) * 0.72),
            (green[0] * 0.55, green[1] * 0.55, green[2] * 0.55), 0.25, rng,
        )  # fmt: skip
        area = float(radii[0] * radii[2])
        count = int(np.clip(130 * area, 50, 330))
        way = rng.normal(size=(count, 3))
        way /= np.linalg.norm(way, axis=1, keepdims=True)
        points = centre + way * radii * rng.uniform(0.7, 1.08, (count, 1))
        size = {"broad": 0.42, "pine": 0.30, "olive": 0.26, "cypress": 0.26}[tree.kind]
        builder.leaves(points, size, green, rng)


def _lumps(
    tree: Tree, crown_m: float, top: NDArray[np.float64], rng: np.random.Generator
) -> list[tuple[NDArray[np.float64], NDArray[np.float64]]]:
    """Centres and radii of the rough ellipsoids that make a crown."""
    up = np.array((0.0, 0.0, 1.0))
    low, radius = tree.height_m - crown_m, tree.radius_m
    if tree.kind == "cypress":
        shares = ((0.16, 0.8), (0.36, 1.0), (0.58, 0.85), (0.78, 0.6), (0.93, 0.3))
        return [(top + up * (low + s * crown_m), np.array((r * radius, r * radius, crown_m * 0.16)))
                for s, r in shares]  # fmt: skip
    if tree.kind == "pine":
        shares = ((0.12, 1.0), (0.34, 0.82), (0.55, 0.62), (0.75, 0.42), (0.92, 0.2))
        return [(top + up * (low + s * crown_m) + (*rng.normal(0, 0.08 * radius, 2), 0.0),
                 np.array((r * radius, r * radius, crown_m * 0.12))) for s, r in shares]  # fmt: skip
    lumps = []
    for _ in range(6 if tree.kind == "broad" else 4):
        shift = np.array((*rng.normal(0, 0.38 * radius, 2), rng.uniform(0.25, 0.78) * crown_m))
        size = radius * rng.uniform(0.5, 0.75)
        lumps.append((top + up * low + shift, np.array((size, size, size * rng.uniform(0.6, 0.85)))))
    return lumps


def _fronds(
    builder: MeshBuilder, tree: Tree, top: NDArray[np.float64], green: tuple[float, float, float],
    rng: np.random.Generator,
) -> None:  # fmt: skip
    """A palm's head: about 18 drooping strips."""
    head = top + np.array((0.0, 0.0, tree.height_m * 0.97))
    for _ in range(18):
        angle, rise = rng.uniform(0, 2 * np.pi), rng.uniform(-0.1, 0.9)
        way = np.array((np.cos(angle), np.sin(angle), 0.0))
        side = np.array((-way[1], way[0], 0.0)) * 0.22
        reach = tree.radius_m * rng.uniform(0.8, 1.15)
        steps = np.linspace(0, 1, 5)
        spine = [head + way * reach * s + np.array((0, 0, reach * (rise * s - 1.1 * s * s))) for s in steps]
        points = np.array([p + side * k * (1 - 0.6 * s) for p, s in zip(spine, steps, strict=True) for k in (-1, 1)])
        faces = [t for i in range(0, 8, 2) for t in ((i, i + 1, i + 3), (i, i + 3, i + 2))]
        builder.add(points, np.array(faces), np.array(green) * rng.uniform(0.7, 1.25))
