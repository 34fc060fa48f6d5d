"""The evaluation's breakdown and its report, of a small real bundle and a dataset whose training photos it holds."""

from __future__ import annotations

import csv
import io
import json
import re
import sys
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from PIL import Image

import train.__main__
from core.campus.bundle import Bundle, save_bundle
from core.campus.manifest import Metrics
from core.cli.run import run_cli
from core.locate.localizer import Localizer
from tests.bundles import Kind, make_bundle, photo
from train.dataset.dataset import Dataset
from train.dataset.split import SplitConfig, Splits
from train.evaluate.breakdown import break_down, gallery_rows, heading_errors
from train.evaluate.coverage import LEVELS
from train.evaluate.evaluation import Evaluation, evaluate
from train.evaluate.fused import Fused, Judged, lines
from train.evaluate.plots import LIGHT, Scope, png
from train.evaluate.report import draw_all

NAME = "Law & <b>$Order$</b>"  # a campus named to upset HTML and a plot's formulas


@dataclass(frozen=True)
class Made:
    bundle: Path
    dataset: Path
    strangers: Path
    report: Path
    json: dict[str, Any]
    printed: str


def cli(patch: pytest.MonkeyPatch, *words: object) -> int:
    patch.setattr(sys, "argv", ["train", *map(str, words)])
    return run_cli(train.__main__.main)


@pytest.fixture(scope="module")
def made(tmp_path_factory: pytest.TempPathFactory) -> Made:
    """A bundle, the dataset it was trained on (a third of the test photos by night), and their report."""
    folder = tmp_path_factory.mktemp("report")
    bundle = Bundle.load(make_bundle(folder / "bundle", name=NAME))
    gallery = bundle.gallery
    assert gallery is not None
    rng = np.random.default_rng(0)
    test_m, strange = rng.uniform(-85, 85, (36, 2)), folder / "strangers" / "a town"
    where = {"train": gallery.local_m.astype(np.float64), "calibration": rng.uniform(-80, 80, (3, 2)), "test": test_m}
    (folder / "dataset" / "images").mkdir(parents=True)
    names: dict[str, tuple[str, ...]] = {}
    with (folder / "dataset" / "gt.csv").open("w", newline="") as stream:
        writer = csv.writer(stream)
        writer.writerow(["image_name", "lat", "lon", "is_night", "device", "heading_deg"])
        for split, places in where.items():
            names[split] = tuple(f"{split}-{index}.jpg" for index in range(len(places)))
            for index, (east, north) in enumerate(places):
                kind: Kind = "elsewhere" if (split, index) == ("test", 5) else "good"
                off = rng.normal(0, 4, 2)  # the network reads the colour, so the colour is what errs
                data = photo(kind, east_m=east + off[0], north_m=north + off[1], size=(64, 64))
                (folder / "dataset" / "images" / names[split][index]).write_bytes(data)
                device = "Kite <img src=https://example.org/x.png>" if index % 2 else "Heron"
                night = int(index % 3 == 0)
                writer.writerow(
                    [names[split][index], *bundle.manifest.frame.to_latlon((east, north)), night, device, 10]
                )
    splits = Splits(SplitConfig("device"), names)
    splits.save(folder / "dataset")
    photos = {"train": 100, "calibration": 3, "test": 36}
    trained = bundle.manifest.training.model_copy(update={"split_sha256": splits.sha256, "photos": photos})
    files = {name: bundle.read(name) for name in bundle.manifest.files}
    save_bundle(folder / "bundle", bundle.manifest.model_copy(update={"training": trained}), files, force=True)
    strange.mkdir(parents=True)
    for index in range(4):
        sort: Kind = "good" if index == 0 else "elsewhere"
        (strange / f"{index}.jpg").write_bytes(photo(sort, east_m=10.0 * index, size=(64, 64)))

    printed: list[str] = []
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr("builtins.print", lambda *words: printed.append(" ".join(map(str, words))))
        words = ("--json", folder / "out.json", "--report", folder / "report", "--strangers", folder / "strangers")
        assert cli(patch, "evaluate", folder / "bundle", folder / "dataset", *words) == 0
    told = json.loads((folder / "out.json").read_text())
    return Made(
        folder / "bundle", folder / "dataset", folder / "strangers", folder / "report", told, "\n".join(printed)
    )


@pytest.fixture(scope="module")
def evaluation(made: Made) -> Evaluation:
    return evaluate(Localizer.load(made.bundle), Dataset.load(made.dataset))


def test_the_json_keeps_the_promised_keys_and_adds_the_breakdown(made: Made, evaluation: Evaluation) -> None:
    told = made.json
    assert Metrics(**{key: told[key] for key in Metrics.model_fields}) == evaluation.metrics
    assert (told["split"], told["rendered"], told["divided"]) == ("test", True, "by device, seed 0")
    assert told["overall"]["coverage68"]["share"] == told["coverage68"]
    by_light = {group["name"]: group["coverage68"]["n"] for group in told["groups"] if group["by"] == "light"}
    assert by_light == {"day": 24, "night": 12}
    assert (told["on_campus"]["hits"], told["on_campus"]["n"]) == (35, 36)
    assert (told["ood_refused"]["hits"], told["ood_refused"]["n"]) == (3, 4)
    assert told["heading"] is None
    assert told["clear"]["n"] == told["misleading"]["n"] == 36
    assert told["misleading"]["hits"] <= told["clear"]["hits"]
    assert told["risk_m"]["error"] < told["risk_m"]["radius"]
    assert told["risk_m"]["error"] < told["risk_m"]["similarity"]
    assert any("heading" in reason for reason in told["not_told"])
    assert "photos of other places: 75% of 4 photos" in made.printed


def test_errors_say_that_refused_photos_count_and_stand_beside_those_of_accepted_ones(
    made: Made, evaluation: Evaluation
) -> None:
    accepted_m = evaluation.error_m[[not fix.refused for fix in evaluation.fixes]]
    assert len(accepted_m) == 35
    assert made.json["accepted"] == {
        "n": 35, "mean_m": pytest.approx(accepted_m.mean()), "median_m": pytest.approx(np.median(accepted_m)),
    }  # fmt: skip
    assert made.json["n"] == 36
    said = "all photos, refused ones included"
    assert made.json["errors_of"] == said
    figures = f"mean {accepted_m.mean():.1f} m, median {np.median(accepted_m):.1f} m, n = 35"
    assert re.search(rf"error    mean .* \({said}\)\n  accepted {figures}", made.printed)
    page = (made.report / "report.html").read_text(encoding="utf-8")
    assert "median error of accepted photos" in page
    assert page.count(said) >= 3
    refused = next(fix for fix in evaluation.fixes if fix.refused)
    both = Judged((evaluation.fixes[0], refused), np.array([0, 1]), np.array([0, 1]), np.array([2.0, 80.0]))
    assert any("accepted mean 2.0 m, median 2.0 m, n = 1" in line for line in lines(Fused(walk=both)))
    assert said in lines(Fused(walk=both))[-1]


def test_intervals_say_what_they_take_for_a_draw(made: Made) -> None:
    """A burst's photos share their error, and no interval here knows of bursts."""
    assert "intervals as if photos were drawn alone" in made.printed
    assert "as if photos were drawn alone" in (made.report / "report.html").read_text(encoding="utf-8")


def test_the_curve_s_radii_are_the_fix_s_own_at_the_fix_s_levels(made: Made, evaluation: Evaluation) -> None:
    at95 = evaluation.level_radius_m[:, LEVELS.index(0.95)]
    assert at95 == pytest.approx(evaluation.radius95_m)
    below, above = (evaluation.level_radius_m[:, LEVELS.index(level)] for level in (0.65, 0.7))
    assert (below <= evaluation.radius68_m + 1e-9).all()
    assert (evaluation.radius68_m <= above + 1e-9).all()
    assert (np.diff(evaluation.level_radius_m, axis=1) >= 0).all()
    assert made.json["calibration"]["covered"][-1]["share"] == made.json["coverage95"]


def test_gallery_rows_are_the_training_photos_or_unknown(made: Made) -> None:
    dataset, bundle = Dataset.load(made.dataset), Bundle.load(made.bundle)
    splits = Splits.load(made.dataset)
    assert splits is not None
    rows = gallery_rows(dataset, splits, bundle)
    assert rows is not None
    assert [dataset.names[row] for row in rows] == list(splits.of("train"))
    swapped = replace(splits, names={**splits.names, "train": splits.names["train"][::-1]})
    assert gallery_rows(dataset, swapped, bundle) is None
    assert gallery_rows(dataset, None, bundle) is None
    moved = dataset.table.assign(lat=dataset.table["lat"] + 1e-3)
    assert gallery_rows(replace(dataset, table=moved), splits, bundle) is None


def with_headings(evaluation: Evaluation, heading: list[float | None], spread: list[float | None]) -> Evaluation:
    fixes = (
        replace(fix, heading_deg=h, heading_spread_deg=s)
        for fix, h, s in zip(evaluation.fixes, heading, spread, strict=True)
    )
    return replace(evaluation, fixes=tuple(fixes))


def test_heading_errors_go_the_short_way_round(evaluation: Evaluation) -> None:
    n = len(evaluation.fixes)
    given = with_headings(
        evaluation, [350.0, 10.0, 90.0, None] + [None] * (n - 4), [25.0, 5.0, None, 9.0] + [None] * (n - 4)
    )
    true = np.array([10.0, 350.0, 270.0, 0.0] + [np.nan] * (n - 4))
    found = heading_errors(given, true)
    assert found is not None
    assert (found.n, found.median_deg) == (3, 20.0)
    assert found.within_spread is not None
    assert (found.within_spread.hits, found.within_spread.n) == (1, 2)
    assert heading_errors(evaluation, true) is None
    assert heading_errors(given, np.full(n, np.nan)) is None


def test_headings_are_drawn_where_both_are_known(made: Made, evaluation: Evaluation) -> None:
    """The photos' cameras all looked 10 degrees east of north."""
    given = with_headings(evaluation, [40.0] * 36, [45.0] * 36)
    localizer, dataset = Localizer.load(made.bundle), Dataset.load(made.dataset)
    breakdown = break_down(given, dataset, localizer.bundle)
    assert breakdown.heading is not None
    assert (breakdown.heading.median_deg, breakdown.heading.n) == (30.0, 36)
    drawings = draw_all(given, breakdown, dataset, localizer, Scope("Law", True, "split test"))
    drawing = next(drawing for drawing in drawings if drawing.name == "heading-error")
    with Image.open(io.BytesIO(png(drawing.draw, LIGHT))) as image:
        assert image.format == "PNG"


def test_on_a_phone_a_shade_stands_where_a_table_goes_on(made: Made, browser: Any) -> None:
    page = browser.new_page(viewport={"width": 390, "height": 844}, color_scheme="light")
    page.goto((made.report / "report.html").as_uri())
    table = page.locator(".scroll", has_text="in 68 % radius")
    assert table.evaluate("table => table.scrollWidth - table.clientWidth") > 50
    assert page.evaluate("document.documentElement.scrollWidth") == 390

    def shaded() -> tuple[bool, bool]:
        """Whether no pixel beside the left and the right edge is plain paper."""
        pixels = np.asarray(Image.open(io.BytesIO(table.screenshot())).convert("L"))
        left, right = pixels[:, 2], pixels[:, -3]
        return not (left == 255).any(), not (right == 255).any()

    assert shaded() == (False, True)
    table.evaluate("table => table.scrollTo(60, 0)")
    assert shaded() == (True, True)
    table.evaluate("table => table.scrollTo(9999, 0)")
    assert shaded() == (True, False)
    page.close()


def test_the_report_holds_everything_and_asks_for_nothing(made: Made) -> None:
    page = (made.report / "report.html").read_text()
    assert "made of 103 photos and trained" in page
    figures = {path.stem for path in made.report.iterdir()} - {"report"}
    assert figures == {
        "error-map", "cumulative-error", "zone-error", "day-night", "calibration-curve", "coverage-by-radius",
        "coverage-by-group", "photo-needs", "stanford-diagram", "risk-coverage",
    }  # fmt: skip
    for name in figures:
        with Image.open(made.report / f"{name}.png") as image:
            assert image.width == 960
    sources = re.findall(r"""(?:src|srcset|href)\s*=\s*["']([^"']*)""", re.sub(r"&lt;.*?&gt;", "", page))
    assert sources
    assert all(source.startswith("data:") for source in sources)
    assert not re.search(r"<script|<link(?! rel=\"icon\")|@import|url\(|<iframe|<object", page)
    assert page.count("Kite &lt;img src=https") >= 1  # a device's name is text, whatever is in it
    assert "<b>$Order$</b>" not in page
    # Every figure and every table says what it was drawn from.
    scope = "rendered photos, split test (by device, seed 0), n\u00a0=\u00a036"
    captions = re.findall(r"<figcaption>(.*?)</figcaption>", page, re.DOTALL)
    assert len(captions) == len(figures)
    assert all(scope in caption for caption in captions)
    assert page.count(scope) == len(figures) + len(re.findall("<table>", page)) + 2  # the tiles' and the photos' too


def test_the_nearest_gallery_photos_are_shown_beside_the_worst_and_best(made: Made) -> None:
    page = (made.report / "report.html").read_text()
    assert len(re.findall(r'alt="the photo test-', page)) == 12
    assert len(re.findall(r'alt="training photo train-', page)) == 36


@pytest.mark.parametrize(("width", "scheme"), [(390, "dark"), (1280, "light")])
def test_it_shows_in_a_real_browser(made: Made, browser: Any, width: int, scheme: str) -> None:
    context = browser.new_context(viewport={"width": width, "height": 844}, color_scheme=scheme)
    page, said, asked = context.new_page(), [], []
    page.on("console", lambda message: said.append(message.text))
    page.on("pageerror", lambda error: said.append(str(error)))
    page.on("request", lambda request: asked.append(request.url))
    page.set_default_timeout(180_000)  # a busy machine is no fault of the page
    page.goto((made.report / "report.html").as_uri())
    broken = page.evaluate(
        """async () => {
            const images = [...document.images];
            images.forEach(image => { image.loading = "eager"; });
            const done = await Promise.allSettled(images.map(image => image.decode()));
            return done.filter(one => one.status !== "fulfilled").length;
        }"""
    )
    shown = page.evaluate("document.querySelector('figure img').currentSrc")
    dark = page.evaluate("document.querySelector('figure source').srcset")
    assert (shown == dark) == (scheme == "dark")
    assert page.evaluate("document.documentElement.scrollWidth") <= width  # nothing but tables scrolls sideways
    assert [url for url in asked if not url.startswith(("data:", "file:"))] == []
    assert said == []
    assert broken == 0
    context.close()


def test_a_dataset_without_the_training_photos_says_what_it_cannot_show_and_replaces_an_earlier_report(
    made: Made, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    (tmp_path / "images").mkdir()
    frame = Bundle.load(made.bundle).manifest.frame
    with (tmp_path / "gt.csv").open("w", newline="") as stream:
        writer = csv.writer(stream)
        writer.writerow(["image_name", "lat", "lon"])
        for index in range(3):
            (tmp_path / "images" / f"{index}.jpg").write_bytes(photo(east_m=20.0 * index, size=(64, 64)))
            writer.writerow([f"{index}.jpg", *frame.to_latlon((20.0 * index, 0.0))])
    (tmp_path / "report").mkdir()
    for earlier in ("report.html", "day-night.png"):
        (tmp_path / "report" / earlier).write_bytes(b"")
    assert cli(monkeypatch, "evaluate", made.bundle, tmp_path, "--report", tmp_path / "report") == 0
    page = (tmp_path / "report" / "report.html").read_text()
    assert "never split: the bundle does not tell which photos it was made of" in page
    assert "does not hold the photos of the bundle" in page
    assert "training photo train-" not in page
    assert not (tmp_path / "report" / "day-night.png").exists()  # an earlier report is replaced whole


def test_bad_input_is_one_line_and_loses_nothing(
    made: Made, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    taken, empty = tmp_path / "taken", tmp_path / "empty"
    taken.mkdir()
    empty.mkdir()
    (taken / "thesis.txt").write_text("years of work")
    file = tmp_path / "file"
    file.write_text("")
    for words, said in (
        (("--report", taken), "no report"),
        (("--report", file), "no report"),
        (("--ood", empty, "--report", tmp_path / "new"), "holds no photos"),
        (("--strangers", tmp_path / "nowhere"), "holds no photos"),
    ):
        assert cli(monkeypatch, "evaluate", made.bundle, made.dataset, *words) == 2
        error = capsys.readouterr().err
        assert said in error
        assert len(error.splitlines()) == 1
    assert sorted(path.name for path in tmp_path.iterdir()) == ["empty", "file", "taken"]
    assert (taken / "thesis.txt").read_text() == "years of work"
