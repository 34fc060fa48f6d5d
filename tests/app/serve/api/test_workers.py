"""The processes that locate photos: what they are sent, what they leave, and what is said where they cannot work."""

from __future__ import annotations

import os
import pickle
import shutil
import subprocess
import sys
from concurrent.futures.process import BrokenProcessPool
from contextlib import closing, suppress
from pathlib import Path

import pytest
from fastapi.testclient import TestClient

from app.gate import Gate
from app.serve.api.application import Service, api_app
from app.serve.api.walks import Walks
from app.serve.api.workers import LocateWorkers, _lent
from core.campus.bundle import Bundle
from core.locate.localizer import Localizer
from tests import REPOSITORY
from tests.bundles import make_bundle, photo

HERE = photo(east_m=20.0)


@pytest.fixture(scope="module")
def campus(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return make_bundle(tmp_path_factory.mktemp("campuses") / "testfield")


def test_processes_locate_photos_and_are_made_anew_when_one_dies(campus: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    workers = LocateWorkers(campus, 2)
    try:
        fix = workers.locate([HERE])
        assert fix.lat == Localizer.load(campus).locate(HERE).lat
        with monkeypatch.context() as elsewhere:  # than on Linux
            elsewhere.delattr(os, "memfd_create")
            assert workers.locate([HERE]).lat == fix.lat
        views = [photo(east_m=20.0 + view, view=view) for view in (1, 2, 3)]
        one, other = workers.locate(views), Localizer.load(campus).locate_together(views)
        assert (one.photos, one.lat, one.radius68_m) == (3, other.lat, other.radius68_m)
        pool = workers._running()
        for process in list(pool._processes.values()):
            process.kill()
        with pytest.raises(BrokenProcessPool):
            workers.locate([HERE])
        assert workers.locate([HERE]).lat == fix.lat
    finally:
        workers.close()


def test_a_campus_that_cannot_be_opened_is_named_until_it_is_whole_again(campus: Path, tmp_path: Path) -> None:
    moved = shutil.copytree(campus, tmp_path / "moved")
    bundle, workers = Bundle.load(moved), LocateWorkers(moved, 1)
    whole = (moved / "model.onnx").read_bytes()
    (moved / "model.onnx").write_bytes(whole[:-1])
    with closing(workers), TestClient(api_app(bundle, Service(workers, Walks(moved), Gate()))) as client:
        for _ in range(2):
            answer = client.post("/v1/locate", content=HERE, headers={"Content-Type": "image/jpeg"})
            assert answer.status_code == 503
            assert "model.onnx" in answer.json()["detail"]
            assert str(tmp_path) not in answer.text
            assert "retry-after" not in answer.headers
        (moved / "model.onnx").write_bytes(whole)
        assert client.post("/v1/locate", content=HERE, headers={"Content-Type": "image/jpeg"}).status_code == 200


@pytest.mark.skipif(not hasattr(os, "memfd_create"), reason="there photos go through the pipe")
def test_photos_do_not_go_through_the_pipe_to_a_process_and_leave_nothing_open() -> None:
    photos, before = (HERE, photo(), HERE), lent_handles()
    with _lent(photos) as lent:
        assert lent_handles() > before
        sent = pickle.dumps(lent)
        assert len(sent) < 500
        assert pickle.loads(sent).read() == photos
    assert lent_handles() == before


def lent_handles() -> int:
    """How many handles of this process are of lent photos; others may be closed meanwhile, as garbage is collected."""
    found = 0
    for handle in os.listdir("/proc/self/fd"):
        with suppress(FileNotFoundError):
            found += "memfd:photos" in os.readlink(f"/proc/self/fd/{handle}")
    return found


ORPHANING = """if True:
    import os, sys
    from pathlib import Path
    from app.serve.api.workers import LocateWorkers

    workers = LocateWorkers(Path(sys.argv[1]), 2)
    workers.locate([sys.stdin.buffer.read()])
    os.kill(os.getpid(), 9)
"""


def test_processes_end_with_a_server_that_is_killed(campus: Path) -> None:
    # They hold its standard output, which is at its end once all of them are gone.
    line = [sys.executable, "-c", ORPHANING, str(campus)]
    done = subprocess.run(line, cwd=REPOSITORY, input=HERE, capture_output=True, timeout=60, check=False)
    assert done.returncode == -9


CLOSED = """if True:
    import ctypes, sys
    from pathlib import Path
    from app.serve.api.workers import LocateWorkers

    system = ctypes.CDLL(None)
    system.prctl(24, 19, 0, 0, 0)  # nor may root's processes trace another: PR_CAPBSET_DROP, CAP_SYS_PTRACE
    system.prctl(4, 0, 0, 0, 0)  # none may open this one's files: PR_SET_DUMPABLE
    workers = LocateWorkers(Path(sys.argv[1]), 1)
    photo = sys.stdin.buffer.read()
    print(workers.locate([photo]).lat, workers._lends)
    workers.close()
"""


@pytest.mark.skipif(sys.platform != "linux", reason="there photos go through the pipe")
def test_a_process_that_may_not_open_what_it_is_lent_is_sent_the_photos(campus: Path) -> None:
    line = [sys.executable, "-c", CLOSED, str(campus)]
    said = subprocess.run(line, cwd=REPOSITORY, input=HERE, capture_output=True, timeout=120, check=False)
    assert said.stdout.decode().split() == [str(Localizer.load(campus).locate(HERE).lat), "False"], said.stderr
