"""How far off the fixes of bursts and walks are, for each number of photos, and how often their radii hold."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass, field, replace

import numpy as np
from numpy.typing import NDArray

from core.campus.frame import distance_m
from core.campus.manifest import Metrics
from core.locate.fix import Fix
from core.locate.localizer import Localizer
from core.locate.many import all_readable
from core.locate.several import fix_together
from train.dataset.dataset import Dataset
from train.evaluate.metrics import ALL_PHOTOS, accepted_words, summarise
from train.evaluate.sequences import BURST_LASTS_GAPS, Rows, bursts, times_s, walks, windows

Float = NDArray[np.float64]

NUMBERS = ("1", "2", "3", "4+", "bursts")  # how many photos a fix is read from; `bursts` are whole ones of any length
FOREIGN_APART_M, FOREIGN_DRAWS = 50.0, 5  # photos of elsewhere: how far from a burst's own, and how many in turn


@dataclass(frozen=True)
class Judged:
    """Fixes and the photos that judge them: `row` (M,) the dataset's rows, `fix` (M,) which of `fixes` is its own."""

    fixes: tuple[Fix, ...]
    fix: NDArray[np.int64]
    row: Rows
    error_m: Float

    @property
    def radius68_m(self) -> Float:
        """(M,) metres."""
        return np.array([self.fixes[index].map_radii_m[0] for index in self.fix])

    @property
    def radius95_m(self) -> Float:
        """(M,) metres."""
        return np.array([self.fixes[index].map_radii_m[1] for index in self.fix])

    @property
    def metrics(self) -> Metrics:
        refused = np.array([self.fixes[index].refused for index in self.fix])
        return summarise(self.error_m, self.radius68_m, self.radius95_m, {}, refused)


@dataclass(frozen=True)
class Fused:
    """An evaluation of bursts and walks; empty where it was not asked for.

    together: by one of NUMBERS. walk, smoothed: the filter's fix of each photo and the smoother's. gap_s: how many
    seconds apart two photos of a burst may be. foreign: whole bursts with one photo of another place of their walk, one
    of FOREIGN_DRAWS in turn; bursts that no photo is FOREIGN_APART_M from are left out.
    """

    together: dict[str, Judged] = field(default_factory=dict)
    walk: Judged | None = None
    smoothed: Judged | None = None
    gap_s: float = 0.0
    foreign: Judged | None = None


def evaluate_fused(
    localizer: Localizer,
    dataset: Dataset,
    rows: Rows,
    gap_s: float | None = None,
    as_walks: bool = False,
    foreign: bool = False,
) -> Fused:
    """Evaluate the photos in `rows` (N,) as the `bursts` that `gap_s` seconds make, and as walks.

    A fix of 2 or 3 photos is read from each 2 or 3 that were taken one after another in one burst, no photo in two of
    them; each photo is judged by its distance to its own fix. With `foreign`, whole bursts also with a photo of
    another place. Raises DatasetError where no photo has a time.
    """
    time_s, chance = times_s(dataset), np.random.default_rng(0)
    parts: dict[str, list[tuple[Fix, Rows]]] = {name: [] for name in (*NUMBERS, "walk", "smoothed", "foreign")}
    for walk in walks(dataset, rows):
        readings = list(all_readable(localizer.read_many(dataset.image_paths[row] for row in walk)))
        if gap_s is not None:
            for burst in bursts(time_s[walk], gap_s):
                cuts = {name: windows(burst, number) for number, name in enumerate(NUMBERS[:3], 1)}
                cuts["4+"] = [burst] if burst.stop - burst.start >= 4 else []
                cuts["bursts"] = [burst]
                for name, cut in cuts.items():
                    parts[name] += [(_slim(fix_together(localizer, readings[part])), walk[part]) for part in cut]
                drawn = _elsewhere(dataset.latlon[walk], burst, chance) if foreign else []
                mixed = [fix_together(localizer, [*readings[burst], readings[index]]) for index in drawn]
                parts["foreign"] += [(_slim(fix), walk[burst]) for fix in mixed]
        if as_walks:
            followed = localizer.walk(keep=len(walk))
            for row, reading in zip(walk, readings, strict=True):
                parts["walk"].append((_slim(followed.add_reading(reading, time_s[row])), np.array([row])))
            smoothed = zip(followed.smoothed(), walk, strict=True)
            parts["smoothed"] += [(_slim(fix), np.array([row])) for fix, row in smoothed]
    judged = {name: _judge(dataset, found) for name, found in parts.items() if found}
    return Fused(
        {name: judged[name] for name in NUMBERS if name in judged},
        judged.get("walk"),
        judged.get("smoothed"),
        gap_s or 0.0,
        judged.get("foreign"),
    )


def _elsewhere(latlon: Float, burst: slice, chance: np.random.Generator) -> list[int]:
    """FOREIGN_DRAWS photos of a walk, (N, 2) degrees, far from all of one of its bursts; none where none is."""
    apart_m = np.min([distance_m(*at, *latlon.T) for at in latlon[burst]], axis=0)
    far = np.flatnonzero(apart_m >= FOREIGN_APART_M)
    return chance.choice(far, FOREIGN_DRAWS).tolist() if len(far) else []


def _slim(fix: Fix) -> Fix:
    return replace(fix, probability=None)  # thousands of maps would fill the memory


def _judge(dataset: Dataset, found: Iterable[tuple[Fix, Rows]]) -> Judged:
    fixes, rows = zip(*found, strict=True)
    row = np.concatenate(rows)
    index = np.repeat(np.arange(len(fixes)), [len(part) for part in rows])
    at = np.array([(fix.lat, fix.lon) for fix in fixes])[index]
    return Judged(fixes, index, row, np.asarray(distance_m(*dataset.latlon[row].T, *at.T)))


def lines(fused: Fused) -> list[str]:
    """The table that a person reads."""
    named = {**fused.together, "walk": fused.walk, "smoothed": fused.smoothed}
    found = [
        f"  {_NAMES.get(name, name + ' photos'):<16} mean {m.mean_m:5.1f} m, median {m.median_m:5.1f} m, "
        f"68 % radius {m.mean_radius68_m:5.1f} m holds {m.coverage68:.0%}, 95 % holds {m.coverage95:.0%}, n = {m.n}"
        f"{_accepted(m)}"
        for name, judged in named.items()
        if judged is not None
        for m in [judged.metrics]
    ]
    if fused.together:
        found += _foreign_lines(fused)
        lasts_s = BURST_LASTS_GAPS * fused.gap_s
        found.insert(0, f"together, bursts of photos at most {fused.gap_s:g} s apart, {lasts_s:g} s in all:")
    return [*found, f"  these are of {ALL_PHOTOS}"] if found else []


def _accepted(metrics: Metrics) -> str:
    """Beside the figures of all photos those of the accepted ones, where these are fewer."""
    if metrics.accepted is None or metrics.accepted.n == metrics.n:
        return ""
    return f"; accepted {accepted_words(metrics.accepted)}"


def _foreign_lines(fused: Fused) -> list[str]:
    """What a photo of elsewhere costs, beside the same bursts without it."""
    if fused.foreign is None:
        return []
    without, found = fused.together["bursts"], fused.foreign
    own_m = dict(zip(without.row.tolist(), without.error_m.tolist(), strict=True))
    clean_m = np.array([own_m[row] for row in found.row.tolist()])
    cost = [how(found.error_m) / how(clean_m) - 1 for how in (np.mean, np.median)]
    return [
        f"  and a foreign one mean {found.error_m.mean():5.1f} m, median {np.median(found.error_m):5.1f} m, "
        f"{cost[0]:+.0%} and {cost[1]:+.0%} of whole bursts without, n = {len(found.row)}, {FOREIGN_DRAWS} draws each"
    ]


_NAMES = {"1": "1 photo", "bursts": "whole bursts", "walk": "walk, filtered", "smoothed": "walk, smoothed"}


def as_json(fused: Fused) -> dict[str, object]:
    """`together` by number of photos, and the others by name, each with the keys of a single photo's metrics."""
    found: dict[str, object] = {}
    if fused.together:
        found["together"] = {name: judged.metrics.model_dump() for name, judged in fused.together.items()}
    for name, judged in (("walk", fused.walk), ("smoothed", fused.smoothed), ("foreign", fused.foreign)):
        if judged is not None:
            found[name] = judged.metrics.model_dump()
    return found
