""" "No, I am here" under an answer: a tap on the map puts photo, fix and true place into the inbox."""

from __future__ import annotations

import base64
import logging
from dataclasses import replace
from typing import TYPE_CHECKING

import streamlit as st

from app import campuses, widgets
from app.collect.inbox import InboxFull, process_inbox
from app.collect.plan import plan
from app.collect.words import faces
from app.map.deck import Place
from app.places import near_campus
from app.reasons import reason
from app.settings import settings
from app.shared import dark, trouble
from app.standpoint import MOST_HELD_BYTES
from core.campus.inbox import Answered, Sidecar
from core.errors import CampusError

if TYPE_CHECKING:
    from app.sighting import Sighting
    from app.standpoint import Taken
    from app.texts import Texts
    from core.campus.bundle import Bundle
    from core.locate.localizer import Localizer

log = logging.getLogger(__name__)


def correction(sighting: Sighting, localizer: Localizer, texts: Texts) -> None:
    """The button, then the map; nothing where there is no inbox, or the photo is not the visitor's own."""
    state = st.session_state
    taken: Taken | None = state.play[-1] if state.play else None
    if process_inbox() is None or taken is None or not taken.own:
        return
    corrected, stored = state.get("corrected", (None, False))
    if corrected is sighting:
        counted = sighting.place is not None and sighting.truth_on_campus
        said = texts["corrected" if stored else "corrected_reviewed"], texts["counted" if counted else "not_counted"]
        st.caption(" ".join(said))
    if not taken.photo:
        st.caption(texts.say("not_held", megabytes=MOST_HELD_BYTES >> 20))
        return
    if state.get("correcting") is not sighting:
        st.button(
            texts["not_here"], icon=":material/edit_location_alt:", key="not_here", on_click=_begin, args=(sighting,)
        )
        return
    try:
        ground = plan(localizer.bundle, lang=texts.lang)
    except CampusError as error:
        trouble(texts["bundle_error"], reason(error, texts))
        return
    with st.container(key="correction"):
        st.caption(f"{texts['correct_consent']} {faces(texts.lang, blur=settings().blur)}")
        fix, radii_m = sighting.fix, sighting.radii_m
        answer = None if radii_m is None else Place(fix.lat, fix.lon, radii_m[1])
        kept = _kept(taken, sighting) if _goes_by_itself() else None
        place = widgets.place_on_map(texts, ground, answer, dark=dark(), kept=kept)
        st.button(texts["cancel"], key="not_here_cancel", on_click=_begin, args=(None,))
    if place is not None:
        try:
            with st.spinner(texts["working"]):  # looking for faces takes seconds
                stored = store(taken, sighting, place)
        except (InboxFull, OSError) as error:
            log.warning("a corrected photo cannot be stored: %s", error)
            trouble(texts["correct_failed"], texts["correct_no_room"])
            return
        except CampusError as error:
            trouble(texts["correct_failed"], reason(error, texts))
            return
        note(sighting.key, place, localizer.bundle, stored=stored)
        st.rerun()


def note(key: str, place: Place, bundle: Bundle, *, stored: bool) -> None:
    """Note the true place in the log's line of a key, and in the answer on the page where it is that line's.

    `stored`: whether the photo lies in the inbox so; one that was reviewed stays as it was.
    """
    state = st.session_state
    told = {"truth": place, "truth_source": "person", "truth_on_campus": near_campus(place, bundle)}
    state.log = [replace(entry, **told) if entry.key == key else entry for entry in state.log]
    if state.current is not None and state.current.key == key:
        state.current = replace(state.current, **told)
        state.corrected = state.current, stored
        state.correcting = None


def _goes_by_itself() -> bool:
    """Whether the browser can send a correction over HTTP: to the inbox of the campus that this server opens with."""
    return settings().collects and st.session_state.campus == campuses.installed()[0]


def _kept(taken: Taken, sighting: Sighting) -> dict[str, object]:
    """What the browser keeps of a correction until the server has it; the place comes from the tap."""
    about = _sidecar(taken, sighting).model_dump(mode="json", exclude={"campus", "review"})
    photo = base64.b64encode(taken.photo).decode()
    return {"key": sighting.key, "photo": photo, "thumb": taken.thumbnail, "about": {**about, "source": "tap"}}


def store(taken: Taken, sighting: Sighting, place: Place) -> bool:
    """Put a photo with its true place and the answer that was wrong into the inbox; a second tap moves it.

    Gives whether it lies there so: one that was reviewed stays as it was. Raises CampusError and OSError as `Inbox.add`
    does.
    """
    inbox = process_inbox()
    if inbox is None:
        return False
    told = _sidecar(taken, sighting).changed(lat=place.lat, lon=place.lon, source="tap")
    entry, new = inbox.add(taken.photo, told)
    if not new and not entry.sidecar.review:
        inbox.change(entry.id, lat=place.lat, lon=place.lon, error_m=None, source="tap")
    return not entry.sidecar.review


def _sidecar(taken: Taken, sighting: Sighting) -> Sidecar:
    """What is known of a photo and of the answer that was wrong, without the true place."""
    fix, capture = sighting.fix, taken.reading.capture
    return Sidecar(
        time_utc=capture.time_utc or sighting.time_utc,
        heading_deg=capture.heading_deg,
        campus=fix.campus,
        fix=Answered(lat=fix.lat, lon=fix.lon, radius68_m=None if sighting.radii_m is None else sighting.radii_m[0]),
    )


def _begin(sighting: Sighting | None) -> None:
    st.session_state.correcting = sighting
