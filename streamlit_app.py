"""The field app: a photo in, a place on the campus map out. Page flow only; run it with `scripts/app`."""

from __future__ import annotations

from pathlib import Path

import streamlit as st

from app import campuses, cards, session_log, widgets
from app.gate import BusyError
from app.kept_photos import photo_keeper
from app.language import LANGUAGES, Lang, language_of
from app.map.deck import HEIGHT_PX, Place, campus_deck, legend
from app.pages import campus_page, log_page
from app.shared import changed_ns, dark, gate, opened, sample_pictures, secure, trouble
from app.sighting import Sighting, locate
from app.texts import Texts
from core.errors import CampusError
from core.locate.confidence import confidence
from core.locate.localizer import Localizer
from core.photo.capture import Capture
from core.photo.names import PHOTO_SUFFIXES

ICON = Path(__file__).resolve().parent / "static" / "icon-64.png"


def main() -> None:
    st.set_page_config(page_title="Campus GPS", page_icon=str(ICON), layout="centered")
    state = st.session_state
    state.setdefault("lang", language_of(st.query_params.get("lang"), st.context.locale))
    state.setdefault("campus", campuses.installed()[0])
    state.setdefault("added", [])
    state.setdefault("current", None)
    state.setdefault("trouble", None)
    state.setdefault("log", [])
    texts = Texts(state.lang)
    st.html(widgets.stylesheet(texts.lang))
    widgets.page_head(texts)

    localizer, broken = None, None
    try:
        localizer = opened(state.campus, changed_ns(state.campus))
    except CampusError as error:
        broken = error
    head(localizer, texts)
    page = navigation(texts)
    if broken is not None:
        trouble(texts["bundle_error"], texts.reason(broken))
    if page == "campus":
        campus_page(localizer, texts)
    elif page == "log":
        log_page(texts)
    elif localizer is not None:
        locate_page(localizer, texts)


def head(localizer: Localizer | None, texts: Texts) -> None:
    """The campus's name, what kind of campus it is, and the other language."""
    other: Lang = "en" if texts.lang == "he" else "he"
    with st.container(horizontal=True, wrap=False, horizontal_alignment="distribute", vertical_alignment="center"):
        name = localizer.bundle.manifest.name if localizer else texts["app"]
        rendered = localizer is not None and localizer.bundle.manifest.rendered
        st.html(cards.page_title(name, texts["rendered"] if rendered else ""))
        st.button(LANGUAGES[other], on_click=speak, args=(other,), type="tertiary", icon=":material/language:")


def speak(lang: Lang) -> None:
    st.session_state.lang = st.query_params["lang"] = lang


def navigation(texts: Texts) -> str:
    """The pages, in reach of the thumb."""
    icons = {"locate": "my_location", "log": "list", "campus": "map"}
    with st.container(key="nav"):
        page = st.segmented_control(
            texts["nav"],
            list(icons),
            format_func=lambda name: f":material/{icons[name]}: {texts[f'nav_{name}']}",
            default="locate",
            required=True,
            key="page",
            label_visibility="collapsed",
            width="stretch",
        )
    return str(page)


def locate_page(localizer: Localizer, texts: Texts) -> None:
    capture(localizer, texts)
    state = st.session_state
    if state.trouble:
        trouble(*state.trouble)
    if state.current is None:
        st.caption(texts["hint"])
    else:
        answer(state.current, localizer, texts)
    if photo_keeper() is not None:
        st.caption(texts["kept"])
    elif state.current is None:
        st.caption(texts["private"])
    if state.way == "camera" and secure():
        st.toggle(texts["use_location"], key="share_location", persist_state="session")


def capture(localizer: Localizer, texts: Texts) -> None:
    """The ways to give a photo; only the chosen one is on the page."""
    icons = {"camera": "photo_camera", "gallery": "upload", "samples": "photo_library"}
    slot = st.container()
    way = st.segmented_control(
        texts["way"],
        list(icons),
        format_func=lambda name: f":material/{icons[name]}: {texts[f'way_{name}']}",
        default="camera",
        required=True,
        key="way",
        persist_state="session",
        label_visibility="collapsed",
        width="stretch",
    )
    with slot:
        {"camera": from_camera, "gallery": from_gallery, "samples": from_samples}[way](localizer, texts)


def from_camera(localizer: Localizer, texts: Texts) -> None:
    try:
        shot = widgets.camera(texts, share_location=bool(st.session_state.get("share_location")))
    except CampusError as error:
        st.session_state.current, st.session_state.trouble = None, (texts["photo_error"], texts.reason(error))
        return
    if shot is not None:
        take(localizer, texts, shot.photo, shot.name, recorded=shot.recorded, phone=shot.phone, own=True)


def from_gallery(localizer: Localizer, texts: Texts) -> None:
    with st.container(key="gallery"):
        file = st.file_uploader(
            texts["upload"], type=list(PHOTO_SUFFIXES), key="upload", max_upload_size=widgets.MAX_PHOTO_BYTES >> 20
        )
    if file is not None and st.session_state.get("uploaded") != file.file_id:
        st.session_state.uploaded = file.file_id
        take(localizer, texts, file.getvalue(), file.name, own=True)


def from_samples(localizer: Localizer, texts: Texts) -> None:
    path = localizer.bundle.path
    pictures = sample_pictures(path, changed_ns(path))
    if not pictures:
        st.caption(texts["no_samples"])
        return
    items = [
        {
            "name": name,
            "url": url,
            "label": texts.say("sample", number=number, name=campuses.sample_label(name)),
        }
        for number, (name, url) in enumerate(pictures, start=1)
    ]
    picked = widgets.samples(items, texts, st.session_state.get("sample"))
    if picked is not None:
        st.session_state.sample = picked
        take(localizer, texts, localizer.bundle.read(picked), Path(picked).name)


def take(
    localizer: Localizer,
    texts: Texts,
    photo: bytes,
    name: str,
    recorded: Capture | None = None,
    phone: Place | None = None,
    own: bool = False,
) -> None:
    """Locate a photo and remember the answer, or why there is none; `own`: it is the visitor's, not a sample."""
    state = st.session_state
    state.current = state.trouble = None
    try:
        with st.spinner(texts["working"]), gate().turn():
            state.current = locate(localizer, photo, recorded=recorded, phone=phone, name=name)
    except BusyError as busy:
        state.trouble = (texts.say("busy", waiting=busy.waiting), "")
    except CampusError as error:
        state.trouble = (texts["photo_error"], texts.reason(error))
    else:
        state.log = session_log.added(state.log, state.current)
        keeper = photo_keeper() if own else None
        if keeper is not None:
            keeper.keep(photo, state.current)


def answer(sighting: Sighting, localizer: Localizer, texts: Texts) -> None:
    """The headline, the map, and what a curious person wants beside them."""
    fix, bundle = sighting.fix, localizer.bundle
    st.html(cards.answer(sighting, bundle, texts))
    if sighting.radii_m is None:
        return
    places = cards.candidates(sighting, bundle, texts)
    doubtful = confidence(fix) in ("split", "likely")
    if doubtful and places:
        st.html(places)
    log: list[Sighting] = st.session_state.log
    earlier = [entry.place for entry in log[:-1] if entry.fix.campus == fix.campus and entry.place is not None]
    truth = sighting.truth if sighting.truth_on_campus else None
    zones = bool(st.session_state.get("zones"))
    deck = campus_deck(bundle, fix, truth=truth, track=earlier, zones=zones, dark=dark())
    alt = texts.say("map_alt", zone=texts.zone_name(fix.zone.name), radius=texts.distance(sighting.radii_m[0]))
    st.pydeck_chart(deck, height=HEIGHT_PX, alt=alt)
    items = legend(fix, truth=truth, track=earlier, zones=zones, dark=dark())
    st.html(cards.legend_row(items, texts) + cards.map_credit(bundle) + ("" if doubtful else places))
    st.toggle(texts["show_zones"], key="zones")
    with st.expander(texts["details"]):
        st.caption(texts["position"])
        st.code(f"{fix.lat:.6f}, {fix.lon:.6f}", language=None)
        st.html(cards.zone_table(fix, texts))
        total = round(sum(fix.timings_ms.values()))
        st.caption(texts.say("timing", total=total, engine=localizer.engine.name))


main()
