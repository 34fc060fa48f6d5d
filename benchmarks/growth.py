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
from core.campus.bundle import Bundle
from core.campus.gallery import Gallery, nearest_neighbours
from core.campus.grid import Grid
from core.campus.zones import Zone, Zones
from core.engines.heads import Heads
from core.locate.localizer import DEMO_BUNDLE, Localizer
from core.locate.posterior import Posterior
from core.locate.threads import one_blas_thread

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
    """Campuses of any size: the demo's photos seen again with blurred embeddings, its places stretched to the size."""

    def __init__(self) -> None:
        self.random = np.random.default_rng(0)
        self.demo = Localizer.load(DEMO_BUNDLE)

    def photos(self, count: int, side: float) -> Gallery:
        """Photos of a square campus of `side` metres, each within some metres of where its like stands in the demo."""
        known = self.demo.posterior.gallery
        assert known is not None
        stretch = side / np.ptp(known.local_m, axis=0).max()
        embedding = np.empty((count, known.embedding.shape[1]), np.float32)
        place = np.empty((count, 2), np.float32)
        for start in range(0, count, 50_000):
            part = slice(start, min(start + 50_000, count))
            chosen = self.random.integers(0, len(known), part.stop - part.start)
            blur = self.random.standard_normal((len(chosen), embedding.shape[1]), np.float32)
            blurred = known.embedding[chosen] + blur * np.float32(NOISE / embedding.shape[1] ** 0.5)
            embedding[part] = blurred / np.linalg.norm(blurred, axis=1, keepdims=True)
            place[part] = known.local_m[chosen] * stretch + self.random.normal(0, 5, (len(chosen), 2))
        return Gallery(embedding, place)

    def campus(self, what: str, size: float) -> Localizer:
        """A square campus under a 2 m grid, one of the three `SIZES` as given and the others as they stand."""
        photos = int(size) if what == "gallery photos" else GALLERY
        zones = int(size) if what == "zones" else ZONES
        side = _side(what, size)
        cells = round(side / 2)
        place = partial(self.random.uniform, -side / 2, side / 2)
        spread = side / zones**0.5 / 4  # a cell's own, with photos anywhere in it
        standing = tuple(Zone(f"{k}", (place(), place()), spread, ()) for k in range(zones))
        grid = Grid(-side / 2, -side / 2, 2.0, cells, cells)
        bundle = self.demo.bundle
        manifest = bundle.manifest.model_copy(update={"zones": standing, "grid": grid})
        localizer = Localizer(Bundle(bundle.path, manifest), self.demo.engine)
        gallery = self.photos(photos, side)
        localizer.posterior = Posterior(grid, Zones(standing), gallery, manifest.posterior, manifest.scale_m)
        return localizer

    def heads(self, localizer: Localizer, side: float, count: int = 16) -> list[Heads]:
        """The network's answers to photos of that campus: a place some 30 m off, odds that fall off over the zones."""
        asked = self.photos(count, side)
        centres = localizer.posterior.zones.centres_m
        found = []
        for embedding, place in zip(asked.embedding, asked.local_m, strict=True):
            offset = (place + self.random.normal(0, 20, 2)) / localizer.posterior.scale_m
            away = np.linalg.norm(centres - place, axis=1)
            logits = self.random.normal(0, 1, len(centres)) - np.minimum(away / 8, 12)
            found.append(
                Heads(
                    offset[None].astype(np.float32),
                    logits[None].astype(np.float32),
                    embedding[None],
                    self.random.normal(-1.2, 0.4, (1, 1)).astype(np.float32),
                )
            )
        return found


def _side(what: str, size: float) -> float:
    """Metres along a campus's edge."""
    return float(1000 * (size if what == "campus, km²" else CAMPUS_KM2) ** 0.5)


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
        f"thread. What does not grow: {GALLERY:,} gallery photos, {CAMPUS_KM2} km² (500 m x 500 m), {ZONES} zones. The "
        f"campuses are the demo's photos with embeddings (128 numbers) blurred anew by {NOISE} of their length, its "
        "places stretched. Kept: what a campus holds in memory after a fix.",
    )
    measured: dict[tuple[str, float], tuple[Times, float, float]] = {}
    sizes = TINY_SIZES if effort.tiny else SIZES
    for what, values in sizes.items():
        campuses = {size: growing.campus(what, size) for size in values}
        asked = {size: growing.heads(campus, _side(what, size)) for size, campus in campuses.items()}
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
    """The 24 nearest neighbours: ours, comparing with every photo in NumPy, and faiss where it is installed."""
    rows: list[tuple[str, ...]] = [("24 nearest of", "this, exact", "NumPy, every photo", "faiss, every photo")]
    asked = cycle(growing.photos(64, _side("", 0)).embedding[:, None])
    for photos, campus in campuses.items():
        gallery = campus.posterior.gallery
        assert gallery is not None
        every = gallery.embedding.T

        def ours(gallery: Gallery = gallery) -> None:
            with one_blas_thread():
                nearest_neighbours(next(asked), gallery, 24)

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
