"""The cards that tell an answer."""

from __future__ import annotations

import csv
import io
import re
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest

from app import cards, session_log
from app.language import Lang
from app.map.deck import Place
from app.sighting import Sighting
from app.texts import Texts
from core.campus.bundle import Bundle, save_bundle
from core.campus.manifest import Refresh
from core.locate.fix import Candidate, ZoneOdds
from core.locate.localizer import DEMO_BUNDLE, Localizer
from tests.app.harness import HOSTILE, locate, sighting
from tests.bundles import make_bundle, photo
from train.bundle.parts import npz
from train.dataset.zone_names import remapped


def shown_answer(seen: Sighting, bundle: Path, lang: Lang = "en") -> str:
    return cards.headline(seen, Bundle.load(bundle), Texts(lang))


@pytest.mark.parametrize(
    ("radius68_m", "radius95_m", "said", "tick"),
    [
        (7.0, 14.0, "Probably within 7 m", True),
        (8.3, 184.8, "Probably within 8 m", False),  # a sample of the demo, 219 m wrong
        (60.0, 120.0, "Probably within 60 m", False),
    ],
)
def test_a_tick_needs_both_radii_small(
    bundle: Path, radius68_m: float, radius95_m: float, said: str, tick: bool
) -> None:
    plain = sighting()
    answer = shown_answer(replace(plain, fix=replace(plain.fix, radius68_m=radius68_m, radius95_m=radius95_m)), bundle)
    assert said in answer
    assert ("✓" in answer) is tick
    assert ("A clear answer" in answer) is tick


def test_without_training_photos_around_the_photographer_is_not_blamed(bundle: Path) -> None:
    wide = replace(sighting().fix, radius68_m=60.0, radius95_m=120.0)
    inside = replace(sighting(), fix=wide)
    outside = replace(sighting(), fix=replace(wide, lat=47.002))
    assert "Step back" in shown_answer(inside, bundle)
    assert "no fault of yours" in shown_answer(outside, bundle)


def test_a_truth_of_another_place_is_said_to_be_one(bundle: Path) -> None:
    localizer = Localizer.load(bundle)
    near, far = (locate(localizer, photo(at=at)) for at in ((47.0003, 8.4), (47.6, 8.4)))
    assert near.truth_on_campus
    assert not far.truth_on_campus
    assert "67 km away, outside this campus" in shown_answer(far, bundle)
    assert session_log.field_test([far]) is None
    figures = session_log.field_test([near, far])
    assert figures is not None
    assert (figures.gps.count, figures.left_out) == (1, 1)


def test_an_error_of_gps_that_means_nothing_is_not_said(bundle: Path) -> None:
    assert "±" not in shown_answer(sighting(truth=Place(47.0001, 8.4, 0.1)), bundle)
    assert "(GPS ± 5 m)" in shown_answer(sighting(truth=Place(47.0001, 8.4, 5.0)), bundle)


@pytest.mark.parametrize("lang", ["en", "he"])
def test_figures_of_a_refresh_do_not_claim_the_first_split(pristine: Path, tmp_path: Path, lang: Lang) -> None:
    """They are of photos that joined later, which no split held out."""
    bundle = Bundle.load(pristine)
    figures = {"refresh": next(iter(Bundle.load(DEMO_BUNDLE).manifest.metrics.values()))}
    manifest = bundle.manifest.model_copy(update={"metrics": figures})
    files = {name: bundle.read(name) for name in bundle.manifest.files}
    texts = Texts(lang)
    said = cards.heldout(save_bundle(tmp_path / "grown", manifest, files), texts)
    assert texts["split_refresh"] in said
    assert texts.split(manifest.training.split) not in said


@pytest.mark.parametrize("lang", ["en", "he"])
def test_several_photos_tell_their_states_by_sign_and_by_word(lang: Lang) -> None:
    texts = Texts(lang)
    states: list[cards.State] = ["read", "unusable", "reading", "waiting"]
    said = cards.reading(states, ["data:image/jpeg;base64,AA", "", "", ""], texts)
    assert texts.say("reading_number", number=3, count=4) in said
    for number, (state, sign) in enumerate(zip(states, ("✓", "✗", "…", ""), strict=True), start=1):
        item = said.split("<li ")[number]
        assert f"aria-label='{number}: {texts[f'state_{state}']}'" in item
        assert f">{sign}</i>" in item
        assert ("<img" in item) is (state == "read")


@pytest.mark.parametrize(
    ("heading", "spread", "english", "hebrew"),
    [
        (44.6, 19.6, "Looking north-east (45°\u00a0±\u00a020°)", "המבט לצפון־מזרח (\u206645°\u00a0±\u00a020°\u2069)"),
        (359.7, None, "Looking north (0°)", "המבט לצפון (0°)"),
        (180.0, 5.0, "Looking south (180°\u00a0±\u00a05°)", "המבט לדרום (\u2066180°\u00a0±\u00a05°\u2069)"),
        (None, None, None, None),
        (90.0, 120.0, None, None),  # towards half the horizon is no direction
    ],
)
def test_the_answer_says_where_the_camera_looked(
    bundle: Path, heading: float | None, spread: float | None, english: str | None, hebrew: str | None
) -> None:
    plain = sighting()
    seen = replace(plain, fix=replace(plain.fix, heading_deg=heading, heading_spread_deg=spread))
    spoken: dict[Lang, str | None] = {"en": english, "he": hebrew}
    for lang, said in spoken.items():
        answer = shown_answer(seen, bundle, lang)
        assert f"<p>{said}</p>" in answer if said else not re.search("Looking|המבט", answer)


def test_between_look_alike_places_no_direction_is_said(bundle: Path) -> None:
    plain = sighting()
    twins = (Candidate(47.0, 8.4, 0.5), Candidate(47.001, 8.4, 0.4))
    seen = replace(plain, fix=replace(plain.fix, candidates=twins, heading_deg=10.0, heading_spread_deg=10.0))
    assert "Looking" not in shown_answer(seen, bundle)


def test_cells_of_one_name_are_one_zone_everywhere(bundle: Path) -> None:
    zones = tuple(ZoneOdds(n, name, odds) for n, (name, odds) in enumerate([("A", 0.3), ("B", 0.25), ("A", 0.2)]))
    fix = replace(sighting().fix, zones=zones)
    table = cards.zone_table(fix, Texts("en"))
    assert re.findall(r"(\d+)\u00a0%.*?<bdi>(\w)</bdi>", table) == [("50", "A"), ("25", "B")]
    row = next(csv.DictReader(io.StringIO(session_log.to_csv([replace(sighting(), fix=fix)]))))
    assert (row["zone"], row["zone_probability"]) == ("A", "0.5")
    wide = replace(sighting(), fix=replace(fix, radius68_m=60.0))
    assert "Perhaps A (50\u00a0%)" in shown_answer(wide, bundle)


def test_names_from_a_bundle_cannot_become_markup(bundle: Path) -> None:
    hostile = replace(sighting(zone=HOSTILE).fix, campus=HOSTILE)
    shown = replace(sighting(), fix=hostile, name=HOSTILE)
    elsewhere = replace(sighting(), fix=replace(hostile, on_campus=False, radius68_m=None, radius95_m=None))
    english = Texts("en")
    for said in (
        shown_answer(shown, bundle),
        shown_answer(elsewhere, bundle),
        cards.logged(shown, english),
        cards.zone_table(hostile, english),
        cards.page_title(HOSTILE, HOSTILE),
    ):
        assert "<script" not in said
        assert "&lt;script" in said


@pytest.mark.parametrize(
    ("heading", "spread", "photos", "advice"),
    [
        (45.0, 20.0, 1, "behind you, to the south-west"),
        (45.0, 120.0, 1, "Turn towards something that only one of them has"),
        (None, None, 1, "Turn towards something that only one of them has"),
        (45.0, 20.0, 2, "Turn towards something that only one of them has"),
    ],
)
def test_look_alikes_are_told_apart_by_what_lies_behind_where_that_is_known(
    bundle: Path, heading: float | None, spread: float | None, photos: int, advice: str
) -> None:
    alike = (Candidate(47.0, 8.4, 0.5), Candidate(47.001, 8.4, 0.45))
    fix = replace(sighting().fix, candidates=alike, heading_deg=heading, heading_spread_deg=spread, photos=photos)
    assert advice in cards.headline(replace(sighting(), fix=fix), Bundle.load(bundle), Texts("en"))


@pytest.mark.parametrize(
    ("before_m", "after_m", "said"),
    [
        ((24.0, 60.0), (9.0, 18.0), "3 photos: 24 m → 9 m"),
        ((9.0, 100.0), (10.0, 20.0), "3 photos: almost surely 100 m → 20 m"),
        ((9.0, 20.0), (12.0, 30.0), "3 photos: 9 m → 12 m"),
    ],
)
def test_more_photos_tell_the_radius_that_shrank(
    before_m: tuple[float, float], after_m: tuple[float, float], said: str
) -> None:
    fix = replace(sighting().fix, radius68_m=after_m[0], radius95_m=after_m[1], photos=3)
    assert said in cards.together(replace(sighting(), fix=fix), before_m, Texts("en"))


def test_a_campus_that_cannot_tell_other_places_says_so_and_claims_a_place(bundle: Path) -> None:
    known = sighting()
    untold = replace(known, fix=replace(known.fix, on_campus=None))
    assert "too few photos to tell other places" in shown_answer(untold, bundle)
    assert "too few photos to tell other places" not in shown_answer(known, bundle)
    told, unknown = csv.DictReader(io.StringIO(session_log.to_csv([known, untold])))
    assert (told["on_campus"], unknown["on_campus"]) == ("True", "")
    assert unknown["lat"] == told["lat"]


@pytest.mark.parametrize("lang", ["en", "he"])
@pytest.mark.parametrize("radius68_m", [8.0, 60.0])
def test_where_other_places_cannot_be_told_the_first_line_says_what_the_claim_rests_on(
    bundle: Path, lang: Lang, radius68_m: float
) -> None:
    known = replace(sighting().fix, radius68_m=radius68_m, radius95_m=3 * radius68_m)
    answers = (
        shown_answer(replace(sighting(), fix=fix), bundle, lang) for fix in (known, replace(known, on_campus=None))
    )
    first = [re.sub("<[^>]+>", "", answer.split("</p>")[0]) for answer in answers]
    assert [Texts(lang)["sure_untold"] in line for line in first] == [False, True]


def test_the_campus_card_counts_all_photos_it_is_made_of_and_measures_where_they_stand(
    bundle: Path, tmp_path: Path
) -> None:
    manifest = Bundle.load(bundle).manifest
    photos = {"train": 21, "calibration": 6, "test": 7}
    later = Refresh(
        refreshed_utc=manifest.created_utc, photos=5, walks=1, photos_sha256="0" * 64, bundle_digest="0" * 64
    )
    training = manifest.training.model_copy(update={"photos": photos})
    files = {name: Bundle.load(bundle).read(name) for name in manifest.files}
    local_m = np.array([[-60.0, -40.0], [60.2, 0.0], [0.0, 40.0]], np.float32)
    files["gallery.npz"] = npz(embedding=np.eye(3, dtype=np.float16), local_m=local_m)
    grown = manifest.model_copy(update={"training": training, "refreshes": (later,)})
    told = re.sub("<[^>]+>", " ", cards.campus(save_bundle(tmp_path / "grown", grown, files), "engine", Texts("en")))
    assert "Photos it is made of   32 " in told
    assert "Area of its photos   120 × 80 m " in told


def test_the_app_thanks_openstreetmap_for_its_map_and_nobody_without_one(tmp_path: Path) -> None:
    bundle = Bundle.load(make_bundle(tmp_path / "bare", with_map=False))
    assert cards.map_credit(bundle) == ""
    thanks = {"type": "FeatureCollection", "features": [], "attribution": "© OpenStreetMap <b>contributors</b>, ODbL"}
    changed = remapped(bundle, thanks, tmp_path / "thanked")
    assert "© OpenStreetMap bcontributors/b, ODbL" in cards.map_credit(changed)
