"""Backbones of a few thousand weights drawn at random, for tests that are not about what a network sees.

They are traced, trained and quantised in a third of the time of those that campuses are made with.
"""

from __future__ import annotations

from pathlib import Path

import torch

from core.network.timm_backbone import timm_model

CNN, VIT = "test_efficientnet", "test_vit"  # timm made both for tests


def small_backbone(name: str, image_size: int, weights: Path) -> tuple[object, ...]:
    """The flags of `fit` for it, whose weights are written to a file."""
    torch.manual_seed(0)
    torch.save(timm_model(name, image_size).state_dict(), weights)
    return ("--backbone", name, "--weights", weights)
