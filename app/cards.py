"""The app's own pieces of HTML: answer, legend, candidates, log, campus card. Pure; every text is escaped."""

from __future__ import annotations

from collections.abc import Sequence
from datetime import datetime, timezone, tzinfo
from html import escape
from typing import Literal
from urllib.parse import quote

import numpy as np

from app.map.drawn import known_heading, view_cone
from app.map.legend import LegendItem
from app.map.shapes import css
from app.places import candidate_names, named_zones, place_name, thin
from app.session_log import COLUMN_NOTES, MOST_GPS_ERROR_M, FieldTest
from app.sighting import Sighting
from app.texts import Texts
from core.campus.basemap import attribution
from core.campus.bundle import Bundle
from core.locate.confidence import Confidence, confidence
from core.locate.fix import Fix

State = Literal["waiting", "reading", "read", "unusable"]  # of one of several photos that came at once
# A sign beside the words, so that nothing is told by colour alone.
_SIGNS: dict[Confidence, str] = {"good": "✓", "likely": "≈", "wide": "◯", "split": "≠", "elsewhere": "⊘"}
_STATE_SIGNS: dict[State, str] = {"waiting": "", "reading": "…", "read": "✓", "unusable": "✗"}
_NO_ERROR_M = 1.0  # a smaller one is what a program wrote, not what a receiver knows


def headline(sighting: Sighting, bundle: Bundle, texts: Texts) -> str:
    """The headline: where, within how many metres, how sure."""
    fix, kind, radii_m = sighting.fix, confidence(sighting.fix), sighting.radii_m
    if radii_m is None:
        refused = escape(texts.say("elsewhere", campus=fix.campus)), escape(texts["elsewhere_help"])
        return _card("elsewhere", sighting, "<h2>{}</h2><p>{}</p>".format(*refused), texts)
    name, probability = place_name(fix)
    place = texts.zone_name(name)
    heading = {
        "split": texts.say("split", count=len(fix.candidates)),
        "wide": texts.say("perhaps", zone=place, percent=round(100 * probability)),
    }.get(kind, place)
    # A campus that cannot tell other places claims its own for any photo: what the claim rests on stands before it.
    badge = ("?", "sure_untold") if fix.on_campus is None else (_SIGNS[kind], f"sure_{kind}")
    body = [
        f"<p class='badge'><span aria-hidden='true'>{badge[0]}</span> {escape(texts[badge[1]])}</p>",
        f"<h2>{escape(heading)}</h2>",
    ]
    if kind != "split":  # a circle over look-alikes is no headline: the places are
        probably, surely = (texts.distance(radius_m) for radius_m in radii_m)
        body.append(f"<p class='radius'>{escape(texts.say('probably', radius=probably))}</p>")
        body.append(f"<p>{escape(texts.say('surely', radius=surely))}</p>")
    if heading_said := _looking(fix, texts):
        body.append(f"<p>{escape(heading_said)}</p>")
    if kind != "good":
        body.append(f"<p>{escape(_advice(fix, kind, bundle, texts))}</p>")
    if fix.on_campus is None:
        body.append(f"<p>{escape(texts['untold_help'])}</p>")
    if sighting.error_m is not None:
        body.append(f"<p class='truth'>{escape(_truth(sighting, texts))}</p>")
    return _card(kind, sighting, "".join(body), texts)


def _advice(fix: Fix, kind: Confidence, bundle: Bundle, texts: Texts) -> str:
    """What to do for a better answer; look-alikes of one photo are told apart by what lies behind its camera."""
    if kind != "split":
        return texts["thin_help" if thin(fix, bundle) else f"{kind}_help"]
    heading = known_heading(fix) if fix.photos == 1 else None
    if heading is None:
        return texts["split_help"]
    return texts.say("split_behind", direction=texts.direction(heading[0] + 180))


def _card(kind: Confidence, sighting: Sighting, body: str, texts: Texts) -> str:
    return (
        f"<section class='answer {kind}' role='status' aria-live='polite'><div>{body}</div>"
        f"<img src='{escape(sighting.thumbnail)}' alt='{escape(texts['your_photo'])}'></section>"
    )


def _looking(fix: Fix, texts: Texts) -> str:
    """Where the camera looked, in words and degrees; empty where no cone is drawn."""
    cone = view_cone(fix)
    if cone is None:
        return ""
    heading, spread = cone[0], fix.heading_spread_deg
    blanks = {"direction": texts.direction(heading), "heading": round(heading) % 360}
    return (
        texts.say("looking", **blanks)
        if spread is None
        else texts.say("looking_spread", spread=round(spread), **blanks)
    )


def _truth(sighting: Sighting, texts: Texts) -> str:
    """How far the photo's or phone's own position lies from the answer, and whether the circle holds it."""
    error_m, radius_m = sighting.error_m or 0.0, sighting.radii_m[0] if sighting.radii_m else 0.0
    key = "truth_in" if error_m <= radius_m else "truth_out"
    if not sighting.truth_on_campus:
        key = "truth_far"
    said = texts.say(key, distance=texts.distance(error_m), source=texts[f"truth_{sighting.truth_source}"])
    known_m = sighting.truth.error_m if sighting.truth else None
    if known_m is None or known_m < _NO_ERROR_M or not sighting.truth_on_campus:
        return said
    return f"{said} {texts.say('truth_error', error=texts.distance(known_m))}"


def together(sighting: Sighting, first_radii_m: tuple[float, float] | None, texts: Texts) -> str:
    """What the photos in play say together that the first alone did not; empty where nothing can be said.

    Where the 95 % radius alone shrank, it is told.
    """
    fix, radii_m, said = sighting.fix, sighting.radii_m, []
    if fix.photos < 2 and not fix.outliers:
        said.append(texts["together_same"])
    elif fix.photos > 1 and first_radii_m is not None and radii_m is not None:
        surely = radii_m[0] >= first_radii_m[0] and radii_m[1] < first_radii_m[1]
        before, after = (texts.distance(radii[surely]) for radii in (first_radii_m, radii_m))
        key = "together_surely" if surely else "together"
        said.append(texts.say(key, count=fix.photos, before=before, after=after))
    outlier = "together_outlier" if fix.photos > 1 else "together_unknown"
    said += [texts.say(outlier, number=place + 1) for place in fix.outliers]
    return "".join(f"<p class='together'>{escape(sentence)}</p>" for sentence in said)


def reading(states: Sequence[State], pictures: Sequence[str], texts: Texts) -> str:
    """How far each of several photos is, and which is being read; a picture is empty until its photo was read."""
    number = 1 + (states.index("reading") if "reading" in states else len(states) - 1)
    items = []
    for at, (state, picture) in enumerate(zip(states, pictures, strict=True), start=1):
        said, sign = escape(f"{at}: {texts[f'state_{state}']}"), f"<i aria-hidden='true'>{_STATE_SIGNS[state]}</i>"
        image = f"<img src='{escape(picture)}' alt=''>" if picture else f"<span>{at}</span>"
        items.append(f"<li class='{state}' aria-label='{said}'>{image}{sign}</li>")
    title = escape(texts.say("reading_number", number=number, count=len(states)))
    return f"<div class='reading'><p role='status'>{title}</p><ol>{''.join(items)}</ol></div>"


def most_alike(own: str, picture: str, away_m: float, texts: Texts) -> str:
    """The photo and, beside it, a training photo, with how far from the answer that was taken."""
    said = texts["your_photo"], texts.say("most_alike", distance=texts.distance(away_m))
    figures = (
        f"<figure><img src='{escape(url)}' alt=''><figcaption>{escape(text)}</figcaption></figure>"
        for url, text in zip((own, picture), said, strict=True)
    )
    return f"<div class='alike'>{''.join(figures)}</div>"


def candidates(sighting: Sighting, bundle: Bundle, texts: Texts, *, numbered: bool = True) -> str:
    """The places that fit, with zone and share, `numbered` where the map numbers them; empty where there is but one."""
    found = candidate_names(sighting.fix, bundle, texts)
    if not found:
        return ""
    title = texts["candidates" if confidence(sighting.fix) == "split" else "others"]
    rows = ""
    for number, (name, place) in enumerate(found, start=1):
        sign = f"<span class='number' aria-hidden='true'>{number}</span>" if numbered else ""
        share = escape(texts.say("share", percent=round(100 * place.mass)))
        rows += f"<li>{sign}<span>{escape(name)}</span><span class='share'>{share}</span></li>"
    return f"<section class='candidates'><h3>{escape(title)}</h3><ol>{rows}</ol></section>"


def legend_row(items: Sequence[LegendItem], texts: Texts) -> str:
    """What the map's signs mean, each drawn as it is there; empty where it has none."""
    if not items:
        return ""
    rows = "".join(f"<li><img src='{_sign(item)}' alt=''>{escape(texts[f'legend_{item.key}'])}</li>" for item in items)
    return f"<ul class='legend' aria-label='{escape(texts['legend'])}'>{rows}</ul>"


def map_credit(bundle: Bundle) -> str:
    """Whom to thank for the map, as its licence asks; "" where there is nobody."""
    thanks = attribution(bundle.campus_map)
    return f"<p class='credit' dir='auto'>{escape(thanks)}</p>" if thanks else ""


def _sign(item: LegendItem) -> str:
    """The item as it looks on the map, an SVG in a data URL (the page lets no inline SVG through)."""
    colour = css(item.colour)
    box, disc = "<rect x='2' y='3' width='16' height='14'", "<circle cx='10' cy='10'"
    shapes = {
        "dot": f"<circle cx='10' cy='10' r='6' fill='{colour}'/>",
        "circle": f"<circle cx='10' cy='10' r='8' fill='{colour}22' stroke='{colour}' stroke-width='2.5'/>",
        "dashed": f"<circle cx='10' cy='10' r='8' fill='none' stroke='{colour}' stroke-width='2' "
        "stroke-dasharray='4 3'/>",
        "area": f"{box} fill='{colour}44' stroke='{colour}' stroke-width='2'/>",
        "outline": f"{box} fill='none' stroke='{colour}' stroke-width='1.5'/>",
        "heat": f"{disc} r='9' fill='{colour}55'/>{disc} r='5' fill='{colour}'/>",
        "number": f"<circle cx='10' cy='10' r='9' fill='{colour}'/><path d='M8 7l2.6-2v10' stroke='#fff' "
        "stroke-width='2' fill='none'/>",
        "cross": f"<circle cx='10' cy='10' r='8' fill='none' stroke='{colour}' stroke-width='2.5'/>"
        f"<path d='M10 6v8M6 10h8' stroke='{colour}' stroke-width='2'/>",
        "line": f"<path d='M2 14L9 7l9 5' fill='none' stroke='{colour}' stroke-width='2'/>"
        f"<circle cx='9' cy='7' r='3' fill='{colour}'/>",
        "cone": f"<path d='M10 18L2 4a12 12 0 0 1 16 0z' fill='{colour}99'/>",
    }
    svg = f"<svg xmlns='http://www.w3.org/2000/svg' viewBox='0 0 20 20'>{shapes[item.shape]}</svg>"
    return "data:image/svg+xml," + quote(svg)


def page_title(name: str, note: str) -> str:
    """The campus's name, and under it a note such as that it is a demo."""
    below = f"<span>{escape(note)}</span>" if note else ""
    return f"<div class='campus-head'><h1>{escape(name)}</h1>{below}</div>"


def zone_table(fix: Fix, texts: Texts, most: int = 5) -> str:
    """The likeliest zones and their probabilities."""
    likeliest = named_zones(fix)[:most]
    return _facts([(texts.say("share", percent=round(100 * odds)), texts.zone_name(name)) for name, odds in likeliest])


def field_test(figures: FieldTest, texts: Texts) -> str:
    """The figures of a field test."""
    gps, tapped = figures.gps, figures.tapped
    facts, notes = [], []
    if gps.count:
        facts = [
            (texts["summary_mean"], texts.distance(gps.mean_m)),
            (texts["summary_median"], texts.distance(gps.median_m)),
            (texts["summary_inside"], texts.say("share", percent=round(100 * gps.inside68))),
        ]
        notes = [texts["summary_note"]]
    if len(figures.campuses) > 1:
        names = ", ".join(figures.campuses)
        notes.insert(0, texts.say("summary_campuses", count=len(figures.campuses), names=names))
    if figures.left_out:
        notes.insert(0, texts.say("summary_left_out", count=figures.left_out, most=round(MOST_GPS_ERROR_M)))
    if tapped.count:
        notes.insert(0, texts.say("summary_tapped", count=tapped.count, median=texts.distance(tapped.median_m)))
    said = "".join(f"<p>{escape(note)}</p>" for note in notes)
    title = escape(texts.say("summary", count=gps.count))
    told = _facts(facts) if facts else ""
    return f"<section class='answer good'><div><h3>{title}</h3>{told}{said}</div></section>"


def logged(entry: Sighting, texts: Texts, zone: tzinfo = timezone.utc) -> str:
    """A located photo in the log, with its time in a time zone; a refused one is marked and has no place.

    One of another day than today has its date too.
    """
    kind = confidence(entry.fix)
    if entry.radii_m is None:
        title = f"{_SIGNS[kind]} {texts['short_elsewhere']}"
        said = texts.say("log_refused", campus=entry.fix.campus)
    else:
        split = kind == "split"  # as in its answer: places that fit, and no circle over them
        title = texts.say("split", count=len(entry.fix.candidates)) if split else texts.zone_name(entry.fix.zone.name)
        within = [] if split else [texts.say("within", radius=texts.distance(entry.radii_m[0]))]
        parts = [*within, texts[f"short_{kind}"]]
        if entry.error_m is not None:
            parts.append(f"{texts['log_error']} {texts.distance(entry.error_m)}")
        said = " · ".join(parts)
    name = f"<bdi class='file'>{escape(entry.name)}</bdi>" if entry.name else ""
    if entry.title:
        title = f"{entry.title} · {title}"
    note = f"<p class='note' dir='auto'>{escape(entry.note)}</p>" if entry.note else ""
    local = entry.time_utc.astimezone(zone)
    # Each its own piece of text, so that in Hebrew too the date comes first.
    day = "" if local.date() == datetime.now(zone).date() else f"<bdi>{local:%Y-%m-%d}</bdi> "
    time = f"{day}{local:%H:%M:%S}{' UTC' if local.tzname() == 'UTC' else ''}"  # hardly anyone's own clock
    return (
        f"<div class='logged {kind}'><img src='{escape(entry.thumbnail)}' alt=''><div><b>{escape(title)}</b>"
        f"<span>{escape(said)}</span> {name}<time>{time}</time>{note}</div></div>"
    )


def campus(bundle: Bundle, engine: str, texts: Texts) -> str:
    """What the bundle says of itself, as a list of facts."""
    manifest, training = bundle.manifest, bundle.manifest.training
    how = " · ".join(part for part in (training.recipe, training.backbone, training.weights) if part)
    facts = []
    if bundle.gallery is not None:
        width_m, height_m = np.ptp(bundle.gallery.local_m, axis=0)
        facts = [(texts["card_area"], texts.say("card_area_value", width=round(width_m), height=round(height_m)))]
    facts += [
        (texts["card_photos"], str(manifest.made_of)),
        (texts["card_zones"], str(len(manifest.zones))),
        (texts["card_trained"], training.trained_utc.strftime("%Y-%m-%d")),
        (texts["card_how"], how),
        (texts["card_engine"], engine),
    ]
    # The bundle speaks one language, whatever the page speaks.
    return f"<p dir='auto'>{escape(manifest.description)}</p>{_facts(facts)}" if manifest.description else _facts(facts)


def heldout(bundle: Bundle, texts: Texts) -> str:
    """The figures on held-out photos, for the split that no part of training or calibration saw."""
    metrics = bundle.manifest.metrics
    split = next((name for name in ("test", *metrics) if name in metrics), None)
    if split is None:
        return f"<p>{escape(texts['card_none'])}</p>"
    held = metrics[split]
    say = texts.say
    facts = [
        (texts["card_mean"], texts.distance(held.mean_m)),
        (texts["card_median"], texts.distance(held.median_m)),
        (texts["card_p95"], texts.distance(held.p95_m)),
        (texts["card_coverage"], say("share", percent=round(100 * held.coverage68))),
    ]
    by = texts["split_refresh"] if split == "refresh" else texts.split(bundle.manifest.training.split)
    title, how = say("card_heldout", count=held.n), say("card_split", split=by)
    return f"<h3>{escape(title)}</h3>{_facts(facts)}<p>{escape(how)}</p>"


def position(fix: Fix) -> str:
    """Latitude and longitude; Streamlit's own element for code brings 1.5 MB of highlighting."""
    return f"<p class='position'><code>{fix.lat:.6f}, {fix.lon:.6f}</code></p>"


def place_code(fix: Fix, texts: Texts) -> str:
    """A QR code of the place, which the page shows only where there is a mouse: a phone scans it off the desktop."""
    import segno

    code = segno.make(f"geo:{fix.lat:.6f},{fix.lon:.6f}", error="m", micro=False)
    # Light modules are drawn too, with the margin that scanners need: the page behind may be dark.
    url = code.svg_data_uri(scale=4, border=4, light="#fff")
    said = escape(texts["place_code"])
    return f"<figure class='place-code'><img src='{escape(url)}' alt='{said}'><figcaption>{said}</figcaption></figure>"


def columns(texts: Texts) -> str:
    """What stands in each column of the log's downloads, and in which unit."""
    rows = "".join(
        f"<dt><code>{', '.join(names)}</code></dt><dd>{escape(texts[key])}</dd>" for key, names in COLUMN_NOTES
    )
    return f"<dl class='facts columns'>{rows}</dl><p>{escape(texts['columns_formats'])}</p>"


def _facts(facts: Sequence[tuple[str, str]]) -> str:
    rows = "".join(f"<dt>{escape(term)}</dt><dd><bdi>{escape(value)}</bdi></dd>" for term, value in facts)
    return f"<dl class='facts'>{rows}</dl>"
