"""Folders of another user: a line that names them and exit code 2, nothing half written; a photo costs only itself."""

from __future__ import annotations

import json
import os
import pwd
import shutil
import subprocess
import sys
import tempfile
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

import pytest

from tests import REPOSITORY
from tests.bundles import make_bundle, photo

pytestmark = [
    pytest.mark.slow,
    pytest.mark.skipif(
        not hasattr(os, "geteuid") or os.geteuid() != 0, reason="only the superuser can be two users in one test"
    ),
]
# Each command is run twice in one process: as the superuser, which loads all its modules wherever they lie, and then as
# another user, whose words come in pairs with those of the first.
_AS_ANOTHER = """
import contextlib, importlib, io, json, os, sys
from core.cli.run import run_cli
user, commands = int(sys.argv[1]), json.loads(sys.argv[2])

said = io.StringIO()  # one for all: the log's handler keeps the first that it saw

def told(room, words):
    sys.argv = [room, *words]
    before = len(said.getvalue())
    with open(os.devnull, "w") as nowhere, contextlib.redirect_stdout(nowhere), contextlib.redirect_stderr(said):
        code = run_cli(importlib.import_module(room).main)
    return [code, said.getvalue()[before:]]

for room, warm, _ in commands:
    code, lines = told(room, warm)
    assert code == 0, lines
os.seteuid(user)
print(json.dumps([told(room, words) for room, _, words in commands]))
"""


@dataclass(frozen=True)
class Shared:
    """A machine's shared folder: `ours` is of the user who runs commands, `theirs` of another one, with mode 0700."""

    user: int
    ours: Path
    theirs: Path

    def run(self, room: str, warm: list[object], words: list[object]) -> tuple[int, list[str]]:
        """Exit code and lines of a command of the user's; `warm` is one of the kind that works."""
        commands = json.dumps([[room, list(map(str, warm)), list(map(str, words))]])
        done = subprocess.run(
            [sys.executable, "-c", _AS_ANOTHER, str(self.user), commands],
            cwd=REPOSITORY, capture_output=True, text=True, check=False,
        )  # fmt: skip
        assert done.returncode == 0, done.stderr
        ((code, said),) = json.loads(done.stdout)
        return code, [line for line in said.splitlines() if line.strip()]


@pytest.fixture
def shared() -> Iterator[Shared]:
    folder = Path(tempfile.mkdtemp(dir="/tmp"))
    folder.chmod(0o1777)  # as /tmp is
    user = pwd.getpwnam("nobody").pw_uid
    shared = Shared(user, folder / "ours", folder / "theirs")
    for place in (shared.ours, shared.theirs):
        (place / "photos").mkdir(parents=True)
        (place / "photos" / "a.jpg").write_bytes(photo(east_m=10.0, at=(47.0, 8.4)))
        make_bundle(place / "field")
    for path in (shared.ours, *shared.ours.rglob("*")):
        os.chown(path, user, -1)
    shared.theirs.chmod(0o700)
    yield shared
    shutil.rmtree(folder)


def held(folder: Path) -> set[Path]:
    return set(folder.rglob("*"))


def test_a_campus_of_another_user(shared: Shared) -> None:
    run = ["run", shared.ours / "photos", "--backend", "onnxruntime", "--to", "json", "--bundle"]
    code, lines = shared.run("edge.__main__", [*run, shared.ours / "field"], [*run, shared.theirs / "field"])
    assert code == 2
    (line,) = lines
    assert line.startswith("error: ")
    assert str(shared.theirs / "field") in line


def test_photos_of_another_user_cost_only_themselves(shared: Shared) -> None:
    own, closed = shared.ours / "photos", shared.ours / "photos" / "b.jpg"
    closed.write_bytes(photo())  # of the superuser
    closed.chmod(0o600)
    run = ["run", "--bundle", shared.ours / "field", "--backend", "onnxruntime", "--to", "json"]
    code, lines = shared.run("edge.__main__", [*run, own / "a.jpg"], [*run, own / "a.jpg", closed, shared.theirs])
    assert code == 1
    assert "1 located" in lines[-1]
    assert sum(str(shared.theirs) in line for line in lines) == 1
    assert sum(str(closed) in line for line in lines) == 1
    assert "Traceback" not in "".join(lines)


@pytest.mark.parametrize("sink", ["json:{}/fixes.jsonl", "geojson:{}/track.geojson"])
def test_fixes_into_a_folder_of_another_user(shared: Shared, sink: str) -> None:
    run = ["run", shared.ours / "photos", "--bundle", shared.ours / "field", "--backend", "onnxruntime", "--to"]
    before = held(shared.theirs)
    code, lines = shared.run(
        "edge.__main__", [*run, sink.format(shared.ours)], [*run, sink.format(shared.theirs)]
    )  # fmt: skip
    assert code in (1, 2)
    assert any("ermission denied" in line for line in lines)
    assert "Traceback" not in "".join(lines)
    assert held(shared.theirs) == before


def test_ingest_from_and_into_folders_of_another_user(shared: Shared) -> None:
    ingest = ["ingest", shared.ours / "photos", "--out"]
    before = held(shared.theirs)
    for words in (
        ["ingest", shared.theirs / "photos", "--out", shared.ours / "made"],
        ["ingest", shared.ours / "photos", "--out", shared.theirs / "made"],
    ):
        shutil.rmtree(shared.ours / "warm", ignore_errors=True)
        code, lines = shared.run("train.__main__", [*ingest, shared.ours / "warm"], words)
        assert code == 2
        assert str(shared.theirs) in lines[-1]
        assert lines[-1].startswith("error: ")
        assert "Traceback" not in "".join(lines)
    assert held(shared.theirs) == before
    assert not (shared.ours / "made").exists()


def test_a_secret_that_another_user_left_in_a_sticky_folder_is_not_believed(shared: Shared) -> None:
    planted = shared.ours.parent / "access-key"
    planted.write_text("a-key-that-someone-else-knows\n")
    planted.chmod(0o644)
    script = """
import os, sys
from pathlib import Path
from app.serve.access import access_key
from core.errors import CampusError
os.seteuid(int(sys.argv[1]))
try:
    print(access_key(Path(sys.argv[2])))
except CampusError as error:
    print("refused:", error)
"""
    done = subprocess.run(
        [sys.executable, "-c", script, str(shared.user), str(planted.parent)],
        cwd=REPOSITORY, capture_output=True, text=True, check=True,
    )  # fmt: skip
    assert done.stdout.startswith("refused: ")
    assert "another user" in done.stdout
