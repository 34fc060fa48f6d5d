"""The two pages beside the answer: the session's log, and the campus."""

from __future__ import annotations

import logging
from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING

import streamlit as st

from app import campuses, cards, session_log
from app.collect.words import WORDS
from app.gate import BusyError
from app.lasting_log import not_kept
from app.map.legend import coverage_legend
from app.reasons import reason
from app.settings import settings
from app.shared import dark, edge_pack, time_zone, trial_gate, trouble
from app.sighting import MAX_NOTE, MAX_TITLE, Sighting
from app.texts import Texts
from core.campus.zone_names import MAX_NAME
from core.errors import CampusError
from core.locate.localizer import Localizer

if TYPE_CHECKING:
    from core.campus.bundle import Bundle

logger = logging.getLogger(__name__)

SHOWN_IN_LOG = 50


def log_page(texts: Texts) -> None:
    log: list[Sighting] = st.session_state.log
    if not log:
        st.caption(texts["log_empty"])
        return
    st.subheader(texts.say("log_count", count=len(log)), anchor=False)
    if not_kept():
        st.warning(texts["log_not_kept"], icon=":material/warning:")
    figures = session_log.field_test(log)
    if figures is not None:
        st.html(cards.field_test(figures, texts))
    with st.container(horizontal=True):
        for kind, mime, write in session_log.EXPORTS:
            st.download_button(
                kind,
                write(log),
                file_name=f"campus-gps-{log[0].time_utc:%Y%m%d-%H%M%S}.{kind.lower()}",
                mime=mime,
                icon=":material/download:",
                on_click="ignore",
                help=texts.say("download_as", kind=kind),
            )
    with st.expander(texts["columns"], icon=":material/table_chart:"):
        st.html(cards.columns(texts))
    if len(log) > SHOWN_IN_LOG:
        st.caption(texts.say("log_newest", count=SHOWN_IN_LOG))
    with st.container(key="log"):
        for entry in reversed(log[-SHOWN_IN_LOG:]):
            log_entry(entry, texts)
    with st.popover(texts["clear"], icon=":material/delete:"):  # a slip of the thumb must not cost a day's notes
        st.caption(texts.say("clear_asked", count=len(log)))
        st.button(texts["clear_all"], on_click=clear_log, key="clear_all")


def log_entry(entry: Sighting, texts: Texts) -> None:
    """A line of the log, with a button that opens its name and note."""
    state = st.session_state
    with st.container(horizontal=True, wrap=False, vertical_alignment="center", key=f"entry-{entry.key}"):
        st.html(cards.logged(entry, texts, time_zone()))
        st.button(
            texts["annotate"],
            icon=":material/edit:",
            key=f"annotate-{entry.key}",
            on_click=lambda: state.update(annotating=None if state.get("annotating") == entry.key else entry.key),
        )
    if state.get("annotating") != entry.key:
        return
    with st.form(f"annotation-{entry.key}"):
        st.text_input(texts["entry_title"], entry.title, max_chars=MAX_TITLE, key=f"title-{entry.key}")
        st.text_area(texts["entry_note"], entry.note, max_chars=MAX_NOTE, key=f"note-{entry.key}", height=96)
        st.form_submit_button(texts["entry_save"], on_click=annotate, args=(entry.key,))


def annotate(key: str) -> None:
    """Write what the visitor typed into the log's line; this browser's storage follows at the end of the run."""
    state = st.session_state
    title = str(state[f"title-{key}"]).strip()[:MAX_TITLE]
    note = str(state[f"note-{key}"]).strip()[:MAX_NOTE]
    state.log = [replace(entry, title=title, note=note) if entry.key == key else entry for entry in state.log]
    state.annotating = None


def clear_log() -> None:
    st.session_state.log = []


def campus_page(localizer: Localizer | None, texts: Texts) -> None:
    state = st.session_state
    labels = campuses.labels({path: path.name for path in campuses.installed()} | state.added)
    choices = list(labels)
    now = choices.index(state.campus) if state.campus in labels else 0
    # Another widget for each campus: one that stayed would go on with its own choice after another campus was added. It
    # calls nothing: what the browser still says of the one before must change no campus.
    chosen = st.selectbox(
        texts["campus_pick"],
        choices,
        index=now,
        format_func=labels.__getitem__,
        placeholder=texts["campus_pick"],  # Streamlit's own is English
        key=f"campus_choice-{state.campus}",
    )
    if chosen is not None and chosen != choices[now]:
        use_campus(chosen)
        st.rerun()
    if localizer is not None:
        bundle = localizer.bundle
        st.subheader(texts["campus_card"], anchor=False)
        st.html(cards.campus(bundle, localizer.engine.name, texts))
        st.html(cards.heldout(bundle, texts))
        st.subheader(texts["coverage"], anchor=False)
        st.html(cards.legend_row(coverage_legend(dark=dark()), texts) + cards.map_credit(bundle))
        st.download_button(
            texts["campus_download"],
            lambda: campuses.packed(bundle),
            file_name=campuses.file_name(bundle),
            mime="application/zip",
            icon=":material/download:",
            on_click="ignore",
        )
        for_a_device(localizer, texts)
        collect_links(texts)
        if settings().names_zones:
            name_zones(bundle, texts)
    add_campus(texts)


def for_a_device(localizer: Localizer, texts: Texts) -> None:
    """The pack that a Jetson needs, or the commands that make it: an export needs torch, which the app has not."""
    bundle = localizer.bundle
    pack = edge_pack(localizer)
    if pack is not None:
        st.download_button(
            texts["edge_download"],
            pack.read_bytes,
            file_name=Path(campuses.file_name(bundle)).with_suffix(campuses.PACK_SUFFIX).name,
            mime="application/zip",
            icon=":material/download:",
            on_click="ignore",
        )
        return
    commands = campuses.pack_commands(bundle)
    with st.expander(texts["edge_pack"], icon=":material/memory:"):
        st.caption(texts["edge_how" if commands else "edge_no_weights"])
        if commands:
            st.code("\n".join(commands), language="bash", wrap_lines=True)
            st.caption(texts["edge_beside"])


def name_zones(bundle: Bundle, texts: Texts) -> None:
    """Name a zone by hand; the bundle is written anew, whole or not at all."""
    state, zones = st.session_state, bundle.manifest.zones
    with st.expander(texts["zones_name"], icon=":material/edit:"), st.form("name_zones", border=False):
        number = st.selectbox(
            texts["zone_pick"],
            range(1, len(zones) + 1),
            format_func=lambda number: f"{number} · {texts.zone_name(zones[number - 1].name)}",
            placeholder=texts["zone_pick"],
        )
        name = st.text_input(texts["zone_new"], max_chars=MAX_NAME)
        if st.form_submit_button(texts["zone_save"], disabled=not zones) and number is not None:
            try:
                path = campuses.zones_named(bundle, {number: name})
            except (CampusError, OSError):
                trouble(texts["zone_bad"], "")
            else:
                state.added = {path if one == bundle.path else one: file for one, file in state.added.items()}
                use_campus(path)  # the answer speaks of the former name
                st.rerun()


def collect_links(texts: Texts) -> None:
    """The pages on which photos for the campus are collected and reviewed, where this server has them."""
    if settings().collects:
        with st.container(horizontal=True, key="collect"):
            for name, icon in (("collect", "add_a_photo"), ("review", "rule")):
                words = WORDS[texts.lang]
                st.link_button(words[name], f"/{name}?lang={texts.lang}", icon=f":material/{icon}:")


def use_campus(path: Path) -> None:
    state = st.session_state
    state.campus, state.current, state.trouble, state.sample, state.play = path, None, None, None, []


def add_campus(texts: Texts) -> None:
    """Take in a `.campus` file; other sessions do not see it."""
    state = st.session_state
    turn = int(state.get("campus_uploads", 0))  # another widget each time, so that no file stays with the server
    with st.container(key="campus_file"):
        file = st.file_uploader(
            texts["campus_add"], type=["campus"], key=f"campus_file-{turn}", max_upload_size=campuses.MAX_CAMPUS_MB
        )
    if file is None:
        if state.get("campus_trouble"):  # it stands through later runs, until another file comes
            trouble(*state.campus_trouble)
        return
    state.campus_trouble = None
    try:
        with st.spinner(texts["working"]), trial_gate().turn():
            path = campuses.taken_in(file.getvalue(), file.name)
    except BusyError as busy:
        state.campus_trouble = (texts.say("busy", waiting=busy.waiting), "")
    except CampusError as error:
        state.campus_trouble = (texts["bundle_error"], reason(error, texts))
    except OSError as error:
        logger.warning("no campus can be taken in now: %s", error)
        state.campus_trouble = (texts["bundle_error"], texts["campus_no_room"])
    else:
        state.added = {**state.added, path: file.name}
        use_campus(path)
        st.toast(texts.say("campus_added", name=campuses.title(path)), icon=":material/check:")
    state.campus_uploads = turn + 1  # only now: where another tap ended this run, the next one goes on
    st.rerun()
