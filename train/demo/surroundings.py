"""Roofs and what stands on them, and the land beyond the campus, as coloured pieces."""

from __future__ import annotations

import numpy as np

from train.demo.meshes import MeshBuilder, linear
from train.demo.world import Building


def add_roof(builder: MeshBuilder, building: Building) -> None:
    """Roof with a parapet, machines on it, a canopy over the door; a cap, dome or chimney for some."""
    rng = np.random.default_rng(len(building.name) * 31 + ord(building.name[0]))
    roof, edge = linear(building.roof_rgb), linear(building.accent_rgb)
    for part in building.boxes:
        e, n, w, d, h = part.east_m, part.north_m, part.width_m, part.depth_m, part.height_m
        builder.box((e, n, h - 0.05), (w, d, 0.1), roof)
        for x, y, wide, deep in (
            (0, d / 2, w + 0.5, 0.4),
            (0, -d / 2, w + 0.5, 0.4),
            (w / 2, 0, 0.4, d),
            (-w / 2, 0, 0.4, d),
        ):
            builder.box((e + x, n + y, h - 0.1), (wide, deep, 0.6), roof)
        if building.kind != "tower":
            for _ in range(3):
                size = rng.uniform(1.2, 4.0, 3)
                spot = (e + rng.uniform(-0.35, 0.35) * w, n + rng.uniform(-0.3, 0.3) * d, h)
                builder.box(spot, (float(size[0]), float(size[1]), float(size[2]) * 0.6), linear((176, 178, 180)))
    first = building.boxes[0]
    sign_x, sign_y = {"N": (0, 1), "S": (0, -1), "E": (1, 0), "W": (-1, 0)}[building.door]
    spot = (
        first.east_m + sign_x * (first.width_m / 2 + 0.8),
        first.north_m + sign_y * (first.depth_m / 2 + 0.8),
        3.1,
    )
    builder.box(spot, (4.6 if sign_y else 1.6, 1.6 if sign_y else 4.6, 0.25), edge)
    top = (first.east_m, first.north_m, first.height_m)
    if building.kind == "tower":
        builder.prism((top[0], top[1], top[2] + 0.4), 3.9, 7.0, roof, 4, 0.2)
    elif building.name == "Observatory":
        builder.ball(top, (6.5, 6.5, 6.5), linear((225, 228, 232)))
    elif building.name == "Boiler House":
        builder.prism((top[0] - 6, top[1], 0), 1.4, 26.0, linear((150, 70, 55)), 12, 1.0)


def add_surroundings(builder: MeshBuilder) -> None:
    """Beyond the campus: a low wall, plain houses, scrub and far hills, so that the horizon is not a void."""
    rng = np.random.default_rng(5)
    for east, north, w, d in (
        (0, 156, 264, 0.4),
        (0, -156, 264, 0.4),
        (132, 0, 0.4, 312),
        (-132, 0, 0.4, 312),
    ):
        builder.box((east, north, 0), (w, d, 1.5), linear((188, 170, 140)))
    for _ in range(120):
        angle, far = rng.uniform(0, 2 * np.pi), rng.uniform(190, 330)
        spot = (far * np.cos(angle) * 0.95, far * np.sin(angle) * 1.1, 0.0)
        tone = np.array((205, 190, 165)) * rng.uniform(0.75, 1.12)
        size = (float(rng.uniform(9, 26)), float(rng.uniform(9, 20)), float(rng.uniform(4, 13)))
        builder.box(spot, size, linear(tuple(int(v) for v in tone)), float(rng.uniform(0, 90)))
    for _ in range(420):
        angle, far = rng.uniform(0, 2 * np.pi), rng.uniform(165, 330)
        bush_m = float(rng.uniform(1.5, 4.0))
        spot = (far * np.cos(angle), far * np.sin(angle) * 1.15, bush_m * 0.7)
        builder.ball(spot, (bush_m, bush_m, bush_m * 1.2), linear((74, 92, 52)), 0.25, rng)
    columns = 180
    around = np.linspace(0, 2 * np.pi, columns, endpoint=False)
    for far, tall, hill in ((700.0, 40.0, (176, 150, 116)), (1300.0, 110.0, (170, 156, 140))):
        rise = sum(np.sin(k * around + rng.uniform(0, 6)) / k for k in (2, 3, 5, 8, 13, 21))
        crest = tall * (0.75 + 0.35 * rise + 0.06 * rng.normal(size=columns))
        ring = np.stack([np.cos(around), np.sin(around)], axis=1) * far
        low = np.concatenate([ring, np.full((columns, 1), -5.0)], axis=1)
        high = np.concatenate([ring * 1.25, crest[:, None]], axis=1)
        i = np.arange(columns)
        j = (i + 1) % columns
        faces = np.concatenate([np.stack([i, j, j + columns], 1), np.stack([i, j + columns, i + columns], 1)])
        builder.add(np.concatenate([low, high]), faces, linear(hill))
