"""Manifests of bundles and packs that are damaged or absurd: refused, the field named."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
import pytest

from core.campus.bundle import Bundle
from core.campus.file_names import CAMPUS_JSON
from core.errors import BundleError, EngineError
from edge.manifest import Golden, Manifest
from tests.hostile.sealed import manifest_of, npz, refusal, sealed

NAN, INF = float("nan"), float("inf")


@pytest.mark.parametrize(
    ("path", "value", "named"),
    [
        ("frame.zone", 0, "frame"),
        ("frame.zone", 61, "frame"),
        ("frame.easting_m", NAN, CAMPUS_JSON),
        ("frame.northing_m", 1e12, "frame"),
        ("frame.easting_m", "east", "frame"),
        ("frame", None, "frame"),
        ("scale_m", -1, "scale_m"),
        ("scale_m", 0, "scale_m"),
        ("scale_m", 1e300, CAMPUS_JSON),
        ("scale_m", INF, CAMPUS_JSON),
        ("image_size", 1, "image_size"),
        ("image_size", 10**9, "image_size"),
        ("image_size", 64.5, "image_size"),
        ("grid.rows", 10**9, "grid"),
        ("grid.columns", 0, "grid"),
        ("grid.rows", -5, "grid"),
        ("grid.cell_m", 0, "grid"),
        ("grid.cell_m", -2, "grid"),
        ("grid.cell_m", NAN, CAMPUS_JSON),
        ("grid.cell_m", 1e9, "grid"),
        ("grid.west_m", INF, CAMPUS_JSON),
        ("grid.west_m", 1e9, "grid"),
        ("grid.rows", 10**400, CAMPUS_JSON),
        ("grid.rows", "ten", "grid"),
        ("zones.0.spread_m", -1, "zones"),
        ("zones.0.spread_m", NAN, CAMPUS_JSON),
        ("zones.0.centre_m", [1e9, 0], "zones"),
        ("zones.0.centre_m", [1, 2, 3], "zones"),
        ("zones.0.name", "x" * 10_000, "zones"),
        ("zones.0.outline_m", [[0, 0]] * 200_000, "zones"),
        ("zones.0.outline_m", [[NAN, 0]], CAMPUS_JSON),
        ("posterior.floor_weight", 0.5, "posterior"),
        ("posterior.zone_weight", -0.1, "posterior"),
        ("posterior.regression_weight", NAN, CAMPUS_JSON),
        ("posterior.regression_width_m", -6, "posterior"),
        ("posterior.retrieval_temperature", 0, "posterior"),
        ("posterior.neighbours", 0, "posterior"),
        ("posterior.neighbours", 10**9, "posterior"),
        ("posterior.zone_width", 1e300, CAMPUS_JSON),
        ("calibration.radius68_factors", [0], "radius68_factors"),
        ("calibration.radius95_factors", [INF], CAMPUS_JSON),
        ("calibration.ood_quantiles", [0.5] * 20_000, "ood_quantiles"),
        ("calibration.off_campus_share", 2, "off_campus_share"),
        ("calibration.ood_quantiles", [NAN], CAMPUS_JSON),
        ("metrics.test.mean_m", NAN, CAMPUS_JSON),
        ("metrics.test.n", "many", "metrics"),
        ("created_utc", "yesterday", "created"),
        ("name", 7, "name"),
        ("name", "x" * 100_000, "name"),
        ("name", "\ud800", "name"),
        ("cpu_model", "/bin/sh", "cpu_model"),
        ("unknown", 1, "unknown"),
        ("files", {"model.onnx": "short"}, "files"),
        ("files", {}, "model.onnx"),
        ("files", [], "files"),
        ("schema_version", 2, "schema version 2"),
        ("schema_version", "1", "schema version"),
        ("schema_version", None, "schema version"),
        ("schema_version", [1] * 10_000, "schema version"),
    ],
)
def test_a_card_of_absurd_values_names_the_field(bundle: Path, path: str, value: Any, named: str) -> None:
    manifest = manifest_of(bundle)
    at: Any = manifest
    *parents, last = path.split(".")
    for key in parents:
        at = at[int(key) if isinstance(at, list) else key]
    at[last] = value
    (bundle / CAMPUS_JSON).write_bytes(sealed(manifest))
    assert named in refusal(lambda: Bundle.load(bundle))


def test_a_grid_and_zones_that_are_too_many_together(bundle: Path) -> None:
    manifest = manifest_of(bundle)
    manifest["grid"] |= {"rows": 2000, "columns": 2000}
    manifest["zones"] = manifest["zones"] * 300
    (bundle / CAMPUS_JSON).write_bytes(sealed(manifest))
    assert "too many together" in refusal(lambda: Bundle.load(bundle))


@pytest.mark.parametrize(
    "text",
    [b"[" * 100_000, b'{"a":' * 100_000, b"\xff\xfe\0", b"null", b'"x"', b"NaN", b"1e999", b"9" * 10_000, b"{}" * 2],
)
def test_a_card_that_is_no_json_object(bundle: Path, text: bytes) -> None:
    (bundle / CAMPUS_JSON).write_bytes(text)
    refusal(lambda: Bundle.load(bundle))


def test_a_card_that_is_too_large_is_not_parsed(bundle: Path) -> None:
    with (bundle / CAMPUS_JSON).open("wb") as file:
        file.truncate(1 << 30)
    assert "larger than 16 MB" in refusal(lambda: Bundle.load(bundle))


def test_every_changed_byte_of_the_card_is_noticed(bundle: Path) -> None:
    good = (bundle / CAMPUS_JSON).read_bytes()
    for at in range(0, len(good), 37):
        bad = bytearray(good)
        bad[at] ^= 0x10
        (bundle / CAMPUS_JSON).write_bytes(bytes(bad))
        try:
            manifest = Bundle.load(bundle).manifest
        except BundleError:
            continue
        assert manifest == Bundle.load(_restored(bundle, good)).manifest  # white space is not data


def _restored(bundle: Path, manifest: bytes) -> Path:
    (bundle / CAMPUS_JSON).write_bytes(manifest)
    return bundle


def golden(**changed: Any) -> bytes:
    pictures = np.zeros((2, 32, 32, 3), np.uint8)
    arrays = {
        "images": pictures,
        "photo": pictures[0],
        "photo_image": pictures[0],
        "offset": np.zeros((2, 2), np.float32),
    }
    return npz(**{name: value for name, value in (arrays | changed).items() if value is not None})


@pytest.mark.parametrize(
    "changed",
    [
        {"images": None},
        {"images": np.zeros(5)},
        {"images": np.zeros((2, 8, 8, 3), np.uint8)},
        {"photo": np.zeros((0, 0, 3), np.uint8)},
        {"images": np.zeros((0, 32, 32, 3), np.uint8)},
        {"offset": np.full((2, 2), np.nan, np.float32)},
        {"offset": np.zeros((3, 2), np.float32)},
        {"offset": np.zeros((2, 2), np.uint8)},
        {"other": np.zeros(3)},
        {"photo_image": np.zeros((32, 32, 3), np.float32)},
        {"embedding": np.zeros(2, np.float32)},
    ],
)
def test_hostile_golden_answers(changed: dict[str, Any]) -> None:
    assert len(Golden.parse(golden(), "golden.npz").images) == 2
    refusal(lambda: Golden.parse(golden(**changed), "golden.npz"), EngineError)


@pytest.mark.parametrize(
    "text", [b"", b"[" * 100_000, b"[]", b"7", b'{"schema_version": 1}', b'{"schema_version": 9}', b"\xff"]
)
def test_a_hostile_manifest(text: bytes) -> None:
    refusal(lambda: Manifest.parse(text, "manifest.json"), EngineError)
