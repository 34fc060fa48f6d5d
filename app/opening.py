"""A browser opened on the app where there is a screen: Streamlit does so for a page, not for an app that it serves."""

from __future__ import annotations

from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from threading import Thread

import streamlit as st
from streamlit import cli_util


@asynccontextmanager
async def opening(_: object) -> AsyncIterator[None]:
    """Open the browser as the server begins: its port listens already, so the page waits for it."""
    if not st.get_option("server.headless"):
        address = f"http://localhost:{st.get_option('server.port')}"
        Thread(target=cli_util.open_browser, args=(address,), daemon=True).start()  # a terminal's browser would block
    yield
