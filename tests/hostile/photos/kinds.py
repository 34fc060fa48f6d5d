"""What is no photo or another than its name says, and shapes, modes, animations and orientations."""

from __future__ import annotations

import struct
import zlib

import numpy as np
from PIL import Image

from tests.hostile.photos.cases import case
from tests.hostile.photos.layouts import chunk, gif, png, resized_jpeg
from tests.hostile.photos.whole import KINDS, exif, noise, whole
from tests.pictures import encoded, quartered, stored_as


def names() -> None:
    for kind in KINDS:
        case(f"whole-{kind}", lambda kind=kind: whole(kind), "photo")  # type: ignore[misc]
    for kind, name in (("png", "photo.jpg"), ("jpeg", "photo.heic"), ("webp", "photo.png"), ("heic", "photo.jpeg"),
                       ("gif", "photo.webp"), ("jpeg", "photo")):  # fmt: skip
        case(f"{kind}-named-{name}", lambda kind=kind: whole(kind), "photo", file_name=name)  # type: ignore[misc]
    html = b"<!DOCTYPE html>\n<html><body>404 Not Found</body></html>"
    case("empty", lambda: b"", "refused", "empty")
    case("html", lambda: html, "refused", "web page")
    case("html-with-mark", lambda: b"\xef\xbb\xbf\r\n" + html, "refused", "web page")
    case("svg", lambda: b"<svg xmlns='http://www.w3.org/2000/svg'/>", "refused", "web page")
    case("pdf", lambda: b"%PDF-1.7\n" + b"x" * 1000, "refused", "known format")
    case("zip", lambda: b"PK\3\4" + b"\0" * 1000, "refused", "known format")
    case("video", lambda: b"\0\0\0\x18ftypisom\0\0\0\0isommp42" + b"\0" * 1000, "refused", "video")
    case("avif", lambda: b"\0\0\0\x1cftypavif\0\0\0\0avifmif1miaf" + b"\0" * 500, "refused", "AVIF")
    case("avif-that-says-heic", lambda: b"\0\0\0\x1cftypheic\0\0\0\0avifmif1miaf" + b"\0" * 500, "refused", "damaged")
    case("random", lambda: noise(100, 100).tobytes(), "refused")
    case("zeros", lambda: bytes(100_000), "refused")
    for signature in (b"\xff\xd8", b"\xff\xd8\xff", b"\x89PNG\r\n\x1a\n", b"GIF89a", b"BM", b"II*\0", b"MM\0*",
                      b"RIFF\xff\xff\xff\xffWEBP", b"\0\0\0\x18ftypheic\0\0\0\0mif1heic"):  # fmt: skip
        label = signature.hex()
        case(f"signature-alone-{label}", lambda signature=signature: signature, "refused")  # type: ignore[misc]
        case(f"signature-and-zeros-{label}", lambda s=signature: s + bytes(5000), "refused")  # type: ignore[misc]
        case(f"signature-and-ff-{label}", lambda s=signature: s + b"\xff" * 5000, "refused")  # type: ignore[misc]
        case(f"signature-and-noise-{label}", lambda s=signature: s + noise().tobytes(), "refused")  # type: ignore[misc]


def shapes() -> None:
    for width, height in ((1, 1), (1, 60_000), (60_000, 1), (65_000, 300), (2, 3)):
        for kind in ("JPEG", "PNG", "BMP", "TIFF"):
            case(
                f"{kind.lower()}-{width}x{height}",
                lambda k=kind, w=width, h=height: (  # type: ignore[misc]
                    encoded(Image.new("RGB", (w, h), (200, 100, 50)), k)
                ),
                "photo",
            )
    case("webp-1x16383", lambda: encoded(Image.new("RGB", (1, 16_383)), "WEBP"), "photo")
    case("png-1x70000", lambda: png(1, 70_000, colour=0), "refused", "longer")
    case("png-24000000x1", lambda: png(24_000_000, 1, colour=0), "refused", "longer")
    case("png-0x0", lambda: png(0, 0, pixels=b""), "refused")
    case("jpeg-0x0", lambda: resized_jpeg(whole("jpeg"), 0, 0), "refused")
    case("gif-0x0", lambda: gif(0, 0, (0, 0)), "refused")


def modes() -> None:
    for depth, colour in ((1, 0), (2, 0), (4, 0), (8, 0), (16, 0), (8, 2), (16, 2), (8, 4), (16, 4), (8, 6), (16, 6)):
        for interlaced in (False, True):
            case(
                f"png-depth-{depth}-colour-{colour}{'-interlaced' * interlaced}",
                lambda d=depth, c=colour, i=interlaced: png(
                    33,
                    21,
                    d,
                    c,
                    zlib.compress(bytes(50_000)),  # type: ignore[misc]
                    interlaced=i,
                ),
                "photo",
            )
    case("png-palette-without-palette", lambda: png(8, 8, 8, 3), "either")
    case("png-palette-of-one", lambda: png(8, 8, 8, 3, zlib.compress(b"\xff" * 72), chunk(b"PLTE", b"abc")), "either")
    case("png-transparency-too-long", lambda: png(8, 8, extra=chunk(b"tRNS", bytes(5000))), "either")
    case("png-transparency-too-short", lambda: png(8, 8, extra=chunk(b"tRNS", b"")), "either")
    case(
        "png-two-headers",
        lambda: png(8, 8, extra=chunk(b"IHDR", struct.pack(">IIBBBBB", 60_000, 60_000, 8, 2, 0, 0, 0))),
        "refused",
    )
    case("png-wrong-checks", lambda: whole("png").replace(b"IHDR", b"IHDr"), "refused")
    for name, profile in (("broken", b"broken profile" * 50), ("noise", noise().tobytes()), ("empty", b"")):
        cmyk = Image.fromarray(quartered()).convert("CMYK")
        case(
            f"cmyk-with-{name}-profile",
            lambda c=cmyk, p=profile: encoded(c, "JPEG", quality=95, icc_profile=p),  # type: ignore[misc]
            "photo",
            quarters=True,
        )
    case("tiff-cmyk", lambda: encoded(Image.fromarray(quartered()).convert("CMYK"), "TIFF"), "photo", quarters=True)
    floats = np.full((9, 9), np.nan, np.float32)
    floats[0], floats[1], floats[2] = np.inf, -np.inf, 1e38
    case("tiff-of-nan", lambda: encoded(Image.fromarray(floats), "TIFF"), "photo")
    case("tiff-16-bit", lambda: encoded(Image.fromarray(np.full((9, 9), 65_535, np.uint16)), "TIFF"), "photo")
    case("jpeg-grey", lambda: encoded(noise(channels=3)[..., 0], "JPEG"), "photo")
    frames = [Image.fromarray(quartered()), *[Image.new("RGB", (64, 48), colour) for colour in ("red", "lime")]]
    for kind, options in (("GIF", {}), ("WEBP", {"quality": 95}), ("PNG", {}), ("TIFF", {}), ("MPO", {"quality": 95})):
        case(f"first-picture-of-{kind}", lambda k=kind, o=options: encoded(frames[0], k, save_all=True,  # type: ignore[misc]
             append_images=frames[1:], **o), "photo", quarters=True)  # fmt: skip


def orientations() -> None:
    for orientation in range(10):
        for kind in ("JPEG", "PNG", "WEBP", "TIFF", "HEIF", "MPO"):
            case(f"orientation-{orientation}-{kind.lower()}",
                 lambda k=kind, o=orientation: encoded(  # type: ignore[misc]
                     stored_as(o), k, exif=exif(o), **({"quality": 95} if k in ("JPEG", "WEBP", "MPO") else {})),
                 "photo", quarters=True)  # fmt: skip
        # Large enough for several of the strips that a photo is converted in.
        case(f"orientation-{orientation}-large", lambda o=orientation: encoded(  # type: ignore[misc]
            stored_as(o, 2600, 1900), "JPEG", exif=exif(o)), "photo", quarters=True)  # fmt: skip
