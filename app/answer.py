"""The sheet beside the map: the answer, the photos that it comes from, other places, details."""

from __future__ import annotations

from typing import TYPE_CHECKING

import streamlit as st

from app import cards, widgets
from app.capture import from_camera, start_anew
from app.collect.correction import correction
from app.map.drawn import numbered_places
from app.map.legend import legend
from app.most_alike import most_alike
from app.reasons import reason
from app.shared import dark, trouble
from app.stage import earlier_walks, shown
from core.errors import CampusError
from core.locate.confidence import confidence

if TYPE_CHECKING:
    from app.sighting import Sighting
    from app.standpoint import Taken
    from app.texts import Texts
    from core.campus.bundle import Bundle
    from core.locate.localizer import Localizer


def answer(sighting: Sighting, localizer: Localizer, texts: Texts) -> None:
    """The headline, then what a curious person wants beside it."""
    fix, bundle = sighting.fix, localizer.bundle
    st.html(cards.headline(sighting, bundle, texts))
    photos_in_play(localizer, texts)
    alike(sighting, localizer, texts)
    correction(sighting, localizer, texts)
    if sighting.radii_m is None:
        signs(sighting, bundle, texts)
        return
    numbered = bool(numbered_places(fix, shown()))
    if numbered:
        st.html(cards.candidates(sighting, bundle, texts))
    one_place = confidence(fix) != "split"  # between look-alikes nobody stands, and there is nothing to share
    if one_place:
        widgets.place_actions(fix.lat, fix.lon, texts)
    signs(sighting, bundle, texts)
    with st.expander(texts["details"]):
        if one_place:
            st.caption(texts["position"])
            st.html(cards.position(fix))
            st.html(cards.place_code(fix, texts))
        st.caption(texts["zones_likely"])
        st.html(cards.zone_table(fix, texts))
        if not numbered and (others := cards.candidates(sighting, bundle, texts, numbered=False)):
            st.html(others)
        total = round(sum(fix.timings_ms.values()))
        st.caption(texts.say("timing", total=total, engine=localizer.engine.name))


def signs(sighting: Sighting, bundle: Bundle, texts: Texts) -> None:
    """What the map's signs mean, those of earlier photos where this one was refused, and whom to thank for the map."""
    truth = sighting.truth if sighting.truth_on_campus else None
    track = earlier_walks(bundle, but_last=sighting.place is not None)
    items = legend(sighting.fix, truth=truth, track=track, shown=shown(), dark=dark())
    if said := cards.legend_row(items, texts) + cards.map_credit(bundle):
        st.html(said)


def alike(sighting: Sighting, localizer: Localizer, texts: Texts) -> None:
    """Beside the last photo in play the training photo most like it, where the campus carries thumbnails."""
    play: list[Taken] = st.session_state.play
    try:
        found = most_alike(play[-1].reading, sighting, localizer.bundle) if play else None
    except CampusError as error:
        trouble(texts["bundle_error"], reason(error, texts))
        return
    if found is not None:
        st.html(cards.most_alike(play[-1].thumbnail, found.picture, found.away_m, texts))


def photos_in_play(localizer: Localizer, texts: Texts) -> None:
    """The photos of this standpoint, each removable, and the button that adds another."""
    state = st.session_state
    play: list[Taken] = state.play
    current: Sighting = state.current
    if len(play) > 1:
        if said := cards.together(current, state.first_radii_m, texts):
            st.html(said)
        pictures = [
            {
                "key": taken.key,
                "url": taken.thumbnail,
                "remove": texts.say("remove_photo", number=number),
                "outlier": number - 1 in current.fix.outliers,
            }
            for number, taken in enumerate(play, start=1)
        ]
        widgets.photos_in_play(pictures, texts)
    with st.container(key="next"):
        from_camera(localizer, texts, another=True)
        if len(play) > 1:
            st.button(texts["anew"], icon=":material/restart_alt:", on_click=start_anew, key="anew")
