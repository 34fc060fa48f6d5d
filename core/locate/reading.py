"""What is read from one photo before anything is concluded about its place, in two steps: pixels, then the network."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import TYPE_CHECKING

from core.photo.capture import Capture

if TYPE_CHECKING:
    from collections.abc import Callable

    import numpy as np
    from numpy.typing import NDArray

    from core.engines.heads import Heads
    from core.locate.evidence import Evidence
    from core.photo.canvas import Canvas


@dataclass(frozen=True)
class Prepared:
    """A decoded photo before the network sees it.

    image: (S, S, 3) uint8 RGB, the network's input. canvas: makes the second look's, where the campus has one.
    timings_ms: by step.
    """

    image: NDArray[np.uint8] = field(repr=False)
    canvas: Callable[[], Canvas] | None = field(repr=False)
    capture: Capture
    timings_ms: dict[str, float]


@dataclass(frozen=True)
class Reading:
    """One photo's network output, and what else several photos together need of it.

    heads: a batch of 1. image: (S, S, 3) uint8 RGB, the network's input. timings_ms: by step. evidence: of matched
    gallery photos, where they were matched.
    """

    heads: Heads
    image: NDArray[np.uint8] = field(repr=False)
    timings_ms: dict[str, float] = field(default_factory=dict)
    capture: Capture = field(default_factory=Capture)
    evidence: Evidence | None = None
