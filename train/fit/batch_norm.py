"""Batch norm over the photos of all processes, so that a step does not depend on how many share its batch."""

from __future__ import annotations

from typing import Any

import torch
import torch.distributed as dist
import torch.nn.functional as F
from torch import Tensor, nn
from torch.nn.modules.batchnorm import _BatchNorm


def synchronised(net: nn.Module, device: torch.device) -> nn.Module:
    """`net` with every batch norm replaced by one that sees all processes; same parameters, same state dict.

    On a GPU that is torch's SyncBatchNorm (by timm, whose own layers carry an activation); torch has none for CPUs.
    """
    if device.type == "cuda":
        from timm.layers import convert_sync_batchnorm

        converted: nn.Module = convert_sync_batchnorm(net)
        return converted
    for name, child in net.named_children():
        net.add_module(name, _CpuSyncBatchNorm(child) if isinstance(child, _BatchNorm) else synchronised(child, device))
    return net


class _CpuSyncBatchNorm(_BatchNorm):
    """Takes over the parameters, buffers and, where it is timm's, the activation of `one`. All processes must hold
    equally many photos.
    """

    def __init__(self, one: _BatchNorm) -> None:
        super().__init__(one.num_features, one.eps, one.momentum)
        self.weight, self.bias = one.weight, one.bias
        self.running_mean, self.running_var = one.running_mean, one.running_var
        self.num_batches_tracked = one.num_batches_tracked
        self.after = nn.Sequential(*(getattr(one, name) for name in ("drop", "act") if hasattr(one, name)))

    def forward(self, x: Tensor) -> Tensor:
        if not self.training:
            plain = F.batch_norm(x, self.running_mean, self.running_var, self.weight, self.bias, eps=self.eps)
            return self._after(plain)
        over = [axis for axis in range(x.dim()) if axis != 1]
        shape = [-1 if axis == 1 else 1 for axis in range(x.dim())]
        full = x.float()  # half precision would lose the variance
        mean = _mean_of_all(full.mean(over))
        centred = full - mean.view(shape)
        variance = _mean_of_all(centred.square().mean(over))
        with torch.no_grad():
            assert self.running_mean is not None
            assert self.running_var is not None
            assert self.num_batches_tracked is not None
            count = dist.get_world_size() * x.numel() // x.shape[1]
            self.running_mean.lerp_(mean, self.momentum or 0.0)
            self.running_var.lerp_(variance * count / max(count - 1, 1), self.momentum or 0.0)
            self.num_batches_tracked += 1
        scale = self.weight * torch.rsqrt(variance + self.eps)
        return self._after((centred * scale.view(shape) + self.bias.view(shape)).to(x.dtype))

    def _after(self, x: Tensor) -> Tensor:
        after: Tensor = self.after(x)
        return after

    def _check_input_dim(self, input: Tensor) -> None:
        """Any number of axes, the second being the channels."""


class _SumOfAll(torch.autograd.Function):
    """An all-reduce whose gradient is an all-reduce."""

    @staticmethod
    def forward(ctx: Any, x: Tensor) -> Tensor:  # noqa: ARG004
        total = x.clone()
        dist.all_reduce(total)
        return total

    @staticmethod
    def backward(ctx: Any, *gradient: Tensor) -> Tensor:  # noqa: ARG004
        total = gradient[0].contiguous().clone()
        dist.all_reduce(total)
        return total


def _mean_of_all(x: Tensor) -> Tensor:
    total: Tensor = _SumOfAll.apply(x)
    return total / dist.get_world_size()
