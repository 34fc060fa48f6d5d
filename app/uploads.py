"""Uploads stay in memory: the server's own parser of forms would write those over 1 MB to a temporary file."""

from __future__ import annotations

import sys

from starlette.formparsers import MultiPartParser


def keep_uploads_in_memory() -> None:
    """For this process. Each route that takes files bounds the body itself, Streamlit's by `server.maxUploadSize`."""
    MultiPartParser.spool_max_size = sys.maxsize
