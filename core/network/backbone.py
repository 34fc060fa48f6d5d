"""What the file of a backbone gives: its layers, from stem to last map."""

from __future__ import annotations

from dataclasses import dataclass, field

from torch import nn


@dataclass(frozen=True)
class Layers:
    """(B, 3, S, S) float32, normalised -> (B, C, h, w), through all of them in order.

    `stem` and `stages` are what `fit` freezes, from the first on; spatial dropout goes between the stages. `head` only
    widens the map, where a backbone ends so.
    """

    stem: list[nn.Module]
    stages: list[nn.Module]
    head: list[nn.Module] = field(default_factory=list)
