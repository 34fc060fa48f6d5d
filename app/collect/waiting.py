"""What waits in the visitor's browser for the server: any page of the app sends it, and the log notes corrections."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import streamlit as st

from app import widgets
from app.collect.correction import note
from app.collect.words import WORDS, reasons_of
from app.map.deck import Place
from app.settings import settings
from core.locate.localizer import Localizer

if TYPE_CHECKING:
    from app.texts import Texts

_TROUBLES = ("waiting", "offline", "locked", "full", "failing")
_MOST = 100  # corrections of which one session is told


@dataclass(frozen=True)
class Told:
    """What became of a correction: the log's `key`, the tapped place, and where the server refused it the reason."""

    token: str  # another for each tap
    key: str
    place: Place
    state: str  # "sent", "reviewed" or "refused"
    reason: str


def send_waiting(localizer: Localizer, texts: Texts) -> None:
    """Let the browser send what waits in it; note the corrections that the server has answered since.

    A correction outlives the server and the session in which it was made: the log's line is known by its key.
    """
    if not settings().collects:
        return
    state = st.session_state
    noted: list[str] = state.setdefault("corrections_noted", [])
    campus = localizer.bundle.manifest.name
    data = {
        "keys": [entry.key for entry in state.log if entry.fix.campus == campus],
        "noted": noted,
        "reasons": reasons_of(texts.lang),
        "texts": {key: WORDS[texts.lang][key] for key in _TROUBLES},
    }
    seen = widgets.component("waiting", widgets.QUEUE_SCRIPT)(key="waiting", data=data, on_told_change=lambda: None)
    new = [told for told in told_of(seen.told) if told.token not in noted and told.key in data["keys"]]
    for told in new:
        if told.state == "refused":
            state.trouble = (texts["correct_failed"], told.reason)
        else:
            note(told.key, told.place, localizer.bundle, stored=told.state == "sent")
    if new:
        state.corrections_noted = [*noted, *(told.token for told in new)][-_MOST:]
        st.rerun()


def told_of(value: Any) -> list[Told]:
    """What the browser tells of its corrections; what it cannot have written is left out."""
    found = []
    for one in value[:_MOST] if isinstance(value, list) else []:
        place = widgets.place_of(one)
        if place is None:
            continue
        token, key, state, reason = (str(one.get(name) or "") for name in ("corrects", "key", "state", "reason"))
        if state in ("sent", "reviewed", "refused") and token:
            found.append(Told(token[:40], key, place, state, reason[:300]))
    return found
