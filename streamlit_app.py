"""The field app: a photo in, a place on the campus map out. Page flow only; run it with `scripts/app`."""

from __future__ import annotations

from pathlib import Path

import streamlit as st

from app import campuses, cards, widgets
from app.answer import answer
from app.capture import from_camera, from_gallery, from_samples, gallery_waits, take_out
from app.collect.waiting import send_waiting
from app.compression import compressed
from app.front_page import front_page
from app.kept_photos import photo_keeper
from app.language import LANGUAGES, Lang, language_of
from app.lasting_log import keep_log
from app.opening import check_detectors, opening
from app.pages import campus_page, log_page
from app.places import map_names
from app.reasons import reason
from app.shared import changed_ns, opened, secure, trouble
from app.stage import stage
from app.texts import Texts
from app.uploads import keep_uploads_in_memory
from core.errors import CampusError
from core.locate.localizer import Localizer

ICON = Path(__file__).resolve().parent / "static" / "icon-64.png"


def main() -> None:
    st.set_page_config(page_title="Campus GPS", page_icon=str(ICON), layout="wide")
    state = st.session_state
    state.setdefault("lang", language_of(st.query_params.get("lang"), st.context.locale))
    state.setdefault("campus", campuses.installed()[0])
    for name, empty in (("added", {}), ("play", []), ("log", []), ("current", None), ("trouble", None)):
        state.setdefault(name, empty)
    texts = Texts(state.lang)
    st.html(widgets.stylesheet(texts.lang))
    webgl, room = widgets.page_head(texts)
    map_place, top, sheet, bar = (st.container(key=key) for key in ("stage", "top", "sheet", "bar"))

    localizer, broken = None, None
    try:
        localizer = opened(state.campus, changed_ns(state.campus))
        texts = Texts(state.lang, map_names(localizer.bundle, state.lang))
    except CampusError as error:
        broken = error
    with bar:
        # The photo comes before its answer is drawn, and the buttons stand over the pages' names.
        buttons = st.container(key="ways", horizontal=True, wrap=False)
        page = navigation(texts)
        if localizer is not None and (page == "locate" or gallery_waits()):
            take_out(localizer, texts)
            with buttons:
                from_camera(localizer, texts)
                from_gallery(localizer, texts)
        else:
            st.container(key="pages_alone")  # the bar is low: a style that guessed would move the map as buttons load
    with top:
        head(localizer, texts)
    with sheet:
        if broken is not None:
            trouble(texts["bundle_error"], reason(broken, texts))
        if page == "campus":
            campus_page(localizer, texts)
        elif page == "log":
            log_page(texts)
        elif localizer is not None:
            locate_page(localizer, texts)
        if localizer is not None:
            send_waiting(localizer, texts)
    if localizer is not None:
        with map_place:
            stage(localizer.bundle, page, texts, webgl=webgl, room=room)
    widgets.tell_answered()
    keep_log()  # last: what this run located or cleared is in it


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
    """The answer, or what to do for one; the campus's samples come first while nothing was located."""
    state = st.session_state
    answer_place = st.container()
    from_samples(localizer, texts)  # first: a tap on one changes the answer above
    with answer_place:
        if state.trouble:
            trouble(*state.trouble)
            if state.get("files_kept"):
                st.button(texts["try_again"], icon=":material/refresh:")  # any run reads the gallery's files again
        if state.current is None:
            st.caption(texts["hint"])
        else:
            answer(state.current, localizer, texts)
    if photo_keeper() is not None:
        st.caption(texts["kept"])
    elif state.current is None:
        st.caption(texts["private"])
    if secure():
        st.toggle(texts["use_location"], key="share_location", persist_state="session")


if __name__ == "__main__":
    main()  # each run of the page
else:
    # What `streamlit run` finds here and serves.
    check_detectors()
    keep_uploads_in_memory()
    app = st.App(__file__, routes=[front_page()], middleware=[compressed()], lifespan=opening)
