"""A pack brings its own packages: pip chooses them, and a device with nothing but numpy and Pillow runs it."""

from __future__ import annotations

import json
import os
import subprocess
import sys
import venv
import zipfile
from importlib.util import find_spec
from pathlib import Path

import pytest

from core.campus.bundle import Bundle
from core.campus.file_names import CAMPUS_JSON
from core.errors import EngineError
from edge.pack import pack, unpack
from edge.wheels import devices_of, fetch_wheels
from tests import REPOSITORY

REQUIREMENTS = REPOSITORY / "requirements-jetson.txt"
DEVICES_OWN = ("numpy", "PIL", "onnxruntime")  # the last, since this machine has no TensorRT to run the network


# --- choosing, where a pack is made ---------------------------------------------------------------------------


def wheel(folder: Path, name: str, version: str = "1.0", tag: str = "py3-none-any", needs: str = "") -> str:
    """Write a wheel without contents, for pip to choose from, and return its name."""
    folder.mkdir(exist_ok=True)
    about = f"{name}-{version}.dist-info"
    requires = f"Requires-Dist: {needs}\n" if needs else ""
    with zipfile.ZipFile(folder / f"{name}-{version}-{tag}.whl", "w") as archive:
        archive.writestr(f"{about}/METADATA", f"Metadata-Version: 2.1\nName: {name}\nVersion: {version}\n{requires}")
        archive.writestr(f"{about}/WHEEL", f"Wheel-Version: 1.0\nRoot-Is-Purelib: true\nTag: {tag}\n")
        archive.writestr(f"{about}/RECORD", "")
    return f"{name}-{version}-{tag}.whl"


@pytest.fixture
def shelf(tmp_path: Path) -> tuple[Path, Path]:
    """A requirements file, and a folder of wheels for many machines that has what it needs for JetPack 6 and 7."""
    folder, requirements = tmp_path / "shelf", tmp_path / "requirements.txt"
    requirements.write_text("# a comment\nnumpy>=1.21  # the device's own\nPillow>=9\nschema~=2.1\n")
    for version, core in (("2.1", "1.1"), ("2.2", "1.2"), ("3.0", "1.3")):
        wheel(folder, "schema", version, needs=f"schema_core=={core}")
        for python in ("310", "312"):
            for system in ("manylinux_2_28_aarch64", "musllinux_1_2_aarch64", "win_arm64"):
                wheel(folder, "schema_core", core, f"cp{python}-cp{python}-{system}")
    wheel(folder, "schema_core", "1.2", "cp312-cp312-manylinux_2_99_aarch64")
    return requirements, folder


def test_each_python_of_jetpack_gets_its_wheels_and_all_that_they_need(shelf: tuple[Path, Path]) -> None:
    assert list(fetch_wheels(*shelf)) == [
        "wheels/python3.10-aarch64/schema-2.2-py3-none-any.whl",
        "wheels/python3.10-aarch64/schema_core-1.2-cp310-cp310-manylinux_2_28_aarch64.whl",
        "wheels/python3.12-aarch64/schema-2.2-py3-none-any.whl",
        "wheels/python3.12-aarch64/schema_core-1.2-cp312-cp312-manylinux_2_28_aarch64.whl",
    ]


def test_a_folder_serves_the_pythons_and_machines_that_its_wheels_are_compiled_for(shelf: tuple[Path, Path]) -> None:
    requirements, folder = shelf
    for aarch64 in folder.glob("*aarch64*"):
        aarch64.unlink()
    wheel(folder, "schema_core", "1.1", "cp311-cp311-manylinux_2_17_x86_64.manylinux2014_x86_64")
    assert list(fetch_wheels(requirements, folder)) == [
        "wheels/python3.11-x86_64/schema-2.1-py3-none-any.whl",
        "wheels/python3.11-x86_64/schema_core-1.1-cp311-cp311-manylinux_2_17_x86_64.manylinux2014_x86_64.whl",
    ]


@pytest.mark.parametrize(("lack", "reason"), [("*-cp310-manylinux*", "Cannot install schema"), ("*", "Could not find")])
def test_a_wheel_that_is_not_there_is_said_with_what_to_type(shelf: tuple[Path, Path], lack: str, reason: str) -> None:
    requirements, folder = shelf
    for gone in folder.glob(lack):
        gone.unlink()
    wheel(folder, "other", "1.0", "cp310-cp310-manylinux_2_17_aarch64")
    with pytest.raises(EngineError) as caught:
        fetch_wheels(requirements, folder)
    said = str(caught.value)
    assert said.startswith(f"{folder}: no wheels of all that python3.10-aarch64 needs ({reason}")
    assert "pip download --only-binary=:all: --python-version=3.10 --platform=manylinux2014_aarch64 -d" in said
    assert len(said.splitlines()) == 1


def test_without_an_index_the_ways_out_are_named_and_nothing_is_written(
    bundle: Bundle, pristine_export: Path, tmp_path: Path
) -> None:
    line = [sys.executable, "-m", "edge", "pack", str(bundle.path), str(pristine_export), "--out"]
    out = tmp_path / "made" / "x.campus-edge"
    kept = {name: value for name, value in os.environ.items() if not name.startswith("PIP_")}
    offline = {**kept, "PIP_NO_INDEX": "1", "PIP_CONFIG_FILE": os.devnull}
    done = subprocess.run([*line, str(out)], cwd=REPOSITORY, env=offline, capture_output=True, text=True, check=False)
    assert done.returncode == 2
    assert done.stderr.startswith("error: pip: no wheels of all that python3.10-aarch64 needs")
    assert "--wheels DIR; --no-wheels packs without" in done.stderr
    assert len(done.stderr.splitlines()) == 1
    assert not out.parent.exists()
    done = subprocess.run(
        [*line, str(out), "--no-wheels"], cwd=REPOSITORY, env=offline, capture_output=True, text=True, check=False
    )
    assert done.returncode == 0, done.stderr
    assert "carries no packages" in done.stdout
    assert devices_of(out) == []


# --- unpacking, where it runs ---------------------------------------------------------------------------------


@pytest.fixture(scope="session")
def carrying_pack(bundle: Bundle, pristine_export: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A pack that carries the packages for this very machine, or skip where pip reaches no index."""
    if sys.platform != "linux":
        pytest.skip("packs carry packages for Linux")
    folder = tmp_path_factory.mktemp("carrying")
    wanted = ["pydantic~=2.10", "pynmea2~=1.19", "threadpoolctl~=3.8", "utm~=0.8"]
    fetched = subprocess.run(
        [sys.executable, "-m", "pip", "download", "--quiet", "--only-binary=:all:", "-d", str(folder / "own"), *wanted],
        capture_output=True, text=True, check=False,
    )  # fmt: skip
    if fetched.returncode:
        pytest.skip(f"pip reaches no index: {fetched.stderr.splitlines()[-1]}")
    made = pack(
        bundle, pristine_export, folder / "small.campus-edge", wheels=lambda: fetch_wheels(REQUIREMENTS, folder / "own")
    )
    return made.path


@pytest.fixture(scope="session")
def bare(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The Python of an environment that has numpy, Pillow and ONNX Runtime, and nothing else."""
    folder = tmp_path_factory.mktemp("bare")
    venv.create(folder, symlinks=True)
    packages = next(folder.glob("lib/python*/site-packages"))
    for name in DEVICES_OWN:
        spec = find_spec(name)
        assert spec is not None
        assert spec.origin is not None
        home = Path(spec.origin).parent
        for part in (home, *home.parent.glob(f"{'pillow' if name == 'PIL' else name}.libs")):
            (packages / part.name).symlink_to(part)
    return folder / "bin" / "python3"


@pytest.fixture
def device(bare: Path, tmp_path: Path) -> Device:
    return Device(bare, tmp_path / "home")


class Device:
    """A machine that nothing was installed on, with an empty home."""

    def __init__(self, python: Path, home: Path) -> None:
        self.python, self.home = python, home
        home.mkdir()

    def run(self, pack_file: Path, *words: str, **environment: str) -> subprocess.CompletedProcess[str]:
        line = [str(self.python), str(pack_file), *words]
        given = {"PATH": "/usr/bin:/bin", "HOME": str(self.home), "CUDA_VISIBLE_DEVICES": "", **environment}
        return subprocess.run(line, cwd=self.home, env=given, capture_output=True, text=True, check=False)

    @property
    def unpacked(self) -> list[Path]:
        return sorted((self.home / ".cache" / "campus-gps").iterdir())


def test_a_device_with_nothing_but_numpy_and_pillow_runs_a_pack(carrying_pack: Path, device: Device) -> None:
    doctor = device.run(carrying_pack, "doctor", "--json")
    assert doctor.returncode == 0, doctor.stderr
    found = {fact["name"]: fact for fact in json.loads(doctor.stdout)["facts"]}
    assert found["pack"]["state"] == found["pynmea2"]["state"] == "ok"
    [folder] = device.unpacked
    assert [place.stat().st_mode & 0o777 for place in (folder, folder.parent)] == [0o700, 0o700]
    first = folder.stat().st_ino

    (device.home / "one.jpg").write_bytes(Bundle.load(carrying_pack).read("samples/library.jpg"))
    located = device.run(carrying_pack, "run", "--backend", "onnxruntime", "--to", "json", "--to", "nmea", "one.jpg")
    assert located.returncode == 0, located.stderr
    lines = located.stdout.splitlines()  # each sink writes on a thread of its own
    (answer,) = (line for line in lines if line.startswith("{"))
    assert json.loads(answer)["lat"] == pytest.approx(47.0, abs=0.01)
    assert [line[:6] for line in lines if line != answer][:2] == ["$GPRMC", "$GPGGA"]

    build = device.run(carrying_pack, "build")
    assert build.returncode == 2
    assert "TensorRT's Python module is not installed: on a Jetson `sudo apt install nvidia-jetpack`" in build.stderr
    assert len(build.stderr.splitlines()) == 1
    assert [place.stat().st_ino for place in device.unpacked] == [first], "unpacked once"


def test_older_packages_of_the_system_do_not_get_in_the_way(carrying_pack: Path, device: Device) -> None:
    (device.home / "pydantic.py").write_text("VERSION = '1.8.2'")
    (device.home / "typing_extensions.py").write_text("")
    done = device.run(carrying_pack, "doctor", PYTHONPATH=str(device.home))
    assert done.returncode == 0, done.stderr


def test_a_pack_without_packages_for_this_python_says_what_to_install(pristine_pack: Path, device: Device) -> None:
    done = device.run(pristine_pack, "doctor")
    assert done.returncode == 2
    assert done.stderr.startswith("error: pydantic is not installed: pip install -r requirements-jetson.txt (`unzip ")


def test_without_numpy_the_systems_own_is_named(carrying_pack: Path, device: Device) -> None:
    done = subprocess.run(
        [str(device.python), "-S", str(carrying_pack), "doctor"],
        env={"HOME": str(device.home)}, capture_output=True, text=True, check=False,
    )  # fmt: skip
    assert done.returncode == 2
    assert done.stderr == "error: numpy is not installed: sudo apt install python3-numpy python3-pil\n"


def test_where_packages_cannot_be_unpacked_the_folder_is_named(carrying_pack: Path, device: Device) -> None:
    (device.home / "cache").write_text("a file")
    done = device.run(carrying_pack, "doctor", XDG_CACHE_HOME=str(device.home / "cache"))
    assert done.returncode == 2
    assert f"{device.home / 'cache' / 'campus-gps'}: the pack's own packages cannot be unpacked there" in done.stderr
    assert "set XDG_CACHE_HOME to a folder" in done.stderr
    assert len(done.stderr.splitlines()) == 1


def test_code_that_others_may_have_written_is_not_run(carrying_pack: Path, device: Device) -> None:
    assert device.run(carrying_pack, "--help").returncode == 0
    [folder] = device.unpacked
    for outlier in (folder, folder.parent):
        outlier.chmod(0o777)
        done = device.run(carrying_pack, "doctor")
        assert done.returncode == 2
        assert done.stderr.startswith(f"error: {outlier}: other users may write there: remove it")


def test_a_pack_whose_packages_are_damaged_is_said(carrying_pack: Path, device: Device) -> None:
    with zipfile.ZipFile(carrying_pack) as archive:
        entry = next(entry for entry in archive.infolist() if "pydantic_core" in entry.filename)
    data = bytearray(carrying_pack.read_bytes())
    data[entry.header_offset + entry.compress_size // 2] ^= 0xFF
    damaged = device.home / "damaged.campus-edge"
    damaged.write_bytes(data)
    done = device.run(damaged, "doctor")
    assert done.returncode == 2
    assert done.stderr.startswith(f"error: {damaged}: is damaged (")
    assert not (device.home / ".cache").exists()


def test_neither_program_nor_packages_are_part_of_the_campus(carrying_pack: Path, tmp_path: Path) -> None:
    assert len(devices_of(carrying_pack)) == 1
    campus = Bundle.load(carrying_pack)
    assert not any(name.startswith(("wheels/", "core/", "edge/wheels")) for name in campus.manifest.files)
    unpack(campus, tmp_path / "campus")
    files = {path.relative_to(tmp_path / "campus").as_posix() for path in tmp_path.rglob("*") if path.is_file()}
    assert files == {CAMPUS_JSON, *campus.manifest.files}
