"""A finished run -> a campus bundle: gallery, calibration, ONNX in FP32 and INT8, held-out metrics, samples."""

from __future__ import annotations

import argparse
import io
import json
import logging
import tempfile
from collections.abc import Callable
from contextlib import nullcontext
from dataclasses import dataclass, replace
from datetime import datetime, timezone
from pathlib import Path
from types import NoneType
from typing import TYPE_CHECKING, Any

import numpy as np

from core.campus.bundle import Bundle, check_may_save, save_bundle
from core.campus.file_names import MODEL_SAFETENSORS, SAMPLES, THUMBNAILS
from core.campus.frame import LocalFrame
from core.campus.manifest import MAX_CAMPUS_NAME, MAX_DESCRIPTION, CampusManifest, Metrics, Training
from core.campus.needs import NEEDS, needs_file
from core.campus.thumbnails import Thumbnails
from core.campus.zones import Zone, Zones
from core.engines.choose import open_engine
from core.errors import BundleError, CampusError, DatasetError
from core.locate.localizer import Localizer
from core.photo.blur.blur import process_blur
from core.photo.blur.models import REQUIREMENTS
from core.photo.geotag import write_position
from core.program import typed
from train.bundle.look_again import network_to_look_again
from train.bundle.parts import Parts, calibrated_parts, fitted_to
from train.bundle.thumbnails import small_pictures
from train.bundle.untrained import nearer_than_trained
from train.dataset.dataset import Dataset
from train.dataset.expectation import expect
from train.dataset.split import Splits
from train.dataset.zoning import name_zones
from train.evaluate.breakdown import break_down
from train.evaluate.evaluation import describe, evaluate_rows
from train.evaluate.photo_needs import place_needs
from train.fit.config import FitConfig
from train.fit.recipes import saved_config
from train.fit.run_folder import BEST, CONFIG, LOG, damaged, read_settings

if TYPE_CHECKING:  # torch is imported where it works, so that the command tells its options without it
    from core.network.campus_net import CampusNet
    from train.fit.training_data import TrainingData

log = logging.getLogger(__name__)


@dataclass(frozen=True)
class Run:
    """A run folder that `fit` left, read back."""

    net: CampusNet
    task: TrainingData
    fit: FitConfig
    weights: str
    trained_utc: datetime
    epochs: int

    @classmethod
    def load(cls, run: Path) -> Run:
        """Raises DatasetError when `run` is not a finished run or its dataset is missing."""
        from safetensors.torch import load_file

        from core.network.campus_net import CampusNet
        from core.network.weights import load_state, saved_net_config
        from train.dataset.images import cached_images
        from train.fit.training_data import TrainingData

        config_file, best = run / CONFIG, run / BEST
        if not config_file.exists() or not best.exists():
            raise DatasetError(
                "not a run with a trained network", path=run, remedy=f"train with `{typed('train')} fit … --out {run}`"
            )
        config = read_settings(run)
        fit = saved_config(config["fit"], str(run))
        try:
            net_config = saved_net_config(config["net"])
            frame = LocalFrame(**config["frame"])
            zones = Zones(tuple(_zone(zone) for zone in config["zones"]))
        except (KeyError, TypeError, ValueError, IndexError, AttributeError) as error:
            raise damaged(run) from error
        dataset = Dataset.load(Path(config["dataset"]))
        splits = Splits.load(run)
        if splits is None:
            raise DatasetError("splits.json is missing", path=run, remedy="train again")
        net = CampusNet(net_config)
        load_state(net, load_file(best))
        task = TrainingData(
            dataset,
            splits,
            cached_images(dataset.image_paths, fit.image_size, dataset.root / "cache"),
            frame,
            frame.to_local(*dataset.latlon.T),
            {split: splits.indices(dataset, split) for split in splits.names},
            zones,
        )
        trained = datetime.fromtimestamp(best.stat().st_mtime, timezone.utc)
        epochs = len((run / LOG).read_text(encoding="utf-8").splitlines()) - 1
        return cls(net.eval(), task, fit, config["weights"], trained, epochs)


def _zone(data: dict[str, Any]) -> Zone:
    return Zone(
        data["name"],
        (data["centre_m"][0], data["centre_m"][1]),
        data["spread_m"],
        tuple((x, y) for x, y in data["outline_m"]),
    )


@dataclass(frozen=True)
class BundleConfig:
    """What a bundle says of itself and carries beside the model."""

    name: str
    description: str = ""
    rendered: bool = False
    second_look: bool = True  # where it pays
    thumbnails: bool = False  # of the gallery's photos
    keep_trained: bool = True  # alone, even where the backbone's untrained features locate calibration photos better


def read_map(path: Path | None) -> dict[str, Any]:
    """A GeoJSON FeatureCollection, or an empty one. Raises BundleError for anything else."""
    if path is None:
        return {"type": "FeatureCollection", "features": []}
    try:
        data = json.loads(path.read_text(encoding="utf-8"))
    except FileNotFoundError as error:
        raise BundleError(
            "no such map", path=path, remedy=f"make it with `{typed('train')} map`, or leave --map out"
        ) from error
    except ValueError as error:
        raise BundleError("not JSON: the map is a GeoJSON FeatureCollection", path=path) from error
    if not isinstance(data, dict) or data.get("type") != "FeatureCollection":
        raise BundleError("not a GeoJSON FeatureCollection", path=path)
    features = data.get("features")
    if not isinstance(features, list):
        raise BundleError("a GeoJSON FeatureCollection without a list of features", path=path)
    for number, feature in enumerate(features, start=1):
        if not isinstance(feature, dict) or not all(
            isinstance(feature.get(member), (dict, NoneType)) for member in ("properties", "geometry")
        ):
            raise BundleError(f"feature {number} is no GeoJSON feature", path=path)
    return data


def make_bundle(
    run: Run,
    out: Path,
    config: BundleConfig,
    campus_map: dict[str, Any],
    samples: dict[str, bytes],
    force: bool = False,
) -> Bundle:
    """Calibrate a run, export it, measure it on its test split and write the bundle, whole or not at all.

    `samples` are photos to carry along for trying, by name: `samples/NAME.jpg` -> bytes.
    """
    from core.network.onnx_export import round_weights

    check_may_save(out, force)
    task = replace(run.task, zones=name_zones(run.task.zones, campus_map, run.task.frame))
    round_weights(run.net)
    fitted = fitted_to(run.net, task)
    if not config.keep_trained and (found := nearer_than_trained(fitted, task, run.fit)) is not None:
        run = replace(run, net=found[0], fit=found[1])
        fitted = fitted_to(run.net, task)
    looking = network_to_look_again(task.dataset.image_paths, fitted.rows, fitted.asked_rows)
    with looking if config.second_look else nullcontext() as local:
        parts = calibrated_parts(fitted, task, run.fit.seed, campus_map, local)
    training = Training(
        recipe=run.fit.recipe,
        backbone=run.fit.backbone,
        weights=Path(run.weights).name,
        trained_utc=run.trained_utc.replace(microsecond=0),
        epochs=run.epochs,
        seed=run.fit.seed,
        split=task.splits.describe(),
        split_sha256=task.splits.sha256,
        photos={split: len(rows) for split, rows in task.rows.items()},
    )
    manifest, files = manifest_and_files(config, task.frame, parts, training, campus_map)
    files |= samples
    if config.thumbnails:
        pictures = small_pictures([task.dataset.image_paths[row] for row in fitted.rows])
        files[THUMBNAILS] = Thumbnails.of(pictures).file()
        log.info("thumbnails of %d photos: %.1f MB", len(pictures), len(files[THUMBNAILS]) / 1e6)
    test, files[NEEDS] = _measure(manifest, files, task)
    return save_bundle(out, manifest.model_copy(update={"metrics": {"test": test}}), files, force)


def manifest_and_files(
    config: BundleConfig,
    frame: LocalFrame,
    parts: Parts,
    training: Training,
    campus_map: dict[str, Any],
) -> tuple[CampusManifest, dict[str, bytes]]:
    """The manifest without metrics, and the files of a bundle, weights and map with them."""
    from train.fit.training_data import SCALE_M

    manifest = CampusManifest(
        name=config.name,
        description=config.description,
        rendered=config.rendered,
        created_utc=datetime.now(timezone.utc).replace(microsecond=0),
        frame=frame,
        scale_m=SCALE_M,
        image_size=parts.net.config.image_size,
        grid=parts.grid,
        zones=parts.zones.zones,
        posterior=parts.posterior,
        calibration=parts.calibration,
        fusion=parts.fusion,
        second_look=parts.second_look,
        parity=parts.parity,
        training=training,
        cpu_model=parts.cpu_model,
    )
    from core.network.weights import safetensors_of

    files = {**parts.files, MODEL_SAFETENSORS: safetensors_of(parts.net)}
    if campus_map["features"]:
        files["map.geojson"] = json.dumps(campus_map, ensure_ascii=False, separators=(",", ":")).encode()
    return manifest, files


def _measure(manifest: CampusManifest, files: dict[str, bytes], task: TrainingData) -> tuple[Metrics, bytes]:
    """The test split through the very bundle that will be written, and where it says that photos are needed."""
    with tempfile.TemporaryDirectory() as folder:
        localizer = Localizer(draft := save_bundle(Path(folder) / "draft", manifest, files), open_engine(draft))
        evaluation = evaluate_rows(localizer, task.dataset, task.rows["test"], "test")
        needs = break_down(evaluation, task.dataset, draft).photo_needs
        gallery_m = np.empty((0, 2)) if draft.gallery is None else draft.gallery.local_m.astype(np.float64)
    print(describe(evaluation, localizer))
    print("\n".join(f"  {line}" for line in expect(task.dataset.latlon[task.rows["train"]]).lines()))
    return evaluation.metrics, needs_file(place_needs(needs, gallery_m))


def test_samples(task: TrainingData, count: int) -> dict[str, bytes]:
    """`count` test photos spread evenly over the split, each with its true position in EXIF."""
    from PIL import Image

    test = task.rows["test"]
    chosen = test[np.linspace(0, len(test) - 1, min(count, len(test))).round().astype(int)]
    files = {}
    for row in chosen:
        lat, lon = task.dataset.latlon[row]
        stream = io.BytesIO()
        with Image.open(task.dataset.image_paths[row]) as image:
            exif = Image.Exif()
            write_position(exif, float(lat), float(lon))
            image.convert("RGB").save(stream, "JPEG", quality=92, exif=exif)
        files[f"{SAMPLES}{Path(task.dataset.names[row]).stem}.jpg"] = stream.getvalue()
    return files


def add_arguments(parser: argparse.ArgumentParser) -> None:
    parser.add_argument("run", type=Path, metavar="RUN", help="folder that `fit` wrote")
    add_bundle_arguments(parser)
    parser.add_argument(
        "--samples",
        type=int,
        default=0,
        metavar="N",
        help="test photos to carry along for trying (default: none, since people may be in them)",
    )
    parser.add_argument(
        "--thumbnails",
        action="store_true",
        help="carry small pictures of the training photos, which the app shows beside answers: some kB a photo, faces "
        f"and number plates painted over where they are found (needs {REQUIREMENTS})",
    )
    parser.add_argument(
        "--no-second-look", action="store_true", help="leave local features out: 15 kB a photo, and 2.8 MB"
    )
    parser.add_argument(
        "--trained",
        action="store_true",
        help="keep the trained network alone even where its backbone's untrained features, in its place or beside it, "
        "locate calibration photos better",
    )


def add_bundle_arguments(parser: argparse.ArgumentParser) -> None:
    """The flags of whatever writes a bundle."""
    parser.add_argument("--out", type=Path, required=True, metavar="BUNDLE", help="folder, or NAME.campus, to write")
    parser.add_argument("--map", type=Path, metavar="GEOJSON", help="buildings, paths and names, for the map and zones")
    parser.add_argument("--name", type=_at_most(MAX_CAMPUS_NAME), help="the campus's name (default: that of --out)")
    parser.add_argument(
        "--description",
        type=_at_most(MAX_DESCRIPTION - 1_000),  # `import-checkpoint` adds some of its own
        default="",
        help="a sentence for the campus's manifest",
    )
    parser.add_argument("--force", action="store_true", help="replace a bundle that is there")


def _at_most(letters: int) -> Callable[[str], str]:
    """The type of a flag whose text must fit into the manifest, which is written after hours of work."""

    def checked(text: str) -> str:
        if len(text) > letters:
            raise argparse.ArgumentTypeError(f"{len(text)} letters, at most {letters} are possible")
        return text

    return checked


def main(args: argparse.Namespace) -> int:
    config = BundleConfig(
        args.name or args.out.stem[:MAX_CAMPUS_NAME],
        args.description,
        second_look=not args.no_second_look,
        thumbnails=args.thumbnails,
        keep_trained=args.trained,
    )
    if args.samples < 0:
        raise CampusError("must not be negative", path=f"--samples {args.samples}")
    # What is absent or in the way is said before the work.
    check_may_save(args.out, args.force)
    if args.thumbnails:
        process_blur()
    campus_map = read_map(args.map)
    run = Run.load(args.run)
    bundle = make_bundle(run, args.out, config, campus_map, test_samples(run.task, args.samples), args.force)
    print(f"{bundle.path}: try it with `{typed('predict')} PHOTO --bundle {bundle.path}`")
    return 0
