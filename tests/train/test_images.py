from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
import torch
from PIL import Image

from core.photo.load import load_photo
from core.photo.preprocess import network_image
from train.dataset.images import cached_images
from train.fit.augment import augment


@pytest.fixture
def photos(tmp_path: Path) -> list[Path]:
    rng = np.random.default_rng(0)
    paths = []
    for index in range(3):
        path = tmp_path / f"{index}.png"
        Image.fromarray(rng.integers(0, 255, (40, 60, 3), dtype=np.uint8)).save(path)
        paths.append(path)
    return paths


def test_cached_photos_are_what_prediction_sees(photos: list[Path], tmp_path: Path) -> None:
    images = cached_images(photos, 32, tmp_path / "cache")
    assert images.shape == (3, 32, 32, 3)
    for image, path in zip(images, photos, strict=True):
        assert np.array_equal(image, network_image(load_photo(path, min_side=32).rgb, 32))


def test_photos_are_decoded_once_and_again_when_they_change(photos: list[Path], tmp_path: Path) -> None:
    cache = tmp_path / "cache"
    cached_images(photos, 32, cache)
    first = {file: file.stat().st_mtime_ns for file in cache.iterdir()}
    cached_images(photos, 32, cache)
    assert {file: file.stat().st_mtime_ns for file in cache.iterdir()} == first
    Image.new("RGB", (60, 40), "red").save(photos[1])
    assert cached_images(photos, 32, cache)[1, 0, 0].tolist() == [255, 0, 0]


def test_photos_are_decoded_once_however_their_dataset_is_named(
    photos: list[Path], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path.parent)
    here = Path(tmp_path.name)
    cached_images([here / path.name for path in photos], 32, here / "cache")
    (file,) = (tmp_path / "cache").iterdir()
    before = file.stat().st_mtime_ns
    cached_images(photos, 32, tmp_path / "cache")
    assert [(path, path.stat().st_mtime_ns) for path in (tmp_path / "cache").iterdir()] == [(file, before)]


def test_what_photos_were_before_they_changed_is_not_kept_for_good(photos: list[Path], tmp_path: Path) -> None:
    cache = tmp_path / "cache"
    for size in (32, 48):
        cached_images(photos, size, cache)
    before = set(cache.iterdir())
    Image.new("RGB", (60, 40), "red").save(photos[1])
    cached_images(photos, 32, cache)
    after = set(cache.iterdir())
    assert len(after) == 2
    assert [path.name[:10] for path in after & before] == ["images-48-"]


def test_augmented_photos_differ_from_one_another_and_stay_in_range() -> None:
    image = torch.from_numpy(np.random.default_rng(0).integers(0, 255, (1, 64, 64, 3), dtype=np.uint8))
    batch = augment(image.repeat(8, 1, 1, 1), torch.zeros(8, dtype=torch.bool), torch.Generator().manual_seed(0), 0.25)
    assert batch.shape == (8, 3, 64, 64)
    assert batch.min() >= 0
    assert batch.max() <= 255
    assert all((batch[0] - other).abs().mean() > 1 for other in batch[1:])


def test_augmentation_is_mild_and_never_mirrors() -> None:
    """A photo that is dark on its left stays so: a mirrored place is another place."""
    image = torch.full((1, 64, 64, 3), 40, dtype=torch.uint8)
    image[:, :, 32:] = 200
    batch = augment(
        image.repeat(64, 1, 1, 1), torch.zeros(64, dtype=torch.bool), torch.Generator().manual_seed(1), 0.25
    )
    left, right = batch[..., :20].mean(dim=(1, 2, 3)), batch[..., 44:].mean(dim=(1, 2, 3))
    assert (right > left).all()


def test_night_photos_are_not_darkened_further() -> None:
    image = torch.full((1, 32, 32, 3), 120, dtype=torch.uint8).repeat(256, 1, 1, 1)

    def darkest(night: bool, darkened: float = 0.25) -> float:
        generator = torch.Generator().manual_seed(2)
        return float(augment(image, torch.full((256,), night), generator, darkened).mean(dim=(1, 2, 3)).min())

    assert darkest(night=True) > 120 * 0.65
    assert darkest(night=False) < 120 * 0.55
    assert darkest(night=False, darkened=0) > 120 * 0.65


def test_the_same_seed_augments_alike() -> None:
    image = torch.full((4, 32, 32, 3), 99, dtype=torch.uint8)
    night = torch.zeros(4, dtype=torch.bool)
    one, two = (augment(image, night, torch.Generator().manual_seed(3), 0.25) for _ in range(2))
    assert torch.equal(one, two)
