"""needs.json: where more photos of a campus would help most, as its held-out photos told when it was made."""

from __future__ import annotations

from collections.abc import Iterable
from typing import TYPE_CHECKING, Annotated, Literal

from pydantic import BaseModel, ConfigDict, Field, TypeAdapter, ValidationError

from core.errors import BundleError

if TYPE_CHECKING:
    from core.campus.bundle import Bundle

NEEDS = "needs.json"
MOST_NEEDS = 20
Light = Literal["", "day", "night"]
_Metres = Annotated[float, Field(ge=-100_000, le=100_000)]


class PlaceNeed(BaseModel):
    """A place, in one light where these were told apart: metres east and north of the campus centre.

    `mean_m` is the mean error of the `n` held-out photos there, `near` how many gallery photos, of any light, stood
    within 15 m of it.
    """

    model_config = ConfigDict(frozen=True, extra="forbid", allow_inf_nan=False)

    east_m: _Metres
    north_m: _Metres
    light: Light = ""
    mean_m: Annotated[float, Field(ge=0)]
    n: Annotated[int, Field(ge=1)]
    near: Annotated[int, Field(ge=0)]


_LIST = TypeAdapter(Annotated[tuple[PlaceNeed, ...], Field(max_length=MOST_NEEDS)])


def needs_file(needs: Iterable[PlaceNeed]) -> bytes:
    """The file of a bundle, neediest first."""
    return _LIST.dump_json(tuple(needs)[:MOST_NEEDS])


def needs_of(bundle: Bundle) -> tuple[PlaceNeed, ...]:
    """Those of a bundle, neediest first; none where it does not tell. Raises BundleError where they are damaged."""
    if NEEDS not in bundle.manifest.files:
        return ()
    try:
        return _LIST.validate_json(bundle.read(NEEDS))
    except ValidationError as error:
        raise BundleError(
            f"{NEEDS} holds what no campus needs", path=bundle.path, remedy="make it again", kind="unusable"
        ) from error
