"""Each head is trained by the likelihood of its own mixture component, at the photo's true position."""

from __future__ import annotations

import math

import torch
import torch.nn.functional as F
from torch import Tensor


def regression_nll(offset: Tensor, log_spread: Tensor, target: Tensor, power: float = 1.0) -> Tensor:
    """Negative log likelihood of an isotropic two-dimensional density with learned scale.

    offset, target (B, 2) and log_spread (B, 1), in units of the frame's scale -> scalar. The density of an error of
    length r is proportional to exp(-(r / s)^power) / s^2. Power 1, Laplace's, is heavy-tailed, so that one wrong label
    does not pull a whole batch; 2 is Gauss's.
    """
    log_scale = log_spread[:, 0].clamp(-6, 3)  # beyond these a batch of lucky guesses would blow the gradient up
    length = (offset - target).square().sum(dim=1).add(1e-8).sqrt()
    log_volume = math.log(2 * math.pi / power) + math.lgamma(2 / power)
    return (2 * log_scale + (length * torch.exp(-log_scale)) ** power + log_volume).mean()


def zone_nll(zone_logits: Tensor, squared_m: Tensor, width_m: float, smoothing: float = 0.05) -> Tensor:
    """-log of the mass that the zone odds put near the truth.

    zone_logits (B, K); squared_m (B, K) squared distance of each photo to each zone's centre. A zone counts by
    exp(-d^2 / 2 w^2), relative to the best one, so a neighbour's cell is half right and not wrong.
    """
    log_kernel = -squared_m / (2 * width_m**2)
    log_kernel = log_kernel - log_kernel.amax(dim=1, keepdim=True)
    log_odds = F.log_softmax(zone_logits, dim=1)
    hit = -torch.logsumexp(log_odds + log_kernel, dim=1).mean()
    return (1 - smoothing) * hit - smoothing * log_odds.mean()


def retrieval_nll(similarity: Tensor, squared_m: Tensor, width_m: float, temperature: float) -> Tensor:
    """-log of the mass that the similarity-weighted gallery puts near the truth.

    similarity (B, N) cosine similarities to a memory of the training photos, -inf where a photo must not see itself;
    squared_m (B, N) squared distances. With weights softmax(similarity / temperature) this is the retrieval component
    itself (and neighbourhood components analysis, Goldberger et al. 2004, with distance-softened classes): positives
    are other photos of the same place, weighed by how alike they look, and the hardest negatives, similar photos of
    far places, get the largest gradient. Photos without any neighbour within 3 widths teach nothing and are left out.
    """
    log_kernel = -squared_m / (2 * width_m**2)
    seen = ((squared_m < (3 * width_m) ** 2) & torch.isfinite(similarity)).any(dim=1)
    if not seen.any():
        return similarity.new_zeros(())
    log_weight = F.log_softmax(similarity[seen] / temperature, dim=1)
    # The kernel's own peak is 1; a floor keeps a hopeless photo's gradient finite.
    return -torch.logsumexp(log_weight + log_kernel[seen].clamp(min=-12.0), dim=1).mean()


def heading_nll(heading: Tensor, target_rad: Tensor) -> Tensor:
    """Negative log likelihood of a von Mises density, up to its constant log 2 pi.

    heading (B, 2) points east and north, its length is the concentration; target_rad (B,) clockwise from north, NaN
    where unknown: such photos teach nothing here.
    """
    known = torch.isfinite(target_rad)
    if not known.any():
        return heading.new_zeros(())
    heading, target = heading[known], target_rad[known]
    towards = torch.stack([torch.sin(target), torch.cos(target)], dim=1)
    concentration = heading.square().sum(dim=1).add(1e-8).sqrt()
    # log I0 by its scaled form, which does not overflow
    log_i0 = concentration + torch.log(torch.special.i0e(concentration))
    return (log_i0 - (heading * towards).sum(dim=1)).mean()
