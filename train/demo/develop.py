"""From rendered light to a phone's JPEG: clouds, exposure, tone curve, vignetting, noise, EXIF."""

from __future__ import annotations

import io
import math
import zlib
from datetime import timezone

import numpy as np
from numpy.typing import NDArray
from PIL import Image
from PIL.ExifTags import GPS, IFD, Base

from core.photo.geotag import write_position
from train.demo.facades import blotches
from train.demo.scene import sun_colour
from train.demo.sessions import Session, Shot, sun_direction
from train.demo.trace import Layers
from train.demo.world import World

DESCRIPTION = "Rendered demo campus, not a real place"
KEY = 0.20  # where the metering puts the middle of a scene, linear


def develop(layers: Layers, world: World, session: Session, shot: Shot) -> NDArray[np.uint8]:
    """Traced layers -> (H, W, 3) uint8 sRGB."""
    rng = np.random.default_rng(zlib.crc32(f"{shot.session}/{shot.name}".encode()))
    rgb = shade(layers, world, session, shot)
    level = np.log(np.maximum(rgb.mean(axis=2), 2e-3))
    target = KEY if not session.is_night else KEY * 0.30
    metered = math.exp(0.6 * float(level.mean()) + 0.4 * float(np.percentile(level, 80)))
    gain = target / max(metered, 0.012) * 2.0 ** (session.exposure_ev + float(rng.normal(0, 0.12)))
    rgb = rgb * gain * np.array(session.white, np.float32) * (1 + rng.normal(0, 0.012, 3)).astype(np.float32)
    rgb *= _vignette(rgb.shape[0], rgb.shape[1])
    rgb = rgb + np.sqrt(np.maximum(rgb, 0) + 0.02) * session.noise * rng.standard_normal(rgb.shape).astype(np.float32)
    shown = _tone_curve(np.maximum(rgb, 0))
    out: NDArray[np.uint8] = np.clip(shown * 255 + 0.5, 0, 255).astype(np.uint8)
    return out


def shade(layers: Layers, world: World, session: Session, shot: Shot) -> NDArray[np.float32]:
    """Linear radiance, (H, W, 3): sun or lamps, sky light by its share, light thrown back by the ground."""
    share = _soften(layers.sky_share, layers, np.inf)[..., None]
    up = layers.normal[..., 2:3]
    painted = layers.albedo * layers.alpha[..., None]
    if session.is_night:
        lamp = layers.light.mean(axis=2) / np.maximum(painted.mean(axis=2), 1e-3)
        smooth = _soften(lamp, layers, 2.0)[..., None]
        colour = np.array((1.36, 1.02, 0.62), np.float32)
        rgb = painted * (smooth * colour + np.array((0.030, 0.036, 0.056), np.float32) * (0.3 + share))
        rgb = rgb + layers.glow * 1.2
    else:
        sun = np.array(sun_colour(world, session), np.float32)
        height = max(math.sin(math.radians(sun_direction(session.start, *world.centre)[1])), 0.1)
        blue = np.array((0.62, 0.74, 1.0) if session.sky == "clear" else (1.30, 1.33, 1.38), np.float32)
        thrown = (0.30 * sun * height / math.pi + 0.2 * blue) * np.array((1.0, 0.86, 0.66), np.float32)
        rgb = layers.light + painted * (blue * share + thrown * (0.5 - 0.4 * up) * (0.35 + 0.65 * share))
    haze = (1 - np.exp(-np.maximum(layers.depth_m, 0) / 2600.0))[..., None] * layers.alpha[..., None]
    sky = sky_radiance(layers.alpha.shape, world, session, shot)
    rgb = rgb * (1 - haze) + sky * haze
    out: NDArray[np.float32] = rgb + (1 - layers.alpha[..., None]) * sky
    return out.astype(np.float32)


def _soften(values: NDArray[np.float32], layers: Layers, contrast: float) -> NDArray[np.float32]:
    """Joint bilateral filter (a-trous, two rounds of 5 x 5) of an (H, W) layer along like normals and depths.

    `contrast` is the difference of log values across which nothing is mixed; infinity for none.
    """
    depth = np.log(np.maximum(layers.depth_m, 0.3))
    out = values.astype(np.float32)
    for step in (1, 3):
        pad = 2 * step
        size = values.shape
        wide = [np.pad(a, pad, mode="edge") for a in (out, depth, *np.moveaxis(layers.normal, 2, 0))]
        total, weight = np.zeros_like(out), np.zeros_like(out)
        for dy in range(0, 5 * step, step):
            for dx in range(0, 5 * step, step):
                v, d, nx, ny, nz = (a[dy : dy + size[0], dx : dx + size[1]] for a in wide)
                same = nx * layers.normal[..., 0] + ny * layers.normal[..., 1] + nz * layers.normal[..., 2]
                w = np.clip(same, 0, 1) ** 12 * np.exp(-np.abs(d - depth) * 12.0) + 1e-6
                if math.isfinite(contrast):
                    w *= np.exp(-np.abs(np.log((v + 0.02) / (out + 0.02))) / contrast)
                total += w * v
                weight += w
        out = np.asarray(total / weight, dtype=np.float32)
    return out


def _tone_curve(linear: NDArray[np.float32]) -> NDArray[np.float32]:
    """A filmic shoulder (Narkowicz 2015, ACES fit, run at 0.8), then the display's gamma."""
    x = linear * 0.8
    mapped = x * (2.51 * x + 0.03) / (x * (2.43 * x + 0.59) + 0.14)
    return np.asarray(np.clip(mapped, 0, 1) ** (1 / 2.2), dtype=np.float32)


def _vignette(height: int, width: int) -> NDArray[np.float32]:
    ys, xs = np.mgrid[-1 : 1 : height * 1j, -1 : 1 : width * 1j]
    out: NDArray[np.float32] = (1 - 0.12 * (xs**2 + ys**2) / 2)[..., None].astype(np.float32)
    return out


def sky_radiance(size: tuple[int, ...], world: World, session: Session, shot: Shot) -> NDArray[np.float32]:
    """(H, W, 3) linear: a gradient with the sun's glow, and clouds fixed to compass and height."""
    height, width = size
    focal = width / 2 / math.tan(math.radians(session.hfov_deg) / 2)
    ys, xs = np.mgrid[0:height, 0:width].astype(np.float32)
    azimuth = np.radians(shot.heading_deg) + np.arctan((xs - width / 2) / focal)
    rise = np.radians(shot.pitch_deg) + np.arctan((height / 2 - ys) / focal)
    sun_azimuth, sun_rise = (math.radians(v) for v in sun_direction(session.start, *world.centre))
    low, high = {
        "clear": ((0.95, 1.05, 1.2), (0.22, 0.42, 0.95)),
        "overcast": ((0.95, 0.98, 1.02), (0.72, 0.76, 0.84)),
        "night": ((0.050, 0.042, 0.048), (0.006, 0.009, 0.020)),
    }[session.sky]  # fmt: skip
    mix = np.exp(-np.maximum(rise, 0) * 4.0)[..., None]
    sky = np.array(low, np.float32) * mix + np.array(high, np.float32) * (1 - mix)
    if session.sky == "clear":
        towards = np.sin(rise) * math.sin(sun_rise) + np.cos(rise) * math.cos(sun_rise) * np.cos(azimuth - sun_azimuth)
        warm = np.array(sun_colour(world, session), np.float32)
        warm = warm / warm.max()
        glow = 0.9 * np.exp((towards - 1) * 9.0) + 9.0 * np.exp((towards - 1) * 900.0)
        sky = sky * (0.45 + 0.55 * warm) + glow[..., None] * warm
    rng = np.random.default_rng(zlib.crc32(session.name.encode()))
    chart = np.asarray(sum(blotches(256, 2304, cell, rng) * cell / 90 for cell in (70, 34, 16, 8)), np.float32)
    fade = np.linspace(1, 0, 256, dtype=np.float32)  # the end of the chart runs into its beginning
    chart[:, :256] = chart[:, 2048:] * fade + chart[:, :256] * (1 - fade)
    column = (np.degrees(azimuth) % 360 / 360 * 2047).astype(int)
    row = np.clip(255 - np.clip(rise, 0, 1.2) / 1.2 * 255, 0, 255).astype(int)
    cloud = chart[row, column][..., None]
    if session.sky == "clear":
        cover = np.clip((cloud - 0.28) * 1.5, 0, 0.8)
        out = sky * (1 - cover) + np.array((1.15, 1.13, 1.1), np.float32) * warm * cover
    else:
        out = sky * (1.0 + 0.25 * cloud)
    return np.asarray(out, np.float32)


def jpeg(pixels: NDArray[np.uint8], world: World, session: Session, shot: Shot) -> bytes:
    """The photo file: JPEG quality 92 with the EXIF a phone writes; GPS is truth plus the shot's noise."""
    lat, lon = world.to_latlon(shot.east_m + shot.noise_east_m, shot.north_m + shot.noise_north_m)
    utc = shot.time_utc.astimezone(timezone.utc)
    local = utc.astimezone(session.start.tzinfo)
    offset = local.strftime("%z")
    exif = Image.Exif()
    exif[Base.ImageDescription] = DESCRIPTION
    exif[Base.Make], exif[Base.Model] = session.device
    exif[Base.Orientation] = 1
    exif[Base.DateTime] = local.strftime("%Y:%m:%d %H:%M:%S")
    detail = exif.get_ifd(IFD.Exif)
    detail[Base.DateTimeOriginal] = local.strftime("%Y:%m:%d %H:%M:%S")
    detail[Base.OffsetTimeOriginal] = f"{offset[:3]}:{offset[3:]}"
    gps = write_position(exif, lat, lon)
    gps[GPS.GPSImgDirectionRef], gps[GPS.GPSImgDirection] = "T", round(shot.heading_deg % 360, 2)
    gps[GPS.GPSDateStamp] = utc.strftime("%Y:%m:%d")
    gps[GPS.GPSTimeStamp] = (float(utc.hour), float(utc.minute), float(utc.second))
    gps[GPS.GPSHPositioningError] = round(shot.error_m, 2)
    out = io.BytesIO()
    Image.fromarray(pixels).save(out, "JPEG", quality=92, exif=exif)
    return out.getvalue()
