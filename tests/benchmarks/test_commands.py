"""The parts of the commands' benchmark without the commands, which take minutes: `--tiny` runs them."""

from __future__ import annotations

import sys
from pathlib import Path
from subprocess import CalledProcessError

import pytest

from benchmarks.commands import (
    BUNDLE,
    EVALUATE,
    ONE_CORE,
    PACK,
    SESSIONS,
    SIZE,
    Material,
    sample_walks,
    slice_walks,
    tell,
    timed,
)
from benchmarks.timing import Finished, Section, run_program
from core.photo.load import load_photo


def test_photos_lie_as_walks_with_positions_and_no_two_are_the_same_file(tmp_path: Path) -> None:
    sample_walks(tmp_path / "samples", 40)
    slice_walks(tmp_path / "slice", 8)
    samples, slices = (sorted((tmp_path / name).rglob("*.jpg")) for name in ("samples", "slice"))
    assert (len(samples), len(slices)) == (40, 8)
    assert len({path.read_bytes() for path in samples}) == 40
    assert len({path.parent for path in samples}) >= 3, "ingest calls a folder a session, and a split needs three"
    assert {path.parent.name for path in slices} == set(SESSIONS)
    for path in (*samples[-2:], *slices[-2:]):
        photo = load_photo(path)
        assert photo.capture.lat_deg is not None
        assert photo.rgb.shape[:2] == SIZE[::-1]


@pytest.mark.skipif(sys.platform != "linux", reason="only Linux holds a process to one core")
def test_one_core_is_one_core(tmp_path: Path) -> None:
    """And a command that fails there fails."""
    (tmp_path / "cores.py").write_text("import os, sys\nsys.exit(len(os.sched_getaffinity(0)) - int(sys.argv[1]))")
    words = Material(tmp_path, tmp_path).commands()[ONE_CORE](tmp_path / "out")
    run_program(sys.executable, *words[:2], "cores", "1", PYTHONPATH=str(tmp_path))
    with pytest.raises(CalledProcessError):
        run_program(sys.executable, *words[:2], "cores", "2", PYTHONPATH=str(tmp_path))


def test_only_a_pack_that_needs_the_internet_may_fail(tmp_path: Path) -> None:
    works = ["-c", "import sys; open(sys.argv[1], 'x')"]
    fails = ["-c", "raise SystemExit(2)"]
    taken = timed({BUNDLE: lambda out: [*works, out], PACK: lambda _: fails}, tmp_path, 2)
    assert {name: len(runs) for name, runs in taken.items()} == {BUNDLE: 2}
    assert list(tmp_path.iterdir()) == []
    with pytest.raises(CalledProcessError):
        timed({BUNDLE: lambda _: fails}, tmp_path, 1)


def test_what_takes_too_long_or_no_less_on_more_cores_falls_short() -> None:
    def met(**seconds: float) -> list[bool]:
        section = Section("", "")
        names = {"evaluate": EVALUATE, "one": ONE_CORE, "bundle": BUNDLE}
        tell(section, {names[name]: [Finished(value, 100.0)] * 3 for name, value in seconds.items()})
        return [target.met for target in section.targets]

    assert met(evaluate=19.0, one=35.0, bundle=24.0) == [True] * 3
    assert met(evaluate=21.0, one=37.0, bundle=26.0) == [False] * 3
    assert met(bundle=24.0) == [True]
