"""What the signs on a map mean, in the order in which they are drawn."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np

from app.map.deck import Place, Shape
from app.map.drawn import NOTHING_MORE, Shown, draws_heat, numbered_places, view_cone
from app.map.shapes import DARK, LIGHT
from core.locate.confidence import confidence

if TYPE_CHECKING:
    from numpy.typing import NDArray

    from core.locate.fix import Fix

    Float = NDArray[np.float64]
    Colour = tuple[int, int, int]


@dataclass(frozen=True)
class LegendItem:
    """One line of the legend: `key` names what it is, `shape` and `colour` how it looks on the map."""

    key: str
    shape: Shape
    colour: Colour


def legend(
    fix: Fix | None,
    *,
    truth: Place | None = None,
    track: Sequence[Sequence[Place]] = (),
    shown: Shown = NOTHING_MORE,
    dark: bool = False,
) -> list[LegendItem]:
    """What `campus_deck` draws for the same arguments, in the order of importance."""
    theme = DARK if dark else LIGHT
    items = []
    if fix is not None and not fix.refused:
        if confidence(fix) != "split":
            items += [LegendItem("fix", "dot", theme.fix), LegendItem("radius68", "circle", theme.fix)]
        items.append(LegendItem("radius95", "dashed", theme.fix))
        if draws_heat(fix, shown):
            items.append(LegendItem("probability", "heat", theme.heat[1]))
        if numbered_places(fix, shown):
            items.append(LegendItem("candidate", "number", theme.candidate))
        if view_cone(fix) is not None:
            items.append(LegendItem("heading", "cone", theme.fix))
        if truth is not None:
            items.append(LegendItem("truth", "cross", theme.truth))
    if shown.zones:
        items.append(LegendItem("zones", "outline", theme.zone))
    if shown.photos:
        items.append(LegendItem("coverage", "dot", theme.track))
    if track:
        items.append(LegendItem("track", "line", theme.track))
    return items


def coverage_legend(*, dark: bool = False) -> list[LegendItem]:
    """What `coverage_deck` draws."""
    theme = DARK if dark else LIGHT
    return [LegendItem("coverage", "heat", theme.heat[1])]
