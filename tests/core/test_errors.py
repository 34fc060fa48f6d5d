"""Errors in one line whose parts can be read, and told anew by whoever knows better."""

from __future__ import annotations

import pickle
from pathlib import Path

import pytest

from core.cli.run import run_cli
from core.errors import BundleError, CampusError, OccupiedError, PhotoError
from core.photo.load import load_photo


@pytest.mark.parametrize(
    ("error", "line"),
    [
        (CampusError("it is over"), "it is over"),
        (PhotoError("is empty", path=Path("a.jpg"), remedy="copy it again"), "a.jpg: is empty: copy it again"),
        (BundleError("is damaged", path="b"), "b: is damaged"),
        (BundleError("is damaged", remedy="copy it again"), "is damaged: copy it again"),
    ],
)
def test_an_error_is_one_line_of_its_parts(error: CampusError, line: str) -> None:
    assert str(error) == line


def test_an_error_told_anew_keeps_its_kind_and_reason() -> None:
    error = PhotoError("is empty", path="/tmp/upload-7", remedy="copy it again")
    told = error.replace(path="IMG_1.jpg")
    assert type(told) is PhotoError
    assert str(told) == "IMG_1.jpg: is empty: copy it again"
    assert str(error.replace(path="", remedy="")) == "is empty"
    assert error.path == "/tmp/upload-7"


@pytest.mark.parametrize("error", [OccupiedError("run", "run", True), PhotoError("is empty", path="a", remedy="b")])
def test_an_error_comes_whole_out_of_another_process(error: CampusError) -> None:
    back = pickle.loads(pickle.dumps(error))
    assert (type(back), str(back), vars(back)) == (type(error), str(error), vars(error))


def test_a_photo_that_is_none_says_so_in_parts(tmp_path: Path) -> None:
    (tmp_path / "a.jpg").touch()
    with pytest.raises(PhotoError) as caught:
        load_photo(tmp_path / "a.jpg")
    assert caught.value.path == str(tmp_path / "a.jpg")
    assert "empty" in caught.value.reason
    assert "copy it again" in caught.value.remedy


@pytest.mark.parametrize(("replaceable", "force"), [(True, True), (False, False)])
def test_a_command_line_names_its_own_flags(replaceable: bool, force: bool, capsys: pytest.CaptureFixture[str]) -> None:
    def main() -> int:
        raise OccupiedError("out", "dataset", replaceable)

    assert run_cli(main) == 2
    said = capsys.readouterr().err
    assert said.startswith("error: out: ")
    assert "--out" in said
    assert ("--force" in said) == force
