"""Start commands, kill them, look at what readers would find, and compare what they leave."""

from __future__ import annotations

import hashlib
import os
import shutil
import subprocess
import sys
import threading
import time
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from dataclasses import dataclass
from pathlib import Path

from tests import REPOSITORY
from tests.interrupted.forks import LONGEST_S, Request, encoded

KILLED = -9


@dataclass(frozen=True)
class Done:
    """How a command ended; `touches` is how often it touched a file below `under`, 0 where it was killed."""

    code: int
    stderr: str
    touches: int

    @property
    def complaint(self) -> str:
        """The one line that it said on standard error beside its progress, which is all that may be there."""
        lines = [line for line in self.stderr.splitlines() if line.startswith("error: ")]
        assert self.code == 2, (self.code, self.stderr)
        assert "Traceback" not in self.stderr, self.stderr
        assert self.stderr.splitlines()[-1:] == lines, self.stderr
        assert len(lines) == 1, self.stderr
        return lines[0]


class Forks:
    """Runs commands by way of `tests.interrupted.forks`, in a mount namespace of its own where the system lets it.

    `apart`: whether it does, so that `enter` can mount a disk that nobody else sees.
    """

    def __init__(self, folder: Path) -> None:
        self._folder = folder
        # An administrator needs no user namespace.
        self._user = [] if os.geteuid() == 0 else ["--user"]
        unshare = ["unshare", "--mount", *(["--map-root-user"] if self._user else [])]
        self.apart = (
            shutil.which("unshare") is not None
            and subprocess.run([*unshare, "true"], capture_output=True, check=False).returncode == 0
        )
        line = [sys.executable, "-m", "tests.interrupted.forks"]
        environment = {**os.environ, "OMP_NUM_THREADS": "1", "OPENBLAS_NUM_THREADS": "1", "TQDM_DISABLE": "1"}
        self._log = (folder / "forks.log").open("w+")
        self._process = subprocess.Popen(
            [*unshare, *line] if self.apart else line,
            cwd=REPOSITORY, env=environment, text=True,
            stdin=subprocess.PIPE, stdout=subprocess.PIPE, stderr=self._log,
        )  # fmt: skip
        assert self._answer() == "ready", (folder / "forks.log").read_text()

    def run(self, *words: object, under: Path | None = None, touch: int = 0, later_s: float = 0.0) -> Done:
        """Run a command to its end, or to the kill at its `touch`-th touch of a file below `under`.

        Nothing that it started lives longer than it.
        """
        out, err, counted = (self._folder / name for name in ("stdout", "stderr", "counted"))
        stream = self._process.stdin
        assert stream is not None
        request = Request(
            tuple(map(str, words)), str(self._folder), str(out), str(err), str(counted),
            str(under or self._folder / "nowhere"), touch, later_s,
        )  # fmt: skip
        stream.write(encoded(request))
        stream.flush()
        group, code = int(self._answer()), int(self._answer())
        _wait_for_the_end_of(group)
        touches = int(counted.read_text() or 0)
        return Done(code, err.read_text(), touches)

    def enter(self, *words: object) -> subprocess.CompletedProcess[str]:
        """Run a program in the namespace of the commands, to mount something there."""
        line = ["nsenter", "--preserve-credentials", *self._user, "--mount", "--target", str(self._process.pid)]
        return subprocess.run([*line, *map(str, words)], capture_output=True, text=True, check=False)

    def seen(self, path: Path) -> Path:
        """The same path as the commands see it, mounts and all."""
        return Path(f"/proc/{self._process.pid}/root{path}")

    def close(self) -> None:
        self._process.kill()
        self._process.communicate()
        self._log.close()

    def _answer(self) -> str:
        stream = self._process.stdout
        assert stream is not None
        return stream.readline().strip()


def _wait_for_the_end_of(group: int) -> None:
    """Wait until no process of a group lives; workers must end with the command that started them.

    One that was only being started by then may first have much to import.
    """
    end = time.monotonic() + LONGEST_S
    with suppress(ProcessLookupError):
        while time.monotonic() < end:
            os.killpg(group, 0)
            time.sleep(0.02)
        os.killpg(group, 9)
        raise AssertionError("a worker outlived the command that started it")


def tree(folder: Path) -> dict[str, bytes]:
    """Every file below a folder (or the file itself) by its path; folders end in / and are empty."""
    if folder.is_file():
        return {folder.name: folder.read_bytes()}
    found: dict[str, bytes] = {}
    for path in sorted(folder.rglob("*")):
        name = path.relative_to(folder).as_posix()
        found |= {f"{name}/": b""} if path.is_dir() else {name: path.read_bytes()}
    return found


def digest(content: dict[str, bytes]) -> str:
    """A name for a state of a file or folder."""
    return hashlib.sha256(repr(sorted(content.items())).encode()).hexdigest()


class Reader:
    """Looks at a file or folder again and again, as anybody may while it is written, and keeps each state it found.

    `states` are whole contents by digest; a place with nothing at it is no state.
    """

    def __init__(self, out: Path) -> None:
        self.out, self.states = out, dict[str, dict[str, bytes]]()
        self._read: list[tuple[int, int, int]] = []

    def look(self) -> None:
        """Read `out` if it has changed. A folder replaced meanwhile is read again: a path leads to one of two."""
        for _ in range(100):
            try:
                before = os.stat(self.out).st_ino
                stats = [path.stat() for path in (self.out, *sorted(self.out.rglob("*")))]
                if (now := [(stat.st_ino, stat.st_size, stat.st_mtime_ns) for stat in stats]) == self._read:
                    return
                content = tree(self.out)
                if os.stat(self.out).st_ino == before:
                    self.states.setdefault(digest(content), content)
                    self._read = now
                    return
            except OSError:
                if not self.out.exists():
                    return
        raise AssertionError(f"{self.out} never holds still")


@contextmanager
def reading(*outs: Path) -> Iterator[list[Reader]]:
    """Readers of some places at work while the block runs, and once more at its end."""
    readers, stop = [Reader(out) for out in outs], threading.Event()

    def work() -> None:
        while not stop.wait(0.005):
            for reader in readers:
                reader.look()

    thread = threading.Thread(target=work)
    thread.start()
    try:
        yield readers
    finally:
        stop.set()
        thread.join()
        for reader in readers:
            reader.look()
