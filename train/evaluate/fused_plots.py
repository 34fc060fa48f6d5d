"""The report's figures of bursts and walks: error against number of photos, a walk on the map, the worst bursts."""

from __future__ import annotations

from pathlib import Path

import numpy as np
from matplotlib.figure import Figure
from matplotlib.patches import Circle
from numpy.typing import NDArray

from core.campus.bundle import Bundle
from core.photo.load import load_photo
from train.evaluate.fused import Fused, Judged
from train.evaluate.map_plots import campus_axes
from train.evaluate.plots import Theme, framed

Float = NDArray[np.float64]

CIRCLES = 8  # of a walk, evenly over it: more would hide one another
WORST_BURSTS, SHOWN_PHOTOS = 5, 6
_NUMBERED = ("1", "2", "3", "4+")
_THUMBNAIL_PX = 112


def error_by_photos(fused: Fused, scope: str, theme: Theme) -> Figure:
    """Median and mean error, and the mean 68 % radius, against how many photos a fix is read from."""
    figure, axes = framed("Error against number of photos", scope, 3.5)
    found = {name: judged.metrics for name, judged in fused.together.items() if name in _NUMBERED}
    extra = {"walk": fused.walk, "smoothed": fused.smoothed}
    found |= {name: judged.metrics for name, judged in extra.items() if judged is not None}
    at = np.arange(len(found))
    curves = (
        ("mean error", [m.mean_m for m in found.values()], "o-"),
        ("median error", [m.median_m for m in found.values()], "s--"),
        ("mean 68 % radius", [m.mean_radius68_m for m in found.values()], "^:"),
    )
    for colour, (name, values, style) in zip(theme.series, curves, strict=False):
        axes.plot(at, values, style, color=colour, label=name, linewidth=1.8, markersize=5)
    names = [f"{name}\nn = {m.n}" for name, m in found.items()]
    axes.set_xticks(at, names)
    axes.set_ylim(bottom=0)
    axes.set_ylabel("metres")
    axes.set_xlabel("photos that a fix is read from")
    figure.legend(loc="outside lower left", ncols=3)
    return figure


def walk_map(bundle: Bundle, walk: Judged, smoothed: Judged, true_m: Float, scope: str, theme: Theme) -> Figure:
    """One walk: (N, 2) local metres where photos were taken, the filtered fixes with circles, and the smoothed ones."""
    frame = bundle.manifest.frame

    def places_m(judged: Judged) -> Float:
        return frame.to_local([fix.lat for fix in judged.fixes], [fix.lon for fix in judged.fixes])

    filtered_m, smoothed_m = places_m(walk), places_m(smoothed)
    figure, axes = campus_axes("A walk, and its circle shrinking", bundle, [true_m, smoothed_m], scope, theme)
    axes.plot(*true_m.T, ".", color=theme.ink, markersize=3, zorder=4, label="where photos were taken (labels)")
    axes.plot(*smoothed_m.T, "-", color=theme.series[0], linewidth=1.6, zorder=5, label="smoothed")
    axes.plot(*filtered_m.T, ":", color=theme.series[1], linewidth=1.2, zorder=5, label="filtered")
    for index in np.unique(np.linspace(0, len(walk.fixes) - 1, CIRCLES).round().astype(int)):
        radius_m = walk.radius68_m[index]
        axes.add_patch(Circle(filtered_m[index], radius_m, fill=False, color=theme.series[1], linewidth=1.0, zorder=6))
    figure.legend(loc="outside lower left", ncols=2)
    return figure


def first_walk(judged: Judged, count: int) -> Judged:
    """The photos of the first walk, `count` of them."""
    return Judged(judged.fixes[:count], judged.fix[:count], judged.row[:count], judged.error_m[:count])


def worst_bursts(whole: Judged, paths: list[Path], scope: str, theme: Theme) -> Figure:
    """The whole bursts with the largest mean error, each with its photos; `paths` are those of the dataset's rows."""
    errors = np.array([whole.error_m[whole.fix == index].mean() for index in range(len(whole.fixes))])
    worst = np.argsort(-errors)[:WORST_BURSTS]
    figure, hidden = framed("The worst bursts", scope, 0.6 + 1.05 * len(worst))
    hidden.remove()
    grid = figure.add_gridspec(len(worst), SHOWN_PHOTOS)
    for line, burst in enumerate(worst):
        rows = whole.row[whole.fix == burst]
        for column, row in enumerate(rows[:SHOWN_PHOTOS]):
            axes = figure.add_subplot(grid[line, column])
            rgb = load_photo(paths[row], min_side=_THUMBNAIL_PX).rgb
            step = max(1, min(rgb.shape[:2]) // _THUMBNAIL_PX)
            axes.imshow(rgb[::step, ::step])
            axes.set_axis_off()
            if column == 0:
                outliers = len(whole.fixes[burst].outliers)
                said = f"{errors[burst]:.0f} m off, {len(rows)} photos" + (f", {outliers} outvoted" if outliers else "")
                axes.set_title(said, fontsize=7, loc="left", color=theme.ink)
    return figure
