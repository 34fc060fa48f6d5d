"""What every page of the app uses: one Localizer and one queue per process, and a few words with the browser."""

from __future__ import annotations

from datetime import timezone, tzinfo
from functools import lru_cache
from pathlib import Path
from typing import TYPE_CHECKING
from zoneinfo import ZoneInfo

import streamlit as st

from app import campuses
from app.gate import Gate
from core.campus.file_names import CAMPUS_JSON
from core.locate.localizer import Localizer

if TYPE_CHECKING:
    from core.campus.bundle import Bundle


@st.cache_resource(max_entries=4, show_spinner=False)
def opened(path: Path, changed_ns: int) -> Localizer:
    """One Localizer per bundle for all sessions; `changed_ns` makes a replaced bundle a new one."""
    del changed_ns
    return Localizer.load(path)


@st.cache_resource(show_spinner=False)
def trial_gate() -> Gate:
    """The queue of uploaded campuses, so that they take no photo's turn."""
    return Gate(at_once=1, waiting=3)


@lru_cache(maxsize=4)
def sample_pictures(path: Path, changed_ns: int) -> list[tuple[str, str]]:
    """The samples' small pictures, once per bundle."""
    return campuses.sample_pictures(opened(path, changed_ns).bundle)


def edge_pack(localizer: Localizer) -> Path | None:
    """The pack for a device that was made from this bundle and lies beside it, or None."""
    bundle = localizer.bundle
    found = (path for path in campuses.edge_packs(bundle) if _is_pack_of(path, changed_ns(path), bundle))
    return next(found, None)


@lru_cache(maxsize=4)
def _is_pack_of(path: Path, changed_ns: int, bundle: Bundle) -> bool:
    """Checked once per state of the file, since every byte of it is hashed."""
    del changed_ns
    return campuses.is_pack_of(path, bundle)


def changed_ns(path: Path) -> int:
    """When a bundle last changed, or 0 where there is none."""
    manifest = path / CAMPUS_JSON if path.is_dir() else path
    return manifest.stat().st_mtime_ns if manifest.exists() else 0


def dark() -> bool:
    return st.context.theme.type == "dark"


def time_zone() -> tzinfo:
    """The visitor's own, as the browser names it; UTC where it names none, or one that this machine does not know."""
    try:
        return ZoneInfo(st.context.timezone or "")
    except (LookupError, ValueError, OSError):  # an empty name, or one that is a folder's, is no file
        return timezone.utc


def secure() -> bool:
    """Whether the browser takes this page for a secure one, and so lets it ask where the phone is."""
    url = st.context.url or ""
    return url.startswith(("https://", "http://localhost", "http://127.0.0.1"))


def trouble(lead: str, detail: str) -> None:
    """One clear message."""
    st.error(f"**{lead}**  \n{detail}", icon=":material/error:")
