"""Errors in one line whose parts can be read, and told anew by whoever knows better."""

from __future__ import annotations

import pickle
import subprocess
import sys
from pathlib import Path

import pytest

from core.cli.run import run_cli
from core.errors import BundleError, CampusError, OccupiedError, PhotoError
from core.photo.load import load_photo
from tests import REPOSITORY


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


@pytest.mark.parametrize(
    ("replaceable", "remedy"), [(True, "choose another place, or replace it"), (False, "choose another place")]
)
def test_a_program_without_commands_says_the_error_s_own_remedy(
    replaceable: bool, remedy: str, capsys: pytest.CaptureFixture[str]
) -> None:
    def main() -> int:
        raise OccupiedError("out", "dataset", replaceable)

    assert run_cli(main) == 2
    (said,) = capsys.readouterr().err.splitlines()
    assert said.startswith("error: out: ")
    assert said.endswith(f": {remedy}")


def test_a_reader_that_went_away_takes_standard_error_from_nobody() -> None:
    code = "import sys; from core.cli.run import run_cli; code = run_cli(lambda: print('x' * 10**6) or 0)"
    code += "; print('after it', file=sys.stderr); sys.exit(code)"
    line = [sys.executable, "-c", code]
    program = subprocess.Popen(line, cwd=REPOSITORY, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True)
    assert program.stdout is not None
    assert program.stderr is not None
    with program:
        program.stdout.close()
        said = program.stderr.read()
    assert (program.returncode, said) == (0, "after it\n")
