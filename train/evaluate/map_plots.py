"""The report's maps: errors, zones and training photos over the bundle's own basemap."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import matplotlib
import numpy as np
from matplotlib import patheffects
from matplotlib.axes import Axes
from matplotlib.cm import ScalarMappable
from matplotlib.collections import LineCollection, PathCollection
from matplotlib.colors import LinearSegmentedColormap, LogNorm
from matplotlib.figure import Figure
from matplotlib.lines import Line2D
from matplotlib.patches import Patch
from matplotlib.path import Path
from numpy.typing import NDArray

from core.campus import basemap
from core.campus.bundle import Bundle
from core.campus.walked import own_or_walked_map
from train.evaluate.photo_needs import Need
from train.evaluate.plots import WIDTH_IN, Theme, framed

Float = NDArray[np.float64]

LEAST_IN_ZONE = 3  # photos, for a median to be drawn
_MARGIN_M = 12.0
_PATH_M, _TREE_M = 2.5, 2.5  # how wide a path that is only a line is drawn, and a tree's crown's radius
_DOT_PT = 3.0  # a training photo of a campus without a map
_TICKS_M = (2, 5, 10, 20, 50, 100, 200, 500, 1_000, 2_000, 5_000)


def error_map(bundle: Bundle, truth_m: Float, fix_m: Float, error_m: Float, scope: str, theme: Theme) -> Figure:
    """Arrows from (N, 2) true positions to the fixes, local metres, coloured by error."""
    figure, axes = campus_axes(
        "Error map: from where a photo was taken to its fix", bundle, [truth_m, fix_m], scope, theme
    )
    order = np.argsort(error_m)  # the worst on top
    start, step = truth_m[order], (fix_m - truth_m)[order]
    colours = _ramp(theme)
    norm = _norm(error_m)
    axes.scatter(start[:, 0], start[:, 1], s=5, c=error_m[order], cmap=colours, norm=norm, linewidths=0, zorder=4)
    axes.quiver(
        *start.T, *step.T, error_m[order], cmap=colours, norm=norm, angles="xy", scale_units="xy", scale=1,
        width=0.0045, headwidth=4.5, headlength=5.5, headaxislength=5, minlength=0, zorder=5,
        path_effects=[patheffects.withStroke(linewidth=0.8, foreground=theme.paper)],
    )  # fmt: skip
    _error_bar(figure, axes, norm, theme, "error in metres (dot: where it was taken, arrowhead: the fix)")
    return figure


def zone_error_map(
    bundle: Bundle, places: NDArray[np.str_], place_of_zone: Sequence[str], truth_m: Float, error_m: Float, scope: str,
    theme: Theme,
) -> Figure:  # fmt: skip
    """The zones coloured by the median error of the photos taken at their place, which is written on it.

    places: (N,) the place of each photo; place_of_zone: that of each zone.
    """
    medians = {
        str(place): float(np.median(error_m[places == place]))
        for place in np.unique(places)
        if (places == place).sum() >= LEAST_IN_ZONE
    }
    norm, colours = _norm(np.array([*medians.values(), 10.0])), _ramp(theme)
    figure, axes = campus_axes("Median error by zone", bundle, [truth_m], scope, theme, names=False)
    for zone, place in zip(bundle.manifest.zones, place_of_zone, strict=True):
        if len(zone.outline_m) < 3:
            continue
        outline = np.array(zone.outline_m)
        if place in medians:
            axes.fill(*outline.T, facecolor=colours(norm(medians[place])), alpha=0.75, linewidth=0, zorder=3)
        else:
            axes.fill(
                *outline.T, facecolor="none", edgecolor=theme.faint, hatch="////", linewidth=0, alpha=0.5, zorder=3
            )
    for place, median in medians.items():
        at = np.median(truth_m[places == place], axis=0)
        axes.text(
            at[0], at[1], f"{median:.0f}", ha="center", va="center", fontsize=9, fontweight="bold", zorder=6,
            clip_on=True, path_effects=[patheffects.withStroke(linewidth=2.5, foreground=theme.paper)],
        )  # fmt: skip
    _error_bar(figure, axes, norm, theme, "median error in metres of the photos taken there")
    hatched = Patch(facecolor="none", edgecolor=theme.faint, hatch="////", label=f"fewer than {LEAST_IN_ZONE} photos")
    figure.legend(handles=[hatched], loc="outside lower right")
    return figure


def needs_map(bundle: Bundle, needs: Sequence[Need], gallery_m: Float, scope: str, theme: Theme) -> Figure:
    """Training photos as dots, and the places to photograph next as numbers in the list's order."""
    spots = np.array([need.at_m for need in needs])
    figure, axes = campus_axes("Where more training photos would help most", bundle, [spots, gallery_m], scope, theme)
    axes.scatter(gallery_m[:, 0], gallery_m[:, 1], s=3, color=theme.series[0], alpha=0.6, linewidths=0, zorder=4)
    for number, at in enumerate(_apart(spots, 0.055 * np.ptp(axes.get_xlim())), start=1):
        axes.text(
            at[0], at[1], str(number), ha="center", va="center", fontsize=9, fontweight="bold", zorder=7,
            color=theme.paper,
            bbox={"boxstyle": "circle,pad=0.25", "facecolor": theme.series[1], "edgecolor": theme.paper},
        )  # fmt: skip
    dots = [
        Line2D([], [], marker="o", linestyle="", markersize=3, color=theme.series[0], label="a training photo"),
        Line2D([], [], marker="o", linestyle="", markersize=10, color=theme.series[1], label="place of the list below"),
    ]
    figure.legend(handles=dots, loc="outside lower center", ncols=2)
    return figure


def _apart(spots_m: Float, least_m: float) -> Float:
    """(N, 2) positions, each moved as little as frees it from the earlier ones by `least_m`."""
    turns = np.radians(np.arange(0, 360, 30))
    ring = np.stack([np.cos(turns), np.sin(turns)], axis=1)
    steps = np.concatenate([[[0.0, 0.0]], *(ring * least_m * factor for factor in (0.5, 1.0, 1.5, 2.0))])
    placed = np.zeros((0, 2))
    for spot in spots_m:
        free = [at for at in spot + steps if not len(placed) or np.hypot(*(placed - at).T).min() >= least_m]
        placed = np.concatenate([placed, [free[0] if free else spot]])
    return placed


def campus_axes(
    title: str, bundle: Bundle, shown: Sequence[Float], scope: str, theme: Theme, names: bool = True
) -> tuple[Figure, Axes]:
    """A figure of the basemap about the (N, 2) local metres that will be drawn on it, with a scale bar."""
    points = np.concatenate(shown)
    low, high = points.min(axis=0) - _MARGIN_M, points.max(axis=0) + _MARGIN_M
    width_m, height_m = high - low
    map_in = float(np.clip((WIDTH_IN - 0.2) * height_m / width_m, 2.2, 6.0))
    figure, axes = framed(title, scope, map_in + 1.25)
    axes.set_aspect("equal")
    axes.set_xlim(low[0], high[0])
    axes.set_ylim(low[1], high[1])
    axes.set_xticks([])
    axes.set_yticks([])
    axes.grid(visible=False)
    axes.spines[:].set_visible(False)
    colours = basemap.DARK if theme.dark else basemap.LIGHT
    axes.set_facecolor(colours["ground"])
    points_per_m = 72 * min((WIDTH_IN - 0.2) / width_m, map_in / height_m)
    campus_map = own_or_walked_map(bundle, scale=False)
    for feature in basemap.drawable(campus_map):
        _draw(axes, bundle, feature, colours, points_per_m)
    if names:
        px = 100 * np.array([WIDTH_IN, map_in])
        view = basemap.fitted_view(np.array([low, high]), bundle.manifest.frame, *px)
        frame = bundle.manifest.frame
        for label in basemap.labels(basemap.names(campus_map, frame), frame, view.zoom):
            east, north = frame.to_local(label.lat, label.lon)
            axes.text(
                east, north, label.text, ha="center", va="center", fontsize=6.5,
                color=theme.ink, zorder=3, clip_on=True,
                path_effects=[patheffects.withStroke(linewidth=1.5, foreground=colours["ground"])],
            )  # fmt: skip
    _scale_bar(axes, low, high, theme, colours["ground"])
    return figure, axes


def _draw(axes: Axes, bundle: Bundle, feature: dict[str, Any], colours: dict[str, str], points_per_m: float) -> None:
    """One feature of the GeoJSON."""
    kind, geometry = feature["properties"]["kind"], feature["geometry"]
    depth = {"Point": 0, "MultiPoint": 1, "LineString": 1, "MultiLineString": 2, "Polygon": 2, "MultiPolygon": 3}
    if geometry["type"] not in depth:
        return
    lines = [
        bundle.manifest.frame.to_local(lon_lat[:, 1], lon_lat[:, 0])
        for lon_lat in _lines(geometry["coordinates"], depth[geometry["type"]])
    ]
    edge, colour = colours.get(f"{kind}_edge", "none"), colours["path" if kind == "walked" else kind]
    if kind in ("tree", "photo"):
        east, north = np.concatenate(lines).T
        size = (2 * _TREE_M * points_per_m) ** 2 if kind == "tree" else _DOT_PT**2
        axes.scatter(east, north, s=size, color=colour, alpha=0.6, linewidths=0, zorder=2)
    elif "Polygon" in geometry["type"]:
        shape = Path.make_compound_path(*(Path(line, closed=True) for line in lines if len(line) > 2))
        axes.add_collection(
            PathCollection([shape], facecolors=colour, edgecolors=edge, linewidths=0.4, zorder=1), autolim=False
        )
    elif "Line" in geometry["type"]:
        axes.add_collection(
            LineCollection(lines, colors=colour, linewidths=max(_PATH_M * points_per_m, 0.6), zorder=1),
            autolim=False,
        )


def _lines(coordinates: Any, depth: int) -> list[Float]:
    """The (M, 2) lines of (lon, lat) in a GeoJSON coordinates array that is nested `depth` deep."""
    if depth <= 1:
        return [np.array([point[:2] for point in (coordinates if depth else [coordinates])], np.float64)]
    return [line for part in coordinates for line in _lines(part, depth - 1)]


def _scale_bar(axes: Axes, low: Float, high: Float, theme: Theme, ground: str) -> None:
    width = float(high[0] - low[0])
    bar = max(length for length in (5, *_TICKS_M) if length <= max(0.3 * width, 5))
    x, y = low[0] + 0.03 * width, low[1] + 0.03 * width
    halo = [patheffects.withStroke(linewidth=4, foreground=ground)]
    axes.plot((x, x + bar), (y, y), color=theme.ink, linewidth=2.5, solid_capstyle="butt", zorder=8, path_effects=halo)
    said = f"{bar} m, north is up"
    axes.text(x, y + 0.012 * width, said, ha="left", va="bottom", fontsize=7.5, zorder=8, path_effects=halo)


def _norm(error_m: Float) -> LogNorm:
    """Logarithmic, from 2 m (what phone GPS can tell at best) to the largest error."""
    return LogNorm(2.0, max(float(error_m.max()), 10.0), clip=True)


def _ramp(theme: Theme) -> LinearSegmentedColormap:
    whole = matplotlib.colormaps[theme.ramp]
    return LinearSegmentedColormap.from_list("error", whole(np.linspace(*theme.ramp_part, 128)))


def _error_bar(figure: Figure, axes: Axes, norm: LogNorm, theme: Theme, label: str) -> None:
    bar = figure.colorbar(
        ScalarMappable(norm, _ramp(theme)), ax=axes, orientation="horizontal", fraction=0.035, pad=0.02, aspect=40
    )
    ticks = [tick for tick in _TICKS_M if tick <= float(norm.vmax or 0)]
    bar.set_ticks(ticks, labels=[f"{tick:,}" for tick in ticks])
    bar.minorticks_off()
    bar.outline.set_visible(False)
    bar.set_label(label, fontsize=8)
