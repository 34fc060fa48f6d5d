"""The original's checkpoint, best_model.pth -> a campus bundle."""

from __future__ import annotations

import argparse
import tempfile
from collections.abc import Mapping
from dataclasses import replace
from datetime import datetime, timezone
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np
from numpy.typing import NDArray

from core.campus.bundle import Bundle, check_may_save, save_bundle
from core.campus.frame import LocalFrame
from core.campus.manifest import MAX_CAMPUS_NAME, Calibration, Training
from core.campus.parameters import PosteriorParams
from core.campus.zones import Zones
from core.errors import DatasetError, EngineError
from core.io.labels import read_labels
from core.locate.mixture import HEAVY_TAIL
from core.program import typed
from train.bundle.make import BundleConfig, add_bundle_arguments, manifest_and_files, read_map
from train.bundle.parts import Parts, calibrated_parts, fitted_to
from train.dataset.dataset import Dataset
from train.dataset.split import SplitConfig, Splits
from train.dataset.zoning import name_zones, zones_about
from train.fit.training_data import TrainingData, campus_grid

if TYPE_CHECKING:  # torch is imported where it works, so that the command tells its options without it
    from torch import Tensor

    from core.network.campus_net import CampusNet

FRAME = LocalFrame(36, 671669.6027, 3460032.8143)  # the centre that the original subtracts, zone 36R
FAR_M = 5_000.0  # a campus whose middle is farther than this from that centre is another one
CHANNEL_MEAN = (0.42974764, 0.41656676, 0.37728581)  # of the original's photos
CHANNEL_STD = (0.19857016, 0.19456542, 0.20090208)
IMAGE_SIZE = 224
HELD_OUT, SPLIT_SEED = 0.2, 42  # the original's scikit-learn split, stratified by night, in gt.csv's order
PUBLISHED_MEAN_M = 8.68  # the original's mean error on its own held-out photos
FLOOR_WEIGHT = 1e-3  # without calibration: enough for the map never to be empty, too little to move its width
HEADS = {"regressor": "regressor", "embedder": "embedding_head", "classifier": "classifier"}  # ours -> the original's


def checkpoint_net(path: Path, state: Mapping[str, Any], image_size: int = IMAGE_SIZE) -> CampusNet:
    """The checkpoint that was read from `path` as a CampusNet in evaluation mode, with the same outputs.

    Raises EngineError that names the first key that is missing, unknown or misshapen.
    """
    from core.network.campus_net import CampusNet
    from core.network.net_config import NetConfig

    inner = state.get("model_state_dict")
    state = inner if isinstance(inner, Mapping) else state  # the original's own predictor takes either
    net = CampusNet(
        NetConfig(
            backbone="resnet50",
            zones=_rows(path, state, "classifier.4.weight"),
            image_size=image_size,
            layout="original",
            embedding=_rows(path, state, "embedding_head.4.weight"),
            mean=CHANNEL_MEAN,
            std=CHANNEL_STD,
        )
    )
    ours = {name: _checked(path, state, _theirs(name), like) for name, like in net.state_dict().items()}
    biases = {f"{theirs}.0.bias" for theirs in HEADS.values()}
    if unknown := sorted(set(map(str, state)) - biases - set(map(_theirs, ours))):
        raise EngineError(f"not the original's network: it has no {unknown[0]}", path=path)
    for head, theirs in HEADS.items():
        # Its linear layers before a batch norm have a bias, ours none: a shift of the mean that the norm subtracts.
        mean = f"{head}.1.running_mean"
        ours[mean] = ours[mean] - _checked(path, state, f"{theirs}.0.bias", ours[mean])
    net.load_state_dict(ours)
    return net.eval()


def _theirs(name: str) -> str:
    """The original's name of one of our tensors."""
    head, _, rest = name.partition(".")
    return f"{HEADS.get(head, head)}.{rest}"


def _rows(path: Path, state: Mapping[str, Any], key: str) -> int:
    """How many outputs a linear layer has."""
    weight = _tensor(path, state, key)
    if weight.dim() != 2:
        raise EngineError(
            f"not the original's network: {key} has shape {tuple(weight.shape)}, not two sides", path=path
        )
    return len(weight)


def _tensor(path: Path, state: Mapping[str, Any], key: str) -> Tensor:
    from torch import Tensor

    value = state.get(key)
    if not isinstance(value, Tensor):
        raise EngineError(f"not the original's network: {key} is missing", path=path)
    return value


def _checked(path: Path, state: Mapping[str, Any], key: str, like: Tensor) -> Tensor:
    """The tensor of that name, of the shape and type of ours, and finite."""
    value = _tensor(path, state, key)
    if value.shape != like.shape:
        shape, wanted = tuple(value.shape), tuple(like.shape)
        raise EngineError(f"not the original's network: {key} has shape {shape}, not {wanted}", path=path)
    if not bool(value.isfinite().all()):
        raise EngineError(f"{key} has a value that is not finite: the checkpoint is damaged", path=path)
    return value.to(like.dtype)


def zones_of_labels(gt: Path, labels: list[str], local_m: NDArray[np.float64], count: int) -> Zones:
    """The original's zones, about the mean position of the photos that gt.csv gives each label from 0 to count - 1.

    Raises DatasetError for a label that is none of these, or where one has no photo.
    """
    member = np.empty(len(labels), np.int64)
    for index, text in enumerate(labels):
        try:
            member[index] = int(text.removesuffix(".0"))  # a spreadsheet may have made it a decimal
        except (ValueError, OverflowError):
            raise DatasetError(f"row {index + 2}: label is {text!r}, not the number of a zone", path=gt) from None
    absent = np.setdiff1d(np.arange(count), member)
    unknown = np.setdiff1d(member, np.arange(count))
    if len(absent) or len(unknown):
        what = f"no photo has label {absent[0]}" if len(absent) else f"label {unknown[0]} is none of them"
        raise DatasetError(
            f"the checkpoint knows {count} zones, and {what}", path=gt, remedy="give the gt.csv it was trained with"
        )
    centres = np.stack([local_m[member == zone].mean(axis=0) for zone in range(count)])
    return zones_about(centres, member, local_m)


def original_split(dataset: Dataset, gt: Path) -> dict[str, NDArray[np.int64]]:
    """The rows that the original trained on, as `train`, and those it held out, as `calibration`.

    True where gt.csv is the file that it was trained with, row by row: nothing in the checkpoint tells.
    """
    from sklearn.model_selection import train_test_split

    try:
        train, held = train_test_split(
            np.arange(len(dataset)), test_size=HELD_OUT, random_state=SPLIT_SEED, stratify=dataset.is_night
        )
    except ValueError as error:
        raise DatasetError(f"cannot be split 80/20 by night as the original did ({error})", path=gt) from None
    return {"train": np.sort(train), "calibration": np.sort(held)}


def uncalibrated_parts(net: CampusNet, local_m: NDArray[np.float64], zones: Zones, gt: Path) -> Parts:
    """The regression alone, as wide as the error that was published for it; zones only name what lies there."""
    from core.network.onnx_export import export_fp32

    factors, shares = np.array(HEAVY_TAIL).T
    # A Gaussian of width w has its mass at a mean distance of w sqrt(pi / 2) (Rayleigh), the mixture at that of all.
    width = PUBLISHED_MEAN_M / (np.sqrt(np.pi / 2) * (factors @ shares) / shares.sum())
    params = PosteriorParams(
        regression_weight=1 - FLOOR_WEIGHT,
        zone_weight=0.0,
        retrieval_weight=0.0,
        floor_weight=FLOOR_WEIGHT,
        regression_width_m=float(width),
    )
    calibration = Calibration(photos=0, radius_at_m=(1.0,), radius68_factors=(1.0,), radius95_factors=(1.0,))
    files = {"model.onnx": export_fp32(net)}
    return Parts(net, campus_grid(local_m, gt), zones, params, calibration, None, "model.onnx", files)


def _calibrated(
    net: CampusNet,
    dataset: Dataset,
    local_m: NDArray[np.float64],
    rows: dict[str, NDArray[np.int64]],
    zones: Zones,
    campus_map: dict[str, Any],
) -> Parts:
    """Gallery, posterior and radii from the photos that the checkpoint was trained with and held out."""
    from train.dataset.images import cached_images

    names = np.asarray(dataset.names)
    splits = Splits(SplitConfig(None), {name: tuple(names[row].tolist()) for name, row in rows.items()})
    with tempfile.TemporaryDirectory() as cache:
        decoded = cached_images(dataset.image_paths, net.config.image_size, Path(cache))
        task = TrainingData(dataset, splits, decoded, FRAME, local_m, rows, zones)
        return calibrated_parts(fitted_to(net, task), task, SPLIT_SEED, campus_map, local=None)


def _on_the_original_campus(gt: Path, local_m: NDArray[np.float64]) -> NDArray[np.float64]:
    """The positions as they are. Raises DatasetError where they lie elsewhere than the checkpoint measures from."""
    if (away_m := float(np.hypot(*np.median(local_m, axis=0)))) > FAR_M:
        raise DatasetError(
            f"lies {away_m / 1000:.0f} km from the original's campus, which the checkpoint measures from",
            path=gt,
            remedy="give the gt.csv it was trained with",
        )
    return local_m


def import_checkpoint(
    checkpoint: Path,
    gt: Path,
    images: Path | None,
    out: Path,
    config: BundleConfig,
    campus_map: dict[str, Any],
    force: bool = False,
    image_size: int = IMAGE_SIZE,
) -> Bundle:
    """Write the bundle of a checkpoint, whole or not at all.

    With `images`, the folder of gt.csv's photos: gallery from the photos that it was trained on, posterior and radii
    from those that it held out. Without: the regression alone, with a radius from its published error.
    """
    from core.network.state_files import read_state

    check_may_save(out, force)
    table = read_labels(gt)
    if "label" not in table:
        raise DatasetError(
            "no column label, which tells the checkpoint's zones", path=gt, remedy="give the original's gt.csv"
        )
    local_m = _on_the_original_campus(gt, FRAME.to_local(table["lat"], table["lon"]))
    dataset = None if images is None else Dataset.of(gt, images)
    net = checkpoint_net(checkpoint, read_state(checkpoint), image_size)
    zones = zones_of_labels(gt, table["label"].tolist(), local_m, net.config.zones)
    zones = name_zones(zones, campus_map, FRAME)
    photos: dict[str, int] = {}
    if dataset is None:
        parts = uncalibrated_parts(net, local_m, zones, gt)
        split = "none: nothing was measured"
        said = f"its radius is not calibrated: its width is the mean error of {PUBLISHED_MEAN_M} m published for it"
    else:
        rows = original_split(dataset, gt)
        parts = _calibrated(net, dataset, local_m, rows, zones, campus_map)
        photos = {name: len(row) for name, row in rows.items()}
        split = "at random (a random split: photos of one place fall on both sides), the original's 80/20"
        said = (
            "its radius is calibrated on the random 20 % that its training held out if gt.csv is the file it was "
            "trained with, and on photos it has seen if not; either way expect larger errors on new photos"
        )
    training = Training(
        recipe="original",
        backbone=net.config.backbone,
        weights=checkpoint.name,
        # The checkpoint does not say: its file's time is the nearest there is.
        trained_utc=datetime.fromtimestamp(checkpoint.stat().st_mtime, timezone.utc).replace(microsecond=0),
        epochs=None,
        seed=None,
        split=split,
        split_sha256="",
        photos=photos,
    )
    story = f"{config.description} From the original's checkpoint; {said}.".strip()
    manifest, files = manifest_and_files(replace(config, description=story), FRAME, parts, training, campus_map)
    return save_bundle(out, manifest, files, force)


def add_arguments(parser: argparse.ArgumentParser) -> None:
    parser.add_argument("checkpoint", type=Path, metavar="best_model.pth", help="the original's state dict")
    parser.add_argument("--gt", type=Path, required=True, metavar="gt.csv", help="the one that it was trained with")
    parser.add_argument(
        "--images", type=Path, metavar="DIR", help="its photos, for gallery and calibration (default: regression alone)"
    )
    add_bundle_arguments(parser)


def main(args: argparse.Namespace) -> int:
    config = BundleConfig(args.name or args.out.stem[:MAX_CAMPUS_NAME], args.description)
    bundle = import_checkpoint(args.checkpoint, args.gt, args.images, args.out, config, read_map(args.map), args.force)
    print(f"{bundle.path}: {bundle.manifest.description}")
    print(f"try it with `{typed('predict')} PHOTO --bundle {bundle.path}`")
    return 0
