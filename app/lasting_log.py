"""The session's log kept in the visitor's own browser: a reload or a new server begins with what was there."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import asdict, fields
from datetime import timezone
from typing import Annotated, Literal
from uuid import uuid4

import streamlit as st
from pydantic import AwareDatetime, BaseModel, ConfigDict, Field, model_validator

from app.map.deck import Place
from app.session_log import MAX_ENTRIES
from app.sighting import MAX_NOTE, MAX_TITLE, Sighting
from app.widgets import component
from core.locate.fix import Candidate, Fix, ZoneOdds

_KEY = "kept_log"
_AGAIN = 5  # lines tried again in each run, while a browser has no room for them
MAX_ENTRY_CHARS = 60_000  # a picture of 144 px and some twenty numbers take 10,000

_Name = Annotated[str, Field(max_length=1000)]
_Share = Annotated[float, Field(ge=0, le=1.001)]  # a sum of float32 shares may be a little more than 1
_Metres = Annotated[float, Field(ge=0)]
_Lat = Annotated[float, Field(ge=-90, le=90)]
_Lon = Annotated[float, Field(ge=-180, le=180)]


class _Kept(BaseModel):
    """What a browser may send back: every number finite, nothing beside the fields."""

    model_config = ConfigDict(extra="forbid", allow_inf_nan=False)


class _Zone(_Kept):
    id: int
    name: _Name
    probability: _Share


class _Candidate(_Kept):
    lat: _Lat
    lon: _Lon
    mass: _Share


class _Place(_Kept):
    lat: _Lat
    lon: _Lon
    error_m: _Metres | None


class _Fix(_Kept):
    """The fields of `Fix` that others are told."""

    lat: _Lat
    lon: _Lon
    radius68_m: _Metres | None
    radius95_m: _Metres | None
    zones: Annotated[list[_Zone], Field(min_length=1, max_length=1000)]
    candidates: Annotated[list[_Candidate], Field(max_length=100)]
    on_campus: bool | None
    ood_score: _Share
    campus: _Name
    timings_ms: Annotated[dict[_Name, float], Field(max_length=20)]
    heading_deg: float | None
    heading_spread_deg: float | None
    photos: Annotated[int, Field(ge=0, le=10**9)]  # of a walk: it grows by one a second while that is followed
    outliers: Annotated[tuple[int, ...], Field(max_length=100)]
    course_deg: float | None
    speed_m_s: float | None

    @model_validator(mode="after")
    def _refused_without_radii(self) -> _Fix:
        if {self.on_campus is False, self.radius68_m is None, self.radius95_m is None} == {True, False}:
            raise ValueError("a fix has both radii, and a refused one none")
        return self


class _Entry(_Kept):
    """The fields of `Sighting`."""

    fix: _Fix
    time_utc: AwareDatetime
    thumbnail: Annotated[str, Field(pattern=r"^data:image/jpeg;base64,[A-Za-z0-9+/=]*$", max_length=MAX_ENTRY_CHARS)]
    truth: _Place | None
    truth_source: Literal["photo", "phone", "person"]
    truth_on_campus: bool
    own: bool = True
    name: _Name
    walked: _Place | None = None
    title: Annotated[str, Field(max_length=MAX_TITLE)] = ""
    note: Annotated[str, Field(max_length=MAX_NOTE)] = ""
    key: Annotated[str, Field(pattern=r"^[0-9a-f]{32}$")]


def as_json(sighting: Sighting) -> str:
    """A line of the log as the browser keeps it."""
    fix, truth = sighting.fix, sighting.truth
    plain = {name: getattr(fix, name) for name in _Fix.model_fields}
    plain |= {"zones": [asdict(zone) for zone in fix.zones], "candidates": [asdict(place) for place in fix.candidates]}
    rest = {f.name: getattr(sighting, f.name) for f in fields(Sighting)}
    walked = None if sighting.walked is None else asdict(sighting.walked)
    rest |= {"fix": plain, "truth": None if truth is None else asdict(truth), "walked": walked}
    return _Entry.model_validate(rest).model_dump_json()


def from_json(text: object) -> Sighting | None:
    """What `as_json` wrote; None for anything else, since it comes from a browser."""
    if not isinstance(text, str) or len(text) > MAX_ENTRY_CHARS:
        return None
    try:
        entry = _Entry.model_validate_json(text)
    except ValueError:
        return None
    fix = entry.fix.model_dump() | {
        "zones": tuple(ZoneOdds(**zone.model_dump()) for zone in entry.fix.zones),
        "candidates": tuple(Candidate(**place.model_dump()) for place in entry.fix.candidates),
    }
    rest = entry.model_dump() | {
        "fix": Fix(**fix),
        "time_utc": entry.time_utc.astimezone(timezone.utc),
        "truth": _place(entry.truth),
        "walked": _place(entry.walked),
    }
    return Sighting(**rest)


def _place(kept: _Place | None) -> Place | None:
    return None if kept is None else Place(**kept.model_dump())


def with_kept(log: Sequence[Sighting], kept: object) -> list[Sighting]:
    """The log with what the browser kept before it, in the order of time, each line once; bad ones are left out."""
    texts = kept[: 4 * MAX_ENTRIES] if isinstance(kept, list) else []
    known = {entry.key for entry in log}
    found = {entry.key: entry for text in texts if (entry := from_json(text)) is not None and entry.key not in known}
    return [*sorted(found.values(), key=lambda entry: entry.time_utc), *log][-MAX_ENTRIES:]


def keep_log() -> None:
    """Take over what this browser kept, once a session; then let it keep the log as it is now.

    Only the browser holds it between sessions, so no visitor can come by another's.
    """
    state = st.session_state
    log: list[Sighting] = state.log
    data = {
        "session": state.setdefault("log_session", uuid4().hex),
        "restored": bool(state.get("log_restored")),
        "keys": [entry.key for entry in log],
        "lines": {entry.key: as_json(entry) for entry in _untold(log)},
        "missing": not_kept(),
        "again": uuid4().hex if not_kept() else "",  # the same data would not reach the browser a second time
    }
    told = component("log")(
        key=_KEY, data=data, default={"missing": []}, on_kept_change=lambda: None, on_missing_change=lambda: None
    )
    before: dict[str, Sighting] = state.get("log_sent", {})
    state.log_told, state.log_sent = before, {entry.key: entry for entry in log}
    if told.kept is not None and not state.get("log_restored"):
        state.log, state.log_restored = with_kept(log, told.kept), True
        own = state.log_sent.keys()  # which the browser did not store while it told of the others
        state.log_told = state.log_sent = {entry.key: entry for entry in state.log if entry.key not in own}
        st.rerun()


def _untold(log: Sequence[Sighting]) -> list[Sighting]:
    """The lines that are new or were changed since two runs ago: what a run sends last is lost if another begins.

    And a few of those that the browser could not store.
    """
    told: dict[str, Sighting] = st.session_state.get("log_told", {})
    again = not_kept()[-_AGAIN:]
    return [entry for entry in log if told.get(entry.key) is not entry or entry.key in again]


def not_kept() -> list[str]:
    """The keys of lines that this browser said it could not store."""
    told = st.session_state.get(_KEY)
    keys = told.get("missing") if isinstance(told, Mapping) else None
    return [key for key in keys if isinstance(key, str)][:MAX_ENTRIES] if isinstance(keys, list) else []
