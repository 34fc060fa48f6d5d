"""Figures in words beside their limits: no rounding puts one on its limit, or across it."""

from __future__ import annotations

MOST_DECIMALS = 9


def beside(figure: float, limit: float, decimals: int = 0) -> str:
    """A figure with as few decimals, but no fewer than `decimals`, as leave it on its own side of a limit.

    59.7 beside 60 is `59.7`, 59.4 is `59`. What differs by less than MOST_DECIMALS tell is at the limit.
    """
    figure, limit = round(figure, MOST_DECIMALS), round(limit, MOST_DECIMALS)
    for places in range(decimals, MOST_DECIMALS + 1):
        told = f"{figure:.{places}f}"
        if figure == limit or (float(told) != limit and (float(told) < limit) == (figure < limit)):
            return told
    return f"{figure:.{MOST_DECIMALS}f}"


def percent_beside(share: float, limit: float) -> str:
    """A share, 0 to 1, beside another, as `beside` has it: `59.7%`."""
    return beside(100 * share, 100 * limit) + "%"


def exact(limit: float) -> str:
    """A limit as it was given, with no more digits than it has: `60`, `88.5`, `2`."""
    return f"{round(limit, MOST_DECIMALS):.12g}"
