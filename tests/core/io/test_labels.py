"""Tables that strangers wrote: what is no file, and what would take more memory than it is large."""

from __future__ import annotations

import os
import tracemalloc
from pathlib import Path

import pandas as pd  # noqa: F401 - the 20 MB of its import are not the memory of the first table
import pytest

from core.errors import DatasetError
from core.io.labels import MAX_CELLS, MAX_COLUMNS, read_labels


def test_a_table_that_is_no_file_is_refused_without_a_wait(tmp_path: Path) -> None:
    os.mkfifo(tmp_path / "pipe.csv")
    (tmp_path / "loop.csv").symlink_to(tmp_path / "loop.csv")
    for path in (tmp_path / "pipe.csv", Path("/dev/zero"), tmp_path / "loop.csv", tmp_path):
        with pytest.raises(DatasetError, match="cannot be read"):
            read_labels(path)


HEADER = "image_name,lat,lon"


def test_a_table_of_thousands_of_columns_is_refused_before_its_rows_are_read(tmp_path: Path) -> None:
    columns = ",".join(f"c{number}" for number in range(3000))
    path = tmp_path / "wide.csv"
    path.write_text(f"{HEADER},{columns}\n" + "a.jpg,1,2\n" * 20_000)
    tracemalloc.start()
    try:
        with pytest.raises(DatasetError, match=f"more than {MAX_COLUMNS}"):
            read_labels(path)
        assert tracemalloc.get_traced_memory()[1] < 10_000_000  # it took 1.5 GB
    finally:
        tracemalloc.stop()


@pytest.mark.parametrize("row", ["," * 3_000_000, '"\n",' * 1_000_000], ids=["in one line", "over many lines"])
def test_a_row_of_millions_of_cells_is_not_gathered(tmp_path: Path, row: str) -> None:
    path = tmp_path / "row.csv"
    path.write_text(f"{HEADER}\na.jpg,1,2\n{row}\n")
    tracemalloc.start()
    try:
        with pytest.raises(DatasetError, match=f"a row of more than {MAX_COLUMNS} columns"):
            read_labels(path)
        assert tracemalloc.get_traced_memory()[1] < 40_000_000
    finally:
        tracemalloc.stop()


def test_a_table_of_too_many_cells_is_refused(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("core.io.labels.MAX_CELLS", 30)
    path = tmp_path / "long.csv"
    path.write_text(f"{HEADER}\n" + "a.jpg,1,2\n" * 9)
    assert len(read_labels(path)) == 9
    path.write_text(f"{HEADER}\n" + "a.jpg,1,2\n" * 10)
    with pytest.raises(DatasetError, match="more than 30 cells"):
        read_labels(path)
    assert MAX_CELLS > 1_000_000 * 13  # a million photos with every column of ours


def test_memory_is_that_of_the_rows(tmp_path: Path) -> None:
    path = tmp_path / "plain.csv"
    row = "IMG_{:07}.jpg,31.26{:03},34.80,north walk,Acme Cam\n"
    rows = "".join(row.format(number, number % 1000) for number in range(50_000))
    path.write_text(f"{HEADER},session,device\n{rows}")
    tracemalloc.start()
    try:
        table = read_labels(path)
        assert tracemalloc.get_traced_memory()[1] < 8 * path.stat().st_size
    finally:
        tracemalloc.stop()
    assert table["lat"].iloc[999] == 31.26999
    assert list(table.iloc[-1]) == ["IMG_0049999.jpg", 31.26999, 34.8, "north walk", "Acme Cam"]
