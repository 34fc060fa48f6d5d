"""Weights in files of others: state dicts by name, nothing unpickled."""

from __future__ import annotations

import hashlib
from pathlib import Path

import torch
from torch import Tensor

from core.errors import EngineError


def read_state(path: Path) -> dict[str, Tensor]:
    """The tensors of a local weights file by name. Raises EngineError where it is no such file."""
    if not path.is_file():
        raise EngineError("no such weights file", path=path)
    if path.suffix == ".safetensors":
        from safetensors.torch import load_file

        return dict(load_file(path))
    try:
        return dict(torch.load(path, map_location="cpu", weights_only=True))
    except Exception as error:  # torch raises a dozen types for a file that is not its own
        raise EngineError(f"not a plain state dict of weights ({type(error).__name__})", path=path) from error


def check_sha256(path: Path, sha256: str, remedy: str) -> None:
    """Raises EngineError where the file is absent or its bytes are not those of the given SHA-256, in hex."""
    if not path.is_file():
        raise EngineError("no such weights file", path=path)
    with path.open("rb") as file:
        found = hashlib.file_digest(file, "sha256").hexdigest()
    if found != sha256:
        raise EngineError(
            f"not the weights that this backbone begins from (SHA-256 {found[:12]}…, not {sha256[:12]}…)",
            path=path,
            remedy=remedy,
        )
