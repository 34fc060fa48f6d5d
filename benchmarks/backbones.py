"""Backbones side by side on a CPU: milliseconds a photo and megabytes. Weights are random: neither depends on them."""

from __future__ import annotations

from collections.abc import Callable
from functools import partial

import numpy as np
import torch

from benchmarks.timing import Effort, Section, interleaved
from core.engines.onnx_engine import open_session
from core.network.campus_net import CampusNet
from core.network.net_config import NetConfig
from core.network.onnx_export import export_fp32, quantize_int8

DEFAULT = "efficientnet_lite0"
# By the sides of the pictures that they are run on: that of the default recipe, or the nearest that patches of 14 fill.
SIDES_PX = {
    DEFAULT: 288,
    "mobilenetv4_conv_small": 288,
    "resnet50": 288,
    "convnext_tiny": 288,
    "vit_small_patch14_dinov2": 280,
    "vit_small_patch16_dinov3": 288,
}
TINY_PX = {"test_efficientnet": 64}  # which timm made for tests


def networks(name: str, side_px: int) -> dict[str, bytes]:
    """The backbone with whitened heads, as ONNX files by their precision."""
    torch.manual_seed(0)
    net = CampusNet(NetConfig(name, zones=10, image_size=side_px, layout="whitened")).eval()
    fp32 = export_fp32(net)
    images = np.random.default_rng(0).integers(0, 256, (4, side_px, side_px, 3), np.uint8)
    return {"FP32": fp32, "INT8": quantize_int8(fp32, images)}


def run(effort: Effort) -> Section:
    """One photo at a time through each, in turn."""
    section = Section("Backbones", "One photo through each backbone of random weights, with heads, by ONNX Runtime.")
    sizes: dict[str, float] = {}
    ways: dict[str, Callable[[], object]] = {}
    for name, side_px in (TINY_PX if effort.tiny else SIDES_PX).items():
        image = np.zeros((1, side_px, side_px, 3), np.uint8)
        for precision, model in networks(name, side_px).items():
            session = open_session(model)  # as the program runs it: waiting threads leave the cores to the others
            label = f"{name}, {side_px} px, {precision}"
            sizes[label] = len(model) / 1e6
            ways[label] = partial(session.run, None, {"image": image})
    times = interleaved(ways, effort)
    section.keep("backbones", times)
    first = next(iter(times.values())).median
    section.tables.append(
        [("backbone", "MB", "one photo, median (p10 – p90)", "against the first")]
        + [
            (label, f"{sizes[label]:.0f}", str(value), f"{value.median / first:.1f} x")
            for label, value in times.items()
        ]
    )
    return section
