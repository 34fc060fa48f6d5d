"""An evaluation as one HTML page without outside requests, and its figures as PNGs."""

from __future__ import annotations

import io
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from typing import Any

import numpy as np
from matplotlib.figure import Figure
from numpy.typing import NDArray
from PIL import Image, ImageOps

from core.campus.bundle import Bundle
from core.campus.frame import distance_m
from core.errors import OccupiedError
from core.io.files import check_replaceable, written_atomically
from core.locate.localizer import Localizer
from core.photo.load import load_photo
from train.dataset.dataset import Dataset
from train.dataset.split import Splits
from train.dataset.zoning import place_of
from train.evaluate.breakdown import (
    BY_RADIUS,
    Breakdown,
    claims_clear,
    gallery_rows,
    heading_off_deg,
    place_names,
    risk_curves,
)
from train.evaluate.coverage import MISLEADING, Proportion
from train.evaluate.evaluation import NEIGHBOURS, Evaluation, known_split, left_out
from train.evaluate.fused import Fused
from train.evaluate.fused_plots import error_by_photos, first_walk, walk_map, worst_bursts
from train.evaluate.map_plots import error_map, needs_map, zone_error_map
from train.evaluate.metrics import ALL_PHOTOS
from train.evaluate.page import data_url, render_page
from train.evaluate.photo_needs import NEAR_M
from train.evaluate.plots import (
    DARK,
    LIGHT,
    WIDTH_IN,
    Scope,
    Theme,
    calibration_plot,
    coverage_plot,
    cumulative_errors,
    heading_plot,
    png,
    risk_coverage_plot,
    stanford_diagram,
)
from train.evaluate.sequences import walks

PAGE = "report.html"
BEST, WORST, NEEDS = 4, 8, 10  # how many photos and places are shown
_THUMBNAIL_PX = 224
_CSS_DPI = 100


@dataclass(frozen=True)
class Drawing:
    """A figure of the report: `name`.png, in which section of the page it stands, what it says, of how many photos."""

    name: str
    section: str
    caption: str
    n: int
    draw: Callable[[Theme], Figure]


def check_report_folder(folder: Path) -> None:
    """Raise OccupiedError where `folder` holds anything but an earlier report; asked before the work, not after."""
    check_replaceable(folder, True, "report", PAGE)
    if folder.is_dir() and any(path.name != PAGE and path.suffix != ".png" for path in folder.iterdir()):
        raise OccupiedError(folder, "report", replaceable=False)


def write_report(
    folder: Path,
    evaluation: Evaluation,
    breakdown: Breakdown,
    dataset: Dataset,
    localizer: Localizer,
    fused: Fused | None = None,
) -> None:
    """Write `folder`/report.html and its figures as PNGs, whole or not at all; an earlier report is replaced.

    Raises OccupiedError where `folder` holds something else.
    """
    check_report_folder(folder)
    scope = Scope(localizer.bundle.manifest.name, breakdown.rendered, f"split {breakdown.split} ({breakdown.divided})")
    drawings = list(draw_all(evaluation, breakdown, dataset, localizer, scope))
    drawings += draw_fused(fused or Fused(), dataset, localizer.bundle, scope)
    with written_atomically(folder.resolve()) as temporary:
        temporary.mkdir()
        figures = []
        for drawing in drawings:
            light, dark = (png(drawing.draw, theme) for theme in (LIGHT, DARK))
            (temporary / f"{drawing.name}.png").write_bytes(light)
            figures.append(_figure(drawing, scope, light, dark))
        page = _page(evaluation, breakdown, dataset, localizer, scope, figures)
        (temporary / PAGE).write_text(page, encoding="utf-8")


def draw_all(
    evaluation: Evaluation, breakdown: Breakdown, dataset: Dataset, localizer: Localizer, scope: Scope
) -> Iterator[Drawing]:
    """The figures for which there is data, in the page's order."""
    bundle, error_m, n = localizer.bundle, evaluation.error_m, len(evaluation.names)
    frame, said = bundle.manifest.frame, scope.of(n)
    truth_m = frame.to_local(*evaluation.truth.T)
    fix_m = frame.to_local([fix.lat for fix in evaluation.fixes], [fix.lon for fix in evaluation.fixes])
    night = dataset.is_night[evaluation.rows]

    yield Drawing(
        "error-map", "errors", "Each arrow leads from where a photo was taken to where its fix puts it.", n,
        partial(error_map, bundle, truth_m, fix_m, error_m, said),
    )  # fmt: skip
    alone = {f"{name.replace('_', ' ')} alone": error for name, error in evaluation.baseline_error_m.items()}
    yield Drawing(
        "cumulative-error", "errors", "The share of photos located within each distance, by the fix and each head.", n,
        partial(cumulative_errors, {"fix": error_m, **alone}, "Cumulative error against the baselines", said),
    )  # fmt: skip
    if len(bundle.zones):
        places = place_names(bundle, truth_m)
        of_zone = [place_of(zone.name) for zone in bundle.manifest.zones]
        yield Drawing(
            "zone-error", "errors", "Zones that are named after one place are taken together.", n,
            partial(zone_error_map, bundle, places, of_zone, truth_m, error_m, said),
        )  # fmt: skip
    if 0 < night.sum() < n:
        lights = {f"day ({(~night).sum()} photos)": error_m[~night], f"night ({night.sum()})": error_m[night]}
        yield Drawing(
            "day-night", "errors", "Photos by day against photos by night.", n,
            partial(cumulative_errors, lights, "Day against night", said),
        )  # fmt: skip
    true_deg = dataset.numbers("heading_deg")[evaluation.rows]
    if breakdown.heading is not None:
        off_deg = heading_off_deg(evaluation, true_deg)
        off_deg = off_deg[np.isfinite(off_deg)]
        yield Drawing(
            "heading-error", "errors", "How far the headings are off. By chance the median is 90°.", len(off_deg),
            partial(heading_plot, off_deg, scope.of(len(off_deg))),
        )  # fmt: skip
    yield from _radius_drawings(breakdown, n, said)
    yield from _doubt_drawings(evaluation, n, said)
    if bundle.gallery is not None:
        gallery_m = bundle.gallery.local_m.astype(np.float64)
        yield Drawing(
            "photo-needs", "needs", f"{len(gallery_m)} training photos, and the places of the list by number.", n,
            partial(needs_map, bundle, breakdown.photo_needs[:NEEDS], gallery_m, said),
        )  # fmt: skip


def _radius_drawings(breakdown: Breakdown, n: int, said: str) -> Iterator[Drawing]:
    """Whether the radii hold what they promise: of all, by size, and by group."""
    yield Drawing(
        "calibration-curve", "radius",
        "Of the photos, how many lie within the radius that promises to hold a share of them.", n,
        partial(calibration_plot, breakdown.calibration, said),
    )  # fmt: skip
    quarters = [group for group in breakdown.groups if group.by == BY_RADIUS]
    others = [group for group in breakdown.groups if group.by != BY_RADIUS]
    if quarters:
        yield Drawing(
            "coverage-by-radius", "radius", "Do small radii hold as often as large ones? Dashed: 68 and 95 %.", n,
            partial(coverage_plot, quarters, "Coverage by quarter of the 68 % radius", said),
        )  # fmt: skip
    if others:
        yield Drawing(
            "coverage-by-group", "radius", "Coverage by what is known of the photos. Dashed: 68 and 95 %.", n,
            partial(coverage_plot, others, "Coverage by group", said),
        )  # fmt: skip


def _doubt_drawings(evaluation: Evaluation, n: int, said: str) -> Iterator[Drawing]:
    """Whether radii tell right answers from wrong ones."""
    refused = np.array([fix.refused for fix in evaluation.fixes])
    yield Drawing(
        "stanford-diagram", "radius",
        f"Above the dashed line a photo lies within its radius. Shaded: off by over {MISLEADING:g} radii.", n,
        partial(
            stanford_diagram, evaluation.error_m, evaluation.radius68_m, claims_clear(evaluation), refused, said
        ),
    )  # fmt: skip
    named = {
        "radius": "radius",
        "similarity": "nearest neighbour's similarity",
        "error": "the error itself (the least)",
    }
    curves = {f"by {named[by]}": curve for by, curve in risk_curves(evaluation).items()}
    yield Drawing(
        "risk-coverage", "radius", "The mean error of the surest photos, by what tells the surest.", n,
        partial(risk_coverage_plot, curves, said),
    )  # fmt: skip


def draw_fused(fused: Fused, dataset: Dataset, bundle: Bundle, scope: Scope) -> Iterator[Drawing]:
    """The figures of bursts and walks, where they were evaluated."""
    if "bursts" in fused.together:
        whole = fused.together["bursts"]
        yield Drawing(
            "error-by-photos", "errors", f"Photos of one walker at most {fused.gap_s:g} s apart, located together.",
            len(whole.row), partial(error_by_photos, fused, scope.of(len(whole.row))),
        )  # fmt: skip
        yield Drawing(
            "worst-bursts", "errors", "Whole bursts by their mean error, with their first photos.", len(whole.row),
            partial(worst_bursts, whole, dataset.image_paths, scope.of(len(whole.row))),
        )  # fmt: skip
    if fused.walk is not None and fused.smoothed is not None:
        count = len(walks(dataset, fused.walk.row)[0])
        walk, smoothed = first_walk(fused.walk, count), first_walk(fused.smoothed, count)
        truth_m = bundle.manifest.frame.to_local(*dataset.latlon[walk.row].T)
        yield Drawing(
            "walk-map", "errors", f"One walk of {count} photos; circles are its 68 % radii on the way.", count,
            partial(walk_map, bundle, walk, smoothed, truth_m, scope.of(count)),
        )  # fmt: skip


def _figure(drawing: Drawing, scope: Scope, light: bytes, dark: bytes) -> dict[str, Any]:
    with Image.open(io.BytesIO(light)) as image:
        height = round(WIDTH_IN * _CSS_DPI * image.height / image.width)
    return {
        "section": drawing.section, "caption": drawing.caption, "scope": scope.of(drawing.n),
        "light": data_url(light, "png"), "dark": data_url(dark, "png"),
        "width": round(WIDTH_IN * _CSS_DPI), "height": height,
    }  # fmt: skip


def _page(
    evaluation: Evaluation,
    breakdown: Breakdown,
    dataset: Dataset,
    localizer: Localizer,
    scope: Scope,
    figures: list[dict[str, Any]],
) -> str:
    """The page's HTML."""
    manifest = localizer.bundle.manifest
    training = gallery_rows(dataset, Splits.load(dataset.root), localizer.bundle)
    errors = {"fix": evaluation.error_m, **evaluation.baseline_error_m}
    return render_page(
        Path(__file__).with_name(PAGE),
        campus=manifest.name,
        rendered=breakdown.rendered,
        split=breakdown.split,
        divided=breakdown.divided,
        scope=scope.of(len(evaluation.names)),
        engine=localizer.engine.name,
        trained=f"{manifest.training.trained_utc:%Y-%m-%d}",
        made_of=manifest.made_of,
        backbone=manifest.training.backbone,
        recipe=manifest.training.recipe,
        notices=_notices(breakdown),
        metrics=evaluation.metrics,
        all_photos=ALL_PHOTOS,
        tiles=_tiles(evaluation, breakdown),
        ways=[
            {
                "name": name.replace("_", " ") + ("" if name == "fix" else " alone"),
                "median": float(np.median(error)),
                "mean": float(error.mean()),
                "p90": float(np.percentile(error, 90)),
                "max": float(error.max()),
            }
            for name, error in errors.items()
        ],
        figures=figures,
        groups=(breakdown.overall, *breakdown.groups),
        needs=breakdown.photo_needs[:NEEDS] if localizer.bundle.gallery is not None else (),
        near_m=f"{NEAR_M:.0f}",
        same_light=training is not None,
        pictures_of_gallery=training is not None,
        neighbours=NEIGHBOURS if training is not None else 0,
        albums=_albums(evaluation, dataset, localizer, training),
        not_told=breakdown.not_told,
        metres=_metres,
        percent=_percent,
    )


def _notices(breakdown: Breakdown) -> list[str]:
    """What a reader must know before any figure."""
    notices = []
    if breakdown.rendered:
        notices.append("All photos of this campus are rendered, drawn by a computer: no evidence for real photos.")
    if breakdown.random_split:
        notices.append(
            "A random split: photos of one place and walk fall on both sides, so these errors are far smaller than "
            "those of photos that people will take later. For comparison with other random splits alone."
        )
    if breakdown.known:
        notices.append(f"{left_out(breakdown.known)}: these figures are of photos that are new to it.")
    if warning := known_split(breakdown.split):
        notices.append(warning)
    return notices


def _tiles(evaluation: Evaluation, breakdown: Breakdown) -> list[dict[str, str]]:
    """The figures that most readers come for."""
    m = evaluation.metrics

    def tile(name: str, value: str, note: str = "") -> dict[str, str]:
        return {"name": name, "value": value, "note": note}

    def share(name: str, of: Proportion) -> dict[str, str]:
        return tile(name, _percent(of.share), f"{100 * of.low:.0f} to {_percent(of.high)}, n = {of.n}")

    tiles = [
        tile("median error", _metres(m.median_m), f"mean {_metres(m.mean_m)}; {ALL_PHOTOS}"),
        tile("90 % are within", _metres(m.p90_m), f"95 % within {_metres(m.p95_m)}"),
        tile("within 10 m", _percent(m.within_10m), f"5 m {_percent(m.within_5m)}, 25 m {_percent(m.within_25m)}"),
        tile("68 % radius, mean", _metres(m.mean_radius68_m)),
        share("in their 68 % radius", breakdown.overall.coverage68),
        share("in their 95 % radius", breakdown.overall.coverage95),
    ]
    if m.accepted:
        note = f"mean {_metres(m.accepted.mean_m)}; n = {m.accepted.n}"
        tiles.insert(1, tile("median error of accepted photos", _metres(m.accepted.median_m), note))
    share_clear, wrong = _percent(breakdown.clear.share), breakdown.misleading
    tiles.append(
        tile("misleading", f"{100 * wrong.share:.1f} %", f"{wrong.hits} of {wrong.n}; {share_clear} claim to be clear")
    )
    if breakdown.on_campus:
        tiles.append(share("taken for this campus", breakdown.on_campus))
    if breakdown.ood_refused:
        tiles.append(share("other places refused", breakdown.ood_refused))
    if breakdown.heading:
        h = breakdown.heading
        tiles.append(tile("median heading error", f"{h.median_deg:.0f}°", f"P90 {h.p90_deg:.0f}°, n = {h.n}"))
        if h.within_spread:
            tiles.append(share("headings in their 68 % spread", h.within_spread))
    return tiles


def _albums(
    evaluation: Evaluation, dataset: Dataset, localizer: Localizer, training: NDArray[np.int64] | None
) -> list[tuple[str, list[dict[str, Any]]]]:
    """The worst and the best photos, each with its nearest training photos where `training` says which they are."""
    places = place_names(localizer.bundle, localizer.bundle.manifest.frame.to_local(*evaluation.truth.T))
    order = np.argsort(evaluation.error_m, kind="stable")

    def photo(index: int) -> dict[str, Any]:
        row, fix = int(evaluation.rows[index]), evaluation.fixes[index]
        others: list[dict[str, Any]] = []
        if training is not None and evaluation.neighbours is not None:
            for other in training[evaluation.neighbours[index]]:
                apart = float(distance_m(*evaluation.truth[index], *dataset.latlon[other]))
                others.append({"picture": _thumbnail(dataset, other), "name": dataset.names[other], "apart_m": apart})
        return {
            "picture": _thumbnail(dataset, row), "name": evaluation.names[index], "place": places[index],
            "light": "by night" if dataset.is_night[row] else "by day", "error_m": float(evaluation.error_m[index]),
            "radius68_m": fix.radius68_m, "on_campus": fix.on_campus, "neighbours": others,
        }  # fmt: skip

    worst = order[::-1][:WORST]
    best = order[: min(BEST, max(len(order) - len(worst), 0))]
    albums = [(f"The {len(worst)} worst", [photo(int(index)) for index in worst])]
    return [*albums, (f"The {len(best)} best", [photo(int(index)) for index in best])] if len(best) else albums


def _thumbnail(dataset: Dataset, row: int) -> str:
    """A photo, small and without what its camera recorded, as a data URL."""
    image = Image.fromarray(load_photo(dataset.image_paths[row], min_side=_THUMBNAIL_PX).rgb)
    stream = io.BytesIO()
    ImageOps.fit(image, (_THUMBNAIL_PX, _THUMBNAIL_PX)).save(stream, "JPEG", quality=78)
    return data_url(stream.getvalue(), "jpeg")


def _metres(value: float) -> str:
    return f"{value:.1f} m" if value < 100 else f"{value:,.0f} m"


def _percent(share: float) -> str:
    return f"{100 * share:.0f} %"
