"""Number plates: text that a reader of text takes for one (PP-OCRv6 as the wheel of rapidocr carries it)."""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np

from core.photo.blur.models import THREADS, Model, largest_near, planes, resized, session

if TYPE_CHECKING:
    from numpy.typing import NDArray

FINDER = Model(
    "rapidocr",
    "models/PP-OCRv6_det_small.onnx",
    "090f04abcd9d9a7498bc4ebf677e4cb9bdce1fe4197ddb7e529f1ef44e1ff94f",
)
READER = Model(
    "rapidocr",
    "models/PP-OCRv6_rec_small.onnx",
    "6f327246b50388f3c176ae304bd95767ea6dc0c9ae92153ef8cbe210b3c14884",
)
_CELL_PX = 4  # the finder's map is no finer than this
_TEXT, _LINE = 0.3, 0.5  # probability of a cell that is text, and of a line's cells on average; RapidOCR's own
_UNCLIP = 1.6  # the finder marks the middle of a line: how much of area / perimeter is to be added around it
_READER_PX, _LONGEST_PX = 48, 640
MOST_READ = 100  # lines of text in a photo; those beyond, the smallest, are taken for plates unread
_FEWEST, _MOST = 4, 10  # letters and digits of a plate


def like_a_plate(text: str) -> bool:
    """Whether a text may be a number plate: 4 to 10 letters and digits together, and a digit among them.

    A reader of small pictures takes 8 for B, so more digits may not be asked for.
    """
    kept = [char for char in text if char.isalnum()]
    return _FEWEST <= len(kept) <= _MOST and any(char.isdigit() for char in kept)


class PlateDetector:
    """Finds text, reads it, and keeps what is like a number plate."""

    def __init__(self, threads: int = THREADS) -> None:
        """Raises MissingDependency or EngineError as `Model.read` does."""
        self._finder, self._reader = (session(model.read(), threads) for model in (FINDER, READER))
        letters = self._reader.get_modelmeta().custom_metadata_map["character"].split("\n")
        self._letters = ["", *letters, " "]  # the first class is the gap between two letters

    def boxes(self, rgb: NDArray[np.uint8]) -> NDArray[np.float32]:
        """(H, W, 3) uint8 -> (N, 4) left, top, right, bottom in pixels."""
        lines = self._lines(rgb)
        lines = lines[np.argsort(-_area(lines), kind="stable")]
        like = [number >= MOST_READ or like_a_plate(self._text(rgb, line)) for number, line in enumerate(lines)]
        kept: NDArray[np.float32] = lines[np.array(like, bool)]
        return kept

    def _lines(self, rgb: NDArray[np.uint8]) -> NDArray[np.float32]:
        """(N, 4) boxes around lines of text, in pixels."""
        pixels = resized(rgb)
        (found,) = self._finder.run(None, {"x": planes(pixels[:, :, ::-1] / 127.5 - 1)})
        height, width = (side // _CELL_PX for side in pixels.shape[:2])
        cells = found[0, 0].reshape(height, _CELL_PX, width, _CELL_PX)
        text = cells.max(axis=(1, 3))
        number = components(text > _TEXT)
        rows, columns = np.nonzero(number)
        _, of = np.unique(number[rows, columns], return_inverse=True)
        lines = int(of.max()) + 1 if len(of) else 0
        low, high = np.full((lines, 2), np.inf), np.zeros((lines, 2))
        for axis, place in enumerate((columns, rows)):
            np.minimum.at(low[:, axis], of, place)
            np.maximum.at(high[:, axis], of, place + 1)
        likely = np.bincount(of, text[rows, columns], lines) / np.bincount(of, minlength=lines)
        size = high - low
        more = _UNCLIP * size.prod(axis=1) / np.maximum(2 * size.sum(axis=1), 1)
        scale = np.array(rgb.shape[1::-1]) / pixels.shape[1::-1] * _CELL_PX
        boxes = np.concatenate([(low - more[:, None]) * scale, (high + more[:, None]) * scale], axis=1)
        return boxes[likely > _LINE].astype(np.float32)

    def _text(self, rgb: NDArray[np.uint8], line: NDArray[np.float32]) -> str:
        """What stands in a box; "" where it is as high as wide, as no line is."""
        from PIL import Image

        left, top, right, bottom = _within(line, rgb.shape)
        height, width = bottom - top, right - left
        if height < 3 or width < 1.2 * height:
            return ""
        longest = int(np.clip(_READER_PX * width / height, _READER_PX, _LONGEST_PX))
        crop = Image.fromarray(rgb[top:bottom, left:right]).resize((longest, _READER_PX), Image.Resampling.BILINEAR)
        pixels = np.asarray(crop, np.float32)[:, :, ::-1] / 127.5 - 1
        (odds,) = self._reader.run(None, {"x": planes(pixels)})
        classes = odds[0].argmax(axis=1)
        kept = (classes > 0) & np.append(True, classes[1:] != classes[:-1])  # connectionist temporal classification
        return "".join(self._letters[number] for number in classes[kept])


def components(mask: NDArray[np.bool_]) -> NDArray[np.int64]:
    """(H, W) -> (H, W): one number for all cells that touch one another, corners included; 0 outside the mask.

    Each cell takes the largest number near it, then the number that the cell of that number has by now, until nothing
    changes: the rounds grow with the logarithm of a region's length.
    """
    number = np.where(mask, np.arange(1, mask.size + 1).reshape(mask.shape), 0)
    while True:
        near = np.where(mask, largest_near(number), 0)
        grown = np.append(0, near)[near]
        if np.array_equal(grown, number):
            return number
        number = grown


def _area(boxes: NDArray[np.float32]) -> NDArray[np.float32]:
    return np.asarray((boxes[:, 2:] - boxes[:, :2]).prod(axis=1))


def _within(box: NDArray[np.float32], shape: tuple[int, ...]) -> tuple[int, int, int, int]:
    low = np.maximum(np.floor(box[:2]), 0).astype(int)
    high = np.minimum(np.ceil(box[2:]), shape[1::-1]).astype(int)
    return int(low[0]), int(low[1]), int(high[0]), int(high[1])
