"""The register of cases: a photo, and what must become of it."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any, Literal

Outcome = Literal["photo", "refused", "either"]


BUILD: dict[str, Case] = {}


@dataclass(frozen=True)
class Case:
    """`outcome`: what must become of it; `says`: what its refusal must name; `quarters`: the photo must show
    `quartered()` upright; `file_name`: what the file is called.
    """

    name: str
    data: Callable[[], bytes]
    outcome: Outcome
    says: str = ""
    quarters: bool = False
    file_name: str = "photo.jpg"


def case(name: str, data: Callable[[], bytes], outcome: Outcome, says: str = "", **more: Any) -> None:
    if name in BUILD:
        raise ValueError(f"two cases are called {name}")
    BUILD[name] = Case(name, data, outcome, says, **more)
