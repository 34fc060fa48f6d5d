"""A network and its dataset -> gallery, posterior, radii and ONNX models: what a bundle is put together of."""

from __future__ import annotations

import io
import logging
from collections.abc import Sequence
from dataclasses import dataclass, field, replace
from typing import TYPE_CHECKING, Any, Literal

import numpy as np
from numpy.typing import NDArray

from core.campus.fusion_parameters import Fusion
from core.campus.gallery import Gallery
from core.campus.grid import Grid
from core.campus.manifest import Calibration, Parity, SecondLook
from core.campus.parameters import PosteriorParams
from core.campus.seen import SEEN, photo_digest, seen_file
from core.campus.zones import Zones
from core.engines.heads import joined, run_all
from core.engines.onnx_engine import OnnxEngine
from core.locate.prior import closed_cells
from train.bundle.calibrate import calibrate, posterior_parameters, readings, session_gain
from train.bundle.calibration_photos import CALIBRATION, HELD_OUT, CalibrationPhotos
from train.bundle.fit_fusion import Answered, fit_fusion
from train.bundle.held_out import Fitted, Ground, HeldOut, cross_fitted, held_out_split, largest
from train.bundle.look_again import LookedAgain, Questioned, look_again
from train.bundle.onnx_models import int8_pays, onnx_models, parity_apart
from train.evaluate.metrics import enough_for
from train.fit.training_data import SCALE_M, campus_grid

if TYPE_CHECKING:  # torch is imported where it works, so that the command tells its options without it
    from core.locate.evidence import Evidence
    from core.network.campus_net import CampusNet
    from train.bundle.local_files import LocalNetwork
    from train.dataset.dataset import Dataset
    from train.fit.training_data import TrainingData

log = logging.getLogger(__name__)

# Own photos that a whitened network refuses; at half of it real campuses take a tenth to a fifth more of one another's
# photos for theirs (RESULTS.md).
OFF_CAMPUS_SHARE = 0.04


@dataclass(frozen=True)
class Parts:
    """All of a bundle but its story: the network, the other `files` by name, and what the manifest says of them."""

    net: CampusNet
    grid: Grid
    zones: Zones
    posterior: PosteriorParams
    calibration: Calibration
    parity: Parity | None
    cpu_model: Literal["model.onnx", "model.int8.onnx"]
    files: dict[str, bytes]
    fusion: Fusion = field(default_factory=Fusion)
    second_look: SecondLook | None = None


def fitted_to(net: CampusNet, task: TrainingData) -> Fitted:
    """The network with its gallery and the photos to calibrate on.

    Whitened features are cross-fitted over the sessions of training and calibration photos together, and their gallery
    holds both; a trained network's gallery is the training split, and the calibration split is held out.
    """
    return cross_fitted(net, task) if net.config.layout == "whitened" else held_out_split(net, task)


def calibrated_parts(
    fitted: Fitted, task: TrainingData, seed: int, campus_map: dict[str, Any], local: LocalNetwork | None
) -> Parts:
    """Gallery, posterior and radii, the last two by photos that the gallery was made without; and the choice of INT8.

    campus_map: GeoJSON, whose buildings and water hold few who take photos. With `local`, local features, too, where
    they pay.
    """
    whitened = fitted.net.config.layout == "whitened"
    ground = ground_of(task, fitted.rows)
    log.info("gallery of %d photos", len(fitted.rows))
    models = onnx_models(fitted.net, fitted.rows, task, seed)
    params, calibration = fitted_and_calibrated(fitted, ground, task)
    parity = parity_apart(fitted, models, ground, params, task, seed)
    int8 = int8_pays(parity, len(fitted.asked[largest(fitted.asked)]), fitted_in_fp32=whitened)
    chosen = answered(models.int8 if int8 else models.fp32, fitted, task)
    if not whitened:  # the radii are those of the model that will be run
        calibration = calibrate(chosen, ground, params, task.heading_deg[fitted.asked_rows])
    questioned = _questioned(fitted, fitted.held_out if whitened else chosen, ground, params)
    again = LookedAgain.none(questioned)
    if local is not None:
        again = look_again(task.dataset.image_paths, questioned, fitted.rows, calibration, local)
    return Parts(
        fitted.net,
        ground.grid,
        task.zones,
        params,
        calibration,
        parity,
        "model.int8.onnx" if int8 else "model.onnx",
        {
            "model.onnx": models.fp32,
            "model.int8.onnx": models.int8,
            **_gallery_files(fitted, chosen, ground, params, task, again),
            **again.files,
        },
        _fusion(questioned, again, ground, task, calibration, campus_map),
        again.look,
    )


def _questioned(
    fitted: Fitted, held_out: Sequence[HeldOut], ground: Ground, params: PosteriorParams
) -> list[Questioned]:
    """The held-out photos as a second look is fitted to them."""
    return [
        Questioned(
            ground.posterior(part.gallery, params),
            part.heads,
            part.truth_m,
            asked,
            fitted.rows[~np.isin(fitted.rows, asked)],
        )
        for asked, part in zip(fitted.asked, held_out, strict=True)
    ]


def _gallery_files(
    fitted: Fitted,
    by_model: list[HeldOut],
    ground: Ground,
    params: PosteriorParams,
    task: TrainingData,
    again: LookedAgain,
) -> dict[str, bytes]:
    """The gallery; the calibration photos, each with the walk that its gallery lacks; and which photos these are."""
    gallery, asked = fitted.gallery, fitted.asked_rows
    heads, truth_m = joined([part.heads for part in by_model]), task.local_m[asked]
    photos = CalibrationPhotos.held_out(heads, truth_m, task.heading_deg[asked], len(gallery))
    if again.strength is not None:
        photos = replace(photos, strength=again.strength)
    if np.isin(asked, fitted.rows).any():
        fold = {int(row): index for index, part in enumerate(fitted.asked) for row in part}
        walk, gallery_walk = (
            np.array([fold.get(int(row), HELD_OUT) for row in rows], np.int32) for rows in (asked, fitted.rows)
        )
        judged = np.concatenate(
            [np.column_stack(readings(part, ground, params)[:2]) for part in fitted.held_out]
        )  # as the network would, had it not been whitened on these very photos
        ood_score = np.concatenate([part.heads.ood_score for part in fitted.held_out])
        heads = replace(heads, ood_score=ood_score)
        photos = replace(photos, heads=heads, walk=walk, gallery_walk=gallery_walk, judged=judged)
    seen = np.unique(np.concatenate([fitted.rows, asked]))
    return {
        "gallery.npz": npz(embedding=gallery.embedding.astype(np.float16), local_m=gallery.local_m),
        CALIBRATION: photos.file(),
        SEEN: seen_file(_digests(task.dataset, seen)),
    }


def _digests(dataset: Dataset, rows: NDArray[np.intp]) -> list[int]:
    """Of the images at `rows`, and of the photos that they were made of."""
    sources = dataset.source_digests()
    made_of = [digest for row in rows if (digest := sources[row]) is not None]
    return [*(photo_digest(dataset.image_paths[row]) for row in rows), *made_of]


def _fusion(
    questioned: Sequence[Questioned],
    again: LookedAgain,
    ground: Ground,
    task: TrainingData,
    calibration: Calibration,
    campus_map: dict[str, Any],
) -> Fusion:
    """How several photos are fused, by those that the gallery was made without, as the Localizer will read them."""

    def as_answered(evidence: Sequence[tuple[Evidence | None, ...]], look: SecondLook | None) -> list[Answered]:
        return [
            Answered.by(part.rows, part.heads, task.images[part.rows], part.posterior, of_part, calibration, look)
            for part, of_part in zip(questioned, evidence, strict=True)
        ]

    if again.look is not None:
        for part in questioned:
            part.posterior.matched = ground.posterior(part.posterior.gallery, again.look.posterior)
    none = LookedAgain.none(questioned).evidence
    return fit_fusion(
        task.dataset,
        task.local_m,
        as_answered(again.evidence, again.look),
        calibration.session_gain,
        closed_cells(ground.grid, campus_map, task.frame),
        [] if again.look is None else as_answered(none, None),
    )


def ground_of(task: TrainingData, rows: NDArray[np.int64]) -> Ground:
    """The grid about the photos in `rows`, and the campus's zones."""
    return Ground(campus_grid(task.local_m[rows], task.dataset.root), task.zones, SCALE_M)


def fitted_and_calibrated(fitted: Fitted, ground: Ground, task: TrainingData) -> tuple[PosteriorParams, Calibration]:
    """Weights, widths and temperatures, then radii, by photos that the gallery was made without."""
    photos = len(fitted.asked_rows)
    if not enough_for(0.95, photos):
        log.warning("%d calibration photos cannot promise 95 %%: the radius is widened, and is a guess", photos)
    params = posterior_parameters(fitted.held_out, ground)
    gain = session_gain(fitted.held_out, fitted.fewer, ground, params)
    if (narrower := round(100 * (1 - gain))) > 0:
        log.info("68 %% radii: %d %% narrower than held-out sessions needed, whose gallery lacked a session", narrower)
    calibration = calibrate(fitted.held_out, ground, params, task.heading_deg[fitted.asked_rows], gain)
    if fitted.net.config.layout == "whitened":
        calibration = calibration.model_copy(update={"off_campus_share": OFF_CAMPUS_SHARE})
    return params, calibration


def answered(model: bytes, fitted: Fitted, task: TrainingData) -> list[HeldOut]:
    """The same held-out photos by an ONNX model of the whole network, each by the gallery without its fold."""
    engine = OnnxEngine(model, "ONNX Runtime")
    parts = []
    for asked, part in zip(fitted.asked, fitted.held_out, strict=True):
        others = ~np.isin(fitted.rows, asked)
        gallery = Gallery(fitted.gallery.embedding[others], fitted.gallery.local_m[others])
        parts.append(replace(part, heads=run_all(engine, task.images[asked]), gallery=gallery))
    return parts


def npz(**arrays: NDArray[Any]) -> bytes:
    stream = io.BytesIO()
    np.savez_compressed(stream, **arrays)  # type: ignore[arg-type]
    return stream.getvalue()
