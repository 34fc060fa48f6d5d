"""Short fuzzing: by structure and by bytes with hypothesis, by coverage with atheris where it is installed.

Long runs: `python -m tests.hostile.fuzz TARGET --seconds 600` (atheris), and
`HYPOTHESIS_PROFILE=long python -m pytest tests/hostile/test_fuzz.py` (40 times as many examples).
"""

from __future__ import annotations

import json
import os
import struct
import subprocess
import sys
import warnings
import zlib
from pathlib import Path
from typing import Any

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from core.campus.file_names import CAMPUS_JSON
from tests import REPOSITORY
from tests.hostile.photos.absurd_exif import jpeg_exif_case
from tests.hostile.photos.layouts import chunk, tiff
from tests.hostile.seeds import LABELS, resealed, seeds
from tests.hostile.targets import TARGETS

ATHERIS_SECONDS = 3

_SAME: dict[str, Any] = {
    "deadline": None,
    "database": None,
    "suppress_health_check": list(HealthCheck),
    "derandomize": True,
}
settings.register_profile("short", settings(**_SAME, max_examples=60))
settings.register_profile("long", settings(**(_SAME | {"derandomize": False}), max_examples=2400))
FUZZ = settings.get_profile(os.environ.get("HYPOTHESIS_PROFILE", "short"))


def mutated(target: str) -> st.SearchStrategy[bytes]:
    """Seeds of a target with bytes changed, removed, doubled or put in from elsewhere, as a file is damaged."""

    def apply(seed: bytes, edits: list[tuple[str, float, float, bytes]]) -> bytes:
        data = bytearray(seed)
        for kind, place, length, new in edits:
            at = int(place * len(data))
            end = at + int(length**4 * len(data))  # mostly short
            if kind == "change":
                data[at : at + len(new)] = new
            elif kind == "insert":
                data[at:at] = new
            elif kind == "remove":
                del data[at:end]
            elif kind == "double":
                data[at:at] = data[at:end]
            else:
                del data[at:]
        return bytes(data)

    edit = st.tuples(
        st.sampled_from(["change", "change", "change", "insert", "remove", "double", "cut"]),
        st.floats(0, 1), st.floats(0, 1), st.one_of(st.binary(min_size=1, max_size=8), st.sampled_from(_ODD)),
    )  # fmt: skip
    return st.builds(apply, st.sampled_from(seeds(target)), st.lists(edit, min_size=1, max_size=8))


_ODD = [
    b"\0",
    b"\xff",
    b"\xff" * 4,
    b"\0" * 4,
    b"\x80\0\0\0",
    b"\x7f\xff\xff\xff",
    b"\xff\xd8",
    b"\xff\xda",
    b"NaN",
    b"-1",
]


def run(target: str, data: bytes) -> None:
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        TARGETS[target](data)


@pytest.mark.parametrize("target", TARGETS)
def test_damaged_bytes(target: str) -> None:
    @FUZZ
    @given(mutated(target))
    def check(data: bytes) -> None:
        run(target, data)
        if target == "bundle":
            run(target, resealed(data))

    check()


numbers = st.one_of(
    st.integers(0, 2**32 - 1), st.sampled_from([0, 1, 2, 6, 8, 26, 38, 2**31, 2**32 - 1]), st.integers(0, 200)
)
entries = st.lists(
    st.tuples(
        st.one_of(st.sampled_from([1, 2, 3, 4, 7, 17, 29, 31, 271, 272, 274, 306, 0x8769, 0x8825, 36867, 36880]),
                  st.integers(0, 65_535)),
        st.integers(0, 14), numbers, numbers.map(lambda value: struct.pack("<I", value)),
    ),
    max_size=12,
)  # fmt: skip


@FUZZ
@given(entries, st.sampled_from("<>"), st.binary(max_size=200), numbers)
def test_exif_of_any_structure(tags: Any, order: str, tail: bytes, following: int) -> None:
    block = b"Exif\0\0" + tiff(tags, order, tail, following)
    run("exif", block)
    run("photo", jpeg_exif_case(block))
    run("photo", block[6:])


@FUZZ
@given(
    st.integers(0, 80),
    st.integers(0, 80),
    st.sampled_from([1, 2, 4, 8, 16, 3]),
    st.sampled_from([0, 2, 3, 4, 6, 5]),
    st.integers(0, 2),
    st.lists(
        st.tuples(
            st.sampled_from(
                [b"tRNS", b"PLTE", b"eXIf", b"iCCP", b"acTL", b"fcTL", b"IHDR", b"gAMA", b"zTXt", b"IEND", b"fdAT"]
            ),
            st.binary(max_size=40),
        ),
        max_size=4,
    ),
    st.integers(0, 30_000),
)
def test_png_of_any_structure(
    width: int, height: int, depth: int, colour: int, interlace: int, chunks: list[tuple[bytes, bytes]], held: int
) -> None:
    head = chunk(b"IHDR", struct.pack(">IIBBBBB", width, height, depth, colour, 0, 0, interlace))
    extra = b"".join(chunk(kind, body) for kind, body in chunks)
    pixels = chunk(b"IDAT", zlib.compress(bytes(held)))
    run("photo", b"\x89PNG\r\n\x1a\n" + head + extra + pixels + extra + chunk(b"IEND", b""))


json_values = st.recursive(
    st.one_of(st.none(), st.booleans(), st.floats(), st.integers(), st.text(max_size=5)),
    lambda inner: st.one_of(st.lists(inner, max_size=4), st.dictionaries(st.text(max_size=5), inner, max_size=4)),
    max_leaves=6,
)


@FUZZ
@given(st.data())
def test_a_card_with_any_value_anywhere(data: st.DataObject) -> None:
    import io
    import zipfile

    with zipfile.ZipFile(io.BytesIO(seeds("bundle")[-1])) as archive:
        files = {name: archive.read(name) for name in archive.namelist()}
    for name in (CAMPUS_JSON, "map.geojson"):
        document = json.loads(files[name])
        at: Any = document
        while isinstance(at, (dict, list)) and at:
            key = data.draw(st.sampled_from(sorted(at) if isinstance(at, dict) else range(len(at))))
            if not isinstance(at[key], (dict, list)) or data.draw(st.integers(0, 3)) == 0:
                at[key] = data.draw(json_values)
                break
            at = at[key]
        files[name] = json.dumps(document).encode()
    out = io.BytesIO()
    with zipfile.ZipFile(out, "w") as archive:
        for name, content in files.items():
            archive.writestr(name, content)
    run("bundle", resealed(out.getvalue()))


cells = st.one_of(
    st.sampled_from(["", "39.9", "-181", "nan", "inf", "1,5", "1e400", '"', "lat", "\0", "١٢", "1_0", "0x1p3"]),
    st.text(max_size=8),
)


@FUZZ
@given(
    st.lists(st.lists(cells, max_size=6), max_size=6),
    st.sampled_from(",;\t|"),
    st.sampled_from(["utf-8", "utf-8-sig", "utf-16", "cp1252"]),
    st.sampled_from(["\n", "\r\n", "\r"]),
    st.sampled_from([*(seed.decode("utf-8", "replace").splitlines()[0] for seed in LABELS), "", "lat,lon"]),
)
def test_tables_of_any_cells(rows: list[list[str]], separator: str, encoding: str, end: str, header: str) -> None:
    text = end.join([header, *(separator.join(row) for row in rows)])
    run("labels", text.encode(encoding, "replace"))


@pytest.mark.slow
@pytest.mark.parametrize("target", ["photo", "exif", "bundle"])  # the others are small: hypothesis reaches into them
def test_bytes_guided_by_coverage(target: str, tmp_path: Path) -> None:
    pytest.importorskip("atheris", reason="atheris is not installed (it is for Linux and Python 3.11)")
    # By a shell that forks: libFuzzer looks at the peak memory of its process, which a child inherits from this one.
    command = ["sh", "-c", '"$@"; exit $?', "sh", sys.executable, "-m", "tests.hostile.fuzz", target]
    command.append(f"--seconds={ATHERIS_SECONDS}")
    done = subprocess.run(
        [*command, f"--corpus={tmp_path}"], cwd=REPOSITORY, capture_output=True, text=True, timeout=300
    )
    assert done.returncode == 0, done.stdout[-3000:] + done.stderr[-6000:]
    executed = next(line for line in done.stderr.splitlines() if "number_of_executed_units" in line)
    assert int(executed.split()[-1]) > len(seeds(target))  # it went beyond what it was given
