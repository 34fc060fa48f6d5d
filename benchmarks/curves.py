"""Curves over hours: whether each is flat, by a slope with its interval, and a picture of all."""

from __future__ import annotations

import io
from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

PARTS = 20  # a part's median stands for its samples, of which each is much like the one before
WARM_UP = 0.25  # of the time: caches fill, allocators reach their level


@dataclass(frozen=True)
class Trend:
    """The line through a curve after its warm-up: `slope_per_h` with its 95 % interval, in the curve's unit an hour.

    `level` is the median after the warm-up, `hours` the time that it lasted.
    """

    slope_per_h: float
    low: float
    high: float
    level: float
    hours: float


@dataclass(frozen=True)
class Curve:
    """Samples of one thing, at `seconds` from the start: (N,) each. `allowed`: what it may rise by and yet be flat."""

    name: str
    unit: str
    seconds: NDArray[np.float64]
    values: NDArray[np.float64]
    allowed: float

    def late(self) -> NDArray[np.bool_]:
        """Which samples come after the warm-up; the later half of them, where a stall left fewer."""
        begin, end = self.seconds[0], self.seconds[-1]
        late: NDArray[np.bool_] = self.seconds >= min(
            begin + WARM_UP * (end - begin), self.seconds[len(self.seconds) // 2]
        )
        return late

    def trend(self) -> Trend:
        """Theil and Sen's slope, the median of all pairs' slopes, through the medians of PARTS parts of the time."""
        from scipy.stats import theilslopes

        late = self.late()
        seconds, values = self.seconds[late], self.values[late]
        parts = [part for part in np.array_split(np.arange(len(values)), PARTS) if len(part)]
        at_h = np.array([seconds[part].mean() for part in parts]) / 3600
        slope, _, low, high = theilslopes([np.median(values[part]) for part in parts], at_h)
        return Trend(
            float(slope), float(low), float(high), float(np.median(values)), float(seconds[-1] - seconds[0]) / 3600
        )

    @property
    def flat(self) -> bool:
        """Whether it may be level: its interval holds zero, or all that it rose by is at most what is allowed."""
        trend = self.trend()
        return trend.low <= 0 or trend.slope_per_h * trend.hours <= self.allowed


def picture(curves: Sequence[Curve]) -> bytes:
    """All curves as a PNG, one below the other over one axis of time, each with its line after the warm-up."""
    from matplotlib.backends.backend_agg import FigureCanvasAgg
    from matplotlib.figure import Figure

    figure = Figure(figsize=(8.0, 1.5 * len(curves)), layout="constrained")
    FigureCanvasAgg(figure)
    rows = figure.subplots(len(curves), sharex=True, squeeze=False)[:, 0]
    for axes, curve in zip(rows, curves, strict=True):
        minutes = curve.seconds / 60
        axes.plot(minutes, curve.values, ".", markersize=2.5, color="#0072b2")
        trend, late = curve.trend(), minutes[curve.late()]
        line = trend.level + trend.slope_per_h * (late - np.median(late)) / 60
        axes.plot(late, line, "-", linewidth=1.2, color="#d55e00")
        axes.set_ylim(0, 1.15 * max(float(np.percentile(curve.values, 99)), 1e-9))
        axes.set_title(f"{curve.name}, {curve.unit}", loc="left", fontsize=9)
        axes.tick_params(labelsize=8)
        axes.grid(visible=True, linewidth=0.3)
    rows[-1].set_xlabel("minutes", fontsize=9)
    out = io.BytesIO()
    figure.savefig(out, format="png", dpi=100)
    return out.getvalue()
