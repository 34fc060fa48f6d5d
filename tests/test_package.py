"""The package, its one command, the locks, and what the scripts say before they install."""

from __future__ import annotations

import json
import os
import re
import subprocess
import sys
import zipfile
from importlib.metadata import packages_distributions
from itertools import pairwise
from pathlib import Path

import pytest
import tomllib
from packaging.requirements import Requirement
from packaging.utils import canonicalize_name

import campus_gps
from core.errors import CampusError, MissingDependency
from core.program import typed
from tests import REPOSITORY
from tests.arrows import arrows, sources

LOCKS = {"requirements.txt": "requirements.lock", "requirements-dev.txt": "requirements-dev.lock"}
SAMPLE = REPOSITORY / "campuses" / "demo" / "samples" / "test-night-IMG_00013.jpg"
PACKAGES = ("core", "train", "edge", "app", "campuses/demo", ".streamlit", "static")
ON_LOCKED_LINUX = sys.platform == "linux" and os.uname().machine in ("x86_64", "aarch64")


def requirement_lines(name: str) -> list[str]:
    """The lines that name a package in a requirements file and in those that it includes."""
    found = []
    for line in (REPOSITORY / name).read_text(encoding="utf-8").splitlines():
        if line.startswith("-r "):
            found += requirement_lines(line.removeprefix("-r ").strip())
        elif line and not line.startswith("#"):
            found.append(line)
    return found


def test_the_version_is_the_changelog_s_topmost() -> None:
    version = tomllib.loads((REPOSITORY / "pyproject.toml").read_text("utf-8"))["project"]["version"]
    topmost, unreleased = re.findall(
        r"^## (\S+)( \(unreleased\))?$", (REPOSITORY / "CHANGELOG.md").read_text("utf-8"), re.M
    )[0]
    assert version == topmost + (".dev0" if unreleased else "")


@pytest.mark.parametrize("name", ["requirements-dev.txt", "requirements-jetson.txt"])
def test_each_pin_has_its_reason_beside_it(name: str) -> None:
    text = (REPOSITORY / name).read_text(encoding="utf-8").splitlines()
    above = {line for before, line in pairwise(text) if before.startswith("#")}
    assert [line for line in requirement_lines(name) if "  # " not in line and line not in above] == []


@pytest.mark.parametrize(("name", "lock"), LOCKS.items())
def test_the_lock_has_each_requirement_with_hashes_and_names_no_host(name: str, lock: str) -> None:
    """Where it fails after a change of the requirements: scripts/lock renews the locks."""
    text = (REPOSITORY / lock).read_text(encoding="utf-8")
    assert "://" not in text
    locked: dict[str, list[str]] = {}
    for entry in re.split(r"^(?=[a-z])", text, flags=re.MULTILINE)[1:]:
        match = re.match(r"([a-z0-9.-]+)==(\S+)", entry)
        assert match, entry[:80]
        assert "--hash=sha256:" in entry, entry[:80]
        locked.setdefault(match[1], []).append(match[2])
    for line in requirement_lines(name):
        wanted = Requirement(line.partition("#")[0].strip())
        versions = locked.get(canonicalize_name(wanted.name), [])
        assert versions, f"scripts/lock: {line}"
        assert all(wanted.specifier.contains(version) for version in versions), f"scripts/lock: {line}"


def test_what_the_app_imports_is_a_requirement_of_its_own() -> None:
    """Else a package that brought it along may drop it, and no pin of ours holds its version."""
    names = {
        canonicalize_name(Requirement(line.partition("#")[0]).name) for line in requirement_lines("requirements.txt")
    }
    modules = {path.stem for path in REPOSITORY.iterdir()} | set(sys.stdlib_module_names)
    imported = {
        arrow.target.partition(".")[0]
        for arrow in arrows(sources(REPOSITORY))
        if arrow.source.startswith(("app", "streamlit_app", "predict"))
    }
    brought_by = packages_distributions()
    undeclared = [
        module for module in imported - modules
        if not names & {canonicalize_name(package) for package in brought_by.get(module, [])}
    ]  # fmt: skip
    assert sorted(undeclared) == []


def test_the_app_s_lock_agrees_with_that_of_development() -> None:
    def pins(lock: str) -> set[str]:
        return set(re.findall(r"^[a-z0-9.-]+==[^\\]+", (REPOSITORY / lock).read_text(encoding="utf-8"), re.MULTILINE))

    assert pins("requirements.lock") < pins("requirements-dev.lock")


def test_the_sizes_are_of_all_that_the_test_script_installs() -> None:
    """Measured by scripts/lock, installed and told by scripts/venv.sh."""
    lock, venv = ((REPOSITORY / "scripts" / name).read_text(encoding="utf-8") for name in ("lock", "venv.sh"))
    (measured,) = re.findall(r"^ALONE=\((.*)\)", lock, re.MULTILINE)
    installed = re.findall(r"-r (requirements-\S+\.txt)", venv)
    assert measured.split() == installed
    assert len(installed) == 3


@pytest.mark.parametrize(
    ("answers", "code", "said"),
    [
        ("echo No known vulnerabilities found", 0, "No known vulnerabilities found"),
        ("echo utm 0.9.0 ADVISORY-1; exit 1", 1, "ADVISORY-1"),
        ("echo 'requests.exceptions.ConnectionError: no route' >&2; exit 1", 0, "cannot be reached"),
        ("grep -oE '^[a-z0-9A-Z._-]+==' \"$6\" | sed 's/$/ could not be audited/'", 0, "cannot be reached"),
    ],
    ids=["clean", "finding", "offline", "a mirror without advisories"],
)
def test_the_audit_fails_on_a_finding_and_not_without_the_database(
    answers: str, code: int, said: str, tmp_path: Path
) -> None:
    """With a stand-in for pip-audit; `$6` is the file that it is asked about."""
    (tmp_path / "pip-audit").write_text(f"#!/usr/bin/env bash\n{answers}\n")
    (tmp_path / "pip-audit").chmod(0o755)
    done = subprocess.run(
        [REPOSITORY / "scripts" / "audit"], env={**os.environ, "PIP_AUDIT": str(tmp_path / "pip-audit")},
        capture_output=True, text=True, check=False,
    )  # fmt: skip
    assert done.returncode == code
    assert said in done.stdout + done.stderr
    assert ("requirements-s3-server.txt" in done.stdout) is (said != "cannot be reached")


@pytest.mark.parametrize("words", [(), ("--all",), ("tests/test_units.py",)], ids=["none", "all", "file"])
def test_the_test_script_runs_the_quick_tests_unless_more_is_asked_for(words: tuple[str, ...], tmp_path: Path) -> None:
    script = (REPOSITORY / "scripts" / "test").read_text(encoding="utf-8")
    (tmp_path / "test").write_text(script, encoding="utf-8")
    (tmp_path / "venv.sh").write_text('use_venv() { echo installed; }\npython() { echo "$@"; }\nexec() { "$@"; }\n')
    said = subprocess.run(["bash", tmp_path / "test", *words], capture_output=True, text=True, check=True).stdout
    assert "-m pytest" in said
    assert ("-m not slow or quick" in said) is (words == ())
    told = {(): "4 to 7 minutes on two idle cores", ("--all",): "15 to 26 minutes on two idle cores"}.get(words)
    if told:
        assert said.index(told) < said.index("installed"), "how long it takes is said before anything is waited for"
    assert ("tests/test_units.py" in said) is ("tests/test_units.py" in words)


@pytest.mark.skipif(not ON_LOCKED_LINUX, reason="the locks are for Linux on x86-64 and aarch64")
@pytest.mark.parametrize(
    ("script", "name"), [("app", "requirements.txt"), ("test", "requirements-dev.txt")], ids=["app", "test"]
)
def test_a_script_says_what_it_will_install_and_then_that_there_is_nothing(
    script: str, name: str, tmp_path: Path
) -> None:
    lock = LOCKS[name]
    sizes = re.search(
        r"Size: (\d+) MB to download, (\d+) MB installed", (REPOSITORY / lock).read_text(encoding="utf-8")
    )
    assert sizes

    def said() -> str:
        return subprocess.run(
            [REPOSITORY / "scripts" / script, "--announce"], env={**os.environ, "VENV": str(tmp_path / "venv")},
            capture_output=True, text=True, check=True,
        ).stdout  # fmt: skip

    first = said()
    assert f"installing {lock} into {tmp_path}/venv, once: {sizes[1]} MB to download, {sizes[2]} MB on disk" in first
    assert re.search(r"about (\d+ minutes|a minute) at 100 Mbit/s", first)
    assert not (tmp_path / "venv").exists()

    (tmp_path / "venv").mkdir()
    fingerprint = "cat requirements*.txt requirements*.lock | sha256sum | cut -d' ' -f1"
    stamp = subprocess.run(["bash", "-c", fingerprint], cwd=REPOSITORY, capture_output=True, check=True).stdout
    (tmp_path / "venv" / f"{name}.installed").write_bytes(stamp)
    assert "nothing to install" in said()


def test_the_command_lists_what_it_has_and_refuses_the_rest(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    for words, code in ((["--help"], 0), (["fly"], 2), ([], 2)):
        monkeypatch.setattr(sys, "argv", ["campus-gps", *words])
        with pytest.raises(SystemExit) as stop:
            campus_gps.main()
        assert stop.value.code == code
    shown = capsys.readouterr().out
    assert all(f"    {name} " in shown for name in ("locate", "train", "edge", "serve"))


@pytest.mark.parametrize("words", [["locate"], ["train", "split"], ["edge", "run"], ["serve"]], ids=" ".join)
def test_each_command_s_help_calls_it_by_the_name_that_was_typed(
    words: list[str], monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setattr(sys, "argv", ["campus-gps", *words, "--help"])
    with pytest.raises(SystemExit) as stop:
        campus_gps.main()
    assert stop.value.code == 0
    assert capsys.readouterr().out.startswith(f"usage: campus-gps {' '.join(words)} ")


@pytest.mark.parametrize(
    ("checkout", "file", "said"),
    [
        (True, "requirements-train.txt", "-r requirements-train.txt"),
        (False, "requirements-train.txt", '"campus-gps[train]"'),
        (False, "requirements-jetson.txt", "torch"),
        (False, "requirements-blur.txt", "--no-deps -r {site}/requirements-blur.txt"),
        (False, "requirements-second-look.txt", "--no-deps -r {site}/requirements-second-look.txt"),
    ],
)
def test_a_missing_package_is_named_by_a_file_only_where_that_file_is(
    checkout: bool, file: str, said: str, monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    def main(_: str) -> int:
        raise MissingDependency("torch", file)

    monkeypatch.setattr("predict.main", main)
    monkeypatch.setattr(sys, "argv", ["campus-gps", "locate"])
    if not checkout:
        monkeypatch.setattr(campus_gps, "__file__", str(tmp_path / "campus_gps.py"))
    with pytest.raises(CampusError) as stop:
        campus_gps.main()
    assert str(stop.value).endswith(f"is not installed: pip install {said.format(site=tmp_path)}")


@pytest.mark.parametrize(
    ("started", "train", "locate"),
    [
        ("/usr/bin/campus-gps", "campus-gps train", "campus-gps locate"),
        ("train/__main__.py", "python -m train", "python -m predict"),
    ],
)
def test_the_next_step_is_told_as_this_one_was_typed(
    started: str, train: str, locate: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(sys, "argv", [started, "train", "split", str(tmp_path)])
    with pytest.raises(CampusError, match=f"make one with {train} ingest$"):
        campus_gps.main()
    assert typed("predict") == locate


@pytest.fixture(scope="module")
def wheel(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The project's wheel, built with what is installed: no network."""
    folder = tmp_path_factory.mktemp("wheel")
    pip = [sys.executable, "-m", "pip", "--quiet", "--disable-pip-version-check"]
    subprocess.run([*pip, "wheel", "--no-deps", "--no-build-isolation", "-w", folder, REPOSITORY], check=True)
    (made,) = folder.glob("campus_gps-*-py3-none-any.whl")
    return made


@pytest.mark.slow
def test_the_wheel_holds_every_file_of_the_rooms(wheel: Path) -> None:
    listed = subprocess.run(
        ["git", "ls-files", "-z", *PACKAGES], cwd=REPOSITORY, capture_output=True, text=True, check=True
    )
    tracked = {name for name in listed.stdout.split("\0") if name}
    assert len(tracked) > 100
    with zipfile.ZipFile(wheel) as archive:
        held = set(archive.namelist())
        (metadata,) = (name for name in held if name.endswith(".dist-info/METADATA"))
        stated = archive.read(metadata).decode()
    assert tracked - held == set()
    assert "Requires-Dist: onnxruntime~=1.31\n" in stated
    assert "Requires-Dist: torch~=2.14.1; extra == 'train'\n" in stated
    assert set(campus_gps.ALONE) < held, "what a missing package's remedy names"
    units = {name.partition(".data/data/share/campus-gps/systemd/")[2] for name in held}
    assert {"campus-gps-serve.service", "campus-gps-run.service"} < units
    assert {"core/py.typed", "train/py.typed", "edge/py.typed", "app/py.typed"} < held


@pytest.mark.slow
def test_the_installed_command_answers_outside_the_checkout(wheel: Path, tmp_path: Path) -> None:
    """Installed into a folder of its own; what it depends on is this environment's."""
    site, elsewhere = tmp_path / "site", tmp_path / "elsewhere"
    elsewhere.mkdir()
    pip = [sys.executable, "-m", "pip", "--quiet", "--disable-pip-version-check"]
    subprocess.run([*pip, "install", "--no-deps", "--no-index", "--target", site, wheel], check=True)
    photo = elsewhere / "photo.jpg"
    photo.write_bytes(SAMPLE.read_bytes())
    environment = {name: value for name, value in os.environ.items() if name != "CAMPUS_BUNDLE"}
    environment["PYTHONPATH"] = str(site)

    def run(*words: str) -> subprocess.CompletedProcess[str]:
        command = [str(site / "bin" / "campus-gps"), *words]
        return subprocess.run(command, cwd=elsewhere, env=environment, capture_output=True, text=True, check=False)

    located = run("locate", "--json", "photo.jpg")
    assert located.returncode == 0, located.stderr
    fix = json.loads(located.stdout)
    assert fix["campus"] == "Demo campus"
    assert fix["on_campus"] is True

    where = [sys.executable, "-c", "import core, predict; print(core.__file__); print(predict.__file__)"]
    found = subprocess.run(where, cwd=elsewhere, env=environment, capture_output=True, text=True, check=True)
    assert all(Path(line).is_relative_to(site) for line in found.stdout.split())

    missing = run("locate", "nothing.jpg")
    assert missing.returncode == 2
    assert missing.stderr.startswith("error: ")
    assert missing.stderr.count("\n") == 1


def test_an_own_campus_and_its_export_are_no_change_of_the_project_s() -> None:
    own = ["campuses/mine/campus.json", "campuses/mine.campus", "campuses/mine-export/manifest.json"]
    shown = subprocess.run(["git", "check-ignore", *own], cwd=REPOSITORY, capture_output=True, text=True, check=False)
    if shown.returncode == 128:
        pytest.skip("no git repository here")
    assert shown.stdout.split() == own
