"""Time and memory of a fix beyond the network as gallery, campus and zones grow; on one core."""

from __future__ import annotations

import time
import tracemalloc
from collections.abc import Callable
from dataclasses import replace
from functools import partial
from itertools import cycle
from typing import Any

import numpy as np
from numpy.typing import NDArray

from benchmarks.timing import Effort, Section, Target, Times, interleaved
from core.bundle import Bundle
from core.engines import Heads
from core.localizer import DEMO_BUNDLE, Localizer
from core.posterior import Grid, Posterior
from core.similar import Gallery, most_similar
from core.threads import one_blas_thread
from core.zones import Zone, Zones

GALLERY, CAMPUS_KM2, ZONES = 2_500, 0.25, 300  # what does not grow: 0.25 square kilometres are 500 m x 500 m
SIZES: dict[str, tuple[float, ...]] = {
    "gallery photos": (1_000, 10_000, 100_000, 1_000_000),
    "campus, km²": (0.1, 0.25, 1.0, 4.0),
    "zones": (10, 100, 300, 1_000, 3_000),
}
TINY_SIZES: dict[str, tuple[float, ...]] = {
    "gallery photos": (1_000, 30_000),
    "campus, km²": (0.01, 0.02),
    "zones": (3,),
}
NOISE = 0.25  # length of what is added to the demo's embeddings, of length 1, to make others of the same places


class Growing:
    """Campuses of any size, made of the demo's embeddings and random places."""

    def __init__(self) -> None:
        self.random = np.random.default_rng(0)
        self.demo = Localizer.load(DEMO_BUNDLE)

    def embeddings(self, count: int) -> NDArray[np.float32]:
        """(count, D): the demo gallery's, each blurred anew."""
        gallery = self.demo.posterior.gallery
        assert gallery is not None
        known = gallery.embedding
        out = np.empty((count, known.shape[1]), np.float32)
        for start in range(0, count, 50_000):
            chosen = known[self.random.integers(0, len(known), min(50_000, count - start))]
            chosen += self.random.standard_normal(chosen.shape, np.float32) * np.float32(NOISE / chosen.shape[1] ** 0.5)
            out[start : start + len(chosen)] = chosen / np.linalg.norm(chosen, axis=1, keepdims=True)
        return out

    def campus(self, what: str, size: float) -> Localizer:
        """A square campus under a 2 m grid, one of the three `SIZES` as given and the others as they stand."""
        photos = int(size) if what == "gallery photos" else GALLERY
        zones = int(size) if what == "zones" else ZONES
        side = 1000 * (size if what == "campus, km²" else CAMPUS_KM2) ** 0.5
        cells = round(side / 2)
        place = partial(self.random.uniform, -side / 2, side / 2)
        spread = side / zones**0.5 / 4  # a cell's own, with photos anywhere in it
        standing = tuple(Zone(f"{k}", (place(), place()), spread, ()) for k in range(zones))
        grid = Grid(-side / 2, -side / 2, 2.0, cells, cells)
        bundle = self.demo.bundle
        card = bundle.card.model_copy(update={"zones": standing, "grid": grid})
        localizer = Localizer(Bundle(bundle.path, card), self.demo.engine)
        gallery = Gallery(self.embeddings(photos), place((photos, 2)).astype(np.float32))
        localizer.posterior = Posterior(grid, Zones(standing), gallery, card.posterior, card.scale_m)
        return localizer

    def heads(self, localizer: Localizer, count: int = 16) -> list[Heads]:
        """The network's answers to photos of that campus, with odds over all its zones."""
        reach = localizer.posterior.grid.columns * localizer.posterior.grid.cell_m / 250

        def one(embedding: NDArray[np.float32]) -> Heads:
            return Heads(
                self.random.uniform(-reach, reach, (1, 2)).astype(np.float32),
                self.random.normal(0, 3, (1, len(localizer.posterior.zones))).astype(np.float32),
                embedding[None],
                self.random.normal(-1.2, 0.4, (1, 1)).astype(np.float32),
            )

        return [one(embedding) for embedding in self.embeddings(count)]


def memory_mb(make: Callable[[], Localizer], heads: Heads) -> tuple[float, float]:
    """What NumPy holds for a campus after its first fix, and how much more the next fix needs for a moment."""
    tracemalloc.start()
    localizer = make()
    localizer.fix(heads)
    kept = tracemalloc.get_traced_memory()[0]
    tracemalloc.reset_peak()
    localizer.fix(heads)
    peak = tracemalloc.get_traced_memory()[1]
    tracemalloc.stop()
    return kept / 2**20, (peak - kept) / 2**20


def run(effort: Effort) -> Section:
    """Each size in turn with the others of its table."""
    growing = Growing()
    section = Section(
        "As the work grows",
        "A fix beyond the network (search, map, everything read off it) under a 2 m grid, in the processor time of one "
        f"thread. What does not grow: {GALLERY:,} gallery photos, {CAMPUS_KM2} km² (500 m x 500 m), {ZONES} zones. "
        f"Gallery: the demo's embeddings of 128 numbers, each blurred anew by {NOISE} of its length. Kept: what a "
        "campus holds in memory after a fix.",
    )
    measured: dict[tuple[str, float], tuple[Times, float, float]] = {}
    sizes = TINY_SIZES if effort.tiny else SIZES
    for what, values in sizes.items():
        campuses = {size: growing.campus(what, size) for size in values}
        asked = {size: growing.heads(campus) for size, campus in campuses.items()}
        fixes = {size: partial(_next_fix, campuses[size], cycle(asked[size])) for size in values}
        times = interleaved({f"{size:,}": fixes[size] for size in values}, effort, time.thread_time)
        section.keep(what, times)
        for size in values:
            kept, needed = memory_mb(partial(growing.campus, what, size), asked[size][0])
            measured[what, size] = times[f"{size:,}"], kept, needed
        section.tables.append(
            [(what, "a fix: median (p10 – p90)", "kept", "needed for a moment")]
            + [
                (name, str(each), *(f"{mb:.1f} MB" for mb in measured[what, size][1:]))
                for size, (name, each) in zip(values, times.items(), strict=True)
            ]
        )
        if what == "gallery photos":
            section.tables.append(_searches(growing, campuses, effort, section))
    least, most = sizes["gallery photos"][0], sizes["gallery photos"][-1]
    slope = (measured["gallery photos", most][1] - measured["gallery photos", least][1]) * 2**20 / (most - least)
    last = measured["gallery photos", most][0].median
    section.targets += [
        Target(f"a fix over {most:,} photos in at most 20 ms", f"{1e3 * last:.1f} ms", last <= 0.02),
        Target("memory linear in the gallery", f"{slope:.0f} bytes a photo", slope < 1_000),
    ]
    if not effort.tiny:
        one = measured["campus, km²", 0.25][0].median
        section.targets.append(
            Target("a fix beyond the network below 3 ms on 500 m x 500 m", f"{1e3 * one:.2f} ms", one < 0.003)
        )
    return section


def _next_fix(localizer: Localizer, asked: Any) -> None:
    localizer.fix(next(asked))


def _searches(
    growing: Growing, campuses: dict[float, Localizer], effort: Effort, section: Section
) -> list[tuple[str, ...]]:
    """The 24 most similar photos: ours, comparing with every photo in NumPy, and faiss where it is installed."""
    rows: list[tuple[str, ...]] = [("24 most similar of", "this, exact", "NumPy, every photo", "faiss, every photo")]
    asked = cycle(growing.embeddings(64)[:, None])
    for photos, campus in campuses.items():
        gallery = campus.posterior.gallery
        assert gallery is not None
        every = gallery.embedding.T

        def ours(gallery: Gallery = gallery) -> None:
            with one_blas_thread():
                most_similar(next(asked), gallery, 24)

        def plainly(every: NDArray[np.float32] = every) -> None:
            with one_blas_thread():
                np.argpartition(-(next(asked) @ every), 24, axis=1)

        ways: dict[str, Callable[[], object]] = {"this": ours, "NumPy": plainly}
        if (index := _faiss_index(gallery.embedding)) is not None:
            ways["faiss"] = lambda index=index: index.search(next(asked), 24)  # type: ignore[misc]
        times = interleaved(ways, replace(effort, seconds=effort.seconds / 3), time.thread_time)
        section.keep(f"{photos:,} photos", times)
        rows.append((f"{photos:,}", *(str(times[way]) if way in times else "–" for way in ("this", "NumPy", "faiss"))))
    return rows


def _faiss_index(embedding: NDArray[np.float32]) -> Any:
    """faiss's exact index on one thread, or None where it is not installed."""
    try:
        import faiss
    except ImportError:
        return None
    faiss.omp_set_num_threads(1)
    index = faiss.IndexFlatIP(embedding.shape[1])
    index.add(embedding)
    return index
