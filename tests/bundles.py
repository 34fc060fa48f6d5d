"""A small but real campus bundle for tests: an ONNX network that reads a mean colour, zones, gallery, map.

The network's answer is known from the colour, so a test can drive every state on purpose (see `photo`):
red is how far east, green how far north, and blue the kind of answer.
"""

from __future__ import annotations

import io
import json
from collections.abc import Mapping
from datetime import datetime, timezone
from pathlib import Path
from typing import Any, Literal

import numpy as np
from numpy.typing import NDArray

from core.campus.bundle import Bundle, save_bundle
from core.campus.frame import LocalFrame, distance_m
from core.campus.grid import Grid
from core.campus.manifest import Calibration, CampusManifest, Metrics, Training
from core.campus.parameters import PosteriorParams
from core.campus.zones import Zone, nearest
from core.locate.fix import Fix

Kind = Literal["good", "wide", "split", "elsewhere"]

IMAGE_SIZE = 64
SCALE_M = 100.0
CENTRE = (47.0, 8.4)  # its latitude and longitude, unless another is asked for
HALF_M = 100.0  # the campus reaches this far from its centre on each side
TWINS_M = ((-60.0, -50.0), (55.0, 60.0))  # two places that look alike
_BLUE: dict[Kind, float] = {"good": 0.10, "wide": 0.35, "split": 0.60, "elsewhere": 0.95}
_DATE = datetime(2026, 3, 1, 9, 0, tzinfo=timezone.utc)
_BUILDINGS = (
    # name, west, south, east, north, height
    ("Library", -75.0, 30.0, -30.0, 62.0, 18.0),
    ("Physics", 20.0, 28.0, 70.0, 50.0, 14.0),
    ("Cafeteria", -20.0, -30.0, 15.0, -8.0, 6.0),
    ("Gymnasium", 35.0, -75.0, 80.0, -40.0, 11.0),
    ("Law", -85.0, -70.0, -50.0, -25.0, 15.0),
    ("הנדסה", -15.0, 70.0, 25.0, 90.0, 15.0),
)


def make_bundle(
    out: Path,
    *,
    name: str = "Testfield",
    lat: float = CENTRE[0],
    lon: float = CENTRE[1],
    rendered: bool = True,
    samples: bool = True,
    with_map: bool = True,
    names_he: Mapping[str, str] | None = None,
) -> Path:
    """Write a bundle to `out`, a folder or NAME.campus, and return the path.

    `names_he` go into its map as `name:he`.
    """
    frame = LocalFrame.about(lat, lon)
    zones = _zones()
    files = {"model.onnx": _model(zones), "gallery.npz": _gallery()}
    if with_map:
        files["map.geojson"] = json.dumps(_campus_map(frame, names_he or {})).encode()
    if samples:
        files["samples/library.jpg"] = photo(east_m=-52, north_m=68, frame=frame)
        files["samples/gymnasium.jpg"] = photo(east_m=50, north_m=-34, frame=frame)
    metrics = Metrics(
        n=40, mean_m=6.2, median_m=4.9, p90_m=12.5, p95_m=17.0, max_m=40.0,
        within_5m=0.51, within_10m=0.83, within_25m=0.98,
        coverage68=0.70, coverage95=0.96, mean_radius68_m=7.1,
    )  # fmt: skip
    manifest = CampusManifest(
        name=name,
        description="A square of colour for tests.",
        rendered=rendered,
        created_utc=_DATE,
        frame=frame,
        scale_m=SCALE_M,
        image_size=IMAGE_SIZE,
        grid=Grid.around([[-HALF_M, -HALF_M], [HALF_M, HALF_M]], margin_m=20.0, cell_m=2.0),
        zones=zones,
        posterior=PosteriorParams(
            regression_weight=0.33, zone_weight=0.05, retrieval_weight=0.60, floor_weight=0.02,
            regression_width_m=6.0, retrieval_temperature=0.004, retrieval_width_m=5.0, neighbours=24,
        ),
        calibration=Calibration(
            photos=100,
            radius_at_m=(1.0,),
            radius68_factors=(1.0,),
            radius95_factors=(1.0,),
            ood_quantiles=tuple(np.linspace(0.0, 0.1, 101).tolist()),
        ),
        training=Training(
            recipe="by hand", backbone="mean colour", weights="none", trained_utc=_DATE, epochs=0, seed=0,
            split="none", split_sha256="", photos={"train": 100, "test": 40},
        ),
        metrics={"test": metrics},
        cpu_model="model.onnx",
    )  # fmt: skip
    save_bundle(out, manifest, files)
    return out


def open_bundle(path: Path) -> Bundle:
    """The bundle, loaded."""
    return Bundle.load(path)


def photo(
    kind: Kind = "good",
    *,
    east_m: float = 0.0,
    north_m: float = 0.0,
    at: tuple[float, float] | None = None,
    frame: LocalFrame | None = None,
    format: str = "JPEG",
    size: tuple[int, int] = (400, 300),
    view: int = 0,
) -> bytes:
    """A photo that the test network answers with `kind` near (east_m, north_m) of its campus.

    Photos of one `view` show the same stripes, and so are near copies; others show something else. With `frame` the
    place itself stands in its EXIF as GPS; with only `at`, (lat, lon) does.
    """
    from PIL import Image

    colour = np.array([0.5 + east_m / (2 * HALF_M), 0.5 + north_m / (2 * HALF_M), _BLUE[kind]])
    width, height = size
    # Something to look at whose mean is still `colour`: stripes that cancel out.
    stripes = 0.08 * np.sign(np.sin(np.arange(width) * (16 * np.pi / width)))
    room = np.minimum(1.0, np.minimum(colour, 1 - colour) / 0.08)
    pixels = colour + (_pattern(view, width, height) if view else stripes[None, :])[..., None] * room
    array = np.broadcast_to(np.round(255 * pixels), (height, width, 3)).astype(np.uint8)
    image = Image.fromarray(array)
    if frame is not None:
        latlon = frame.to_latlon(np.array([east_m, north_m]))
        at = (float(latlon[0]), float(latlon[1]))
    buffer = io.BytesIO()
    if format == "HEIF":
        import pillow_heif

        pillow_heif.from_pillow(image).save(buffer, quality=95)
    else:
        extra: dict[str, Any] = {"exif": _gps_exif(*at)} if at and format == "JPEG" else {}
        image.save(buffer, format, quality=95, **extra)
    return buffer.getvalue()


def off_m(fix: Fix, east_m: float, north_m: float) -> float:
    """How far a fix on the test campus is from a place of it, in metres."""
    lat, lon = LocalFrame.about(*CENTRE).to_latlon((east_m, north_m))
    return float(distance_m(lat, lon, fix.lat, fix.lon))


def _pattern(view: int, width: int, height: int) -> NDArray[np.float64]:
    """(height, width) blocks of one brightness or another, as many of each."""
    signs = np.random.default_rng(view).permutation(np.repeat([-0.08, 0.08], 32)).reshape(8, 8)
    return np.asarray(np.kron(signs, np.ones((-(-height // 8), -(-width // 8))))[:height, :width])


def _gps_exif(lat: float, lon: float) -> bytes:
    from PIL import Image

    def rational(degrees: float) -> tuple[float, float, float]:
        whole = int(degrees)
        minutes = int((degrees - whole) * 60)
        return float(whole), float(minutes), round(((degrees - whole) * 60 - minutes) * 60, 4)

    exif = Image.Exif()
    gps = exif.get_ifd(0x8825)
    gps.update(
        {
            1: "N" if lat >= 0 else "S",
            2: rational(abs(lat)),
            3: "E" if lon >= 0 else "W",
            4: rational(abs(lon)),
        }
    )
    return exif.tobytes()


def _zones() -> tuple[Zone, ...]:
    """Nine square cells."""
    side = 2 * HALF_M / 3
    names = ("Law, south side", "Cafeteria, south side", "Gymnasium", "Law, north side", "Cafeteria",
             "Physics, south side", "Library", "הנדסה, south side", "Physics")  # fmt: skip
    cells = []
    for index, name in enumerate(names):
        west, south = -HALF_M + index % 3 * side, -HALF_M + index // 3 * side
        corners = ((west, south), (west + side, south), (west + side, south + side), (west, south + side))
        cells.append(Zone(name, (west + side / 2, south + side / 2), side / 3.5, corners))
    return tuple(cells)


def _features(colours: NDArray[np.float64]) -> NDArray[np.float64]:
    """(N, 3) mean colours -> (N, 6) embeddings as the network gives them; kept in step with `_model`."""
    blue = colours[:, 2:]
    wide, split = (np.clip(1 - np.abs(blue - at) / 0.12, 0, None) for at in (_BLUE["wide"], _BLUE["split"]))
    strange = np.clip(blue - 0.8, 0, None) * 40
    place = (colours[:, :2] - 0.5) * 6 * (1 - wide) * (1 - split)
    vector = np.concatenate([place, np.ones_like(blue), strange, 8 * split, 8 * wide], axis=1)
    return np.asarray(vector / np.linalg.norm(vector, axis=1, keepdims=True))


def _gallery() -> bytes:
    """A photo every 10 m, thinner in the east, and a few of the two places that look alike."""
    steps = np.arange(-90.0, 91.0, 10.0)
    east, north = (axis.ravel() for axis in np.meshgrid(steps, steps))
    keep = (east < 30) | ((np.arange(len(east)) % 2) == 0)
    local = np.stack([east, north], axis=1)[keep]
    colours = np.column_stack([0.5 + local / (2 * HALF_M), np.full(len(local), _BLUE["good"])])
    around = np.array([[-4.0, 0], [4, 0], [0, 3], [0, -3], [2, 2], [-2, -2]])
    twins = np.concatenate([np.array(twin) + around for twin in TWINS_M])
    far = np.stack([axis.ravel() for axis in np.meshgrid(np.linspace(-70, 70, 6), np.linspace(-70, 70, 4))], 1)
    places = np.concatenate([local, twins, far])
    alike = np.concatenate(
        [
            colours,
            np.tile([0.5, 0.5, _BLUE["split"]], (len(twins), 1)),
            np.tile([0.5, 0.5, _BLUE["wide"]], (len(far), 1)),
        ]
    )
    buffer = io.BytesIO()
    np.savez(
        buffer,
        embedding=_features(alike).astype(np.float16),
        local_m=places.astype(np.float16),
    )
    return buffer.getvalue()


def _campus_map(frame: LocalFrame, names_he: Mapping[str, str]) -> dict[str, Any]:
    def box(west: float, south: float, east: float, north: float) -> list[list[list[float]]]:
        corners = frame.to_latlon(np.array([[west, south], [east, south], [east, north], [west, north], [west, south]]))
        return [[[round(float(lon), 7), round(float(lat), 7)] for lat, lon in corners]]

    def feature(kind: str, name: str, height_m: float, geometry: dict[str, Any]) -> dict[str, Any]:
        properties = {"kind": kind, "name": name, "height_m": height_m}
        if name in names_he:
            properties["name:he"] = names_he[name]
        return {"type": "Feature", "properties": properties, "geometry": geometry}

    def area(kind: str, name: str, *edges: float, height_m: float = 0.0) -> dict[str, Any]:
        west, south, east, north = edges
        return feature(kind, name, height_m, {"type": "Polygon", "coordinates": box(west, south, east, north)})

    def tree(east: float, north: float) -> dict[str, Any]:
        lat, lon = frame.to_latlon(np.array([east, north]))
        return feature("tree", "tree", 7.0, {"type": "Point", "coordinates": [float(lon), float(lat)]})

    return {
        "type": "FeatureCollection",
        "features": [
            area("lawn", "Great lawn", -25, -5, 20, 60),
            area("water", "Pond", 40, 0, 60, 15),
            area("path", "", -100, -4, 100, 0),
            area("path", "", 26, -100, 30, 100),
            area("plaza", "Main plaza", -20, -70, 20, -35),
            *(area("building", name, *edges, height_m=height) for name, *edges, height in _BUILDINGS),
            area("tower", "Clock tower", -5, 62, 2, 68, height_m=30),
            *(tree(east, north) for east, north in ((-10, 10), (0, 30), (10, 45), (-18, 20), (60, -10))),
        ],
    }


def _model(zones: tuple[Zone, ...]) -> bytes:
    """The network as ONNX: input `image` (B, S, S, 3) uint8 -> offset, zone_logits, embedding, log_spread,
    ood_score."""
    from onnx import TensorProto, checker, helper, numpy_helper

    widths = {"offset": 2, "zone_logits": len(zones), "embedding": 6, "log_spread": 1, "ood_score": 1}
    graph = helper.make_graph(
        _nodes(),
        "mean_colour",
        [helper.make_tensor_value_info("image", TensorProto.UINT8, ["batch", IMAGE_SIZE, IMAGE_SIZE, 3])],
        [helper.make_tensor_value_info(name, TensorProto.FLOAT, ["batch", width]) for name, width in widths.items()],
        [numpy_helper.from_array(value, key) for key, value in _constants(zones).items()],
    )
    model = helper.make_model(graph, opset_imports=[helper.make_opsetid("", 18)], ir_version=9)
    checker.check_model(model)
    return bytes(model.SerializeToString())


def _constants(zones: tuple[Zone, ...]) -> dict[str, NDArray[Any]]:
    """The tensors that the network's operators name."""
    return {
        "axes": np.array([1, 2], np.int64), "axis1": np.array([1], np.int64),
        "byte": np.array(255, np.float32),
        "half": np.array(0.5, np.float32), "one": np.array(1, np.float32), "two": np.array(2, np.float32),
        "six": np.array(6, np.float32), "eight": np.array(8, np.float32),
        "strangeness": np.array(40, np.float32), "novel": np.array(4, np.float32),
        "width": np.array(0.12, np.float32), "wide_at": np.array(_BLUE["wide"], np.float32),
        "split_at": np.array(_BLUE["split"], np.float32), "strange_at": np.array(0.8, np.float32),
        "reach": np.array(2 * HALF_M / SCALE_M, np.float32),
        "at0": np.array([0], np.int64), "at2": np.array([2], np.int64), "at3": np.array([3], np.int64),
        "centres": np.array([zone.centre_m for zone in zones], np.float32).T / SCALE_M,
        "norms": np.array([np.square(zone.centre_m).sum() for zone in zones], np.float32) / SCALE_M**2,
        "sharp": np.array(30, np.float32), "flat": np.array(3.2, np.float32),
    }  # fmt: skip


def _nodes() -> list[Any]:
    """The network's operators, in order."""
    from onnx import TensorProto, helper

    graph: list[Any] = []

    def op(kind: str, inputs: str, output: str, **attributes: Any) -> None:
        graph.append(helper.make_node(kind, inputs.split(), [output], **attributes))

    def hat(at: str, output: str) -> None:
        op("Sub", f"blue {at}", output + "_d")
        op("Abs", output + "_d", output + "_a")
        op("Div", f"{output}_a width", output + "_q")
        op("Sub", f"one {output}_q", output + "_s")
        op("Relu", output + "_s", output)

    op("Cast", "image", "float", to=TensorProto.FLOAT)
    op("ReduceMean", "float axes", "mean", keepdims=0)
    op("Div", "mean byte", "colour")
    op("Slice", "colour at0 at2 axis1", "red_green")
    op("Slice", "colour at2 at3 axis1", "blue")
    op("Sub", "red_green half", "centred")
    op("Mul", "centred reach", "offset")
    hat("wide_at", "wide")
    hat("split_at", "split")
    op("Add", "wide split", "doubt")
    op("Mul", "doubt flat", "log_spread")
    op("Sub", "one doubt", "sure")
    # |offset - centre|^2 up to a constant of the photo, flattened by doubt
    op("MatMul", "offset centres", "dot")
    op("Mul", "dot two", "dot2")
    op("Sub", "dot2 norms", "nearness")
    op("Mul", "nearness sharp", "peaked")
    op("Mul", "peaked sure", "zone_logits")
    op("Sub", "blue strange_at", "strange_d")
    op("Relu", "strange_d", "strange_r")
    op("Mul", "strange_r strangeness", "strange")
    op("Mul", "strange_r novel", "ood_score")
    op("Mul", "split eight", "split8")
    op("Mul", "wide eight", "wide8")
    op("Sub", "one wide", "not_wide")
    op("Sub", "one split", "not_split")
    op("Mul", "centred six", "place6")
    op("Mul", "place6 not_wide", "place_w")
    op("Mul", "place_w not_split", "place")
    op("Sub", "blue blue", "zero")
    op("Add", "zero one", "ones")
    op("Concat", "place ones strange split8 wide8", "vector", axis=1)
    op("ReduceL2", "vector axis1", "length", keepdims=1)
    op("Div", "vector length", "embedding")
    return graph


def nearest_zone(east_m: float, north_m: float) -> int:
    """The id of the test campus's zone at a place."""
    centres = np.array([zone.centre_m for zone in _zones()])
    return int(nearest(np.array([[east_m, north_m]]), centres)[0])
