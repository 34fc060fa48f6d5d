"""From a 12-megapixel photo to a fix, by stage, against decoding it in full and asking ResNet50 in torch."""

from __future__ import annotations

import io
import tempfile
from collections.abc import Iterator, Sequence
from pathlib import Path
from statistics import median

import numpy as np
import pillow_heif
from numpy.typing import NDArray
from PIL import Image, ImageOps

from benchmarks import original
from benchmarks.timing import PHOTOS, Effort, Section, Target, Times, interleaved
from core.engines.onnx_engine import OnnxEngine
from core.locate.localizer import DEMO_BUNDLE, Localizer

KINDS = ("JPEG", "HEIC", "array")
COPY = "array, only a copy of it"
STAGES = ("decode", "preprocess", "network", "posterior")


def twelve_megapixels(localizer: Localizer, effort: Effort) -> tuple[bytes, str]:
    """A JPEG as a phone makes it, and where it is from: a real photo where there is one."""
    for path in [] if effort.tiny else sorted(PHOTOS.glob("*.jpg")):
        with Image.open(path) as image:
            if image.width * image.height >= 12_000_000:
                return path.read_bytes(), f"a real phone photo of {image.width} x {image.height}"
    size = (400, 300) if effort.tiny else (4032, 3024)
    small = Image.open(io.BytesIO(localizer.bundle.read(localizer.bundle.samples[0])))
    out = io.BytesIO()
    small.convert("RGB").resize(size, Image.Resampling.BICUBIC).save(out, "JPEG", quality=92)
    return out.getvalue(), f"a rendered photo enlarged to {size[0]} x {size[1]}, which decodes faster than a real one"


def run(effort: Effort) -> Section:
    """The same picture as JPEG and as HEIC, from bytes to the whole fix with radius, zones and candidates."""
    localizer = Localizer.load(DEMO_BUNDLE)
    size = localizer.bundle.manifest.image_size
    jpeg, source = twelve_megapixels(localizer, effort)
    picture = io.BytesIO()
    as_phones_do = pillow_heif.from_pillow(Image.open(io.BytesIO(jpeg)).convert("RGB"))
    as_phones_do[0].info["thumbnails"] = [320]
    as_phones_do.save(picture, quality=80, tile_size=512)
    heic, pixels = picture.getvalue(), np.asarray(Image.open(io.BytesIO(jpeg)).convert("RGB"))
    copied = np.empty_like(pixels)
    stages: dict[str, dict[str, list[float]]] = {kind: {stage: [] for stage in STAGES} for kind in KINDS}

    def locate(kind: str, data: bytes | NDArray[np.uint8]) -> None:
        for stage, taken_ms in localizer.locate(data).timings_ms.items():
            stages[kind][stage].append(taken_ms)

    with tempfile.TemporaryDirectory() as folder:
        kept = original.load(original.save_checkpoint(Path(folder) / "best_model.pth"))

    def plainly() -> None:
        image = ImageOps.exif_transpose(Image.open(io.BytesIO(jpeg)))
        original.answer(kept, np.asarray(image.convert("RGB").resize((224, 224), Image.Resampling.LANCZOS)))

    def decode_heic() -> None:
        pillow_heif.open_heif(io.BytesIO(heic))[0].to_pillow().load()

    engine = localizer.engine
    assert isinstance(engine, OnnxEngine)
    with original.on_threads(engine.session.get_session_options().intra_op_num_threads):
        times = interleaved(
            {
                "JPEG to fix": lambda: locate("JPEG", jpeg),
                "HEIC to fix": lambda: locate("HEIC", heic),
                "array to fix": lambda: locate("array", pixels),
                "JPEG, Pillow in full and ResNet50 in torch, kept loaded": plainly,
                "JPEG, only its decoder (libjpeg at the smallest useful scale)": lambda: decode_jpeg(jpeg, size),
                "HEIC, only its decoder (libheif)": decode_heic,
                COPY: lambda: np.copyto(copied, pixels),
            },
            effort,
            again=True,
        )
    section = Section(
        "A 12-megapixel photo to a fix",
        f"{source[0].upper()}{source[1:]} ({len(jpeg) / 1e6:.1f} MB), and the same as HEIC of quality 80 in tiles "
        f"of 512, with a thumbnail of 320 ({len(heic) / 1e6:.1f} MB); from bytes to the whole fix by the demo bundle.",
    )
    section.keep("photo", times)
    section.tables += _tables(times, stages)
    section.targets += _targets(times)
    return section


def _tables(times: dict[str, Times], stages: dict[str, dict[str, list[float]]]) -> list[Sequence[Sequence[str]]]:
    """Each way against ours, and each kind of photo by stage."""
    ours = times["JPEG to fix"].median
    return [
        [("", "median (p10 – p90)", "against JPEG to fix")]
        + [(name, str(value), f"{value.median / ours:.2f} x") for name, value in times.items()],
        [("stage, median", *STAGES)]
        + [
            (kind, *(f"{median(counted(stages[kind][stage], times[f'{kind} to fix'])):.2f} ms" for stage in STAGES))
            for kind in stages
        ],
    ]


def counted(every: Sequence[float], times: Times) -> Sequence[float]:
    """Of what each call took, that of the calls in `times`: the last is one, and of those before it every second."""
    return every[::-2][: len(times.seconds)]


def _targets(times: dict[str, Times]) -> Iterator[Target]:
    decoder = times["JPEG, only its decoder (libjpeg at the smallest useful scale)"].median
    for name, most_ms, why in (
        ("JPEG", 26, f"libjpeg alone takes {1e3 * decoder:.0f} ms of it here, in the same run."),
        ("HEIC", 120, ""),
        ("array", 15, f"A copy of it alone takes {1e3 * times[COPY].median:.1f} ms here, in the same run."),
    ):
        taken_ms = 1e3 * times[f"{name} to fix"].median
        yield Target(f"{name} to fix in at most {most_ms} ms", f"{taken_ms:.0f} ms", taken_ms <= most_ms, why)


def decode_jpeg(data: bytes, side: int) -> None:
    """The decoder's own work at the scale that `load_photo` asks for."""
    image = Image.open(io.BytesIO(data))
    image.draft(None, (side, side))
    image.load()
