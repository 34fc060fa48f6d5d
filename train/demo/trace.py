"""One shot in a loaded scene: the camera, and the layers of light that `develop` turns into a photo."""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from train.demo.props import LAMP_HEIGHT_M
from train.demo.scene import LAMP_SLOTS, WHITE, Stage, mitsuba
from train.demo.sessions import Session, Shot


@dataclass(frozen=True)
class Layers:
    """What one shot sees, (H, W) or (H, W, 3) float32, linear.

    `light` is colour lit by sun or lamps; `albedo`, `normal` and `depth_m` describe the first surface;
    `sky_share` (0..1) is the part of the sky it sees; `alpha` is 0 where the sky shows.
    """

    light: NDArray[np.float32]
    glow: NDArray[np.float32]
    albedo: NDArray[np.float32]
    normal: NDArray[np.float32]
    depth_m: NDArray[np.float32]
    sky_share: NDArray[np.float32]
    alpha: NDArray[np.float32]


def trace(stage: Stage, shot: Shot, width: int, height: int, spp: int) -> Layers:
    """Render one shot's layers; `spp` samples per pixel and layer.

    Surface colour is the ratio of two pictures lit from the camera, one painted and one white, over the same
    rays: that lets `develop` smooth the sky light without smearing textures, so a few samples are enough.
    """
    mi = mitsuba()
    camera = sensor(shot, stage.session, width, height, spp)
    lit = mi.load_dict({"type": "direct", "emitter_samples": 6 if stage.session.is_night else 1, "bsdf_samples": 0})
    plain = mi.load_dict({"type": "direct", "emitter_samples": 1, "bsdf_samples": 0, "hide_emitters": True})
    open_sky = mi.load_dict({"type": "direct", "emitter_samples": 0, "bsdf_samples": 1, "hide_emitters": True})
    shown = mi.load_dict({"type": "path", "max_depth": 1})

    def picture(scene: Any, integrator: Any, samples: int = spp) -> NDArray[np.float32]:
        return np.asarray(mi.render(scene, sensor=camera, integrator=integrator, spp=samples), dtype=np.float32)

    if stage.glow is not None:
        aim_lamps(stage, shot)
    for scene in (stage.place.painted, stage.place.white):
        params = mi.traverse(scene)
        params["head.position"] = [shot.east_m, shot.north_m, shot.height_m]
        params.update()
    light = np.zeros((height, width, 3), np.float32)
    if stage.session.sky != "overcast":
        light = picture(stage.light, lit)[..., :3]
    bare = picture(stage.place.white, plain)[..., :3].mean(axis=2, keepdims=True)
    albedo = np.clip(WHITE * picture(stage.place.painted, plain)[..., :3] / np.maximum(bare, 1e-9), 0, 1)
    seen = picture(stage.place.white, open_sky)
    alpha = np.clip(seen[..., 3], 0, 1)
    covered = np.maximum(alpha, np.float32(0.05))
    depth_m = (picture(stage.place.white, mi.load_dict({"type": "depth"}))[..., 0] / covered).astype(np.float32)
    glow = np.zeros_like(light) if stage.glow is None else picture(stage.glow, shown, max(1, spp // 2))[..., :3]
    share = np.clip(seen[..., 0] / WHITE / covered, 0, 1).astype(np.float32)
    return Layers(light, glow, albedo, _normals(depth_m, shot, stage.session), depth_m, share, alpha)


def _normals(depth_m: NDArray[np.float32], shot: Shot, session: Session) -> NDArray[np.float32]:
    """(H, W, 3) unit normals towards the camera in (east, north, up), from differences of depth."""
    height, width = depth_m.shape
    origin, target, up = (np.array(v) for v in camera_frame(shot))
    ahead = target - origin
    right = np.cross(ahead, up)
    focal = width / 2 / math.tan(math.radians(session.hfov_deg) / 2)
    ys, xs = np.mgrid[0:height, 0:width] + 0.5
    rays = ahead + ((xs - width / 2) / focal)[..., None] * right - ((ys - height / 2) / focal)[..., None] * up
    points = rays / np.linalg.norm(rays, axis=2, keepdims=True) * depth_m[..., None]

    def step(axis: int) -> NDArray[np.float64]:
        later = np.diff(points, axis=axis, append=np.take(points, [-1], axis=axis))
        before = np.diff(points, axis=axis, prepend=np.take(points, [0], axis=axis))
        size_later, size_before = np.linalg.norm(later, axis=2), np.linalg.norm(before, axis=2)
        use_later = (size_later > 0) & ((size_later <= size_before) | (size_before == 0))
        chosen: NDArray[np.float64] = np.where(use_later[..., None], later, before)
        return chosen

    normal = np.cross(step(1), step(0))
    normal /= np.maximum(np.linalg.norm(normal, axis=2, keepdims=True), 1e-9)
    normal *= np.where((normal * rays).sum(axis=2, keepdims=True) > 0, -1.0, 1.0)
    out: NDArray[np.float32] = normal.astype(np.float32)
    return out


def sensor(shot: Shot, session: Session, width: int, height: int, spp: int) -> Any:
    """The camera of one shot."""
    mi = mitsuba()
    origin, target, up = camera_frame(shot)
    return mi.load_dict(
        {
            "type": "perspective", "fov": session.hfov_deg, "fov_axis": "x",
            "near_clip": 0.05, "far_clip": 8000.0,
            "to_world": mi.ScalarTransform4f().look_at(origin=origin, target=target, up=up),
            "film": {"type": "hdrfilm", "width": width, "height": height, "pixel_format": "rgba",
                     "rfilter": {"type": "tent"}, "component_format": "float32"},
            "sampler": {"type": "multijitter", "sample_count": spp},
        }
    )  # fmt: skip


def camera_frame(shot: Shot) -> tuple[list[float], list[float], list[float]]:
    """Origin, a point one metre ahead, and the camera's up direction; (east, north, up) metres."""
    heading, pitch, roll = (math.radians(v) for v in (shot.heading_deg, shot.pitch_deg, shot.roll_deg))
    ahead = np.array([math.sin(heading) * math.cos(pitch), math.cos(heading) * math.cos(pitch), math.sin(pitch)])
    right = np.array([math.cos(heading), -math.sin(heading), 0.0])
    up = np.cross(right, ahead)
    tilted = up * math.cos(roll) + right * math.sin(roll)
    origin = np.array([shot.east_m, shot.north_m, shot.height_m])
    return origin.tolist(), (origin + ahead).tolist(), tilted.tolist()


def aim_lamps(stage: Stage, shot: Shot) -> None:
    """Move the scene's few lamp lights to the lamps that matter for this shot."""
    mi = mitsuba()
    heading = math.radians(shot.heading_deg)
    middle = np.array([shot.east_m + 11 * math.sin(heading), shot.north_m + 11 * math.cos(heading)])
    order = np.argsort(np.linalg.norm(stage.place.lamps - middle, axis=1))[:LAMP_SLOTS]
    params = mi.traverse(stage.light)
    for slot, index in enumerate(order):
        east, north = stage.place.lamps[index]
        params[f"lamp_{slot}.position"] = [float(east) + 0.2, float(north) + 0.2, LAMP_HEIGHT_M - 0.35]
    params.update()
