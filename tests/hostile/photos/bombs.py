"""Small files that claim or unpack to much."""

from __future__ import annotations

import struct
import zlib

from PIL import Image

from tests.hostile.photos.cases import case
from tests.hostile.photos.layouts import (
    bmp,
    chunk,
    deep_heic,
    flat_jpeg,
    gif,
    heic_of_a_huge_grid,
    heic_of_one_tile,
    jpeg_of_many_scans,
    jpeg_of_single_scans,
    jpeg_with,
    mpo_of_a_bomb,
    patched_heic,
    picture_tags,
    png,
    resized_jpeg,
    riff,
    tail_at,
    text_chunk,
    tiff,
    tiff_of_hungry_directory,
    tiff_of_many_pictures,
    tiff_of_many_strips,
    tiled_heic,
    vp8x,
    webp_frames,
)
from tests.hostile.photos.whole import exif, noise, whole
from tests.pictures import encoded, quartered


def _bombs_of_png() -> None:
    case("png-claims-50000", lambda: png(50_000, 50_000, pixels=zlib.compress(bytes(1000))), "refused", "megapixels")
    case("png-claims-2147483647", lambda: png(2**31 - 1, 2**31 - 1, pixels=b"x"), "refused", "megapixels")
    case("png-24mp", lambda: png(6000, 4000), "photo")
    case("png-24mp-rgba", lambda: png(6000, 4000, colour=6), "photo")
    case("png-24mp-16-bit-rgba", lambda: png(6000, 4000, 16, 6), "photo")
    case("png-24mp-interlaced", lambda: png(6000, 4000, pixels=zlib.compress(bytes(3 * 24_100_000), 1),
                                            interlaced=True), "photo")  # fmt: skip
    case("png-49mp-rgba", lambda: png(7000, 7000, colour=6, pixels=b"x"), "refused", "megapixels")
    case("png-more-pixels-than-said", lambda: png(10, 10, pixels=zlib.compress(bytes(200_000_000), 1)), "either")
    for kind in (b"iCCP", b"zTXt"):
        case(f"png-{kind.decode()}-bomb", lambda k=kind: png(8, 8, extra=text_chunk(300_000_000, k)), "either")  # type: ignore[misc]
    case("png-many-texts", lambda: png(8, 8, extra=text_chunk(1_000_000) * 200), "either")
    case("png-many-texts-at-the-end", lambda: png(8, 8, after=text_chunk(1_000_000) * 200), "either")
    case("png-a-million-chunks", lambda: png(8, 8, extra=chunk(b"abCd", b"") * 1_000_000), "refused", "pieces")
    case("png-a-million-pixel-chunks", lambda: png(8, 8, pixels=b"", after=chunk(b"IDAT", b"") * 1_000_000), "refused")
    case("png-huge-exif", lambda: png(8, 8, extra=chunk(b"eXIf", b"II*\0" + b"\x08\0\0\0" + b"\xff" * 20_000_000)),
         "photo")  # fmt: skip


def _bombs_of_webp() -> None:
    case("webp-claims-16000", lambda: riff(vp8x(16_000, 16_000)), "refused", "megapixels")
    case("webp-canvas-of-2-24", lambda: riff(vp8x(1 << 24, 1 << 24)), "refused", "megapixels")
    case("webp-16mp", lambda: encoded(Image.new("RGB", (4000, 4000)), "WEBP", method=0), "photo")
    case("webp-16mp-alpha", lambda: encoded(Image.new("RGBA", (4000, 4000), (9, 9, 9, 99)), "WEBP", method=0), "photo")
    case("webp-17mp", lambda: encoded(Image.new("RGB", (4100, 4150)), "WEBP", method=0), "refused", "megapixels")
    case("webp-canvas-larger-than-picture", lambda: webp_frames(4000, 4000, 3), "photo")
    case("webp-5000-frames", lambda: webp_frames(640, 480, 5000), "photo")


def _bombs_of_jpeg() -> None:
    case("jpeg-claims-65500", lambda: resized_jpeg(whole("jpeg"), 65_500, 65_500), "refused", "megapixels")
    case("jpeg-claims-200mp", lambda: resized_jpeg(whole("jpeg"), 16_000, 12_500), "either")
    case("jpeg-48mp-held-upright", lambda: flat_jpeg(8064, 6048, exif=exif(6)), "photo")
    case("jpeg-25mp-turned", lambda: flat_jpeg(5000, 5000, exif=exif(7)), "photo")
    case("jpeg-progressive-48mp", lambda: flat_jpeg(8064, 6048, progressive=True, subsampling=0), "photo")
    case("jpeg-progressive-claims-150mp", lambda: resized_jpeg(whole("jpeg-progressive"), 15_000, 10_000), "refused",
         "progressive")  # fmt: skip
    case("jpeg-single-scans-claim-200mp", lambda: jpeg_of_single_scans(16_000, 12_500), "refused", "memory")
    case("jpeg-5000-scans", lambda: jpeg_of_many_scans(5000), "refused", "scans")
    case("jpeg-150-scans", lambda: jpeg_of_many_scans(140), "either")
    case("jpeg-a-million-comments", lambda: jpeg_with(b"\xff\xfe\0\2", 1_000_000), "refused", "pieces")
    case("jpeg-fill-bytes", lambda: jpeg_with(b"\xff", 5_000_000), "refused", "pieces")
    case("jpeg-junk-between-segments", lambda: jpeg_with(b"\0", 5_000_000), "refused", "pieces")
    case("jpeg-escaped-junk", lambda: jpeg_with(b"\xff\0", 2_000_000), "refused", "pieces")
    case("jpeg-500-profiles", lambda: jpeg_with(b"\xff\xe2\xff\xffICC_PROFILE\0\1\xff" + bytes(65_519), 500), "photo")
    case("mpo-companion-claims-65000", mpo_of_a_bomb, "photo")
    case("mpo-50-pictures", lambda: encoded(noise(), "MPO", save_all=True,
                                            append_images=[Image.fromarray(noise())] * 50), "photo")  # fmt: skip


def _bombs_of_tiff() -> None:
    case("tiff-claims-60000", lambda: tiff(picture_tags(60_000, 60_000, 8)), "refused", "megapixels")
    case("tiff-24mp", lambda: tiff(picture_tags(6000, 4000, tail_at(9)), tail=bytes(72_000_000)), "photo")
    case("tiff-many-strips", lambda: tiff_of_many_strips(65_000), "either")
    case("tiff-a-million-strips", lambda: tiff_of_many_strips(1_000_000), "refused")
    case("tiff-hungry-directory", lambda: tiff_of_hungry_directory(5, 2000), "refused", "tags")
    case("tiff-two-hungry-tags", lambda: tiff_of_hungry_directory(5, 2), "refused", "tags")
    case("tiff-30000-pictures", lambda: tiff_of_many_pictures(30_000), "photo")
    case("tiff-that-follows-itself", lambda: tiff_of_many_pictures(1), "photo")
    case("tiff-65535-samples", lambda: tiff(picture_tags(100, 100, 8, samples=65_535)), "refused")
    case("tiff-compressed", lambda: encoded(noise(), "TIFF", compression="tiff_lzw"), "refused", "compressed")


def _bombs_of_gif_and_bmp() -> None:
    case("gif-claims-65535", lambda: gif(65_535, 65_535, (4, 4)), "refused", "megapixels")
    case("gif-frame-beyond-screen", lambda: gif(4, 4, (65_535, 65_535)), "refused", "limit")
    case("gif-a-million-comments", lambda: gif(4, 4, (4, 4), b"\x21\xfe" + b"\1x" * 1_000_000 + b"\0"), "refused",
         "pieces")  # fmt: skip
    case("gif-a-million-extensions", lambda: gif(4, 4, (4, 4), b"\x21\xf9\0" * 1_000_000), "refused")
    case("bmp-claims-50000", lambda: bmp(50_000, 50_000), "refused", "megapixels")
    case("bmp-upside-down", lambda: bmp(50_000, -50_000), "refused", "megapixels")
    case("bmp-of-runs", lambda: bmp(4000, 4000, 1, 8, b"\1\7" * 16_000_000), "refused", "pieces")


def _bombs_of_heic() -> None:
    case("heic-claims-30000", lambda: patched_heic(b"ispe", 4, struct.pack(">II", 30_000, 30_000)), "refused",
         "30000")  # fmt: skip
    case("heic-claims-2-32", lambda: patched_heic(b"ispe", 4, b"\xff" * 8), "refused", "megapixels")
    case("heic-claims-nothing", lambda: patched_heic(b"ispe", 4, bytes(8)), "either")
    case("heic-says-less-than-it-holds", lambda: patched_heic(b"ispe", 4, struct.pack(">II", 8, 8)), "either")
    case("heic-tiled", tiled_heic, "photo", quarters=True)
    case("heic-grid-claims-30000", heic_of_a_huge_grid, "refused")
    case("heic-of-one-tile-169-times", lambda: heic_of_one_tile(13), "refused", "would take about 5 s")
    case("heic-48mp", lambda: encoded(Image.new("RGB", (8064, 6048)), "HEIF", enc_params={"preset": "ultrafast"}),
         "photo")  # fmt: skip
    case("heic-24mp-10-bit", lambda: deep_heic(6000, 4000), "photo")
    case("heic-24mp-alpha", lambda: encoded(Image.new("RGBA", (6000, 4000), (9, 9, 9, 99)), "HEIF",
                                            enc_params={"preset": "ultrafast"}), "photo")  # fmt: skip
    for name, data in (("10-bit", deep_heic(64, 48)), ("whole-colour", encoded(quartered(64, 48), "HEIF", chroma=444))):
        case(f"heic-{name}-claims-48mp", lambda d=data: patched_heic(b"ispe", 4, struct.pack(">II", 8064, 6048), d),  # type: ignore[misc]
             "refused", "25 megapixels")  # fmt: skip


def bombs() -> None:
    for build in (
        _bombs_of_png, _bombs_of_webp, _bombs_of_jpeg, _bombs_of_tiff, _bombs_of_gif_and_bmp, _bombs_of_heic,
    ):  # fmt: skip
        build()
