"""A process of its own: what kills it is told from its neighbours, and what fails there fails here."""

from __future__ import annotations

import os
import signal
from collections.abc import Sequence

import pytest

from core.archive.child import Child
from core.archive.rows import Row
from core.errors import CampusError


def located(names: Sequence[str], sources: Sequence[object]) -> list[Row]:
    if "deadly" in sources:
        os.kill(os.getpid(), signal.SIGKILL)
    if "unusable" in sources:
        raise CampusError("is none", path="campus")
    return [Row(name, zone=str(os.getpid())) for name in names]


def test_it_goes_on_after_each_photo_that_kills_it_and_raises_what_all_share() -> None:
    child = Child(located)
    assert child.located([], []) == []
    rows = child.located(["a", "b", "c", "d"], ["", "deadly", "deadly", ""])
    assert [row.photo for row in rows] == ["a", "b", "c", "d"]
    assert [row.error is None for row in rows] == [True, False, False, True]
    (after,) = child.located(["e"], [""])
    assert after.zone == rows[3].zone != str(os.getpid())  # the process stays for the next
    with pytest.raises(CampusError, match="is none"):
        child.located(["f"], ["unusable"])
    child.close()
    with pytest.raises(ProcessLookupError):
        os.kill(int(str(after.zone)), 0)
    child = Child(located)
    (alone,) = child.located(["g"], ["deadly"])
    assert alone.error == "the process that located this photo was lost, 3 times"
    child.close()
