"""The app's own pieces of HTML: answer, legend, candidates, log, campus card. Pure; every text is escaped."""

from __future__ import annotations

from collections.abc import Sequence
from html import escape
from urllib.parse import quote

from app.map.deck import LegendItem, view_cone
from app.session_log import FieldTest
from app.sighting import Sighting
from app.texts import Texts
from core.campus.basemap import attribution
from core.campus.bundle import Bundle
from core.locate.confidence import Confidence, confidence, places_to_name
from core.locate.fix import Fix

# A sign beside the words, so that nothing is told by colour alone.
_SIGNS: dict[Confidence, str] = {"good": "✓", "wide": "◯", "split": "≠", "elsewhere": "⊘"}


def metres(value: float) -> str:
    """A distance as a person wants it: whole metres, and one decimal below 3 m."""
    return f"{value:.1f}" if value < 2.95 else f"{value:.0f}"


def answer(sighting: Sighting, texts: Texts, *, guess: bool = False) -> str:
    """The headline: where, within how many metres, how sure. `guess`: even where it is not this campus."""
    fix, kind = sighting.fix, confidence(sighting.fix)
    if kind == "elsewhere" and not guess:
        return _card(
            kind,
            sighting,
            f"<h2>{escape(texts.say('elsewhere', campus=fix.campus))}</h2><p>{escape(texts['elsewhere_help'])}</p>",
            texts,
        )
    place = texts.zone_name(fix.zone.name)
    heading = {
        "split": texts.say("split", count=len(fix.candidates)),
        "wide": texts.say("perhaps", zone=place, percent=round(100 * fix.zone.probability)),
    }.get(kind, place)
    word = texts["best_guess" if kind == "elsewhere" else f"sure_{kind}"]
    radius, radius95 = metres(fix.radius68_m), metres(fix.radius95_m)
    body = [
        f"<p class='badge'><span aria-hidden='true'>{_SIGNS[kind]}</span> {escape(word)}</p>",
        f"<h2>{escape(heading)}</h2>",
    ]
    if kind == "split":  # a circle over look-alikes is no headline: the places are
        body.append(f"<p>{escape(texts.say('both_shares', radius68=radius, radius95=radius95))}</p>")
    else:
        body += [
            f"<p class='radius'>{escape(texts.say('within', radius=radius))}</p>",
            f"<p>{escape(texts.say('shares', radius=radius95))}</p>",
        ]
    if heading_said := _looking(fix, texts):
        body.append(f"<p>{escape(heading_said)}</p>")
    if kind in ("wide", "split"):
        body.append(f"<p>{escape(texts[f'{kind}_help'])}</p>")
    if sighting.error_m is not None:
        body.append(f"<p class='truth'>{escape(_truth(sighting, texts))}</p>")
    return _card(kind, sighting, "".join(body), texts)


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
    error = sighting.error_m or 0.0
    key = "truth_in" if error <= sighting.fix.radius68_m else "truth_out"
    said = texts.say(key, distance=metres(error), source=texts[f"truth_{sighting.truth_source}"])
    known = sighting.truth.error_m if sighting.truth else None
    return f"{said} {texts.say('truth_error', error=metres(known))}" if known else said


def candidates(sighting: Sighting, bundle: Bundle, texts: Texts) -> str:
    """The places that fit, numbered as on the map, with zone and share; empty where there is but one."""
    found = places_to_name(sighting.fix)
    if not found:
        return ""
    zones = bundle.zones
    local_m = bundle.manifest.frame.to_local([place.lat for place in found], [place.lon for place in found])
    names = (
        [texts.zone_name(zones[zone].name) for zone in zones.assign(local_m)]
        if len(zones)
        else [bundle.manifest.name] * len(found)
    )
    title = texts["candidates" if confidence(sighting.fix) == "split" else "others"]
    rows = "".join(
        f"<li><span class='number' aria-hidden='true'>{number}</span><span>{escape(name)}</span>"
        f"<span class='share'>{escape(texts.say('share', percent=round(100 * place.mass)))}</span></li>"
        for number, (name, place) in enumerate(zip(names, found, strict=True), start=1)
    )
    return f"<section class='candidates'><h3>{escape(title)}</h3><ol>{rows}</ol></section>"


def legend_row(items: Sequence[LegendItem], texts: Texts) -> str:
    """What the map's signs mean, each drawn as it is there."""
    rows = "".join(f"<li><img src='{_sign(item)}' alt=''>{escape(texts[f'legend_{item.key}'])}</li>" for item in items)
    return f"<ul class='legend' aria-label='{escape(texts['legend'])}'>{rows}</ul>"


def map_credit(bundle: Bundle) -> str:
    """Whom to thank for the map, as its licence asks; "" where there is nobody."""
    thanks = attribution(bundle.campus_map)
    return f"<p class='credit' dir='auto'>{escape(thanks)}</p>" if thanks else ""


def _sign(item: LegendItem) -> str:
    """The item as it looks on the map, an SVG in a data URL (the page lets no inline SVG through)."""
    colour = "#{:02x}{:02x}{:02x}".format(*item.colour)
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
    """The likeliest zones and their probabilities; cells of the same name are one zone to whoever reads it."""
    odds: dict[str, float] = {}
    for zone in fix.zones:
        odds[zone.name] = odds.get(zone.name, 0.0) + zone.probability
    likeliest = sorted(odds.items(), key=lambda item: -item[1])[:most]
    return _facts([(f"{probability:.0%}", texts.zone_name(name)) for name, probability in likeliest])


def field_test(figures: FieldTest, texts: Texts) -> str:
    """The figures of a field test."""
    facts = [
        (texts["summary_mean"], texts.say("metres", value=metres(figures.mean_m))),
        (texts["summary_median"], texts.say("metres", value=metres(figures.median_m))),
        (texts["summary_inside"], f"{figures.inside68:.0%}"),
    ]
    title, note = texts.say("summary", count=figures.count), texts["summary_note"]
    body = f"<h3>{escape(title)}</h3>{_facts(facts)}<p>{escape(note)}</p>"
    return f"<section class='answer good'><div>{body}</div></section>"


def log(entries: Sequence[Sighting], texts: Texts) -> str:
    """The located photos, newest first."""
    rows = []
    for entry in reversed(entries):
        said = texts.say("within", radius=metres(entry.fix.radius68_m))
        if entry.error_m is not None:
            said += f" · {texts['log_error']}: {texts.say('metres', value=metres(entry.error_m))}"
        rows.append(
            f"<li><img src='{escape(entry.thumbnail)}' alt=''>"
            f"<div><b>{escape(texts.zone_name(entry.fix.zone.name))}</b>"
            f"<span>{escape(said)} · {escape(texts[f'short_{confidence(entry.fix)}'])}</span> "
            f"<time>{entry.time_utc:%H:%M:%S} UTC</time></div></li>"
        )
    return f"<ul class='log'>{''.join(rows)}</ul>"


def campus(bundle: Bundle, engine: str, texts: Texts) -> str:
    """What the bundle says of itself, as a list of facts."""
    manifest = bundle.manifest
    width_m, height_m = manifest.grid.columns * manifest.grid.cell_m, manifest.grid.rows * manifest.grid.cell_m
    training = manifest.training
    how = " · ".join(part for part in (training.recipe, training.backbone, training.weights) if part)
    facts = [
        (texts["card_area"], texts.say("card_area_value", width=round(width_m), height=round(height_m))),
        (texts["card_photos"], str(training.photos.get("train", 0))),
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
        (texts["card_mean"], say("metres", value=metres(held.mean_m))),
        (texts["card_median"], say("metres", value=metres(held.median_m))),
        (texts["card_p95"], say("metres", value=metres(held.p95_m))),
        (texts["card_coverage"], f"{held.coverage68:.0%}"),
    ]
    title, how = say("card_heldout", count=held.n), say("card_split", split=bundle.manifest.training.split)
    return f"<h3>{escape(title)}</h3>{_facts(facts)}<p>{escape(how)}</p>"


def _facts(facts: Sequence[tuple[str, str]]) -> str:
    rows = "".join(f"<dt>{escape(term)}</dt><dd><bdi>{escape(value)}</bdi></dd>" for term, value in facts)
    return f"<dl class='facts'>{rows}</dl>"
