"""The report's curves, drawn with matplotlib: each function gives a Figure, `png` its bytes.

Figures are narrow, so that their letters can still be read on a phone, and tell nothing by colour alone.
"""

from __future__ import annotations

import io
import textwrap
import warnings
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Any

import matplotlib
import numpy as np
from matplotlib.axes import Axes
from matplotlib.figure import Figure
from matplotlib.ticker import FuncFormatter, PercentFormatter
from numpy.typing import NDArray

from core.locate.confidence import WIDE_M
from train.evaluate.coverage import MISLEADING, CalibrationCurve, Group, Proportion, misleading

Float = NDArray[np.float64]

WIDTH_IN = 4.8
PNG_DPI = 200  # twice what a page shows at 100 pixels an inch, for sharp screens
_ROW_IN = 0.27
_TICKS_M = (1, 2, 5, 10, 20, 50, 100, 200, 500, 1_000, 2_000, 5_000, 10_000)


@dataclass(frozen=True)
class Theme:
    """The page's colours, light or dark; `series` are Okabe and Ito's (2008), told apart by the colour-blind too."""

    dark: bool
    paper: str
    ink: str
    faint: str
    series: tuple[str, str, str, str]
    ramp: str  # colour map from small to large errors, its far end in contrast with the paper
    ramp_part: tuple[float, float]


LIGHT = Theme(
    False, "#ffffff", "#1c2128", "#6b7280", ("#0072b2", "#d55e00", "#009e73", "#8a5a7f"), "plasma_r", (0.1, 1)
)
DARK = Theme(True, "#161b22", "#e6e8eb", "#9aa4b0", ("#56b4e9", "#e69f00", "#2fc79a", "#e08fc0"), "plasma", (0.15, 1))


@dataclass(frozen=True)
class Scope:
    """What every figure says of itself: the campus, rendered or not, the split and how it was made."""

    campus: str
    rendered: bool
    split: str

    def of(self, n: int) -> str:
        """The line for a figure of `n` photos; a line is never broken within `n = 400`."""
        return f"{self.campus}, {'rendered photos, ' if self.rendered else ''}{self.split}, n\u00a0=\u00a0{n}"


def png(draw: Callable[[Theme], Figure], theme: Theme) -> bytes:
    """Draw in a theme and give the PNG's bytes."""
    style: dict[Any, Any] = {
        "figure.facecolor": theme.paper,
        "axes.facecolor": theme.paper,
        "text.color": theme.ink,
        "axes.labelcolor": theme.ink,
        "axes.edgecolor": theme.faint,
        "xtick.color": theme.ink,
        "ytick.color": theme.ink,
        "grid.color": theme.faint,
        "grid.alpha": 0.25,
        "axes.grid": True,
        "axes.axisbelow": True,
        "axes.spines.top": False,
        "axes.spines.right": False,
        "font.size": 9,
        "legend.frameon": False,
        "legend.fontsize": 8.5,
        "text.parse_math": False,  # names of places and devices may hold a dollar sign
    }
    stream = io.BytesIO()
    with matplotlib.rc_context(style), warnings.catch_warnings():
        # A name in a script that no font here has is drawn as boxes; the page itself spells it out.
        warnings.filterwarnings("ignore", r"Glyph .* missing from font", UserWarning)
        draw(theme).savefig(stream, format="png", dpi=PNG_DPI, metadata={"Software": ""})
    return stream.getvalue()


def framed(title: str, scope: str, height_in: float) -> tuple[Figure, Axes]:
    """A figure with one plot, its title and under it what it is drawn from."""
    figure = Figure((WIDTH_IN, height_in), layout="constrained")
    lines = textwrap.wrap(scope, 92)
    # The layout leaves room for the title alone, so the title brings empty lines for what stands below it.
    figure.suptitle(title + "\n" * len(lines), x=0.015, ha="left", fontsize=11, fontweight="bold")
    muted = matplotlib.rcParams["axes.edgecolor"]
    figure.text(0.015, 1 - 0.25 / height_in, "\n".join(lines), va="top", fontsize=7, color=muted)
    return figure, figure.subplots()


def cumulative_errors(series: dict[str, Float], title: str, scope: str, theme: Theme) -> Figure:
    """The share of photos within each distance; `series` are (N,) errors in metres by name, the main one first."""
    figure, axes = framed(title, scope, 3.4 + 0.17 * len(series))
    least = max(1.0, min(float(np.percentile(error, 2)) for error in series.values()))
    most = max(float(error.max()) for error in series.values())
    dashes: Sequence[Any] = ("-", (0, (5, 2)), (0, (1.2, 1.4)), (0, (6, 2, 1.2, 2)))
    for index, (name, error) in enumerate(series.items()):
        ordered = np.sort(error)
        label = f"{name}: median {np.median(error):.1f} m"
        axes.step(
            np.concatenate([[least / 2], ordered, [most * 2]]),
            np.concatenate([[0.0], np.arange(1, len(ordered) + 1) / len(ordered), [1.0]]),
            where="post", color=theme.series[index % 4], linestyle=dashes[index % 4], label=label,
            linewidth=2.2 if index == 0 else 1.6,
        )  # fmt: skip
    axes.set_xscale("log")
    axes.set_xlim(least, most)
    ticks = [tick for tick in _TICKS_M if least <= tick <= most]
    axes.set_xticks(ticks, [f"{tick:,}" for tick in ticks])
    axes.minorticks_off()
    axes.set_ylim(0, 1.01)
    axes.yaxis.set_major_formatter(PercentFormatter(1.0, decimals=0, symbol=" %"))
    axes.set_xlabel("error in metres (logarithmic)")
    axes.set_ylabel("photos within it")
    figure.legend(loc="outside lower left", handlelength=3.5)
    return figure


def calibration_plot(curve: CalibrationCurve, scope: str, theme: Theme) -> Figure:
    """Nominal against empirical coverage of the radii, with the interval at each level."""
    figure, axes = framed("Calibration: do radii hold what they say?", scope, 4.3)
    share, low, high = (np.array([getattr(c, name) for c in curve.covered]) for name in ("share", "low", "high"))
    axes.plot((0, 1), (0, 1), color=theme.faint, linestyle=(0, (4, 3)), linewidth=1.2, label="as promised")
    axes.fill_between(curve.nominal, low, high, color=theme.series[0], alpha=0.22, linewidth=0, label="95 % interval")
    axes.plot(
        curve.nominal, share, color=theme.series[0], marker="o", markersize=3.5, linewidth=1.8, label="held-out photos"
    )
    axes.set_aspect("equal")
    for axis in (axes.xaxis, axes.yaxis):
        axis.set_major_formatter(PercentFormatter(1.0, decimals=0, symbol=" %"))
    axes.set_xlim(0, 1)
    axes.set_ylim(0, 1)
    axes.set_xlabel("share of photos the radius promises to hold")
    axes.set_ylabel("share it holds")
    axes.text(0.97, 0.04, f"mean gap {100 * curve.mean_gap:.1f} points", ha="right", fontsize=8.5)
    axes.text(0.03, 0.62, "above the line:\nradii too wide", fontsize=8, color=theme.faint)
    axes.text(0.62, 0.42, "below:\ntoo narrow", fontsize=8, color=theme.faint)
    axes.legend(loc="upper left")
    return figure


def coverage_plot(groups: Sequence[Group], title: str, scope: str, theme: Theme) -> Figure:
    """Coverage of both radii, a row for each group, with intervals beside the nominal 68 and 95 %."""
    headed = len({group.by for group in groups}) > 1
    rows: list[tuple[str, Group | None]] = []
    for index, group in enumerate(groups):
        if headed and (index == 0 or groups[index - 1].by != group.by):
            rows.append((f"by {group.by}", None))
        rows.append((f"{textwrap.shorten(group.name, 30, placeholder='…')}  ({group.n})", group))
    figure, axes = framed(title, scope, 1.5 + _ROW_IN * len(rows))
    for share in (0.68, 0.95):
        axes.axvline(share, color=theme.faint, linestyle=(0, (4, 3)), linewidth=1.2)
    for name, marker, colour, shift, face in (
        ("coverage68", "o", theme.series[0], -0.13, theme.series[0]),
        ("coverage95", "s", theme.series[1], 0.13, theme.paper),
    ):
        held: list[tuple[int, Proportion]] = [
            (row, getattr(group, name)) for row, (_, group) in enumerate(rows) if group is not None
        ]
        axes.errorbar(
            [c.share for _, c in held], [row + shift for row, _ in held],
            xerr=[[c.share - c.low for _, c in held], [c.high - c.share for _, c in held]],
            fmt=marker, color=colour, markerfacecolor=face, markersize=5, linewidth=1.4, capsize=2,
            label=f"{name[-2:]} % radius",
        )  # fmt: skip
    axes.set_yticks(range(len(rows)), [label for label, _ in rows])
    for label, (_, held_group) in zip(axes.get_yticklabels(), rows, strict=True):
        label.set_fontweight("normal" if held_group else "bold")
        label.set_fontsize(8)
    axes.tick_params(axis="y", length=0)
    axes.set_ylim(len(rows) - 0.5, -0.5)
    axes.grid(axis="y", visible=False)
    axes.set_xlim(0, 1.02)
    axes.xaxis.set_major_formatter(PercentFormatter(1.0, decimals=0, symbol=" %"))
    axes.set_xlabel("share within their radius, with 95 % intervals")
    figure.legend(loc="outside lower center", ncols=2)
    return figure


def heading_plot(off_deg: Float, scope: str, theme: Theme) -> Figure:
    """The distribution of the angles between fixes' and cameras' headings, (N,) degrees from 0 to 180."""
    figure, axes = framed("Heading error", scope, 2.9)
    axes.hist(off_deg, bins=list(range(0, 181, 15)), color=theme.series[0], edgecolor=theme.paper)
    median = float(np.median(off_deg))
    axes.axvline(median, color=theme.series[1], linewidth=1.8)
    axes.annotate(
        f"median {median:.0f}°", (median, 0.92), xycoords=("data", "axes fraction"), xytext=(5, 0),
        textcoords="offset points",
    )  # fmt: skip
    axes.set_xticks(range(0, 181, 30))
    axes.xaxis.set_major_formatter(FuncFormatter(lambda value, _: f"{value:.0f}°"))
    axes.set_xlabel("angle between the fix's heading and the camera's")
    axes.set_ylabel("photos")
    return figure


def stanford_diagram(
    error_m: Float, radius68_m: Float, clear: NDArray[np.bool_], refused: NDArray[np.bool_], scope: str, theme: Theme
) -> Figure:
    """Each photo's error against its own 68 % radius; below the lower line answers that claim a clear place mislead.

    (N,) each; the diagram by which satellite navigation judges integrity (Tossaint et al., Navigation 2007).
    """
    figure, axes = framed("Error against radius (Stanford diagram)", scope, 4.6)
    least, most = 1.0, 1.15 * float(max(error_m.max(), radius68_m.max(), 10.0))
    ends = np.array([least, most])
    axes.fill_between(ends, least, ends / MISLEADING, color=theme.series[1], alpha=0.16, linewidth=0)
    axes.plot(ends, ends, color=theme.faint, linestyle=(0, (4, 3)), linewidth=1.2, label="as far off as the radius")
    axes.axhline(WIDE_M, color=theme.faint, linestyle=":", linewidth=1.2, label=f"{WIDE_M:g} m, a clear one's widest")
    shown = np.maximum(error_m, least)
    wrong = misleading(error_m, radius68_m, clear)
    kinds = (
        ("claims one clear place", clear & ~wrong, "o", theme.series[0]),
        ("in doubt, and says so", ~clear & ~refused, "+", theme.series[2]),
        ("refused", refused, "x", theme.faint),
        ("misleading", wrong, "s", theme.series[1]),
    )
    for name, chosen, marker, colour in kinds:
        if chosen.any():
            label = f"{name} ({chosen.sum()})"
            axes.scatter(shown[chosen], radius68_m[chosen], s=16, marker=marker, color=colour, label=label, linewidth=1)
    axes.set(xscale="log", yscale="log", xlim=(least, most), ylim=(least, most), aspect="equal")
    ticks = [tick for tick in _TICKS_M if least <= tick <= most]
    for axis in (axes.xaxis, axes.yaxis):
        axis.set_ticks(ticks, [f"{tick:,}" for tick in ticks])
        axis.set_tick_params(which="minor", length=0)
    axes.set_xlabel("error in metres (logarithmic; below 1 m drawn at 1 m)")
    axes.set_ylabel("its 68 % radius in metres")
    within = float((error_m <= radius68_m).mean())
    axes.text(0.03, 0.95, f"{100 * within:.0f} % within their radius", transform=axes.transAxes, va="top", fontsize=8.5)
    axes.text(
        0.97, 0.04, f"off by over {MISLEADING:g} radii:\nmisleading, if clear", transform=axes.transAxes, ha="right",
        fontsize=8.5, color=theme.series[1],
    )  # fmt: skip
    figure.legend(loc="outside lower left", ncols=2)
    return figure


def risk_coverage_plot(curves: dict[str, Float], scope: str, theme: Theme) -> Figure:
    """The mean error of the surest photos against how large a share of them is kept; (N,) metres by name, as
    `risk_coverage` gives them.
    """
    figure, axes = framed("Mean error of the surest photos", scope, 3.6)
    dashes: Sequence[Any] = ("-", (0, (5, 2)), (0, (1.2, 1.4)))
    for index, (name, curve) in enumerate(curves.items()):
        axes.plot(
            np.arange(1, len(curve) + 1) / len(curve), curve, color=theme.series[index], linestyle=dashes[index],
            linewidth=2.2 if index == 0 else 1.6, label=f"{name}: {curve.mean():.1f} m on average",
        )  # fmt: skip
    axes.set_xlim(0, 1)
    axes.set_ylim(0, 1.05 * max(float(np.percentile(curve, 99)) for curve in curves.values()))
    axes.xaxis.set_major_formatter(PercentFormatter(1.0, decimals=0, symbol=" %"))
    axes.set_xlabel("photos kept, the surest first")
    axes.set_ylabel("their mean error in metres")
    figure.legend(loc="outside lower left", handlelength=3.5)
    return figure
