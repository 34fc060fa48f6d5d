"""A path, bytes, file, Pillow image or array -> upright RGB and what the camera recorded."""

from __future__ import annotations

import logging
import os
import stat
import time
import warnings
from collections.abc import Callable
from dataclasses import dataclass, replace
from pathlib import Path
from threading import Lock
from typing import TYPE_CHECKING, Any, BinaryIO

import numpy as np

from core.errors import MissingDecoder, MissingDependency, PhotoError, reason_of
from core.photo import exif
from core.photo.capture import Capture, capture_from_tags, tags_of
from core.photo.heif_thumbnail import heif_thumbnail
from core.photo.heif_work import decoding_seconds
from core.photo.reads import BoundedReads, ReadsWithoutExif
from core.photo.sniff import FORMATS, heif_sizes, kind_of, webp_size

if TYPE_CHECKING:
    from numpy.typing import NDArray
    from PIL import Image as PILImage
    from PIL.JpegImagePlugin import JpegImageFile

    PhotoSource = str | Path | bytes | BinaryIO | PILImage.Image | NDArray[np.uint8]

# Together these keep any photo within about 400 MB beside the caller's own bytes, and within two seconds of one
# core (measured by tests/hostile/test_photos.py). What Pillow decodes takes 4 bytes a pixel there and 3 in the
# array; a larger JPEG (phones make them up to 200 megapixels) is decoded at the reduced scale that is below this.
MAX_PIXELS = 25_000_000
MAX_JPEG_PIXELS = 210_000_000
# Phones make such, of 8 bits and halved colour (4:2:0), and libheif has no reduced scale: decoding takes 6.5 bytes a
# pixel at most, whatever the allocator keeps of it. Whole colour takes 9.5 and more bits 15.5: those end at MAX_PIXELS.
MAX_HEIF_PIXELS = 50_000_000
MAX_HEIF_SECONDS = 3.0  # of a busy core, alone more than two: 48 megapixels may have 11 MB, 24 may have 31
MAX_WEBP_PIXELS = 16_000_000  # libwebp and Pillow together hold 20 bytes a pixel
MAX_SIDE = 65_535  # the longest that a JPEG can be; beyond it a strip of rows is no longer small
MAX_FILE_BYTES = 100 * 2**20  # twice the largest phone photo
# A JPEG in several scans is held as coefficients, 2 bytes each, at its full size whatever the scale; each scan is
# a pass over all of them (real ones have about 10).
_MAX_SCANNED_BYTES = 390_000_000
_MAX_SCANS = 200
_MAX_SCANNED_PIXELS = 500_000_000
_MAX_TIFF_TAG_BYTES = 2**20  # beside the pixels; real ones hold some kilobytes
_STRIP_PIXELS = 2_000_000  # converted at a time, so that a large photo is never held three times over

_quiet_lock = Lock()


@dataclass(frozen=True, eq=False)
class Photo:
    """`rgb`: (H, W, 3) uint8, RGB, upright, not to be written to; `capture`: what the camera recorded (all None for
    an array).

    `decode_ms`: how long `load_photo` took.
    """

    rgb: NDArray[np.uint8]
    capture: Capture
    decode_ms: float = 0.0


def load_photo(source: PhotoSource, *, min_side: int | None = None) -> Photo:
    """Read a photo as upright RGB.

    `source` is a path, the bytes of a file, a binary file object, a Pillow image, or an (H, W, 3) uint8 RGB
    array, of any size from 1 x 1 up: JPEG, PNG, WebP, HEIC, also the first picture of a GIF, BMP,
    uncompressed TIFF or MPO. The EXIF orientation is applied; alpha is laid on white; greyscale, palette,
    16-bit and CMYK become RGB. With `min_side`, a large JPEG is decoded at 1/2, 1/4 or 1/8 of its size, and a
    HEIC as the thumbnail that it carries, the shorter side still at least `min_side` pixels; a JPEG of more than
    MAX_PIXELS always is, so a phone's 48 megapixels arrive as 12.

    Raises PhotoError, naming the file, for anything that is not a whole photo within the limits of this
    module, and MissingDecoder, which is one, for a HEIC photo where pillow-heif is not installed.
    """
    started = time.perf_counter()
    photo = _read_photo(source, min_side)
    return replace(photo, decode_ms=1e3 * (time.perf_counter() - started))


def _read_photo(source: PhotoSource, min_side: int | None) -> Photo:
    if isinstance(source, np.ndarray):
        return Photo(checked_array(source), Capture())
    name = _name_of(source)
    if hasattr(source, "getexif"):
        image: PILImage.Image = source  # type: ignore[assignment]
        _check_pixels(name, image.size)
        return _decoded(name, lambda: _finish(_loaded(image), tags_of(image)))
    data = _read_bytes(name, source)
    kind = kind_of(name, data)
    return _decoded(name, lambda: _decode(name, data, kind, min_side))


def checked_array(array: NDArray[Any]) -> NDArray[np.uint8]:
    """The array itself, or a contiguous copy, where it is (H, W, 3) uint8 RGB of at least a pixel; else PhotoError."""
    wanted = "expected an (H, W, 3) uint8 RGB array"
    if array.ndim != 3 or array.shape[2] != 3 or array.dtype != np.uint8:
        raise PhotoError(f"{wanted}, got {array.shape} {array.dtype}")
    if not array.size:
        raise PhotoError(f"{wanted} of at least 1 x 1 pixel, got {array.shape}")
    return np.ascontiguousarray(array)


def _name_of(source: object) -> str:
    """What messages call the photo: its path where that is known."""
    if isinstance(source, (str, os.PathLike)):
        return os.fsdecode(source)
    name = getattr(source, "name", None) or getattr(source, "filename", None)
    return os.fsdecode(name) if isinstance(name, (str, bytes, os.PathLike)) and name else "the photo"


def _read_bytes(name: str, source: object) -> bytes:
    """The bytes of a path, buffer or binary file object, not more than MAX_FILE_BYTES."""
    if isinstance(source, (bytes, bytearray, memoryview)):
        data = bytes(source)
    elif isinstance(source, (str, os.PathLike)):
        data = _read_path(name, Path(source))
    elif hasattr(source, "read"):
        data = _read_file_object(name, source)
    else:
        raise PhotoError(
            "expected a path, bytes, a binary file, a Pillow image or an (H, W, 3) uint8 RGB array, got "
            f"{type(source).__name__}"
        )
    if len(data) > MAX_FILE_BYTES:
        raise PhotoError(
            f"larger than {MAX_FILE_BYTES // 2**20} MB, which is no photo",
            path=name,
            remedy="left unread",
            kind="too large",
        )
    if not data:
        raise PhotoError("the file is empty (0 bytes)", path=name, remedy="copy it again from the camera", kind="empty")
    return data


def _read_path(name: str, path: Path) -> bytes:
    try:
        # A pipe or a device would block or never end, so the kind is asked before opening.
        mode = path.stat().st_mode
        if not stat.S_ISREG(mode):
            what = "is a folder" if stat.S_ISDIR(mode) else "is not a regular file"
            unreadable = "" if os.access(path, os.R_OK) else ", and cannot be read"
            raise PhotoError(what + unreadable, path=name, remedy="give the path of one photo")
        with path.open("rb") as file:
            return file.read(MAX_FILE_BYTES + 1)
    except FileNotFoundError:
        raise PhotoError("no such file", path=name, remedy="check the path") from None
    except OSError as error:
        reason = error.strerror or str(error)
        raise PhotoError(
            f"the file cannot be read ({reason})", path=name, remedy="check the path and its permissions"
        ) from None
    except ValueError as error:  # a NUL in the path
        raise PhotoError(f"not a path ({error})", path=repr(name)) from None


def _read_file_object(name: str, file: Any) -> bytes:
    try:
        if file.seekable():
            file.seek(0)
        data = file.read(MAX_FILE_BYTES + 1)
    except (OSError, ValueError, AttributeError) as error:  # ValueError: the file is closed
        raise PhotoError(f"the file object cannot be read ({error})", path=name) from None
    if not isinstance(data, bytes):
        raise PhotoError(
            f"the file gives {type(data).__name__}, not bytes", path=name, remedy="open it in binary mode ('rb')"
        )
    return data


def _decoded(name: str, decode: Callable[[], Photo]) -> Photo:
    """Run a decoder; whatever it raises becomes a PhotoError of one line that names the photo."""
    try:
        return decode()
    except PhotoError:
        raise
    except MemoryError:
        raise _too_large(name, "not enough memory to decode it") from None
    except Exception as error:
        # Pillow and its codecs raise OSError, SyntaxError, ValueError, struct.error, zlib.error, IndexError,
        # KeyError, EOFError, DecompressionBombError and more on damaged files: all mean the same to a person.
        reason = reason_of(error)
        if "truncated" in reason.lower() or isinstance(error, EOFError):
            reason = "the file is cut short"
        raise PhotoError(
            f"the photo is damaged ({reason})", path=name, remedy="copy it again from the camera", kind="damaged"
        ) from None


def _too_large(name: str, reason: str) -> PhotoError:
    return PhotoError(reason, path=name, remedy="make the photo smaller", kind="too large")


def _check_pixels(name: str, size: tuple[int, int], limit: int | None = None) -> None:
    """Raise PhotoError for a picture of more than `limit` (None: MAX_PIXELS) pixels, or longer than MAX_SIDE."""
    limit = MAX_PIXELS if limit is None else limit
    if size[0] * size[1] > limit:
        raise _too_large(name, f"{size[0]} x {size[1]} pixels is more than {limit // 1_000_000} megapixels")
    if max(size) > MAX_SIDE:
        raise _too_large(name, f"{size[0]} x {size[1]} pixels is longer than {MAX_SIDE}")


def _decode(name: str, data: bytes, kind: str, min_side: int | None) -> Photo:
    if kind == "jpeg":
        return _decode_jpeg(name, data, min_side)
    if kind == "heif":
        return _decode_heif(name, data, min_side)
    if kind == "webp":
        _check_pixels(name, webp_size(data), MAX_WEBP_PIXELS)  # its decoder takes the memory on opening
    if kind == "tiff" and exif.tag_data_bytes(data) > _MAX_TIFF_TAG_BYTES:
        raise PhotoError(
            "its TIFF tags are absurdly large", path=name, remedy=f"save it as {FORMATS}", kind="unknown format"
        )
    # Some decoders warn about what they mend. Warning filters belong to the whole process and threads would
    # restore one another's, so one thread at a time; decoding itself does not warn in the formats that phones
    # write.
    with _quiet_lock, warnings.catch_warnings():
        warnings.simplefilter("ignore")
        if not (log := logging.getLogger("PIL")).handlers:
            log.addHandler(logging.NullHandler())  # else, where nobody set logging up, its errors go to standard error
        image = _open(kind, BoundedReads(data))
        _check_pixels(name, image.size)
        if kind == "tiff" and image.info.get("compression") != "raw":
            # libtiff, which decodes the others, writes its complaints straight to the process's standard
            # error.
            raise PhotoError("a compressed TIFF", path=name, remedy=f"save it as {FORMATS}", kind="unknown format")
        if kind in ("gif", "bmp", "tiff"):
            image.load()
    # Before the tags: a PNG's may stand after its pixels.
    image.load()
    if kind != "tiff":
        return _finish(image, tags_of(image))
    # A TIFF is an EXIF block itself; and Pillow turns it upright on loading, alone of all formats.
    return _finish(image, exif.read_tags(data), upright=True)


def _decode_heif(name: str, data: bytes, min_side: int | None) -> Photo:
    """libheif turns the picture upright by the file's own transformations; its EXIF orientation is only a note.

    It decodes no reduced scale, and 12 megapixels take it half a second: where the phone's own thumbnail is large
    enough, that is the photo.
    """
    try:
        from pillow_heif import open_heif
    except ImportError:
        raise MissingDecoder.of(MissingDependency("pillow-heif", "requirements.txt"), "HEIC photos", name) from None
    sizes = heif_sizes(data)
    for size in sizes:
        _check_pixels(name, size, MAX_HEIF_PIXELS)
    file = open_heif(data)
    image = file[file.primary_index]
    sizes.append(image.size)
    _check_pixels(name, image.size, MAX_HEIF_PIXELS)
    tags = exif.read_tags(image.info.get("exif") or b"")
    if min_side is not None and (small := heif_thumbnail(image, min_side)) is not None:
        return Photo(small, capture_from_tags(tags))
    seconds = decoding_seconds(data, max(wide * high for wide, high in sizes), chroma := image.info.get("chroma"))
    if seconds > MAX_HEIF_SECONDS:
        raise _too_large(name, f"decoding would take about {seconds:.0f} s, too much is coded in it")
    if image.mode != "RGB" or image.info["bit_depth"] != 8 or chroma != 420:
        for size in sizes:
            _check_pixels(name, size)
    if image.mode == "RGB":
        # libheif's own pixels: a copy, Pillow's too, would take as much memory again.
        return Photo(checked_array(np.asarray(image)), capture_from_tags(tags))
    return _finish(_view(image), tags, upright=True)


def _view(image: Any) -> PILImage.Image:
    """A decoded HeifImage -> Pillow's image of the same pixels, copied only where its mode asks for that."""
    from PIL import Image

    pixels = image.data  # decoding may mend its size
    return Image.frombuffer(image.mode, image.size, pixels, "raw", image.mode, image.stride, 1)


def _open(kind: str, file: BinaryIO) -> PILImage.Image:
    """Open with the one decoder of this kind; the others of Pillow never see a stranger's file."""
    from PIL import BmpImagePlugin, GifImagePlugin, PngImagePlugin, TiffImagePlugin, WebPImagePlugin

    decoders: dict[str, Any] = {
        "png": PngImagePlugin.PngImageFile,
        "webp": WebPImagePlugin.WebPImageFile,
        "gif": GifImagePlugin.GifImageFile,
        "bmp": BmpImagePlugin.BmpImageFile,
        "tiff": TiffImagePlugin.TiffImageFile,
    }
    return decoders[kind](file)  # type: ignore[no-any-return]


def _decode_jpeg(name: str, data: bytes, min_side: int | None) -> Photo:
    from PIL.JpegImagePlugin import JpegImageFile

    tags = exif.read_tags(exif.jpeg_exif(data))
    image = JpegImageFile(ReadsWithoutExif(data))
    _check_pixels(name, image.size, MAX_JPEG_PIXELS)
    reduction = 1
    while image.width * image.height > MAX_PIXELS * reduction**2:
        reduction *= 2
    if image.info.get("progressive") or _scan_of_some(image, data):
        _check_scans(name, image, data, reduction)
    side = min(image.size) // reduction
    image.draft(None, (side, side) if min_side is None else (max(1, min(side, min_side)),) * 2)
    _check_pixels(name, image.size)
    # In one piece: in Pillow's own of 64 kB, other threads' Python stands between each two.
    image.decodermaxblock = len(data)
    image.load()
    return _finish(image, tags)


def _scan_of_some(image: JpegImageFile, data: bytes) -> bool:
    """Whether the first scan of an opened JPEG holds only some of its colour channels, so that more must follow."""
    assert image.fp is not None
    scan = data.rfind(b"\xff\xda", 0, image.fp.tell())  # Pillow has read up to the end of the scan's header
    return data[scan + 4] < image.layers


def _check_scans(name: str, image: JpegImageFile, data: bytes, reduction: int) -> None:
    """Raise PhotoError where a JPEG of several scans would take too long or too much memory."""
    # Within the pixels 0xFF is always followed by 0, so each of these is a scan (or one of an embedded preview).
    scans = data.count(b"\xff\xda")
    pixels = image.width * image.height
    if scans > _MAX_SCANS or pixels * scans > _MAX_SCANNED_PIXELS:
        raise PhotoError(
            f"a progressive JPEG of {scans} scans would take too long",
            path=name,
            remedy="save it anew",
            kind="too large",
        )
    sampled = [(horizontal, vertical) for _, horizontal, vertical, _ in image.layer]
    whole = max(h for h, _ in sampled) * max(v for _, v in sampled)
    coefficients = pixels * sum(h * v for h, v in sampled) / max(whole, 1)
    if 2 * coefficients + 4 * pixels / reduction**2 + 2 * len(data) > _MAX_SCANNED_BYTES:
        raise _too_large(
            name, f"a progressive JPEG of {image.width} x {image.height} pixels would take too much memory"
        )


def _loaded(image: PILImage.Image) -> PILImage.Image:
    image.load()
    return image


def _finish(image: PILImage.Image, tags: exif.ExifTags, *, upright: bool = False) -> Photo:
    """A decoded image -> Photo: turned upright by its EXIF orientation, and RGB."""
    from PIL import Image

    kinds = getattr(Image, "Transpose", Image)  # as with Resampling
    turns = {
        2: kinds.FLIP_LEFT_RIGHT, 3: kinds.ROTATE_180, 4: kinds.FLIP_TOP_BOTTOM,
        5: kinds.TRANSPOSE, 6: kinds.ROTATE_270, 7: kinds.TRANSVERSE, 8: kinds.ROTATE_90,
    }  # fmt: skip
    orientation = 1 if upright else tags.orientation
    sideways, backwards = orientation >= 5, orientation in (3, 4, 6, 7)  # backwards: the last row comes first
    rgb = np.empty((image.width, image.height, 3) if sideways else (image.height, image.width, 3), np.uint8)
    by_rows = rgb.swapaxes(0, 1) if sideways else rgb  # its first axis runs along the rows as they are stored
    rows = max(1, _STRIP_PIXELS // image.width)
    for top in range(0, image.height, rows):
        bottom = min(top + rows, image.height)
        strip = _to_rgb(image.crop((0, top, image.width, bottom)))
        if orientation != 1:
            strip = strip.transpose(turns[orientation])
        place = slice(image.height - bottom, image.height - top) if backwards else slice(top, bottom)
        by_rows[place] = np.asarray(strip).swapaxes(0, 1) if sideways else np.asarray(strip)
    return Photo(rgb, capture_from_tags(tags))


def _to_rgb(image: PILImage.Image) -> PILImage.Image:
    """Any mode of Pillow's -> RGB."""
    from PIL import Image

    if image.mode == "RGB" and "transparency" not in image.info:
        return image
    if image.mode.startswith(("I", "F")):
        return Image.fromarray(_deep_to_8bit(np.asarray(image))).convert("RGB")
    if "transparency" in image.info or image.mode in ("RGBA", "LA", "PA", "La", "RGBa"):
        # La and RGBa hold premultiplied colour, which only converts to its own straight kind.
        straight = {"La": "LA", "RGBa": "RGBA"}.get(image.mode)
        colour = (image.convert(straight) if straight else image).convert("RGBA")
        white = Image.new("RGBA", colour.size, (255, 255, 255, 255))
        return Image.alpha_composite(white, colour).convert("RGB")
    return image.convert("RGB")


def _deep_to_8bit(grey: NDArray[Any]) -> NDArray[np.uint8]:
    """(H, W) grey of 16 or 32 bits or float -> uint8.

    16-bit integers keep their upper byte. 32-bit ones are how Pillow gives some 16-bit files, so they are
    taken as 16-bit too. Floats are taken as 0..1.
    """
    if grey.dtype.kind == "f":
        return np.asarray(np.clip(np.nan_to_num(grey, nan=0.0), 0.0, 1.0) * 255.0 + 0.5, np.uint8)
    return np.asarray(np.clip(grey, 0, 65535) >> 8, np.uint8)
