"""The ways in which photos come: the phone's camera, its gallery, the campus's samples; and what is done with them."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace
from hashlib import blake2s
from pathlib import Path
from typing import TYPE_CHECKING

import streamlit as st

from app import campuses, cards, session_log, widgets
from app.following import follow
from app.gate import BusyError, process_gate
from app.kept_photos import photo_keeper
from app.reasons import reason
from app.shared import changed_ns, sample_pictures, trouble
from app.standpoint import MOST_PHOTOS, Taken, read, sighted
from app.track import leave_track, place_of, track_of
from core.errors import CampusError
from core.photo.names import PHOTO_SUFFIXES

if TYPE_CHECKING:
    from app.texts import Texts
    from core.locate.localizer import Localizer

MOST_WAITING = 96  # a class of students taps at once; each waits in its own session's thread


def from_camera(localizer: Localizer, texts: Texts, *, another: bool = False) -> None:
    """The camera's button; with `another` the photo joins those in play."""
    try:
        shot = widgets.camera(texts, share_location=bool(st.session_state.get("share_location")), another=another)
    except CampusError as error:
        st.session_state.trouble = (texts["photo_error"], reason(error, texts))
        if another:
            st.rerun()  # the reason stands above
        return
    if shot is None:
        return
    if shot.live:
        follow(localizer, texts, shot)
        widgets.note_answered(shot.number)
        return
    photo, key = shot.photo, key_of(shot.number)

    def reader() -> tuple[Taken, bytes]:
        taken = read(localizer, photo, recorded=shot.recorded, phone=shot.phone, name=shot.name)
        return replace(taken, key=key), photo

    new: list[tuple[Taken, bytes]] | None = []
    if key not in {taken.key for taken in st.session_state.play}:  # else the run before was ended after its answer
        new = take(localizer, texts, [reader], another=another, kept=True)
    if new is not None:  # else the camera is not told, and sends it again
        widgets.note_answered(shot.number)
        keep(new)
    if another:
        st.rerun()  # the answer above it was drawn already


def key_of(name: str) -> str:
    """The key of a photo by what its sender calls it: sent again, it is the same photo."""
    return blake2s(name.encode(), digest_size=16).hexdigest()


def _gallery_key() -> str:
    """The gallery's key: another widget each time, so that no photo stays with the server."""
    return f"upload-{int(st.session_state.get('uploads', 0))}"


def gallery_waits() -> bool:
    """Whether the gallery holds photos that no run has read to its end, as where a tap turned the page meanwhile."""
    return bool(st.session_state.get(_gallery_key()))


def from_gallery(localizer: Localizer, texts: Texts) -> None:
    """The gallery's button; several photos at once are of one standpoint."""
    state = st.session_state
    with st.container(key="gallery"):
        files = st.file_uploader(
            texts["upload"],
            type=list(PHOTO_SUFFIXES),
            key=_gallery_key(),
            accept_multiple_files=True,
            max_upload_size=widgets.MAX_PHOTO_BYTES >> 20,
            label_visibility="collapsed",
        )
    state.files_kept = False
    if not files:
        return

    def reader(data: bytes, name: str, key: str) -> Callable[[], tuple[Taken, bytes]]:
        return lambda: (replace(read(localizer, data, name=name), key=key), data)

    chosen = files[:MOST_PHOTOS]
    readers = [reader(file.getvalue(), file.name, key_of(file.file_id)) for file in chosen]
    new = take(localizer, texts, readers, kept=True)
    if new is None:
        state.files_kept = True  # in the widget, for the next run
        st.container(key="gallery_kept")  # by which the page knows that the field is not to be another one
        return
    if left_out := len(files) - len(chosen):
        said = texts.say("photos_left_out", most=MOST_PHOTOS, count=left_out)
        lead, why = state.trouble or ("", "")
        state.trouble = (lead, f"{why}  \n{said}") if lead else (said, "")
    # Only now: where another tap ended this run, the photos are there for the next one.
    state.uploads = int(state.get("uploads", 0)) + 1
    keep(new)
    st.rerun()  # the button is there again, empty


def from_samples(localizer: Localizer, texts: Texts) -> None:
    """A strip of the campus's own photos."""
    path = localizer.bundle.path
    try:
        pictures = sample_pictures(path, changed_ns(path))
    except CampusError as error:
        trouble(texts["samples_error"], reason(error, texts))
        return
    if not pictures:
        if st.session_state.current is None:
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
        data = localizer.bundle.read(picked)
        name = Path(picked).name
        take(localizer, texts, [lambda: (replace(read(localizer, data, name=name), photo=b"", own=False), data)])


def take(
    localizer: Localizer,
    texts: Texts,
    readers: list[Callable[[], tuple[Taken, bytes]]],
    *,
    another: bool = False,
    kept: bool = False,
) -> list[tuple[Taken, bytes]] | None:
    """Read photos of one standpoint and remember their answer, or why there is none; gives those that were read.

    None where the queue is full. `another`: they join those in play. `kept`: where the queue is full they are kept for
    another try, which the page says.
    """
    state = st.session_state
    state.trouble = None
    before: list[Taken] = list(state.play) if another else []
    try:
        with process_gate().turn(waiting=MOST_WAITING):
            new, unusable = _read_each(readers, texts)
            play = [*before, *(taken for taken, _ in new)][-MOST_PHOTOS:]
            locate_in_play(localizer, play, joined=bool(before), walked=[taken for taken, _ in new])
    except BusyError as busy:
        state.trouble = (texts.say("busy_kept" if kept else "busy", waiting=busy.waiting), "")
        return None
    except CampusError as error:
        state.trouble = (texts["photo_error"], reason(error, texts))
        if not another:
            start_anew()
    else:
        if unusable:
            numbers = ", ".join(str(number) for number in unusable)
            state.trouble = (
                texts.say("photos_unusable", numbers=numbers),
                "  \n".join(dict.fromkeys(unusable.values())),
            )
        return new
    return []


def keep(new: list[tuple[Taken, bytes]]) -> None:
    """Keep the visitor's photos with their answer, where the server does."""
    keeper = photo_keeper()
    if keeper is not None:
        for _, photo in new:
            keeper.keep_soon(photo, st.session_state.current)


def _read_each(
    readers: list[Callable[[], tuple[Taken, bytes]]], texts: Texts
) -> tuple[list[tuple[Taken, bytes]], dict[int, str]]:
    """The photos that can be read, and why each other one cannot, by its number; shows how far each one is.

    Raises CampusError where none can be read.
    """
    new: list[tuple[Taken, bytes]] = []
    unusable: dict[int, str] = {}
    states: list[cards.State] = ["waiting"] * len(readers)
    pictures = [""] * len(readers)
    told = st.empty()
    for number, reader in enumerate(readers, start=1):
        states[number - 1] = "reading"
        if len(readers) > 1:
            told.html(cards.reading(states, pictures, texts))
        try:
            taken, photo = reader()
        except CampusError as error:
            if not new and number == len(readers):
                raise
            unusable[number], states[number - 1] = reason(error, texts), "unusable"
        else:
            new.append((taken, photo))
            pictures[number - 1], states[number - 1] = taken.thumbnail, "read"
    told.empty()
    return new, unusable


def locate_in_play(localizer: Localizer, play: list[Taken], *, joined: bool, walked: list[Taken]) -> None:
    """Locate the photos in play; `joined`: their answer takes the place of the log's last one.

    `walked` are those that the session's track has not had yet; a sample, or one that is not of this campus, leads it
    nowhere.
    """
    state = st.session_state
    found = sighted(localizer, play)
    if found.place is not None:
        places = [place_of(track_of(localizer).add(taken.reading)) for taken in walked if taken.own]
        found = replace(found, walked=places[-1] if places else None)
    first = sighted(localizer, play[:1]) if len(play) > 1 else found
    state.first_radii_m = first.radii_m
    earlier = state.log[:-1] if joined else state.log
    if len(earlier) < len(state.log):
        found = found.in_place_of(state.log[-1])
    state.current = found
    state.log = session_log.added(earlier, found)
    # Last: each look into the state may end a run for the next tap, and then all of this is done again.
    # Only the last photo can be corrected, so only its file is held.
    state.play = [*(replace(taken, photo=b"") for taken in play[:-1]), play[-1]]


def start_anew() -> None:
    state = st.session_state
    state.current, state.sample, state.first_radii_m, state.play = None, None, None, []


def take_out(localizer: Localizer, texts: Texts) -> None:
    """Take the photos in play that were tapped away out of the answer, before the page draws it."""
    state = st.session_state
    gone = widgets.taken_out()
    rest = [taken for taken in state.play if taken.key not in gone]
    if len(rest) == len(state.play):
        return
    if not rest:
        start_anew()
        return
    state.trouble = None
    leave_track()
    try:
        with process_gate().turn(waiting=MOST_WAITING):
            locate_in_play(localizer, rest, joined=True, walked=rest)
    except BusyError as busy:
        state.trouble = (texts.say("busy", waiting=busy.waiting), "")
