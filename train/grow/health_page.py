"""A checkup as one HTML page that asks the network for nothing; it holds no photo."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from functools import partial
from pathlib import Path

from matplotlib.figure import Figure

from core.campus.bundle import Bundle
from train.evaluate.map_plots import error_map, needs_map
from train.evaluate.page import data_url, render_page
from train.evaluate.plots import DARK, LIGHT, Scope, Theme, coverage_plot, framed, png
from train.grow.checkup import Checkup, Limits
from train.grow.figures import exact

NEEDS = 8  # places named
_LEAST_PHOTOS = 10  # of a group in the figure


def health_page(found: Checkup, bundle: Bundle, limits: Limits) -> str:
    """The page's HTML."""
    scope = Scope(bundle.manifest.name, bundle.manifest.rendered, "field photos").of(len(found.names))
    figures = [
        {"caption": caption, "light": data_url(png(draw, LIGHT), "png"), "dark": data_url(png(draw, DARK), "png")}
        for caption, draw in _figures(found, bundle, scope)
    ]
    overall = next((part for part in found.groups if part.by == "all"), None)
    return render_page(
        Path(__file__).with_name("health.html"),
        campus=bundle.manifest.name, found=found, overall=overall, limits=limits, figures=figures,
        refused=float(found.refused.mean()), needs=found.needs[:NEEDS], exact=exact,
    )  # fmt: skip


def _figures(found: Checkup, bundle: Bundle, scope: str) -> Iterator[tuple[str, Callable[[Theme], Figure]]]:
    if len(found.factor68):
        yield (
            "How many times as large the radii would have had to be, photo by photo (adaptive conformal prediction). "
            "At 1 they are right; above it they promise too much.",
            partial(adaptive_plot, found, scope),
        )
    told = [part for part in found.groups if part.by != "place" and part.n >= _LEAST_PHOTOS]
    if told:
        yield "How often the radii hold, by walk and light.", partial(coverage_plot, told, "Do the radii hold?", scope)
    yield (
        "Each arrow leads from where a photo was taken to where its fix puts it.",
        partial(error_map, bundle, found.truth_m, found.fix_m, found.error_m, scope),
    )
    if bundle.gallery is not None and found.needs:
        gallery_m = bundle.gallery.local_m.astype(float)
        yield (
            "The campus's own photos, and the places of the list by number.",
            partial(needs_map, bundle, found.needs[:NEEDS], gallery_m, scope),
        )


def adaptive_plot(found: Checkup, scope: str, theme: Theme) -> Figure:
    """The factors that the radii would have needed, in the order of time."""
    figure, axes = framed("Would the radii have to be larger?", scope, 3.0)
    axes.axhline(1.0, color=theme.faint, linestyle=(0, (4, 3)), linewidth=1.2)
    for name, factor, style in (("68", found.factor68, "-"), ("95", found.factor95, "--")):
        axes.plot(
            range(1, len(factor) + 1), factor, style, color=theme.series[int(name == "95")], label=f"{name} % radius"
        )
    axes.set_yscale("log", base=2)
    axes.yaxis.set_major_formatter(lambda value, _: f"{value:g} ×")
    axes.set_xlabel("photos that were not refused, in the order of time")
    figure.legend(loc="outside lower center", ncols=2)
    return figure
