"""Chromium as tests start it: what is drawn without a graphics processor costs as little as it can."""

from __future__ import annotations

import base64
import os
from ctypes.util import find_library
from pathlib import Path
from typing import Any

from cryptography import x509
from cryptography.hazmat.primitives import hashes
from cryptography.hazmat.primitives.serialization import Encoding, PublicFormat

from benchmarks.browser import launch

# Software for WebGL draws pages as well unless told otherwise, which doubles what a visit costs.
_SPARING = ("--disable-gpu-rasterization", "--disable-gpu-compositing")
# Mesa keeps the map's programs on disk; Chromium's own software builds them for each page anew, a third of a visit, and
# takes still longer unless they are kept in one place.
_MESA, _OWN = "--use-angle=gl-egl", "--enable-angle-features=preferGlobalPipelineCache"
# The same software draws each of the map's pixels several times for smooth edges, two fifths of its work on a map.
_ROUGH = "--webgl-antialiasing-mode=none"


def start(kind: Any, *flags: str) -> Any:
    """As `benchmarks.browser.launch`; with smooth edges where pictures are taken to be looked at, at a scale."""
    sparing = _SPARING if "SCREENSHOT_SCALE" in os.environ else (*_SPARING, _ROUGH)
    if _mesa_is_here():
        return launch(kind, *sparing, _MESA, *flags, LIBGL_ALWAYS_SOFTWARE="1")
    return launch(kind, *sparing, _OWN, *flags)


def _mesa_is_here() -> bool:
    """Whether Mesa's software for OpenGL ES is installed, as by Debian's libegl1 and libgl1-mesa-dri."""
    return find_library("EGL") is not None and any(Path("/usr/lib").glob("*/dri/swrast_dri.so"))


def trusting(kind: Any, certificate: Path) -> Any:
    """As `start`, with a server's certificate trusted, as a phone does after installing its authority."""
    digest = hashes.Hash(hashes.SHA256())
    key = x509.load_pem_x509_certificate(certificate.read_bytes()).public_key()
    digest.update(key.public_bytes(Encoding.DER, PublicFormat.SubjectPublicKeyInfo))
    return start(kind, f"--ignore-certificate-errors-spki-list={base64.b64encode(digest.finalize()).decode()}")
