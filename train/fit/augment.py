"""Photos changed at random, in batches on the training device."""

from __future__ import annotations

import torch
from torch import Tensor


def augment(images: Tensor, night: Tensor, generator: torch.Generator, darkened: float) -> Tensor:
    """(B, S, S, 3) uint8 and (B,) bool -> (B, 3, S, S) float32 in 0..255, each photo changed in its own way.

    Small turns, shifts and scalings, brightness, contrast, saturation and tint, and erased boxes. A share `darkened`
    of the day photos is darkened mildly, night photos never further. No flips: a mirrored place is another place.
    """
    x = images.permute(0, 3, 1, 2).float()
    count, _, size, _ = x.shape
    device = x.device

    def uniform(low: float, high: float) -> Tensor:
        return torch.empty(count, device=device).uniform_(low, high, generator=generator).view(-1, 1, 1, 1)

    turn, zoom = uniform(-0.09, 0.09).flatten(), uniform(0.88, 1.06).flatten()
    theta = torch.zeros(count, 2, 3, device=device)
    theta[:, 0, 0] = theta[:, 1, 1] = torch.cos(turn) * zoom
    theta[:, 0, 1], theta[:, 1, 0] = -torch.sin(turn) * zoom, torch.sin(turn) * zoom
    theta[:, 0, 2], theta[:, 1, 2] = uniform(-0.08, 0.08).flatten(), uniform(-0.08, 0.08).flatten()
    where = torch.nn.functional.affine_grid(theta, list(x.shape), align_corners=False)
    x = torch.nn.functional.grid_sample(x, where, padding_mode="reflection", align_corners=False)

    day = (~night).view(-1, 1, 1, 1)
    darken = torch.where((uniform(0, 1) < darkened) & day, uniform(0.4, 0.7), torch.ones(1, device=device))
    x = x * uniform(0.75, 1.25) * darken
    mean = x.mean(dim=(1, 2, 3), keepdim=True)
    x = (x - mean) * uniform(0.75, 1.25) + mean
    grey = x.mean(dim=1, keepdim=True)
    x = (x - grey) * uniform(0.6, 1.35) + grey
    tint = torch.empty(count, 3, 1, 1, device=device).uniform_(0.9, 1.1, generator=generator)
    x = x * tint

    # Up to one box is erased in a third of the photos, as a passer-by or a parked car would.
    side_y, side_x = uniform(0.1, 0.4) * size, uniform(0.1, 0.4) * size
    top, left = uniform(0, 1) * (size - side_y), uniform(0, 1) * (size - side_x)
    rows = torch.arange(size, device=device).view(1, 1, -1, 1)
    columns = torch.arange(size, device=device).view(1, 1, 1, -1)
    box = (rows >= top) & (rows < top + side_y) & (columns >= left) & (columns < left + side_x)
    x = torch.where(box & (uniform(0, 1) < 0.33), mean, x)
    return x.clamp(0, 255)
