"""The map: the same one on every page, over the whole screen of a phone and beside the text elsewhere."""

from __future__ import annotations

from html import escape
from typing import TYPE_CHECKING

import streamlit as st

from app import widgets
from app.following import steady_view
from app.map.deck import Place, Room, campus_deck, coverage_deck, labels_of, view_of
from app.map.drawn import NOTHING_MORE, Shown, numbered_places, radii_m
from app.map.still import px_per_metre, still_map
from app.session_log import walks
from app.shared import dark
from core.locate.confidence import confidence

if TYPE_CHECKING:
    import pydeck

    from app.sighting import Sighting
    from app.texts import Texts
    from core.campus.basemap import View
    from core.campus.bundle import Bundle
    from core.locate.fix import Fix


def shown() -> Shown:
    """What the visitor asked to see on the map."""
    state = st.session_state
    return Shown(*(bool(state.get(f"layer_{name}")) for name in ("zones", "heat", "photos")))


def earlier_walks(bundle: Bundle, *, but_last: bool) -> list[list[Place]]:
    """The session's track on this campus, oldest first, the places of each walk by themselves."""
    log: list[Sighting] = st.session_state.log
    found = walks(log[:-1] if but_last else log)
    return [[place for _, place in walk] for walk in found if walk[0][0].fix.campus == bundle.manifest.name]


def _said(bundle: Bundle, fix: Fix | None, page: str, texts: Texts) -> str:
    """The map in words, for those who do not see it."""
    empty = texts.say("coverage_alt" if page == "campus" else "map_alt_empty", campus=bundle.manifest.name)
    if fix is None:
        return empty
    if confidence(fix) == "split":
        return f"{empty}: {texts.say('split', count=len(fix.candidates))}"
    return texts.say("map_alt", zone=texts.zone_name(fix.zone.name), radius=texts.distance(radii_m(fix)[0]))


def stage(bundle: Bundle, page: str, texts: Texts, *, webgl: bool, room: Room) -> None:
    """Draw the map of a page into the current container."""
    current: Sighting | None = st.session_state.current if page == "locate" else None
    located = current if current is not None and current.place is not None else None
    fix, truth, view = None, None, None
    if located is not None and located.radii_m is not None:
        view = steady_view(bundle, located, room)
        fix, truth = located.fix, located.truth if located.truth_on_campus else None
    alt = _said(bundle, fix, page, texts)
    view = view or view_of(bundle, fix, truth, room, shown())
    track = [] if page == "campus" else earlier_walks(bundle, but_last=located is not None)
    # Under the live map the still one stands for a moment; without WebGL it is the map, with all that was asked for.
    asked, behind = (NOTHING_MORE, []) if webgl else (shown(), track)
    still = still_map(
        bundle, fix, truth=truth, track=behind, shown=asked, coverage=page == "campus",
        view=view, room=room, lang=texts.lang, dark=dark(),
    )  # fmt: skip
    st.html(f'<img class=\'still\' src="{still}" alt="{"" if webgl else escape(alt)}">')  # under the live map a double
    if webgl:
        deck = _live_map(bundle, fix, truth, track, view, texts.lang, coverage=page == "campus")
        st.pydeck_chart(deck, height="stretch", alt=alt)
    with st.container(key="scale_place"):
        widgets.scale_bar(texts, 1 / px_per_metre(view), webgl=webgl)
        if webgl:
            numbered = [] if fix is None else numbered_places(fix, shown())
            widgets.names_on_map(labels_of(bundle, texts.lang), numbered, dark=dark())
    with st.container(key="controls"):
        st.html(f"<span class='north' role='img' aria-label='{texts['towards_north']}'>N</span>")
        if webgl:  # a still map is always there
            st.button(texts["recentre"], icon=":material/my_location:", key="recentre", on_click=_recentre)
        with st.popover(texts["layers"], icon=":material/layers:"):
            for layer in ("zones", "heat", "photos"):
                st.toggle(texts[f"layer_{layer}"], key=f"layer_{layer}", persist_state="session")


def _live_map(
    bundle: Bundle,
    fix: Fix | None,
    truth: Place | None,
    track: list[list[Place]],
    view: View,
    lang: str,
    *,
    coverage: bool,
) -> pydeck.Deck:
    recentred = int(st.session_state.get("recentred", 0))
    if coverage:
        return coverage_deck(bundle, shown=shown(), view=view, recentred=recentred, lang=lang, dark=dark())
    return campus_deck(
        bundle, fix, truth=truth, track=track, shown=shown(), view=view, recentred=recentred, lang=lang, dark=dark()
    )


def _recentre() -> None:
    st.session_state.recentred = (int(st.session_state.get("recentred", 0)) + 1) % 1000
