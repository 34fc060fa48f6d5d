"""Small things as coloured triangles: trees, benches, lamps, cars, sculptures; numpy only."""

from __future__ import annotations

import math
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

Colour = tuple[float, float, float]


@dataclass(frozen=True)
class Mesh:
    """Triangles: `vertices` (V, 3) metres (east, north, up), `colours` (V, 3) linear, `faces` (F, 3)."""

    vertices: NDArray[np.float32]
    colours: NDArray[np.float32]
    faces: NDArray[np.uint32]


def linear(rgb: tuple[int, ...]) -> Colour:
    """sRGB 0..255 -> linear 0..1 (IEC 61966-2-1, its 2.2 power approximation)."""
    red, green, blue = (float((v / 255.0) ** 2.2) for v in rgb[:3])
    return red, green, blue


class MeshBuilder:
    """Collects coloured pieces and joins them to one mesh."""

    def __init__(self) -> None:
        self._vertices: list[NDArray[np.float32]] = []
        self._colours: list[NDArray[np.float32]] = []
        self._faces: list[NDArray[np.uint32]] = []
        self._count = 0

    def add(self, vertices: NDArray[np.floating], faces: NDArray[np.integer], colour: object) -> None:
        """Add (V, 3) vertices, (F, 3) faces and one colour, or (V, 3) colours."""
        points = np.asarray(vertices, np.float32)
        self._vertices.append(points)
        self._colours.append(np.broadcast_to(np.asarray(colour, np.float32), points.shape))
        self._faces.append(np.asarray(faces, np.uint32) + np.uint32(self._count))
        self._count += len(points)

    def build(self) -> Mesh:
        """Everything added so far."""
        return Mesh(np.concatenate(self._vertices), np.concatenate(self._colours), np.concatenate(self._faces))

    def box(
        self, centre: tuple[float, float, float], size: tuple[float, float, float], colour: Colour,
        heading_deg: float = 0.0,
    ) -> None:  # fmt: skip
        """A block: centre of its bottom face, (wide, deep, tall) metres, turned clockwise seen from above."""
        corners = np.array([(x, y, z) for x in (-0.5, 0.5) for y in (-0.5, 0.5) for z in (0, 1)]) * size
        quads = [(0, 1, 3, 2), (4, 6, 7, 5), (0, 4, 5, 1), (2, 3, 7, 6), (0, 2, 6, 4), (1, 5, 7, 3)]
        faces = [t for a, b, c, d in quads for t in ((a, b, c), (a, c, d))]
        self.add(turn(corners, heading_deg) + centre, np.array(faces), colour)

    def prism(
        self, base: tuple[float, float, float], radius: float, height: float, colour: Colour, sides: int = 8,
        top_radius: float | None = None, lean: tuple[float, float] = (0.0, 0.0),
    ) -> None:  # fmt: skip
        """An upright pole or cone with a lid."""
        angles = np.linspace(0, 2 * np.pi, sides, endpoint=False)
        ring = np.stack([np.cos(angles), np.sin(angles), np.zeros(sides)], axis=1)
        upper = radius if top_radius is None else top_radius
        points = np.concatenate([ring * radius, ring * upper + (lean[0], lean[1], height), [(*lean, height)]])
        faces = []
        for i in range(sides):
            j = (i + 1) % sides
            faces += [(i, j, sides + j), (i, sides + j, sides + i), (sides + i, sides + j, 2 * sides)]
        self.add(points + base, np.array(faces), colour)

    def ball(
        self, centre: tuple[float, float, float], radii: tuple[float, float, float], colour: Colour,
        rough: float = 0.0, rng: np.random.Generator | None = None,
    ) -> None:  # fmt: skip
        """An ellipsoid; with `rough` and a generator, dented and unevenly coloured."""
        rows, columns = 7, 10
        polar = np.linspace(0, np.pi, rows)[:, None]
        around = np.linspace(0, 2 * np.pi, columns, endpoint=False)[None]
        unit = np.stack([np.sin(polar) * np.cos(around), np.sin(polar) * np.sin(around),
                         np.cos(polar) * np.ones_like(around)], axis=-1).reshape(-1, 3)  # fmt: skip
        tint = np.ones((len(unit), 1))
        if rng is not None:
            unit = unit * (1 + rough * rng.uniform(-1, 1, (len(unit), 1)))
            tint = 1 + rough * rng.uniform(-1, 1, (len(unit), 1))
        faces = []
        for r in range(rows - 1):
            for c in range(columns):
                a, b = r * columns + c, r * columns + (c + 1) % columns
                faces += [(a, a + columns, b + columns), (a, b + columns, b)]
        self.add(unit * radii + centre, np.array(faces), np.array(colour) * tint)

    def leaves(
        self,
        points: NDArray[np.floating],
        size_m: float,
        colour: Colour,
        rng: np.random.Generator,
        spread: float = 0.35,
    ) -> None:
        """A randomly turned quad of about `size_m` at each of (N, 3) points, in shades of one colour."""
        count = len(points)
        first = rng.normal(size=(count, 3))
        first /= np.linalg.norm(first, axis=1, keepdims=True)
        second = np.cross(first, rng.normal(size=(count, 3)))
        second /= np.linalg.norm(second, axis=1, keepdims=True)
        size = size_m * rng.uniform(0.6, 1.3, (count, 1))
        corners = [points + size * (a * first + b * second) / 2 for a, b in ((-1, -1), (1, -1), (1, 1), (-1, 1))]
        vertices = np.stack(corners, axis=1).reshape(-1, 3)
        start = np.arange(count)[:, None] * 4
        faces = np.concatenate([start + np.array((0, 1, 2)), start + np.array((0, 2, 3))])
        tint = np.repeat(1 + spread * rng.uniform(-1, 1, (count, 1)), 4, axis=0)
        self.add(vertices, faces, np.clip(np.array(colour) * tint, 0, 1))


def turn(points: NDArray[np.floating], heading_deg: float) -> NDArray[np.floating]:
    """Turn (V, 3) points clockwise seen from above."""
    angle = math.radians(heading_deg)
    cos, sin = math.cos(angle), math.sin(angle)
    matrix = np.array([[cos, sin, 0], [-sin, cos, 0], [0, 0, 1]])
    turned: NDArray[np.floating] = points @ matrix.T
    return turned
