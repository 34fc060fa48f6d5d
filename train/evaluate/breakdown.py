"""What an evaluation tells beside its metrics: coverage by group, refusals, headings, where photos would help."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np
from numpy.typing import NDArray

from core.campus.manifest import LEAST_TO_TELL
from core.campus.seen import SEEN
from core.locate.confidence import confidence
from core.locate.heading import angle_between_deg
from train.dataset.dataset import Dataset
from train.dataset.split import Splits
from train.dataset.zoning import place_of
from train.evaluate.coverage import (
    MISLEADING,
    CalibrationCurve,
    Group,
    Proportion,
    calibration_curve,
    group,
    groups,
    misleading,
    proportion,
    radius_quarters,
    risk_coverage,
)
from train.evaluate.photo_needs import Need, by_light, photo_needs, photos_near

if TYPE_CHECKING:
    from core.campus.bundle import Bundle
    from train.evaluate.evaluation import Evaluation

Float = NDArray[np.float64]

BY_RADIUS, BY_LIGHT, BY_PLACE = "predicted 68 % radius", "light", "place"
_NO_GALLERY = (
    "the training photos' pictures and their light: this dataset does not hold the photos of the bundle's gallery in "
    "its splits `train` and `calibration`"
)


@dataclass(frozen=True)
class HeadingError:
    """Angles in degrees between the fixes' headings and the cameras'; chance gives a median of 90."""

    n: int
    median_deg: float
    p90_deg: float
    within_spread: Proportion | None  # None where fixes have no spread of their heading


@dataclass(frozen=True)
class Breakdown:
    """Beside `Metrics`, the JSON keys of `python -m train evaluate`; `not_told` says what is missing and why.

    risk_m: the mean error of the surest photos, averaged over all shares of them (the area under the risk-coverage
    curve), by what tells the surest: `radius`, the nearest neighbour's `similarity`, or the `error` itself, the least
    that there can be. known: how many photos are not measured, since the bundle was made of them.
    """

    split: str
    known: int
    divided: str  # how the splits were made
    random_split: bool
    rendered: bool
    overall: Group
    clear: Proportion  # claim one clear place
    misleading: Proportion  # claim it, and are off by over MISLEADING times their 68 % radius
    risk_m: dict[str, float]
    groups: tuple[Group, ...]
    calibration: CalibrationCurve
    on_campus: Proportion | None
    ood_refused: Proportion | None
    heading: HeadingError | None
    photo_needs: tuple[Need, ...]
    not_told: tuple[str, ...]

    def lines(self) -> list[str]:
        """For the terminal, to go below the metrics."""
        quarters = [these for these in self.groups if these.by == BY_RADIUS]
        lines = []
        if quarters:
            covered = ", ".join(f"{these.coverage68.share:.0%}" for these in quarters)
            lines.append(f"  by quarter of the predicted radius, smallest first, the 68 % radius covers {covered}")
        claimed = f"{words(self.clear)} claim one clear place, {self.misleading.share:.1%} mislead"
        lines.append(f"  clear    {claimed} (off by over {MISLEADING:g} of their 68 % radii)")
        if self.on_campus:
            lines.append(f"  on campus: {words(self.on_campus)} are taken for this campus")
        if self.ood_refused:
            lines.append(f"  photos of other places: {words(self.ood_refused)} are refused")
        lines.append(
            "  intervals as if photos were drawn alone: those of one burst share their error, so less is certain"
        )
        if self.heading:
            lines.append(f"  heading  median {self.heading.median_deg:.0f}° off, n = {self.heading.n}")
        return lines


def words(share: Proportion) -> str:
    """`97% of 400 photos (95% interval 95 to 98%)`."""
    return f"{share.share:.0%} of {share.n} photos (95% interval {100 * share.low:.0f} to {share.high:.0%})"


def break_down(
    evaluation: Evaluation, dataset: Dataset, bundle: Bundle, refused: NDArray[np.bool_] | None = None
) -> Breakdown:
    """Divide an evaluation of `dataset` by what is known of its photos.

    `refused` says of each photo of another place whether it was refused.
    """
    rows, manifest = evaluation.rows, bundle.manifest
    measured, clear = (evaluation.error_m, evaluation.radius68_m, evaluation.radius95_m), claims_clear(evaluation)
    splits = Splits.load(dataset.root)
    local_m = manifest.frame.to_local(*evaluation.truth.T)
    night = dataset.is_night[rows]
    places = place_names(bundle, local_m)
    not_told: list[str] = []

    names = {BY_RADIUS: radius_quarters(evaluation.radius68_m), BY_LIGHT: np.where(night, "night", "day")}
    for column in dict.fromkeys(("device", "session", splits.config.group_by if splits else None)):
        if column and dataset.has(column):
            names[column] = np.array(dataset.column(column))[rows]
    found: list[Group] = []
    for by, named in {**names, BY_PLACE: places}.items():
        these = groups(by, named, *measured)
        found += these
        if not these:
            not_told.append(f"coverage by {by}: these photos are of one, or of too few each")
    training = gallery_rows(dataset, splits, bundle)
    if training is None:
        not_told.append(_NO_GALLERY)
    dark = None if training is None else dataset.is_night[training]
    where, near = _places_and_photos_near(bundle, local_m, places, night, dark)
    on_campus = None
    if not manifest.calibration.can_tell_ood:
        not_told.append(f"on campus or not: fewer than {LEAST_TO_TELL} calibration photos cannot tell")
    else:
        on_campus = proportion(np.array([not fix.refused for fix in evaluation.fixes]))
    heading = heading_errors(evaluation, dataset.numbers("heading_deg")[rows])
    if heading is None:
        not_told.append("heading: the fixes have none, or the photos have none to compare with")
    if refused is None:
        not_told.append("refusal of other places' photos: none were given (--ood)")
    return Breakdown(
        split=evaluation.split,
        known=evaluation.known,
        divided=_divided(splits, bundle, evaluation.known),
        random_split=splits is not None and splits.config.group_by is None,
        rendered=manifest.rendered,
        overall=group("all", "photos", *measured),
        clear=proportion(clear),
        misleading=proportion(misleading(*measured[:2], clear)),
        risk_m={name: float(curve.mean()) for name, curve in risk_curves(evaluation).items()},
        groups=tuple(found),
        calibration=calibration_curve(evaluation.error_m, evaluation.level_radius_m),
        on_campus=on_campus,
        ood_refused=None if refused is None else proportion(refused),
        heading=heading,
        photo_needs=photo_needs(where, local_m, evaluation.error_m, near),
        not_told=tuple(not_told),
    )


def _divided(splits: Splits | None, bundle: Bundle, known: int) -> str:
    """How the dataset was divided; without splits, whether its photos are new to the model."""
    if splits is not None:
        return splits.describe()
    if SEEN not in bundle.manifest.files:
        return "never split: the bundle does not tell which photos it was made of"
    return "never split: all of it is new to the model" if not known else "never split: what is new to the model"


def _places_and_photos_near(
    bundle: Bundle, local_m: Float, places: NDArray[np.str_], night: NDArray[np.bool_], dark: NDArray[np.bool_] | None
) -> tuple[NDArray[np.str_], NDArray[np.int64]]:
    """(N,) where each photo was taken, and (N,) how many training photos stand near it.

    Day and night apart, where `dark` says of each photo of the gallery which it is.
    """
    gallery_m = np.zeros((0, 2)) if bundle.gallery is None else bundle.gallery.local_m.astype(np.float64)
    if dark is None:
        return places, photos_near(local_m, gallery_m)
    near = np.where(night, photos_near(local_m, gallery_m[dark]), photos_near(local_m, gallery_m[~dark]))
    if not 0 < night.sum() < len(night):
        return places, near
    lights = np.where(night, "night", "day")
    return np.array([by_light(place, light) for place, light in zip(places, lights, strict=True)]), near


def place_names(bundle: Bundle, local_m: Float) -> NDArray[np.str_]:
    """(N, 2) local metres -> (N,) the place that the zone there is named after, or the campus's name without zones."""
    if not len(bundle.zones):
        return np.full(len(local_m), bundle.manifest.name)
    places = np.array([place_of(zone.name) for zone in bundle.manifest.zones])
    return np.asarray(places[bundle.zones.assign(local_m)])


def gallery_rows(dataset: Dataset, splits: Splits | None, bundle: Bundle) -> NDArray[np.int64] | None:
    """(G,) the dataset's row of each gallery photo; None where the dataset does not hold them.

    The gallery is the split `train` in the manifest's order, and after it the split `calibration` where the network's
    features are whitened (`held_out.cross_fitted`).
    """
    if splits is None or bundle.gallery is None or splits.sha256 != bundle.manifest.training.split_sha256:
        return None
    training, calibration = (splits.indices(dataset, split) for split in ("train", "calibration"))
    for rows in (training, np.concatenate([training, calibration])):
        if len(rows) != len(bundle.gallery):
            continue
        apart_m = np.abs(bundle.manifest.frame.to_local(*dataset.latlon[rows].T) - bundle.gallery.local_m)
        if apart_m.max() < 1.0:  # gt.csv may have been changed since
            return rows
    return None


def claims_clear(evaluation: Evaluation) -> NDArray[np.bool_]:
    """(N,) which fixes claim one clear place."""
    return np.array([confidence(fix) == "good" for fix in evaluation.fixes])


def risk_curves(evaluation: Evaluation) -> dict[str, Float]:
    """(N,) metres of `risk_coverage` by radius, by the nearest neighbour's similarity, and by the error itself."""
    doubts = {"radius": evaluation.radius68_m}
    if evaluation.similarity is not None:
        doubts["similarity"] = -evaluation.similarity.astype(np.float64)
    doubts["error"] = evaluation.error_m
    return {name: risk_coverage(evaluation.error_m, doubt) for name, doubt in doubts.items()}


def _degrees(evaluation: Evaluation, name: str) -> Float:
    values = [getattr(fix, name) for fix in evaluation.fixes]
    return np.array([np.nan if value is None else value for value in values], np.float64)


def heading_off_deg(evaluation: Evaluation, true_deg: Float) -> Float:
    """The angles, 0 to 180, between the fixes' headings and the cameras', (N,) degrees; NaN where one is unknown."""
    return angle_between_deg(_degrees(evaluation, "heading_deg"), true_deg)


def heading_errors(evaluation: Evaluation, true_deg: Float) -> HeadingError | None:
    """The fixes' headings against the cameras', (N,) degrees, NaN where unknown; None where no photo has both."""
    off_deg, spread_deg = heading_off_deg(evaluation, true_deg), _degrees(evaluation, "heading_spread_deg")
    known = np.isfinite(off_deg)
    if not known.any():
        return None
    spread_known = known & np.isfinite(spread_deg)
    return HeadingError(
        n=int(known.sum()),
        median_deg=float(np.median(off_deg[known])),
        p90_deg=float(np.percentile(off_deg[known], 90)),
        within_spread=proportion((off_deg <= spread_deg)[spread_known]) if spread_known.any() else None,
    )
