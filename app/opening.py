"""The app as it starts: what was asked for is there, and a browser is opened on it where there is a screen."""

from __future__ import annotations

import sys
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from threading import Thread

import streamlit as st
from streamlit import cli_util

from app.settings import settings
from core.cli.run import run_cli
from core.photo.blur.blur import process_blur


def check_detectors() -> None:
    """End the program with one line where photos should be blurred and cannot be."""
    if settings().blur and (status := run_cli(lambda: 0 if process_blur() else 1)):
        sys.exit(status)


@asynccontextmanager
async def opening(_: object) -> AsyncIterator[None]:
    """Open the browser as the server begins, as Streamlit does for a page and not for an app.

    Its port listens already, so the page waits for it.
    """
    if not st.get_option("server.headless"):
        address = f"http://localhost:{st.get_option('server.port')}"
        Thread(target=cli_util.open_browser, args=(address,), daemon=True).start()  # a terminal's browser would block
    yield
