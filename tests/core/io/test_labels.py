"""Tables that strangers wrote: what is no file."""

from __future__ import annotations

import os
from pathlib import Path

import pytest

from core.errors import DatasetError
from core.io.labels import read_labels


def test_a_table_that_is_no_file_is_refused_without_a_wait(tmp_path: Path) -> None:
    os.mkfifo(tmp_path / "pipe.csv")
    (tmp_path / "loop.csv").symlink_to(tmp_path / "loop.csv")
    for path in (tmp_path / "pipe.csv", Path("/dev/zero"), tmp_path / "loop.csv", tmp_path):
        with pytest.raises(DatasetError, match="cannot be read"):
            read_labels(path)
