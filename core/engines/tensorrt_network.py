"""A TensorRT engine on the GPU: bytes of images in, outputs by name. TensorRT 10 or newer: JetPack 6 and 7."""

from __future__ import annotations

import hashlib
import logging
import weakref
from dataclasses import dataclass
from importlib import import_module
from threading import Lock
from typing import TYPE_CHECKING, Any

import numpy as np

from core.engines.cuda import DEVICE_TO_HOST, HOST_TO_DEVICE, Cuda, as_array, open_cuda
from core.engines.engine_key import BUILD_AGAIN, EngineFiles, check_packed, key_of_this_machine, read_key
from core.errors import EngineError

if TYPE_CHECKING:
    from numpy.typing import NDArray

    from core.campus.bundle import Bundle

log = logging.getLogger(__name__)

OLDEST = 10
_INSTALL = (
    "on a Jetson `sudo apt install nvidia-jetpack`, and a virtual environment made with "
    "`python3 -m venv --system-site-packages`"
)


def import_tensorrt() -> Any:
    """The module `tensorrt`. Raises EngineError where it is absent, broken, or older than TensorRT 10."""
    try:
        trt = import_module("tensorrt")
    except ImportError as error:
        if isinstance(error, ModuleNotFoundError) and error.name == "tensorrt":
            raise EngineError("TensorRT's Python module is not installed", remedy=_INSTALL) from error
        # A library under it is absent: its name is all that helps.
        reason = " ".join(str(error).split())
        raise EngineError(
            f"TensorRT cannot be loaded ({reason})",
            remedy="`sudo apt install --reinstall nvidia-jetpack`, then look again",
            step="doctor",
        ) from error
    if int(str(trt.__version__).split(".")[0]) < OLDEST:
        raise EngineError(
            f"TensorRT {trt.__version__} is too old, {OLDEST} is needed", remedy="update to JetPack 6 or newer"
        )
    return trt


def collecting_logger(trt: Any) -> Any:
    """A TensorRT logger that keeps errors in `messages` instead of printing them."""

    class Collector(trt.ILogger):  # type: ignore[misc]
        def __init__(self) -> None:
            trt.ILogger.__init__(self)
            self.messages: list[str] = []

        def log(self, severity: Any, msg: str) -> None:
            if severity in (trt.ILogger.Severity.ERROR, trt.ILogger.Severity.INTERNAL_ERROR):
                self.messages.append(msg)

    return Collector()


def said(logger: Any) -> str:
    """What TensorRT complained about, as one line."""
    return " ".join("; ".join(logger.messages).split())[:300] or "no reason given"


@dataclass(frozen=True)
class _Port:
    """An input or output with its memory on both sides, made for the largest batch and used for every frame."""

    name: str
    device: int
    pinned: int
    host: NDArray[Any]  # (largest batch, …), shares the pinned memory


class TensorRtNetwork:
    """An engine file on the GPU. Thread-safe: one frame at a time."""

    def __init__(self, engine: bytes, name: str, cuda: Cuda | None = None) -> None:
        """`name` is the file's, for messages. Raises EngineError when TensorRT will not load it or memory runs out."""
        trt = import_tensorrt()
        self._file, self._cuda = name, cuda or open_cuda()
        self._lock = Lock()
        self._logger = collecting_logger(trt)
        self._runtime = trt.Runtime(self._logger)  # kept: the engine must not outlive it
        self._engine = self._runtime.deserialize_cuda_engine(engine)
        if self._engine is None:
            raise EngineError(
                f"TensorRT {trt.__version__} cannot load {self._file} ({said(self._logger)})",
                remedy=BUILD_AGAIN,
                step="build",
            )
        self._context = self._engine.create_execution_context()
        if self._context is None:
            raise EngineError(
                f"the GPU has no memory for the engine ({said(self._logger)})",
                remedy="close other programs, or build it for smaller batches",
                step="build smaller",
            )
        self.version = str(trt.__version__)
        self._ports: list[_Port] = []
        self._stream = self._cuda.create_stream()
        # Who forgets to close it must not hold the GPU's memory; the end of the process gives that back by itself.
        self._release = weakref.finalize(self, _give_back, self._cuda, self._ports, self._stream)
        self._release.atexit = False
        try:
            self._input, self._outputs = self._allocate(trt)
        except EngineError:
            self.close()
            raise

    def _allocate(self, trt: Any) -> tuple[_Port, list[_Port]]:
        names = [self._engine.get_tensor_name(index) for index in range(self._engine.num_io_tensors)]
        inputs = [name for name in names if self._engine.get_tensor_mode(name) == trt.TensorIOMode.INPUT]
        if inputs != ["image"] or self._engine.get_tensor_dtype("image") != trt.DataType.UINT8:
            raise EngineError(
                f"{self._file} does not take `image` as bytes but {inputs}", remedy="build it from an exported bundle"
            )
        largest = tuple(self._engine.get_tensor_profile_shape("image", 0)[2])
        # Shapes of outputs are known only after that of the input is.
        if not self._context.set_input_shape("image", largest):
            raise EngineError(f"{self._file} refuses its own largest shape {largest}", remedy="build it again")
        image = self._port("image", largest, np.uint8)
        outputs = []
        for name in names:
            if name in inputs:
                continue
            if self._engine.get_tensor_dtype(name) != trt.DataType.FLOAT:
                raise EngineError(
                    f"the output `{name}` of {self._file} is not float32", remedy="export and build again"
                )
            outputs.append(self._port(name, tuple(self._context.get_tensor_shape(name)), np.float32))
        return image, outputs

    def _port(self, name: str, shape: tuple[int, ...], dtype: type[np.generic]) -> _Port:
        size = int(np.prod(shape)) * np.dtype(dtype).itemsize
        device = self._cuda.allocate(size)
        try:
            pinned = self._cuda.allocate_pinned(size)
        except EngineError:
            self._cuda.free(device)
            raise
        port = _Port(name, device, pinned, as_array(pinned, shape, dtype))
        self._ports.append(port)
        if not self._context.set_tensor_address(name, device):
            raise EngineError(
                f"TensorRT refuses the memory of `{name}` ({said(self._logger)})", remedy="build the engine again"
            )
        return port

    @property
    def largest(self) -> tuple[int, ...]:
        """The shape of the largest batch that the engine takes at once: (B, H, W, 3)."""
        return self._input.host.shape

    @property
    def outputs(self) -> dict[str, tuple[int, ...]]:
        """The shape of each output by its name, without the batch."""
        return {port.name: port.host.shape[1:] for port in self._outputs}

    def run(self, images: NDArray[np.uint8]) -> dict[str, NDArray[np.float32]]:
        """(B, H, W, 3) uint8 RGB, any B ≥ 1 -> (B, …) outputs by name. Raises EngineError for another shape."""
        wanted = self.largest[1:]
        if images.ndim != 4 or images.shape[1:] != wanted or images.dtype != np.uint8 or not len(images):
            raise EngineError(
                f"the engine takes (B, {wanted[0]}, {wanted[1]}, 3) uint8, got {images.shape} {images.dtype}"
            )
        with self._lock:
            if not self._ports:
                raise EngineError("the engine is closed", remedy="open the bundle again")
            parts = [self._run(images[at : at + self.largest[0]]) for at in range(0, len(images), self.largest[0])]
        return {name: np.concatenate([part[name] for part in parts]) for name in parts[0]}

    def _run(self, images: NDArray[np.uint8]) -> dict[str, NDArray[np.float32]]:
        batch, image, cuda = len(images), self._input, self._cuda
        if not self._context.set_input_shape("image", images.shape):
            raise EngineError(
                f"TensorRT refuses the shape {images.shape} ({said(self._logger)})", remedy="build the engine again"
            )
        image.host[:batch] = images
        cuda.copy(image.device, image.pinned, images.nbytes, HOST_TO_DEVICE, self._stream)
        if not self._context.execute_async_v3(self._stream):
            raise EngineError(f"TensorRT could not run the engine ({said(self._logger)})", remedy="build it again")
        for port in self._outputs:
            cuda.copy(port.pinned, port.device, port.host[:batch].nbytes, DEVICE_TO_HOST, self._stream)
        cuda.wait(self._stream)
        return {port.name: port.host[:batch].copy() for port in self._outputs}  # the next frame overwrites the host's

    def close(self) -> None:
        """Give all memory back, once no frame is under way; closing twice is no error."""
        with self._lock:
            self._release()


def _give_back(cuda: Cuda, ports: list[_Port], stream: int) -> None:
    while ports:
        port = ports.pop()
        cuda.free(port.device)
        cuda.free_pinned(port.pinned)
    cuda.destroy_stream(stream)


def open_built(bundle: Bundle, files: EngineFiles) -> TensorRtNetwork:
    """The engine of these names in a bundle's folder. Raises EngineError where none for this very device lies there."""
    folder = bundle.path
    if not folder.is_dir() or not (folder / files.engine).is_file():
        check_packed(bundle)
        raise EngineError(f"holds no {files.engine}", path=folder, remedy="build it on this device", step="build")
    key, wanted_sha256 = read_key(folder, files)
    trt, cuda = import_tensorrt(), open_cuda()
    here = key_of_this_machine(trt.__version__, cuda, bundle.manifest.files.get(files.model, ""), key.flags)
    if differences := key.differences(here):
        raise EngineError(
            f"the engine was built for {', '.join(differences)}", path=folder, remedy=BUILD_AGAIN, step="build"
        )
    engine = (folder / files.engine).read_bytes()
    if hashlib.sha256(engine).hexdigest() != wanted_sha256:
        raise EngineError(
            f"{files.engine} is not the engine that {files.key} describes",
            path=folder,
            remedy=BUILD_AGAIN,
            step="build",
        )
    return TensorRtNetwork(engine, files.engine, cuda)


def open_if_built(bundle: Bundle, files: EngineFiles) -> TensorRtNetwork | None:
    """The same; None where there is none, and where it does not fit, which is logged with its reason."""
    if not (bundle.path / files.engine).is_file():
        return None
    try:
        return open_built(bundle, files)
    except EngineError as error:
        log.warning("%s is not used: %s", bundle.path / files.engine, error.replace(path=""))
        return None
