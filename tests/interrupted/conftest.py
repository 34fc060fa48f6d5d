"""What every test of this folder starts from: each command run once without interruption, on a few rendered photos."""

from __future__ import annotations

import shutil
from collections.abc import Iterator
from pathlib import Path

import pytest

from tests import SLICE
from tests.interrupted.harness import Forks
from tests.small_backbones import CNN, small_backbone

PHOTOS_PER_SESSION = 5  # of the 18 or 12 of each session: 20 to train on
SPLIT = ("--group-by", "session", "--calibration", "calibration-afternoon,calibration-night",
         "--test", "test-evening,test-night")  # fmt: skip
WALK_PHOTOS = 6  # that no other folder holds
SIZE, WEIGHTS = 64, "weights.pth"


def fit_flags(made: Path) -> tuple[object, ...]:
    """What `fit` is told in this folder's tests."""
    network = ("--backbone", CNN, "--weights", made / WEIGHTS, "--image-size", SIZE)
    return (*SPLIT, "--recipe", "campus", *network, "--epochs", 2)


@pytest.fixture(scope="session")
def forks(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Forks]:
    forks = Forks(tmp_path_factory.mktemp("forks"))
    yield forks
    forks.close()


@pytest.fixture(scope="session")
def made(forks: Forks, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A folder with `photos`, and the `dataset`, `run`, `bundle`, `export` and `small.campus-edge` made of them; and a
    later `walk`.
    """
    made = tmp_path_factory.mktemp("made")
    for session in sorted(SLICE.iterdir()):
        (made / "photos" / session.name).mkdir(parents=True)
        for photo in sorted(session.iterdir())[:PHOTOS_PER_SESSION]:
            shutil.copy(photo, made / "photos" / session.name)
    (made / "walk").mkdir()
    for photo in sorted((SLICE / "spring-morning").iterdir())[PHOTOS_PER_SESSION:][:WALK_PHOTOS]:
        shutil.copy(photo, made / "walk")
    small_backbone(CNN, SIZE, made / WEIGHTS)
    for words in (
        ("train", "ingest", made / "photos", "--out", made / "dataset"),
        ("train", "fit", made / "dataset", "--out", made / "run", *fit_flags(made)),
        ("train", "bundle", made / "run", "--out", made / "bundle", "--samples", 2),
        ("edge", "export", made / "bundle", "--out", made / "export"),
        ("edge", "pack", made / "bundle", made / "export", "--no-wheels", "--out", made / "small.campus-edge"),
    ):
        done = forks.run(*words)
        assert done.code == 0, done.stderr
    return made
