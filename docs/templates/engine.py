"""A way to run the network to begin with: copy it to core/engines/backends/NAME.py, and `--backend NAME` finds it.

This one asks the bundle's own ONNX file through ONNX Runtime's sequential executor, a photo at a time. Import what only
this engine needs within `open_backend`, and raise MissingDependency where it is absent. A device runs Python 3.10.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np

from core.engines.heads import HEAD_OF_OUTPUT, Heads, checked_heads
from core.engines.vet import check_model
from core.errors import MissingDependency

if TYPE_CHECKING:
    from numpy.typing import NDArray
    from onnxruntime import InferenceSession

    from core.campus.bundle import Bundle


class OneByOne:
    """The network, a photo a call. Calls may come from several threads."""

    def __init__(self, session: InferenceSession) -> None:
        self.name = "ONNX Runtime, one by one"  # as people read it
        self._session = session

    def run(self, images: NDArray[np.uint8]) -> Heads:
        """(B, S, S, 3) uint8 RGB -> Heads. `checked_heads` raises EngineError for what is absent or not finite."""
        names = [output.name for output in self._session.get_outputs() if output.name in HEAD_OF_OUTPUT]
        answers = [self._session.run(names, {"image": image[None]}) for image in images]
        return checked_heads(dict(zip(names, map(np.concatenate, zip(*answers, strict=True)), strict=True)))


def open_backend(bundle: Bundle, threads: int | None = None) -> OneByOne:
    """The engine of a bundle, by so many threads (None: as many as it likes). Raises EngineError."""
    try:
        import onnxruntime as ort
    except ImportError as error:
        raise MissingDependency("onnxruntime", "requirements.txt") from error
    model = bundle.read("model.onnx")
    check_model(model)  # a stranger's network is read as data before anything runs it
    options = ort.SessionOptions()
    options.intra_op_num_threads = threads or 0
    return OneByOne(ort.InferenceSession(model, options, providers=["CPUExecutionProvider"]))
