"""The app's own Streamlit components: the camera, the strip of samples, the page's head.

Their HTML, CSS and JavaScript lie in `frontend/` and need no build step and ask the network for nothing more.
"""

from __future__ import annotations

import base64
import binascii
import math
from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass
from functools import lru_cache
from pathlib import Path
from typing import Any

import streamlit as st

from app.campuses import MAX_CAMPUS_MB
from app.language import Lang
from app.map.deck import Place, Room
from app.map.shapes import DARK, LIGHT, NUMBER_EDGE_PX, NUMBER_PX, css
from app.texts import Texts
from core.campus.basemap import Label, image_of
from core.errors import PhotoError
from core.locate.fix import Candidate
from core.photo.capture import Capture, capture_from_tags
from core.photo.exif import read_tags

_FRONTEND = Path(__file__).resolve().parent / "frontend"
_PAGES = Path(__file__).resolve().parent / "collect" / "pages"
_LABELS_SCRIPT, _MAP_SCRIPT, _PICTURES_SCRIPT = (_PAGES / f"{name}.js" for name in ("labels", "map", "pictures"))
QUEUE_SCRIPT = _PAGES / "queue.js"
_GALLERY_SCRIPT = _FRONTEND / "gallery.js"
_KEPT_SCRIPT, _REST_SCRIPT = _FRONTEND / "kept.js", _FRONTEND / "rest.js"
MAX_PHOTO_BYTES = 25 * 2**20
FRAME_PX = 640  # of a live frame: one a second goes over the phone's network
_CAMERA_TEXTS = ("take_photo", "live_view", "live_stop", "snap", "reading", "sending", "camera_refused",
                 "unreadable", "too_large", "follow", "waiting")  # fmt: skip
_CORRECT_TEXTS = ("correct_fingers", "correct_wheel", "correct_store", "correct_kept", "two_fingers")
_PLAY = "in_play"
_PAGE_TEXTS = ("upload_too_large", "upload_lost", "upload_wrong_kind", "offline", "sending", "sending_share", "waiting",
               "loading_map", "skip_to_content")  # fmt: skip


@dataclass(frozen=True)
class Shot:
    """A photo from the camera component: file bytes, its name, what the camera recorded, where the phone says it is.

    `live`: it is one of the frames that follow the phone, not a photo that was taken. `number`: by which the camera
    knows it until it is told that it was answered.
    """

    photo: bytes
    name: str = ""
    recorded: Capture | None = None
    phone: Place | None = None
    live: bool = False
    number: str = ""


def component(name: str, *before: Path) -> Any:
    """The component of `frontend/NAME.*`; the scripts `before` stand before its own."""

    def part(kind: str) -> str | None:
        path = _FRONTEND / f"{name}.{kind}"
        # The last newline tells Streamlit that this is the text itself, not the path of a file.
        return path.read_text("utf-8") + "\n" if path.exists() else None

    script = "".join(path.read_text("utf-8") for path in before) + (part("js") or "")
    return st.components.v2.component(f"campus_{name}", html=part("html"), css=part("css"), js=script or None)


def _ignore() -> None:
    """A trigger reruns the script by itself."""


def camera(texts: Texts, *, share_location: bool, another: bool = False) -> Shot | None:
    """The rear camera's button; gives the photo, or a live frame, in the run after it was taken. Raises PhotoError.

    `another` is the button that asks to turn and take one more.
    """
    words = {key: texts[key] for key in _CAMERA_TEXTS}
    data = {
        "texts": words | {"take_photo": texts["another"]} if another else words,
        "another": another,
        "frame_px": FRAME_PX,
        "max_bytes": MAX_PHOTO_BYTES,
        "share_location": share_location,
    }
    key = "camera_another" if another else "camera"
    seen = component("camera", _PICTURES_SCRIPT)(key=key, data=data, on_photo_change=_ignore, on_frame_change=_ignore)
    value = seen.frame if seen.photo is None else seen.photo
    if value is None:
        return None
    number = _number(value)
    if number and number == st.session_state.get("answered"):
        return None  # it was sent again before the camera was told
    try:
        return shot_from(value, live=seen.photo is None)
    except PhotoError:
        note_answered(number)
        raise


def note_answered(number: str) -> None:
    """Note that a photo of the camera is answered. Last of all: a photo whose run another tap ends is sent again."""
    st.session_state.answered = number


def tell_answered() -> None:
    """At the end of a run: tell the camera which of its photos was answered, so that it waits no longer."""
    if number := st.session_state.get("answered"):
        component("answered")(key="answered_photo", data={"number": number})


def shot_from(value: Any, *, live: bool = False) -> Shot:
    """What the camera component sent -> Shot. It comes from a browser, so nothing in it is trusted."""
    if not isinstance(value, Mapping):
        raise PhotoError("the camera sent no photo", remedy="try again", kind="incomplete")
    photo = _from_base64(str(value.get("url", "")).partition(",")[2])
    if not photo:
        raise PhotoError("the camera sent an empty photo", remedy="try again", kind="incomplete")
    if not (number := _number(value)):
        raise PhotoError("the camera sent a photo without its number", remedy="try again", kind="incomplete")
    exif = _from_base64(str(value.get("exif") or ""))
    recorded = capture_from_tags(read_tags(exif)) if exif else None
    return Shot(photo, str(value.get("name") or ""), recorded, _phone(value.get("phone")), live, number)


def _number(value: Any) -> str:
    """The number of a photo, by which the camera waits for its answer; "" where there is none."""
    number = value.get("number") if isinstance(value, Mapping) else None
    return str(number)[:20] if isinstance(number, int) else ""


def _from_base64(text: str) -> bytes:
    if len(text) > MAX_PHOTO_BYTES * 4 // 3 + 4:
        raise PhotoError("this photo is larger than 25 MB", remedy="make it smaller", kind="too large")
    try:
        return base64.b64decode(text, validate=True)
    except (binascii.Error, ValueError):
        raise PhotoError("the photo arrived damaged", remedy="try again", kind="incomplete") from None


def _phone(value: Any) -> Place | None:
    if not isinstance(value, Mapping):
        return None
    numbers = [value.get(key) for key in ("lat", "lon", "error_m")]
    if not all(isinstance(number, (int, float)) and math.isfinite(number) for number in numbers):
        return None
    lat, lon, error_m = (float(number) for number in numbers if number is not None)
    return Place(lat, lon, error_m) if abs(lat) <= 84 and abs(lon) <= 180 else None


def samples(items: Sequence[Mapping[str, str]], texts: Texts, chosen: str | None) -> str | None:
    """A strip of pictures, each {name, url, label}; gives the name of one tapped, in the run after."""
    data = {"items": list(items), "label": texts["samples"], "chosen": chosen}
    picked = component("samples")(key="samples", data=data, on_pick_change=_ignore).pick
    names = {item["name"] for item in items}
    return picked if picked in names else None


def photos_in_play(photos: Sequence[Mapping[str, object]], texts: Texts) -> None:
    """A row of pictures, each {key, url, remove, outlier}, with a button that takes it out: see `taken_out`."""
    data = {"photos": list(photos), "label": texts["in_play"]}
    component("play")(key=_PLAY, data=data, default={"gone": []}, on_gone_change=_ignore)


def taken_out() -> frozenset[str]:
    """The keys of photos that were tapped away, now or earlier in this session."""
    told = st.session_state.get(_PLAY)
    keys = told.get("gone") if isinstance(told, Mapping) else None
    return frozenset(key for key in keys if isinstance(key, str)) if isinstance(keys, list) else frozenset()


def place_actions(lat: float, lon: float, texts: Texts) -> None:
    """Share a place, open it in the phone's own maps, or copy it: one tap each."""
    words = {key: texts[key] for key in ("share_place", "open_maps", "copy_place", "copied", "app")}
    component("actions")(key="actions", data={"lat": round(lat, 6), "lon": round(lon, 6), "texts": words})


def place_on_map(
    texts: Texts, plan: Mapping[str, Any], answer: Place | None, *, dark: bool, kept: Mapping[str, Any] | None = None
) -> Place | None:
    """The campus's map (`app.collect.plan`) to tap on, and a button; gives the place in the run after it.

    It opens near the `answer`, whose `error_m` is its 95 % radius; without one on the whole campus. Where `kept` is
    given, {key, photo, thumb, about} of what is corrected, the browser keeps it with the place in its own queue, and
    gives the place only where it can keep nothing.
    """
    words = {key: texts[key] for key in _CORRECT_TEXTS}
    near = None if answer is None else asdict(answer)
    data = {"plan": plan, "answer": near, "dark": dark, "texts": words, "kept": kept}
    correct = component("correct", _LABELS_SCRIPT, _MAP_SCRIPT, QUEUE_SCRIPT)
    key = "correct" if kept is None else "correct_kept"  # by which the style knows that it needs no server
    return place_of(correct(key=key, data=data, on_place_change=_ignore).place)


def place_of(told: Any) -> Place | None:
    """The place that a browser tells, or None where it tells none."""
    return _phone({**told, "error_m": 0.0}) if isinstance(told, Mapping) else None


def page_head(texts: Texts) -> tuple[bool, Room]:
    """Set the page's language and direction, its home-screen name and icon; tell what the browser has for a map.

    That is whether it has WebGL, and how much of the map can be seen.

    It also says what Streamlit does not: what is waited for, why an upload failed, that the connection is lost.
    """
    data = {
        "lang": texts.lang,
        "dir": "rtl" if texts.right_to_left else "ltr",
        "title": texts["app"],
        "texts": {key: texts[key] for key in _PAGE_TEXTS},
        "page": st.session_state.get("page"),
        "room": asdict(Room()),
        "most_mb": {"gallery": MAX_PHOTO_BYTES >> 20, "campus_file": MAX_CAMPUS_MB},
    }
    page = component("page", _GALLERY_SCRIPT)
    seen = page(key="page_head", data=data, on_no_webgl_change=_ignore, on_room_change=_ignore)
    return not seen.no_webgl, _room(seen.room)


def _room(told: Any) -> Room:
    """What the browser says of its map; it comes from a stranger, so no odd number may reach the map."""
    sides = [told.get(key) for key in asdict(Room())] if isinstance(told, Mapping) else []
    numbers = [float(side) for side in sides if isinstance(side, (int, float)) and 0 <= side <= 10_000]
    if len(numbers) < len(sides) or not sides:
        return Room()
    width_px, height_px, top_px, right_px = numbers
    return Room(max(120.0, width_px), max(100.0, height_px), top_px, right_px)


def scale_bar(texts: Texts, metres_per_px: float, *, webgl: bool) -> None:
    """How long some round number of metres is on the map, at each zoom; without WebGL at the still picture's scale."""
    words = {key: texts[key] for key in ("metres", "kilometres")}
    data = {"texts": words, "metres_per_px": metres_per_px, "webgl": webgl}
    component("scale", _KEPT_SCRIPT, _REST_SCRIPT)(key="scale", data=data)


def names_on_map(labels: Sequence[Label], numbered: Sequence[Candidate], *, dark: bool) -> None:
    """Give the map the pictures of its names, and tell which places with a number it draws over them."""
    pictures = [image_of(label, dark=dark) for label in labels]
    data = {
        "names": pictures,
        "halo": css((DARK if dark else LIGHT).halo),
        "numbered": [[place.lon, place.lat] for place in numbered],
        "number_px": 2 * NUMBER_PX + NUMBER_EDGE_PX,
    }
    component("names", _KEPT_SCRIPT, _LABELS_SCRIPT)(key="names", data=data)


@lru_cache(maxsize=4)
def stylesheet(lang: Lang) -> str:
    """The page's own CSS, as an element, with the words that Streamlit's uploader has in English only."""
    words = {"choose": "gallery", "choose-file": "choose_file"}
    names = "".join(f'--campus-{name}: "{Texts(lang)[key]}";' for name, key in words.items())
    return f"<style>:root {{{names}}}{(_FRONTEND / 'page.css').read_text('utf-8')}</style>"
