from __future__ import annotations

import sys
from pathlib import Path

import pytest

from core.campus.bundle import Bundle
from core.cli.run import run_cli
from tests.bundles import make_bundle
from train.__main__ import main


def run(monkeypatch: pytest.MonkeyPatch, *words: object) -> int:
    monkeypatch.setattr(sys, "argv", ["train", "zones", *map(str, words)])
    return run_cli(main)


def test_zones_are_listed_with_their_photos(
    bundle: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    assert run(monkeypatch, bundle) == 0
    lines = capsys.readouterr().out.splitlines()
    campus = Bundle.load(bundle)
    assert len(lines) == len(campus.zones)
    assert campus.gallery is not None
    assert sum(int(line.split()[3]) for line in lines) == len(campus.gallery.local_m)
    assert all(line.endswith(zone.name) for line, zone in zip(lines, campus.manifest.zones, strict=True))


def test_a_zone_is_named_by_hand_and_nothing_else_changes(bundle: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    before = Bundle.load(bundle)
    assert run(monkeypatch, bundle, "--name", "2=  תחנת  אוטובוס ", "--name", "3=A = B") == 0
    after = Bundle.load(bundle)
    assert [zone.name for zone in after.manifest.zones[1:3]] == ["תחנת אוטובוס", "A = B"]
    assert after.manifest.zones[0] == before.manifest.zones[0]
    assert after.manifest.zones[1].outline_m == before.manifest.zones[1].outline_m
    assert after.manifest.files == before.manifest.files


@pytest.mark.parametrize("name", ["0=Gate", "9999=Gate", "1=", "1=\a", f"1={'x' * 100}"])
def test_what_is_no_zone_or_no_name_is_refused_and_the_bundle_stays(
    name: str, bundle: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    before = (bundle / "campus.json").read_bytes()
    assert run(monkeypatch, bundle, "--name", name) == 2
    assert len(capsys.readouterr().err.splitlines()) == 1
    assert (bundle / "campus.json").read_bytes() == before


def test_an_archive_is_named_into_another_and_never_over_one_by_accident(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    first = make_bundle(tmp_path / "a.campus")
    out = tmp_path / "b.campus"
    assert run(monkeypatch, first, "--name", "1=Gate", "--out", out) == 0
    assert Bundle.load(out).manifest.zones[0].name == "Gate"
    assert Bundle.load(first).manifest.zones[0].name != "Gate"
    assert run(monkeypatch, first, "--name", "1=Door", "--out", out) == 2
    assert run(monkeypatch, first, "--name", "1=Door", "--out", out, "--force") == 0
