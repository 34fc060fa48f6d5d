"""Field photos with GPS -> how well a campus is: do its radii hold, where and when do errors grow, has it changed."""

from __future__ import annotations

from dataclasses import asdict, dataclass, replace
from functools import cached_property
from typing import Any

import numpy as np
from numpy.typing import NDArray
from scipy.stats import binomtest

from core.campus.bundle import Bundle
from core.campus.manifest import Metrics
from core.campus.seen import seen_photos
from core.engines.choose import open_engine
from core.engines.heads import Engine, Heads, run_all
from core.errors import CampusError, DatasetError
from core.locate.fix import Fix
from core.locate.localizer import Localizer
from train.bundle.calibration_photos import CalibrationPhotos
from train.evaluate.breakdown import place_names
from train.evaluate.coverage import CONFIDENCE, Group, group
from train.evaluate.photo_needs import Need, by_light, photo_needs, photos_near
from train.grow.adaptive import adapted_factor, stops
from train.grow.arrivals import Arrivals
from train.grow.figures import beside, exact, percent_beside
from train.grow.growth import Growth, growth
from train.grow.refresh import Refreshed, measured_by, refreshed

Float = NDArray[np.float64]

USUAL = 0.9
LEAST_STANDPOINTS = 5  # of a group that an alarm may be raised for: fewer are a matter of luck


@dataclass(frozen=True)
class Limits:
    """When an alarm is raised; shares 0 to 1."""

    coverage68: float = 0.60
    coverage95: float = 0.88
    refused: float = 0.10
    unlike: float = 0.25  # of the photos, whose OOD score is above that of USUAL of the campus's own
    error_growth: float = 2.0  # times the median error that was measured when the bundle was made, of all groups


@dataclass(frozen=True)
class Alarm:
    """A limit that is passed: in which group of photos, and what was found, in words."""

    by: str
    name: str
    what: str
    message: str


@dataclass(frozen=True, eq=False)
class Checkup:
    """N field photos in the order of time, by the bundle as it is. Refused photos have no radius, and count in none.

    truth_m, fix_m (N, 2) local metres; error_m, radius68_m, radius95_m, refused (N,); factor68 and factor95 (M,) of the
    M photos that are not refused: how much larger their radii would have had to be, so far. `walk`, `light` and
    `place` (N,) name groups. `growth`: beside the held-out figure that the campus keeps; `when` says when that was.
    """

    names: tuple[str, ...]
    truth_m: Float
    fix_m: Float
    error_m: Float
    radius68_m: Float
    radius95_m: Float
    refused: NDArray[np.bool_]
    factor68: Float
    factor95: Float
    known: int
    groups: tuple[Group, ...]
    alarms: tuple[Alarm, ...]
    needs: tuple[Need, ...]
    growth: Growth | None
    when: str
    after: Metrics | None
    advice: tuple[str, ...]

    @property
    def well(self) -> bool:
        """Whether no limit is passed."""
        return not self.alarms

    def as_json(self) -> dict[str, Any]:
        """What is worth keeping, as JSON."""
        kept = ("known", "groups", "alarms", "needs", "growth", "when", "advice")
        return {
            "photos": len(self.names),
            "refused": float(self.refused.mean()),
            "factor68": float(self.factor68[-1]) if len(self.factor68) else None,
            "factor95": float(self.factor95[-1]) if len(self.factor95) else None,
            "after_refresh": None if self.after is None else self.after.model_dump(),
            **{name: value for name, value in asdict(self).items() if name in kept},
        }


def checkup(bundle: Bundle, arrivals: Arrivals, limits: Limits) -> Checkup:
    """How a campus does on field photos that carry their position. Photos that it was made of are left out.

    Raises DatasetError where no photo is new to it.
    """
    engine = open_engine(bundle)
    seen = seen_photos(bundle)
    digests = zip(arrivals.digest.tolist(), arrivals.source_digest.tolist(), strict=True)
    new = np.array([seen.isdisjoint(pair) for pair in digests], bool)
    if not new.any():
        raise DatasetError(
            f"was made of all {len(arrivals)} photos", path=bundle.path, remedy="give photos that it does not know"
        )
    kept = np.flatnonzero(new)
    arrivals = arrivals.at(kept[np.argsort(np.nan_to_num(arrivals.time_s[kept]), kind="stable")])
    heads = run_all(engine, arrivals.images)
    localizer, manifest = Localizer(bundle, engine), bundle.manifest
    truth_m = manifest.frame.to_local(*arrivals.latlon.T)
    fixes = [_fix(localizer, heads.one(row), arrivals, row) for row in range(len(heads))]
    fix_m = manifest.frame.to_local([fix.lat for fix in fixes], [fix.lon for fix in fixes])
    error_m = np.linalg.norm(fix_m - truth_m, axis=1)
    radii_m = np.array([fix.map_radii_m for fix in fixes])
    ood = np.array([fix.ood_score for fix in fixes])
    refused = np.array([fix.refused for fix in fixes])

    place = place_names(bundle, truth_m)
    light = np.where(arrivals.is_night, "night", "day")
    walk = np.array(arrivals.walk)
    where = {"walk": walk, "light": light, "place": place}
    stands = stops(truth_m, arrivals.time_s, walk)
    measured, when = _measured(bundle)
    hit68, hit95 = (error_m <= radii_m[:, column] for column in (0, 1))
    photos = _Photos(where, stands, hit68, hit95, refused, ood > USUAL, error_m)
    alarms = _alarms(photos, limits, measured, when)
    gallery_m = np.empty((0, 2)) if bundle.gallery is None else bundle.gallery.local_m.astype(np.float64)
    accepted = ~refused  # who was told "not this campus" was shown no error
    near = photos_near(truth_m[accepted], gallery_m)
    needs = photo_needs(_by_light(place[accepted], light[accepted]), truth_m[accepted], error_m[accepted], near)
    refresh = _refreshed(bundle, arrivals, engine)
    grown = growth(error_m, refused, measured)
    return Checkup(
        arrivals.names, truth_m, fix_m, error_m, radii_m[:, 0], radii_m[:, 1], refused,
        adapted_factor(error_m[accepted], radii_m[accepted, 0], 0.68),
        adapted_factor(error_m[accepted], radii_m[accepted, 1], 0.95),
        int((~new).sum()), _groups(where, error_m, radii_m, accepted), alarms, needs, grown, when,
        None if refresh is None else refresh.after,
        _advice(alarms, needs, error_m[accepted], grown, refresh) if alarms else _unproven(photos, limits, grown),
    )  # fmt: skip


def _measured(bundle: Bundle) -> tuple[Metrics | None, str]:
    """The held-out figures that the campus keeps, and when and how they were measured."""
    manifest = bundle.manifest
    if (test := manifest.metrics.get("test")) is not None:
        return test, "when the campus was made"
    held = CalibrationPhotos.of(bundle)
    by = measured_by(manifest, fp32=held is not None and held.known_row is not None)
    return manifest.metrics.get("refresh"), f"when the campus was refreshed{by}"


def _fix(localizer: Localizer, heads: Heads, arrivals: Arrivals, row: int) -> Fix:
    """The fix of one photo, with a second look where the campus has one and the photo's local features were read."""
    evidence, reader = None, localizer.second_reader
    if reader is not None and arrivals.local:
        evidence = reader.evidence(heads, lambda: arrivals.local[row], localizer.ood_score(heads))
    return replace(localizer.fix(heads, evidence=evidence), probability=None)


def _by_light(place: NDArray[np.str_], light: NDArray[np.str_]) -> NDArray[np.str_]:
    if len(set(light.tolist())) == 1:
        return place
    return np.array([by_light(where, when) for where, when in zip(place, light, strict=True)])


def _groups(
    where: dict[str, NDArray[np.str_]], error_m: Float, radii_m: Float, accepted: NDArray[np.bool_]
) -> tuple[Group, ...]:
    """All photos, and each walk, light and place; refused photos have no radius."""
    found = []
    for by, names in {"all": np.full(len(error_m), "all photos"), **where}.items():
        for name in np.unique(names):
            rows = (names == name) & accepted
            if rows.any() and (by == "all" or name):
                found.append(group(by, str(name), error_m[rows], radii_m[rows, 0], radii_m[rows, 1]))
    return tuple(found)


@dataclass(frozen=True, eq=False)
class _Photos:
    """What alarms are judged by, (N,) each: groups by name, standpoints, what held, what was refused, errors."""

    where: dict[str, NDArray[np.str_]]
    stands: NDArray[np.int64]
    hit68: NDArray[np.bool_]
    hit95: NDArray[np.bool_]
    refused: NDArray[np.bool_]
    unlike: NDArray[np.bool_]
    error_m: Float

    @cached_property
    def groups(self) -> list[tuple[str, str, NDArray[np.bool_]]]:
        """All photos and each group of enough standpoints: what it is by, its name, and its (N,) photos.

        Groups of the same photos are one, by all of their names: `all photos, night`.
        """
        found = [("all", "all photos", np.ones(len(self.error_m), np.bool_))]
        for by, names in self.where.items():
            found += [(by, str(name), names == name) for name in np.unique(names) if name]
        merged: dict[bytes, tuple[str, str, NDArray[np.bool_]]] = {}
        for by, name, rows in found:
            first = merged.get(key := rows.tobytes())
            merged[key] = (by, name, rows) if first is None else (first[0], f"{first[1]}, {name}", rows)
        return [part for part in merged.values() if len(np.unique(self.stands[part[2]])) >= LEAST_STANDPOINTS]

    @property
    def confidence(self) -> float:
        """Of each group's interval, all groups together (Bonferroni)."""
        return 1 - (1 - CONFIDENCE) / max(1, len(self.groups))

    def radii(self, limits: Limits) -> tuple[tuple[str, float, float, NDArray[np.bool_]], ...]:
        """Of both radii: name, the share promised, the least that raises no alarm, and (N,) which photos it holds."""
        return (
            ("68 % radius", 0.68, limits.coverage68, self.hit68),
            ("95 % radius", 0.95, limits.coverage95, self.hit95),
        )

    def share(
        self, hit: NDArray[np.bool_], rows: NDArray[np.bool_], confidence: float
    ) -> tuple[float, float, float, int]:
        """The share of `rows` that is hit, its interval (Clopper and Pearson), and of how many standpoints.

        Photos of one standpoint hold or fail together, so it is the standpoints that are counted.
        """
        number = len(np.unique(self.stands[rows]))
        share = float(hit[rows].mean())
        interval = binomtest(round(share * number), number).proportion_ci(confidence, "exact")
        return share, float(interval.low), float(interval.high), number


def _alarms(photos: _Photos, limits: Limits, measured: Metrics | None, when: str) -> tuple[Alarm, ...]:
    """The limits that are passed by more than chance allows."""
    out, confidence = [], photos.confidence
    for by, name, rows in photos.groups:
        accepted = rows & ~photos.refused
        for label, promised, least, held in photos.radii(limits):
            if accepted.any():
                share, _, high, number = photos.share(held, accepted, confidence)
                if share < least and high < promised:
                    most = percent_beside(high, promised)
                    message = f"the {label} holds {percent_beside(share, least)} (at most {most}, {number} standpoints)"
                    out.append(Alarm(by, name, label, message))
        share, low, _, number = photos.share(photos.refused, rows, confidence)
        if share > limits.refused and low > limits.refused / 2:
            found = percent_beside(share, limits.refused)
            message = f"{found} are refused as another place (at least {low:.0%}, {number} standpoints)"
            out.append(Alarm(by, name, "refused", message))
        share, low, _, number = photos.share(photos.unlike, rows, confidence)
        if share > limits.unlike and low > 1 - USUAL:
            found = f"{percent_beside(share, limits.unlike)} look unlike what the campus was made of"
            message = f"{found}, where {1 - USUAL:.0%} did ({number} standpoints)"
            out.append(Alarm(by, name, "drift", message))
        # One place or walk may always have been harder than all photos together, of which alone it is known how it was.
        if by == "all":
            out += _grown(photos, limits, measured, when, name)
    return tuple(out)


def _grown(photos: _Photos, limits: Limits, measured: Metrics | None, when: str, name: str) -> list[Alarm]:
    """The alarm that the median error of all groups has grown, called `name`, where it has by more than chance."""
    found = growth(photos.error_m, photos.refused, measured)
    if found is None or found.times <= limits.error_growth:
        return []
    rows = found.rows(photos.refused)
    _, low, _, number = photos.share(photos.error_m > found.was_m, rows, photos.confidence)
    if low <= 0.5:
        return []
    grown = f"{beside(found.times, limits.error_growth, 1)} times what it was {when}, both of {found.of}"
    return [Alarm("all", name, "error", f"the median error is {found.now_m:.0f} m, {grown} ({number} standpoints)")]


def _unproven(photos: _Photos, limits: Limits, grown: Growth | None) -> tuple[str, ...]:
    """What to do without an alarm: ask again where radii or errors of all photos pass their limits, maybe by chance."""
    out, accepted = [], ~photos.refused
    for label, promised, least, held in photos.radii(limits) if accepted.any() else ():
        share, _, high, number = photos.share(held, accepted, photos.confidence)
        if share < least:
            below = f"{percent_beside(share, least)}, below {exact(100 * least)}%"
            found = f"the {label} holds {below}, which {number} standpoints leave to chance"
            most = percent_beside(high, promised)
            out.append(f"not certain yet: {found} (up to {most}): ask again with photos of more standpoints")
    if grown is not None and grown.times > limits.error_growth:
        number = len(np.unique(photos.stands[grown.rows(photos.refused)]))
        times = f"{beside(grown.times, limits.error_growth, 1)} times what it was, above {exact(limits.error_growth)}"
        found = f"the median error is {times}, which {number} standpoints leave to chance"
        out.append(f"not certain yet: {found}: ask again with photos of more standpoints")
    return tuple(out) or ("nothing to do: the radii hold",)


def _refreshed(bundle: Bundle, arrivals: Arrivals, engine: Engine) -> Refreshed | None:
    """What a refresh with these photos would give; None where the bundle cannot be refreshed."""
    try:
        return refreshed(bundle, arrivals, engine)
    except CampusError:
        return None


def _advice(
    alarms: tuple[Alarm, ...],
    needs: tuple[Need, ...],
    error_m: Float,
    grown: Growth | None,
    refresh: Refreshed | None,
) -> tuple[str, ...]:
    """What to do about alarms, the cheapest first; `error_m` are those of the photos that were not refused."""
    out = []
    nights = any("night" in alarm.name.split(", ") for alarm in alarms)
    if refresh is not None and refresh.after.coverage68 >= 0.62:
        after = refresh.after
        out.append(
            f"refresh with these photos: radii then hold {after.coverage68:.0%} and {after.coverage95:.0%} of them, "
            f"the mean error is {after.mean_m:.0f} m, {refresh.how}"
        )
    elif refresh is not None and refresh.walks == 1:
        out.append("refresh with these photos, and ask again with another walk: one alone does not tell what it brings")
    thin = [need for need in needs[:5] if need.near < 10]
    if thin:
        places = "; ".join(f"{need.place} ({need.mean_m:.0f} m off)" for need in thin)
        out.append(
            f"photograph these places{' by night' if nights else ''}, four photos at each stop, turning: {places}"
        )
    # Refused photos may be of another place, which no training mends: accepted ones alone must be far off, too.
    if grown is not None and len(error_m) and min(grown.now_m, float(np.median(error_m))) > 2 * grown.was_m:
        out.append("train again with these photos once there are several walks of them: errors have grown twofold")
    return tuple(out) or ("take more photos of the places and the light that the alarms name, then refresh",)
