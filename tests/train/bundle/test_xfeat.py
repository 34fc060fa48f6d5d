"""XFeat as an ONNX file against XFeat as its authors run it."""

from __future__ import annotations

import numpy as np
import pytest

from core.campus.file_names import LOCAL_MODEL
from core.engines.local_engine import OnnxLocalEngine
from core.errors import EngineError
from core.locate.local_features import local_features
from core.photo.canvas import fitted
from tests.second_looks import HEIGHT, WIDTH, facade, local_model, needs_xfeat

pytestmark = needs_xfeat
torch = pytest.importorskip("torch")
xfeat = pytest.importorskip("train.bundle.xfeat")


def _reference(rgb: np.ndarray, count: int) -> tuple[np.ndarray, np.ndarray]:
    """Scores (n,) and descriptors (n, 64), step by step as `XFeat.detectAndCompute` takes them."""
    functional = torch.nn.functional
    with torch.inference_mode():
        image = torch.from_numpy(rgb.copy()).permute(2, 0, 1)[None].float() / 255
        features, logits, reliability = xfeat.load_xfeat()(image)
        features = functional.normalize(features, dim=1)
        odds = functional.softmax(logits, 1)[:, :64].permute(0, 2, 3, 1)
        height, width = odds.shape[1:3]
        heat = odds.reshape(1, height, width, 8, 8).permute(0, 1, 3, 2, 4).reshape(1, 1, height * 8, width * 8)
        peak = (heat == functional.max_pool2d(heat, 5, 1, 2)) & (heat > 0.05)
        at = peak[0, 0].nonzero().flip(1).float()
        grid = (2 * at / torch.tensor([width * 8 - 1, height * 8 - 1]) - 1)[None, :, None]
        sample = lambda values, mode: functional.grid_sample(values, grid, mode, align_corners=False)[0, :, :, 0]  # noqa: E731
        score = (sample(heat, "nearest") * sample(reliability, "bilinear"))[0]
        best = score.argsort(descending=True)[:count]
        found = functional.normalize(sample(features, "bicubic").T[best], dim=1)
    return score[best].numpy(), found.numpy()


def test_descriptors_are_those_of_the_original() -> None:
    canvas = fitted(facade(1), HEIGHT, WIDTH)
    assert canvas.image.shape[:2] == (HEIGHT, WIDTH)
    found = local_features(OnnxLocalEngine(local_model(), HEIGHT, WIDTH, 1).run(canvas.image), canvas, 200)
    _, wanted = _reference(canvas.image, 200)
    assert len(found) == len(wanted) > 100
    # Keypoints of nearly the same score may change places.
    assert (found @ wanted.T).max(axis=1).min() > 0.9999


def test_the_licence_names_the_network_and_comes_with_its_text() -> None:
    text = xfeat.licence(LOCAL_MODEL).decode()
    assert LOCAL_MODEL in text
    assert "Apache License" in text
    assert "Potje" in text


def test_a_model_of_another_size_is_refused() -> None:
    with pytest.raises(EngineError, match="none of 64 × 64"):
        OnnxLocalEngine(local_model(), 64, 64)
