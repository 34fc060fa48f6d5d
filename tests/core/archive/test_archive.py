"""Archives: the same rows by any way of making them, and none lost or doubled by a kill."""

from __future__ import annotations

import csv
import json
import os
import signal
import subprocess
import sys
import time
from pathlib import Path
from tempfile import TemporaryDirectory

import numpy as np
import pytest
from numpy.typing import NDArray

from core.archive import run
from core.archive.journal import Journal
from core.archive.photos import Shard, archive_photos
from core.archive.rows import COLUMNS, Row, row_of
from core.archive.run import locate_archive
from core.engines.heads import Heads
from core.engines.onnx_engine import OnnxEngine
from core.errors import BundleError, CampusError, EngineError, OccupiedError
from core.locate.localizer import Localizer
from core.locate.open_campus import OpenCampus
from core.locate.reading import Prepared
from tests import REPOSITORY
from tests.bundles import photo


@pytest.fixture
def photos(tmp_path: Path) -> Path:
    folder = tmp_path / "photos"
    (folder / "below").mkdir(parents=True)
    for index in range(6):
        (folder / f"{index}.jpg").write_bytes(photo(east_m=10.0 * index))
    (folder / "below" / "far.JPG").write_bytes(photo("elsewhere"))
    (folder / "broken.jpg").write_bytes(b"\xff\xd8no photo")
    (folder / "notes.txt").write_text("no photo")
    return folder


def rows(path: Path) -> list[dict[str, object]]:
    return [json.loads(line) for line in path.read_text().splitlines()]


def test_an_archive_is_every_photo_once_in_one_order(photos: Path) -> None:
    found = archive_photos([str(photos), str(photos / "*.jpg"), str(photos / "1.jpg")])
    assert found == sorted(set(found))
    assert [Path(name).name for name in found] == ["0.jpg", *(f"{i}.jpg" for i in range(1, 6)), "far.JPG", "broken.jpg"]
    with pytest.raises(CampusError, match="holds no photos"):
        archive_photos([str(photos / "*.gif")])


def test_shards_divide_an_archive(photos: Path) -> None:
    parts = [archive_photos([str(photos)], Shard(index, 3)) for index in (1, 2, 3)]
    assert sorted(name for part in parts for name in part) == archive_photos([str(photos)])
    assert sum(map(bool, parts)) > 1


@pytest.mark.parametrize("text", ["", "1", "0/2", "3/2", "a/b", "1/2/3", "-1/2"])
def test_a_shard_that_is_none_is_refused(text: str) -> None:
    with pytest.raises(CampusError, match="give I/K"):
        Shard.parse(text)


@pytest.mark.parametrize("jobs", [1, 2])
def test_rows_are_what_the_localizer_says_and_failures_carry_a_reason(
    photos: Path, bundle: Path, tmp_path: Path, jobs: int
) -> None:
    names = archive_photos([str(photos)])
    with Journal(tmp_path / "out.jsonl") as journal:
        tally = locate_archive(names, bundle, journal, jobs)
    assert (tally.located, tally.failed, tally.before) == (7, 1, 0)
    found = rows(tmp_path / "out.jsonl")
    assert [row["photo"] for row in found] == names
    localizer = Localizer.load(bundle)
    for row in found:
        if str(row["photo"]).endswith("broken.jpg"):
            assert row["lat"] is None
            assert "broken.jpg" in str(row["error"])
        else:
            wanted = row_of(str(row["photo"]), localizer.locate(Path(str(row["photo"])))).as_dict()
            assert row == pytest.approx(wanted, abs=1e-9, nan_ok=True) if jobs == 1 else row["photo"] == wanted["photo"]
    far = next(row for row in found if str(row["photo"]).endswith("far.JPG"))
    assert far["on_campus"] is False
    assert far["radius68_m"] is None


@pytest.mark.parametrize("ending", [".jsonl", ".csv", ".parquet"])
def test_a_cut_row_is_done_again_and_none_twice(photos: Path, bundle: Path, tmp_path: Path, ending: str) -> None:
    names, out = archive_photos([str(photos)]), tmp_path / f"out{ending}"
    with Journal(out) as journal:
        for name in names[:3]:
            journal.add(Row(name, error="earlier"))
    lines = out.with_name(out.name + ".rows.jsonl") if ending == ".parquet" else out
    os.truncate(lines, lines.stat().st_size - 5)
    with Journal(out, resume=True) as journal:
        assert locate_archive(names, bundle, journal).before == 2
    with Journal(out, resume=True) as journal:
        assert all(journal.has(name) for name in names)
        assert locate_archive(names, bundle, journal).before == len(names)
    if ending == ".parquet":
        import pyarrow.parquet

        table = pyarrow.parquet.read_table(out)
        assert table.column_names == list(COLUMNS)
        assert sorted(table["photo"].to_pylist()) == names
        assert not lines.exists()
    elif ending == ".csv":
        with out.open(newline="") as file:
            assert sorted(row["photo"] for row in csv.DictReader(file)) == names
    else:
        assert sorted(str(row["photo"]) for row in rows(out)) == names


def test_a_table_with_an_empty_line_is_gone_on_with(tmp_path: Path) -> None:
    out = tmp_path / "out.csv"
    with Journal(out) as journal:
        journal.add(Row("a.jpg", error="x"))
    with out.open("ab") as file:
        file.write(b"\n")
    with Journal(out, resume=True) as journal:
        assert journal.has("a.jpg")


@pytest.mark.parametrize("ending", [".jsonl", ".csv", ".parquet"])
def test_a_table_that_another_run_writes_is_not_written_twice(tmp_path: Path, ending: str) -> None:
    out = tmp_path / f"out{ending}"
    with Journal(out) as first:
        first.add(Row("a.jpg", error="x"))
        with pytest.raises(CampusError, match=f"out{ending}: another run writes it"), Journal(out, resume=True):
            pass
        first.finish()
    with Journal(out, resume=True) as second:  # the first one's end frees it
        assert second.has("a.jpg")


def test_a_finished_table_that_two_runs_go_on_with_is_one_run_s(tmp_path: Path) -> None:
    out = tmp_path / "out.parquet"
    with Journal(out) as journal:
        journal.add(Row("a.jpg", error="x"))
        journal.finish()
    with Journal(out, resume=True) as first, Journal(out, resume=True) as second:
        first.add(Row("b.jpg", error="x"))
        with pytest.raises(CampusError, match="another run writes it"):
            second.add(Row("c.jpg", error="x"))


def test_a_finished_table_takes_more_photos(tmp_path: Path) -> None:
    import pyarrow.parquet

    out = tmp_path / "out.parquet"
    for names in (["a.jpg", "b.jpg"], ["b.jpg", "c.jpg"]):
        with Journal(out, resume=True) as journal:
            for name in names:
                if not journal.has(name):
                    journal.add(Row(name, error="earlier"))
            journal.finish()
        assert [path.name for path in tmp_path.iterdir()] == ["out.parquet"]
    assert pyarrow.parquet.read_table(out)["photo"].to_pylist() == ["a.jpg", "b.jpg", "c.jpg"]


def test_a_mistyped_bundle_leaves_no_table_in_the_way(photos: Path, tmp_path: Path) -> None:
    line = [sys.executable, "predict.py", str(photos), "--out", str(tmp_path / "a.csv")]
    done = subprocess.run(
        [*line, "--bundle", str(tmp_path / "absent")], cwd=REPOSITORY, capture_output=True, text=True, check=False
    )
    assert done.returncode == 2
    assert "absent" in done.stderr
    assert not (tmp_path / "a.csv").exists()


def test_a_folder_that_cannot_be_read_is_a_row_with_a_reason(bundle: Path) -> None:
    with TemporaryDirectory() as place:  # pytest's own is closed to other users
        folder = Path(place)
        folder.chmod(0o755)
        (folder / "a.jpg").write_bytes(photo())
        (folder / "closed").mkdir(mode=0)
        localizer, ids = Localizer.load(bundle), os.getresuid()
        if ids[1] == 0:
            os.setresuid(65534, 65534, 0)  # root may read everything
        try:
            found = archive_photos([str(folder)])
            located = list(map(row_of, found, localizer.locate_many(map(Path, found))))
        finally:
            os.setresuid(*ids)
    assert [Path(row.photo).name for row in located] == ["a.jpg", "closed"]
    assert located[0].error is None
    assert "cannot be read" in str(located[1].error)


def test_a_file_is_not_written_over(tmp_path: Path) -> None:
    (tmp_path / "out.jsonl").write_text("")
    with pytest.raises(OccupiedError):
        Journal(tmp_path / "out.jsonl")
    with pytest.raises(CampusError, match=r"\.jsonl"):
        Journal(tmp_path / "out.txt")
    (tmp_path / "other.csv").write_text("a,b\n1,2\n")
    with pytest.raises(CampusError, match="no rows of this program"), Journal(tmp_path / "other.csv", resume=True):
        pass
    assert (tmp_path / "other.csv").read_text() == "a,b\n1,2\n"


def test_names_that_would_be_formulas_or_lines_stay_one_row(tmp_path: Path) -> None:
    names = ["=1+1.jpg", "a\nb.jpg", "'quoted.jpg"]
    for out in (tmp_path / "out.csv", tmp_path / "out.jsonl"):
        with Journal(out) as journal:
            for name in names:
                journal.add(Row(name, error="x"))
        with Journal(out, resume=True) as journal:
            assert all(journal.has(name) for name in names)
        assert len(out.read_text().splitlines()) == len(names) + (out.suffix == ".csv")
    assert "'=1+1.jpg" in (tmp_path / "out.csv").read_text()


def test_killed_in_the_middle_it_goes_on_where_it_was(photos: Path, bundle: Path, tmp_path: Path) -> None:
    for index in range(40):
        (photos / f"more{index}.jpg").write_bytes(photo(east_m=float(index)))
    out = tmp_path / "out.jsonl"
    line = [sys.executable, "predict.py", str(photos), "--bundle", str(bundle), "--out", str(out), "--jobs", "2"]
    first = subprocess.Popen(line, cwd=REPOSITORY, stdout=subprocess.PIPE, stderr=subprocess.DEVNULL)
    until = time.monotonic() + 120
    while time.monotonic() < until and first.poll() is None:
        if out.exists() and out.read_bytes().count(b"\n") >= 3:
            break
        time.sleep(0.01)
    first.kill()
    first.communicate(timeout=60)  # its processes hold its output, which is at its end once they are gone too
    done = subprocess.run([*line, "--resume"], cwd=REPOSITORY, capture_output=True, text=True, timeout=240, check=False)
    assert done.returncode in (0, 1), done.stderr  # 1 where broken.jpg was left for this run
    names = [str(row["photo"]) for row in rows(out)]
    assert sorted(names) == archive_photos([str(photos)])


@pytest.mark.parametrize(
    ("line", "error"),
    [
        ("1.jpg --jobs 2", "--jobs, --shard, --resume and --ray need --out FILE, which takes the rows"),
        ("1.jpg --out a.parquet --ray --jobs 2", "--jobs 2: is of one machine's processes: leave it out with --ray"),
        ("s3://bucket --out rows.jsonl", "s3://bucket: is a URL: add --ray, which reads and writes at URLs"),
    ],
)
def test_options_that_lack_another_are_one_line(tmp_path: Path, line: str, error: str) -> None:
    command = [sys.executable, str(REPOSITORY / "predict.py"), *line.split()]
    done = subprocess.run(command, cwd=tmp_path, capture_output=True, text=True, timeout=60, check=False)
    assert done.returncode == 2
    assert done.stderr.splitlines() == [f"error: {error}"]
    assert not any(tmp_path.iterdir())


def deadly(_: str, __: int, names: list[str], ___: list[Path]) -> list[Row]:
    """Kills its process as a photo might that breaks a decoder."""
    if "deadly" in names:
        os.kill(os.getpid(), signal.SIGKILL)
    return [Row(name) for name in names]


def test_only_the_photo_that_kills_its_process_is_a_row_with_a_reason(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(run, "located_alone", deadly)
    names = ["first", "deadly", "last"]
    with Journal(tmp_path / "out.jsonl") as journal:
        locate_archive(names, tmp_path, journal, 2)
    found = rows(tmp_path / "out.jsonl")
    assert [row["photo"] for row in found] == names
    assert [row["photo"] for row in found if row["error"] is not None] == ["deadly"]


def test_what_one_photo_makes_fail_is_its_row_and_what_all_do_ends_the_archive(
    photos: Path, bundle: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    (photos / "phone.heic").write_bytes(b"\0\0\0\x18ftypheic\0\0\0\0mif1heic" + bytes(100))
    monkeypatch.setitem(sys.modules, "pillow_heif", None)
    names = archive_photos([str(photos)])
    prepare, network = OpenCampus.prepare, OnnxEngine.run

    def short_of_memory(campus: OpenCampus, source: Path) -> Prepared:
        if source.name == "3.jpg":
            raise MemoryError
        return prepare(campus, source)

    def not_finite(engine: OnnxEngine, images: NDArray[np.uint8]) -> Heads:
        if (images[..., 2].mean(axis=(1, 2)) > 200).any():  # below/far.JPG, the only one so blue
            raise EngineError.unusable("a value is not finite")
        return network(engine, images)

    monkeypatch.setattr(OpenCampus, "prepare", short_of_memory)
    monkeypatch.setattr(OnnxEngine, "run", not_finite)
    with Journal(tmp_path / "out.jsonl") as journal:
        tally = locate_archive(names, bundle, journal)
    assert (tally.located, tally.failed) == (5, 4)
    found = {Path(str(row["photo"])).name: row["error"] for row in rows(tmp_path / "out.jsonl")}
    assert [Path(name).name for name in names] == list(found)
    assert str(found["3.jpg"]).endswith("3.jpg: cannot be located (MemoryError)")
    assert "a value is not finite" in str(found["far.JPG"])
    assert "pillow-heif is not installed" in str(found["phone.heic"])

    def broken(*_: object) -> Heads:
        raise EngineError.unusable("the GPU is gone")

    monkeypatch.setattr(OnnxEngine, "run", broken)
    with Journal(tmp_path / "other.jsonl") as journal, pytest.raises(EngineError, match="the GPU is gone"):
        locate_archive([name for name in names if name.endswith(("0.jpg", "1.jpg"))], bundle, journal)
    assert rows(tmp_path / "other.jsonl") == []


def test_a_bundle_that_is_none_is_said_once_by_processes_too(tmp_path: Path) -> None:
    with Journal(tmp_path / "out.jsonl") as journal, pytest.raises(BundleError, match="gone"):
        locate_archive(["a.jpg"], tmp_path / "gone", journal, 2)
