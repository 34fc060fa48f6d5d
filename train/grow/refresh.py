"""More photos for a campus that is there: they join its gallery, its radii are fitted anew, nothing is trained."""

from __future__ import annotations

import argparse
import hashlib
import logging
from collections.abc import Mapping
from dataclasses import dataclass
from datetime import datetime, timezone
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from core.campus.bundle import Bundle, check_may_save, save_bundle
from core.campus.file_names import LOCAL_GALLERY, THUMBNAILS
from core.campus.gallery import Gallery
from core.campus.grid import Grid
from core.campus.local_gallery import LocalGallery
from core.campus.manifest import CampusManifest, Metrics, Refresh
from core.campus.seen import SEEN, seen_file, seen_photos
from core.engines.heads import Engine, Heads
from core.errors import BundleError, DatasetError
from core.locate.posterior import Posterior
from core.locate.second_look import ood_score
from core.photo.blur.blur import process_blur
from core.program import typed
from train.bundle.calibrate import errors_and_raw_radii
from train.bundle.calibration_photos import CALIBRATION, CalibrationPhotos
from train.bundle.parts import npz
from train.dataset.split import Splits
from train.evaluate.metrics import summarise
from train.fit.training_data import CELL_M, GRID_MARGIN_M, campus_grid
from train.grow.arrivals import Arrivals, read_arrivals
from train.grow.known_photos import KnownPhotos, heads_and_features
from train.grow.radii import held_out_metrics, leave_one_walk_out, refitted, with_gain
from train.grow.strengths import with_strengths

log = logging.getLogger(__name__)

REACH_M = 300.0  # how far beyond its grid a campus may grow at once: what lies farther is a wrong position
MOST_CALIBRATION = 5_000  # more make a bundle heavier and no radius better; the newest are kept

# What does not grow with a bundle that lacks what it rests on.
_MATCHES = "how a second look tells photos of other places (OOD): `bundle` of an earlier version kept no matches"
_OOD = "which photos the network itself takes for those of other places (OOD): that comes of its training"

Float = NDArray[np.float64]


@dataclass(frozen=True)
class Refreshed:
    """A bundle that is to be written, and what is new about it.

    `before` are the new photos by the bundle as it was; `after` the same photos by the new one, each walk by a gallery
    and by radii that were made without its own photos. Both are of the first look alone. `fp32`: they are of the FP32
    network, which knows the campus's photos, also where the campus runs in INT8. `refused` is the share of the new
    photos that the bundle as it was took for another place, `left` what stays as it was, since the bundle does not hold
    what it rests on.
    """

    manifest: CampusManifest
    files: Mapping[str, bytes]
    photos: int
    walks: int
    known: int
    far: int
    refused: float
    before: Metrics
    after: Metrics
    gallery: tuple[int, int]
    calibration: tuple[int, int]
    left: tuple[str, ...]
    fp32: bool

    @property
    def how(self) -> str:
        """How `after` was measured."""
        return f"each walk without its own photos in the gallery and the radii{self._by}"

    @property
    def _by(self) -> str:
        """By what `before`, `refused` and `after` were measured."""
        return measured_by(self.manifest, fp32=self.fp32)

    def lines(self) -> list[str]:
        """What changes, in words."""
        plural = "" if self.walks == 1 else "s"
        out = [f"{self.photos} new photos of {self.walks} walk{plural}"]
        if self.known:
            out.append(f"{self.known} photos are in this campus already, and left out")
        if self.far:
            out.append(f"{self.far} photos lie more than {REACH_M:.0f} m beyond this campus, and are left out")
        out += [
            f"as the campus was:   {_words(self.before)}; {self.refused:.0%} refused{self._by}",
            f"refreshed:           {_words(self.after)} ({self.how})",
            f"gallery:             {self.gallery[0]} -> {self.gallery[1]} photos",
            f"radii fitted on:     {self.calibration[0]} -> {self.calibration[1]} photos",
            *(f"left as it was: {what}" for what in self.left),
        ]
        return out


def measured_by(manifest: CampusManifest, *, fp32: bool) -> str:
    """What a refresh measures by, in words, where the app answers by something else; `fp32`: as `Refreshed` has it."""
    network = ", by the FP32 network" if fp32 and manifest.cpu_model == "model.int8.onnx" else ""
    look = ", by the first look alone" if manifest.second_look else ""
    return f"{network}{look}"


def _words(metrics: Metrics) -> str:
    return (
        f"error mean {metrics.mean_m:.1f} m, median {metrics.median_m:.1f} m; the 68 % radius holds "
        f"{metrics.coverage68:.0%} and is {metrics.mean_radius68_m:.0f} m on average, the 95 % radius holds "
        f"{metrics.coverage95:.0%}"
    )


def refreshed(bundle: Bundle, arrivals: Arrivals, engine: Engine | None = None) -> Refreshed:
    """A bundle with new photos in its gallery and its radii fitted anew.

    Each walk's radii are judged by a gallery without that walk (leave-one-group-out conformal prediction), beside the
    photos that were held out when the bundle was made. Raises DatasetError where no photo is new and near, BundleError
    where the bundle has no gallery.
    """
    if bundle.gallery is None:
        raise BundleError(
            "has no gallery that could grow", path=bundle.path, remedy=f"train it with `{typed('train')} bundle`"
        )
    arrivals, known, far = _usable(bundle, arrivals)
    held = CalibrationPhotos.of(bundle)
    known_photos = KnownPhotos.of(bundle, held)
    heads, unit = heads_and_features(bundle, engine, known_photos, arrivals.images)
    if heads.embedding is None:
        raise BundleError("its network gives no embedding, so it has no gallery that could grow", path=bundle.path)
    manifest, local_m = bundle.manifest, bundle.manifest.frame.to_local(*arrivals.latlon.T)
    before, refused, was_m = _as_it_was(bundle, heads, local_m)

    none = CalibrationPhotos.held_out(heads.at(slice(0)), np.empty((0, 2)), np.empty(0), len(bundle.gallery))
    photos, walks = none if held is None else held, []
    for rows in _walks(arrivals):
        photos = photos.with_walk(heads.at(rows), local_m[rows], arrivals.heading_deg[rows])
        walks.append(rows)
    rows = np.concatenate(walks)
    gallery = _joined(bundle.gallery, heads.embedding[rows], local_m[rows])
    grid = _grown(manifest.grid, gallery, bundle.path)
    if known_photos is not None:
        known_photos = known_photos.and_of(unit[rows], np.arange(len(bundle.gallery), len(gallery)))
        photos = known_photos.told(photos)

    error_m, raw_m = leave_one_walk_out(photos, gallery, grid, bundle)
    calibration = refitted(manifest.calibration, photos, error_m, raw_m, was_m[rows])
    after = held_out_metrics(manifest.calibration, photos, error_m, raw_m, was_m[rows])
    added = arrivals.at(rows)
    local = _local_gallery(bundle, added)
    told = bool(np.isfinite(photos.strength).any())
    if local is not None and manifest.second_look is not None and told:
        photos = with_strengths(photos, gallery, local, added.local, manifest.second_look)
    changes: dict[str, Any] = {
        "grid": grid,
        "calibration": calibration,
        **with_gain(manifest, calibration.session_gain / manifest.calibration.session_gain, photos),
        # What was measured before is no longer true of this campus; the dataset of its training measures it again.
        "metrics": {"refresh": after},
        "refreshes": (*manifest.refreshes, _record(bundle, arrivals, len(walks))),
    }
    files = _files(bundle, added, gallery, local, photos)
    files |= {} if known_photos is None else known_photos.files(bundle)
    return Refreshed(
        manifest.model_copy(update=changes), files, len(rows), len(walks), known, far, refused, before, after,
        (len(bundle.gallery), len(gallery)), (manifest.calibration.photos, calibration.photos),
        (*((_OOD,) if known_photos is None else ()), *((_MATCHES,) if local is not None and not told else ())),
        known_photos is not None,
    )  # fmt: skip


def _files(
    bundle: Bundle, added: Arrivals, gallery: Gallery, local: LocalGallery | None, photos: CalibrationPhotos
) -> dict[str, bytes]:
    """The bundle's files with those that the gallery's rows number, and what a later refresh needs."""
    return {
        **{name: bundle.read(name) for name in bundle.manifest.files},
        "gallery.npz": npz(embedding=gallery.embedding.astype(np.float16), local_m=gallery.local_m),
        CALIBRATION: photos.newest(MOST_CALIBRATION).file(),
        SEEN: seen_file(seen_photos(bundle) | {*added.digest.tolist(), *added.source_digest.tolist()}),
        **({} if local is None else {LOCAL_GALLERY: npz(descriptor=local.descriptor)}),
        **_thumbnail_files(bundle, added),
    }


def _walks(arrivals: Arrivals) -> list[NDArray[np.intp]]:
    """The photos of each walk in the order of time, those without a time last."""
    names = np.array(arrivals.walk)
    found = [np.flatnonzero(names == walk) for walk in dict.fromkeys(arrivals.walk)]
    return [rows[np.argsort(arrivals.time_s[rows], kind="stable")] for rows in found]


def _local_gallery(bundle: Bundle, added: Arrivals) -> LocalGallery | None:
    """The grown gallery's local features; None where the campus has no second look."""
    if (known := bundle.local_gallery) is None:
        return None
    if not added.local:
        raise BundleError("has a second look, and the new photos' local features were not read", path=bundle.path)
    more = LocalGallery.of(added.local, known.descriptor.shape[1])
    return LocalGallery(np.concatenate([known.descriptor, more.descriptor]))


def _thumbnail_files(bundle: Bundle, added: Arrivals) -> dict[str, bytes]:
    """The file of the grown gallery's thumbnails; nothing where the campus has none."""
    if (known := bundle.thumbnails) is None:
        return {}
    if not added.thumbnail:
        raise BundleError("has thumbnails, and the new photos' were not made", path=bundle.path)
    return {THUMBNAILS: known.and_of(added.thumbnail).file()}


def _usable(bundle: Bundle, arrivals: Arrivals) -> tuple[Arrivals, int, int]:
    """The photos that are new and near, and how many are known or far."""
    seen, fresh = set(seen_photos(bundle)), np.zeros(len(arrivals), bool)
    for row, digests in enumerate(zip(arrivals.digest.tolist(), arrivals.source_digest.tolist(), strict=True)):
        fresh[row] = seen.isdisjoint(digests)
        seen.update(digests)
    grid, local_m = bundle.manifest.grid, bundle.manifest.frame.to_local(*arrivals.latlon.T)
    low = np.array([grid.west_m, grid.south_m])
    high = low + np.array([grid.columns, grid.rows]) * grid.cell_m
    near = ((local_m > low - REACH_M) & (local_m < high + REACH_M)).all(axis=1)
    kept = np.flatnonzero(fresh & near)
    known, far = int((~fresh).sum()), int((fresh & ~near).sum())
    if not len(kept):
        raise DatasetError(
            f"none of the {len(arrivals)} photos is new and near: {known} are in this campus already, {far} "
            f"lie more than {REACH_M:.0f} m beyond it",
            path=bundle.path,
        )
    return arrivals.at(kept), known, far


def _as_it_was(bundle: Bundle, heads: Heads, local_m: Float) -> tuple[Metrics, float, Float]:
    """The new photos by the bundle as it was: their errors, the share that its first look refuses, and (N, 2) the error
    and 68 % radius of each.
    """
    manifest = bundle.manifest
    posterior = Posterior(manifest.grid, bundle.zones, bundle.gallery, manifest.posterior, manifest.scale_m)
    error_m, raw_m = errors_and_raw_radii(posterior, heads, local_m)
    calibration = manifest.calibration
    radii_m = np.array([calibration.radii_m((row[0], row[1])) for row in raw_m])
    scores = np.array([ood_score(calibration, own) for own in heads.own_ood_score.tolist()])
    metrics = summarise(error_m, radii_m[:, 0], radii_m[:, 1], {})
    refused = float(np.mean(scores > 1 - calibration.off_campus_share))
    return metrics, refused, np.column_stack([error_m, radii_m[:, 0]])


def _joined(gallery: Gallery, embedding: NDArray[np.float32], local_m: Float) -> Gallery:
    """Rounded as it will be read back, so that radii are fitted to what run time will see."""
    halves = embedding.astype(np.float16).astype(np.float32)
    return Gallery(
        np.concatenate([gallery.embedding, halves]), np.concatenate([gallery.local_m, local_m.astype(np.float32)])
    )


def _grown(grid: Grid, gallery: Gallery, source: Path) -> Grid:
    """The grid, or a larger one where photos lie within its margin or beyond it."""
    low, high = gallery.local_m.min(axis=0), gallery.local_m.max(axis=0)
    room = GRID_MARGIN_M / 2
    within = low[0] - room >= grid.west_m and low[1] - room >= grid.south_m
    within = within and high[0] + room <= grid.east_m[-1] and high[1] + room <= grid.north_m[-1]
    if within:
        return grid
    larger = campus_grid(gallery.local_m.astype(np.float64), source)
    return larger if grid.cell_m == CELL_M else Grid.around(gallery.local_m, GRID_MARGIN_M, grid.cell_m)


def _record(bundle: Bundle, arrivals: Arrivals, walks: int) -> Refresh:
    digests = np.sort(arrivals.digest).astype("<u8").tobytes()
    return Refresh(
        refreshed_utc=datetime.now(timezone.utc).replace(microsecond=0),
        photos=len(arrivals),
        walks=walks,
        photos_sha256=hashlib.sha256(digests).hexdigest(),
        bundle_digest=bundle.manifest.digest,
    )


def add_arguments(parser: argparse.ArgumentParser) -> None:
    parser.add_argument("bundle", type=Path, metavar="BUNDLE", help="the campus to refresh")
    parser.add_argument(
        "source",
        type=Path,
        metavar="PHOTOS|DATASET|INBOX",
        help="geotagged photos, a dataset, or the app's inbox; all photos are taken in, also the test photos of the "
        "dataset that BUNDLE was trained on, which `evaluate` then no longer measures",
    )
    parser.add_argument("--out", type=Path, metavar="BUNDLE", help="what to write; BUNDLE itself with --force")
    parser.add_argument("--dry-run", action="store_true", help="say what would change, and write nothing")
    parser.add_argument("--force", action="store_true", help="replace a bundle that lies at --out")


def _takes_test_photos(bundle: Bundle, source: Path) -> bool:
    """Whether `source` is the dataset that the bundle was trained on: what it does not know of it are test photos."""
    splits = Splits.load(source) if (source / "gt.csv").is_file() else None
    return splits is not None and splits.sha256 == bundle.manifest.training.split_sha256


def main(args: argparse.Namespace) -> int:
    if args.out is None and not args.dry_run:
        raise DatasetError(
            "nothing says where to write", remedy="give --out BUNDLE, or --dry-run to see what would change"
        )
    if args.out is not None and not args.dry_run:
        check_may_save(args.out, args.force)
    bundle = Bundle.load(args.bundle)
    image_size, pictured = bundle.manifest.image_size, bundle.thumbnails is not None
    if pictured:
        process_blur(1)  # what is absent is said before the work
    arrivals = read_arrivals(args.source, image_size, bundle, pictured)
    result = refreshed(bundle, arrivals)
    print("\n".join(result.lines()))
    if _takes_test_photos(bundle, args.source):
        log.warning("these are test photos of this campus's own dataset: `evaluate` leaves them out from now on")
    if args.dry_run:
        print("nothing was written")
        return 0
    save_bundle(args.out, result.manifest, result.files, args.force)
    print(f"{args.out}: refreshed; `{typed('train')} health {args.out} PHOTOS` tells how it does from now on")
    return 0
