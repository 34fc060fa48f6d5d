"""On the device: a packed campus -> a folder with a TensorRT engine for this very GPU."""

from __future__ import annotations

import argparse
import logging
import time
from collections.abc import Callable
from dataclasses import dataclass, replace
from functools import partial
from pathlib import Path

from core.campus.bundle import Bundle
from core.engines.cuda import Cuda, open_cuda
from core.engines.engine_key import (
    LOCAL_FEATURES,
    NETWORK,
    EngineFiles,
    EngineKey,
    key_of_this_machine,
    key_text,
    read_key,
)
from core.engines.local_engine import TensorRtLocalEngine
from core.engines.tensorrt_engine import TensorRtEngine
from core.engines.tensorrt_network import TensorRtNetwork, import_tensorrt
from core.engines.vet import check_model
from core.errors import EngineError
from core.io.files import check_writable, written_atomically
from core.program import running_pack
from edge.device.engine_build import BuildFlags, Built, build_engine
from edge.device.trtexec import build_with_trtexec, find_trtexec
from edge.manifest import Export, LocalExport, Profile, Shapes, sha256
from edge.pack import SUFFIX, packed_export, unpack
from edge.parity import head_parity
from edge.program import edge_program

log = logging.getLogger(__name__)

TIMING_CACHE = "timing.cache"


@dataclass(frozen=True)
class Target:
    """An engine to build: its names, the FP16 model, the shapes of its input, and what tries it on golden answers.

    `golden` says how far the engine is from them, and raises EngineError where that is too far.
    """

    files: EngineFiles
    model: bytes
    shapes: Shapes
    golden: Callable[[TensorRtNetwork], str]


def targets(export: Export, flags: BuildFlags) -> list[Target]:
    """The engines that an export asks for: the network's, and that of a second look where it has one."""
    size = export.manifest.preprocessing.size
    found = [Target(NETWORK, export.fp16, Profile(most=flags.max_batch).shapes(size), partial(_golden, export))]
    if export.local is not None:
        height, width = export.local.golden.images.shape[1:3]
        canvas = (1, height, width, 3)  # photos come one by one, each where it is in doubt
        found.append(
            Target(LOCAL_FEATURES, export.local.fp16, (canvas, canvas, canvas), partial(_local_golden, export.local))
        )
    return found


def build(folder: Bundle, flags: BuildFlags, force: bool = False) -> str:
    """Build each engine and its key in an unpacked pack, or keep those that fit; a line on each says what was done.

    Nothing is put in place before the engine has given the golden answers on this device. Where only trtexec is there
    it cannot be asked for them: it is marked as not tried, and built anew once TensorRT's Python module is there.
    Raises EngineError.
    """
    cuda, program = _ways_to_build()
    wanted = targets(packed_export(folder), flags)
    return "\n".join(_build_one(folder.path, target, flags, force, cuda, program) for target in wanted)


def _build_one(folder: Path, target: Target, flags: BuildFlags, force: bool, cuda: Cuda, program: Path | None) -> str:
    engine, digest = folder / target.files.engine, sha256(target.model)
    present = _present_key(folder, target.files)
    # trtexec tells its version only by building, so there the one it built with is believed.
    version = str(import_tensorrt().__version__) if program is None else present.tensorrt if present else ""
    wanted = key_of_this_machine(version, cuda, digest, flags.as_dict())
    if present is not None and not force:
        differences = present.differences(wanted)
        tried = present.tried or program is not None
        if not differences and tried and _engine_is_whole(folder, target.files):
            return f"{engine}: up to date for {describe(wanted)}"
        if differences:
            log.info("building again: the engine was built for %s", ", ".join(differences))
    check_writable(engine)
    started = time.perf_counter()
    log.info("building %s for %s: this takes minutes", target.files.engine, describe(wanted))
    built = _build(target, flags, folder / TIMING_CACHE, program)
    said = "not tried: TensorRT's Python module is not installed" if program else _tried(built, target, cuda)
    key = replace(key_of_this_machine(built.tensorrt, cuda, digest, flags.as_dict()), tried=program is None)
    # All three are on the disk before the first is moved into place. The key is the last: an engine without its key,
    # which is all that a kill between the moves can leave, is never loaded, and built again.
    with (
        written_atomically(folder / target.files.key) as key_file,
        written_atomically(engine) as engine_file,
        written_atomically(folder / TIMING_CACHE) as cache_file,
    ):
        key_file.write_text(key_text(key, built.engine), encoding="utf-8")
        engine_file.write_bytes(built.engine)
        cache_file.write_bytes(built.timing_cache)
    return (
        f"{engine}: {len(built.engine) / 1e6:.1f} MB for {describe(key)}, "
        f"built in {time.perf_counter() - started:.0f} s; golden answers: {said}"
    )


def describe(key: EngineKey) -> str:
    """As a person reads it: "NVIDIA Jetson Orin Nano (8.7), TensorRT 10.3.0, CUDA 12.6, L4T 36.4.3"."""
    return ", ".join(
        [
            f"{key.device or 'GPU'} ({key.compute_capability})",
            *([f"TensorRT {key.tensorrt}"] if key.tensorrt else []),
            f"CUDA {key.cuda}",
            *([f"L4T {key.l4t}"] if key.l4t else []),
        ]
    )


def _ways_to_build() -> tuple[Cuda, Path | None]:
    """CUDA, and trtexec where TensorRT's Python module is absent. Raises EngineError naming all that is missing."""
    problems: list[EngineError] = []
    cuda: Cuda | None = None
    program: Path | None = None
    try:
        cuda = open_cuda()
    except EngineError as error:
        problems.append(error)
    try:
        import_tensorrt()
    except EngineError as error:
        program = find_trtexec()
        if program is None:
            problems.append(error)
        else:
            log.info("%s; using %s", error, program)
    if len(problems) == 1:
        raise problems[0]
    if cuda is None or problems:
        raise EngineError("; ".join(map(str, problems))) from problems[0]
    return cuda, program


def _present_key(folder: Path, files: EngineFiles) -> EngineKey | None:
    try:
        return read_key(folder, files)[0] if (folder / files.key).exists() else None
    except EngineError as error:
        log.info("%s", error)
        return None


def _engine_is_whole(folder: Path, files: EngineFiles) -> bool:
    engine = folder / files.engine
    return engine.is_file() and sha256(engine.read_bytes()) == read_key(folder, files)[1]


def _build(target: Target, flags: BuildFlags, cache: Path, program: Path | None) -> Built:
    check_model(target.model)  # TensorRT's parser gets to see no other
    known = cache.read_bytes() if cache.is_file() else b""
    if program is not None:
        return build_with_trtexec(program, target.model, target.shapes, flags, known)
    return build_engine(target.model, target.shapes, flags, known)


def _tried(built: Built, target: Target, cuda: Cuda) -> str:
    network = TensorRtNetwork(built.engine, target.files.engine, cuda)
    try:
        return target.golden(network)
    finally:
        network.close()


def _golden(export: Export, network: TensorRtNetwork) -> str:
    heads = TensorRtEngine(network).run(export.golden.images)
    apart, tolerances = head_parity(export.golden.heads, heads, export.manifest.scale_m), export.manifest.tolerances
    if apart.offset_mean_m > tolerances.device_m or apart.embedding_max > tolerances.fp16_embedding:
        raise _wrong(f"{apart}; at most {tolerances.device_m} m allowed")
    return str(apart)


def _local_golden(local: LocalExport, network: TensorRtNetwork) -> str:
    height, width = local.golden.images.shape[1:3]
    apart = local.golden.parity(TensorRtLocalEngine(network, height, width))
    if not apart.ok:
        raise _wrong(f"of local features: {apart}")
    return str(apart)


def _wrong(how: str) -> EngineError:
    return EngineError(
        f"the engine's answers are wrong on this device ({how}): it is not installed",
        remedy=f"report this with the output of `{edge_program()} doctor`",
    )


def add_arguments(parser: argparse.ArgumentParser) -> None:
    flags = BuildFlags()
    parser.add_argument(
        "pack", nargs="?", type=Path, metavar="PACK", help=f"NAME{SUFFIX}, or the folder it was unpacked to"
    )
    parser.add_argument("--out", type=Path, metavar="DIR", help="folder to unpack to (default: NAME beside the pack)")
    parser.add_argument("--max-batch", type=int, default=flags.max_batch, help="most photos at once (16)")
    parser.add_argument("--workspace-mb", type=int, default=flags.workspace_mb, help="memory to build with (1024)")
    parser.add_argument(
        "--force", action="store_true", help="build again, and replace DIR where it holds another campus"
    )


def main(args: argparse.Namespace) -> int:
    flags = BuildFlags(args.max_batch, args.workspace_mb)
    _ways_to_build()  # said before anything is read or unpacked
    place = args.pack or running_pack()
    if place is None:
        raise EngineError(f"give the pack to build, NAME{SUFFIX}, or the folder it was unpacked to")
    given = Bundle.load(place)
    export = packed_export(given)
    if flags.max_batch > export.manifest.profile.most:
        raise EngineError(
            f"the model takes at most {export.manifest.profile.most}", path=f"--max-batch {flags.max_batch}"
        )
    folder = given if given.path.is_dir() else unpack(given, args.out or given.path.with_suffix(""), args.force)
    print(build(folder, flags, args.force))
    print(f"next: {edge_program()} run --bundle {folder.path} PHOTO")
    return 0
