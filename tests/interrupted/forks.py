"""Commands as processes of their own that start at once: each is forked off a process that has imported them already.

`python -m tests.interrupted.forks` reads a Request per line and answers each with a process id, then with how it ended.
It runs the real commands; only the backbone is small, and TensorRT and CUDA are the fakes of `tests/edge`. A request
may name the moment at which the process kills itself: the so-manieth time that Python touches a file below a folder.
"""

from __future__ import annotations

import importlib
import json
import os
import signal
import sys
import threading
import time
from dataclasses import asdict, dataclass, replace
from typing import Any

LONGEST_S = 240  # a command that hangs ends here, and its test fails instead of waiting for ever
_TOUCHES = ("open", "os.", "shutil.", "tempfile.")  # Python's audit events for files

_SLOW = (
    *(
        "train.bundle.make",
        "edge.export.export",
        "edge.device.build",
        "edge.pack",
        "edge.export.quantize",
        "core.network.onnx_export",
        "predict",
    ),
    *("onnxruntime.quantization", "onnxscript", "sklearn.cluster", "pandas", "scipy.optimize"),
)


@dataclass(frozen=True)
class Request:
    """A command line (`words`: "train", "fit", …), where it writes to, and when it is to be killed, if at all.

    `under`: the folder whose touches are counted; `touch`: kill at that touch, from 1 (0: never), or `later_s` after
    it. The number of touches goes to the file `counted` when the command ends by itself.
    """

    words: tuple[str, ...]
    folder: str
    stdout: str
    stderr: str
    counted: str
    under: str = ""
    touch: int = 0
    later_s: float = 0.0


class _Touches:
    """Counts Python's file operations below a folder, and ends this process at the chosen one."""

    def __init__(self, request: Request) -> None:
        self.count, self._request = 0, request
        sys.addaudithook(self._hear)

    def _hear(self, event: str, arguments: tuple[Any, ...]) -> None:
        if not event.startswith(_TOUCHES):
            return
        paths = [os.fsdecode(path) for path in arguments if isinstance(path, (str, bytes, os.PathLike))]
        if not any(path.startswith(self._request.under) for path in paths):
            return
        self.count += 1
        if self.count == self._request.touch:
            if not self._request.later_s:
                os.kill(os.getpid(), signal.SIGKILL)
            threading.Thread(target=self._kill_later, daemon=True).start()

    def _kill_later(self) -> None:
        time.sleep(self._request.later_s)
        os.kill(os.getpid(), signal.SIGKILL)


def _prepare() -> None:
    """Import what is slow to import, and put the small parts in the place of the large ones."""
    import torch

    import core.engines.cuda
    import core.network.campus_net
    import train.fit.trainer
    from core.network.onnx_export import traced
    from tests.core.engines import fake_tensorrt
    from tests.core.engines.fake_cuda import FakeCuda
    from tests.edge.networks import small_backbone

    for module in _SLOW:
        importlib.import_module(module)
    traced(torch.nn.Flatten(), (2, 2), ["flat"])  # torch's exporter imports and builds much at its first use
    _shrink_the_demo()
    vars(core.network.campus_net)["build_backbone"] = small_backbone
    vars(train.fit.trainer)["load_imagenet_weights"] = lambda *_: "none"
    sys.modules["tensorrt"] = fake_tensorrt.module()
    vars(core.engines.cuda)["libraries"] = lambda: iter([FakeCuda().library()])


def _shrink_the_demo() -> None:
    """Two tiny photos of each session, of standpoints in the middle of the campus, and one sample of each kind.

    They are planned once, in the whole world, for all commands; what is rendered has few buildings, trees and things.
    """
    from functools import partial

    import train.demo.make
    from train.demo.sessions import SESSIONS

    make: Any = train.demo.make
    world = make.demo_world()
    middle = [s for s in make.plan_shots(world, 1) if abs(s.east_m) < make.SLICE_EAST_M and abs(s.north_m) < 70]
    few = [s for session in SESSIONS for s in [s for s in middle if s.session == session.name][:2]]
    lamps = [prop for prop in world.props if prop.kind == "lamp"][:12]
    things = [prop for prop in world.props if prop.kind != "lamp"][:12]
    small = replace(world, buildings=world.buildings[:6], trees=world.trees[:9], props=(*lamps, *things))
    make.demo_world = lambda: small
    make.plan_shots = lambda *_: few
    make.render_shots = partial(make.render_shots, width=48, height=36, spp=1)
    make.render_large = partial(make.render_large, width=64, height=48, spp=1)
    make.SINGLE_SAMPLES = {"test-evening": 1, "test-night": 1}
    make.SAMPLE_BURSTS = {}
    make.SLICE_PHOTOS = {"train": 4, "calibration": 2, "test": 2}
    make.IMAGE_SIZE = 48


def _next_child() -> Request:
    """Serve requests for ever; returns in each forked process, with its request."""
    for line in sys.stdin:
        request = Request(**json.loads(line))
        child = os.fork()
        if child == 0:
            os.setsid()
            signal.alarm(LONGEST_S)
            files = ((0, os.devnull, os.O_RDONLY), (1, request.stdout, os.O_WRONLY), (2, request.stderr, os.O_WRONLY))
            for handle, path, flags in files:
                os.dup2(os.open(path, flags | (os.O_CREAT | os.O_TRUNC if handle else 0)), handle)
            return request
        print(child, flush=True)
        print(os.waitstatus_to_exitcode(os.waitpid(child, 0)[1]), flush=True)
    sys.exit(0)


def _run(request: Request) -> int:
    from core.cli.run import run_cli

    os.chdir(request.folder)
    program, *_ = sys.argv = list(request.words)
    main = importlib.import_module(program if program == "predict" else f"{program}.__main__").main
    with open(request.counted, "w") as file:
        touches = _Touches(request)
        code = run_cli(main)
        file.write(str(touches.count))
    return code


def encoded(request: Request) -> str:
    """The request as the line that this program reads."""
    return json.dumps(asdict(request)) + "\n"


if __name__ == "__main__":
    _prepare()
    print("ready", flush=True)
    code = _run(_next_child())
    sys.stdout.flush()
    sys.stderr.flush()
    os._exit(code)  # a library loaded before the fork would wait at its end for threads that are not in the child
