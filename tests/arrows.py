"""The import arrows between files, read from their syntax: `python -m tests.arrows` prints circles and broken rules.

Imports within functions count, since they load the same files. So do those for type checkers: a reader follows them.
So do modules that are named in strings, as `import_module` and the tables of commands take them.
"""

from __future__ import annotations

import ast
from collections.abc import Collection, Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path

ROOMS = ("core", "train", "edge", "app", "benchmarks", "scripts")
DOORS = ("predict.py", "streamlit_app.py", "campus_gps.py", "campus_gps_client.py")
# What each may import of the project.
MAY_IMPORT = {
    "core": ("core",),
    "train": ("core", "train"),
    "edge": ("core", "edge"),
    "app": ("core", "app"),
    "predict": ("core",),
    "streamlit_app": ("core", "app"),
    "campus_gps": ("core", "train", "edge", "app", "predict"),
    "campus_gps_client": (),  # to be copied, so it stands alone
    "scripts": ("scripts",),
    "benchmarks": ("core", "train", "edge", "app", "predict", "campus_gps_client", "benchmarks"),
}
# Within a room, each knows only those on its own floor and on floors before it. The longest name that fits counts:
# `serve.api.application` lies above `collect`, the rest of `serve.api` below it. `*`: all that have no name here.
FLOORS = {
    "core": ("program", "errors", "cli", "io", "photo", "campus", "engines", "network", "locate", "archive"),
    "train": ("dataset", "osm", "fit", "evaluate", "bundle", "grow", "compare", "protocol", "demo", "__main__"),
    "edge": ("program wheels local_features parity", "manifest", "pack", "device", "bench", "export", "__main__"),
    "app": (
        "language words_en words_he texts settings gate compression uploads", "map", "*", "serve.api", "collect",
        "serve.api.application answer pages", "serve",
    ),
}  # fmt: skip
# `python -m edge serve` is the former name of `python -m app.serve`.
EXCEPTIONS = (("edge.__main__", "app.serve.serve"),)
TORCH_ROOMS = ("core.network", "train", "edge.export", "benchmarks")
ONNX_ROOMS = ("train", "edge.export", "benchmarks")
LIBRARIES = {
    **dict.fromkeys(("torch", "torchvision", "timm", "accelerate", "onnxscript"), TORCH_ROOMS),
    "onnx": ONNX_ROOMS,
}
CALLS_THAT_NAME_MODULES = ("import_module", "__import__", "Command", "Entry")

PACKED = ("core", "edge")
STAYS = ("core.network", "edge.export")  # of these, a pack carries nothing


@dataclass(frozen=True)
class Arrow:
    """`source` imports `target`, both dotted module names; `target` is a library's first name where it is no file."""

    source: str
    target: str


def module_of(path: Path, root: Path) -> str:
    """The dotted name of a source file under `root`; a package's is its folder's."""
    parts = path.relative_to(root).with_suffix("").parts
    return ".".join(parts[:-1] if parts[-1] == "__init__" else parts)


def sources(root: Path) -> dict[str, Path]:
    """Every source file of the project but its tests, by module name."""
    files = [path for room in ROOMS for path in sorted((root / room).rglob("*.py"))]
    return {
        module_of(path, root): path for path in [*files, *(root / door for door in DOORS if (root / door).exists())]
    }


def arrows(modules: Mapping[str, Path]) -> list[Arrow]:
    """Every import of every file: lazy ones and those for type checkers too."""
    return [
        Arrow(name, target)
        for name, path in modules.items()
        for target in sorted(set(_targets(path, name, modules)))
        if target != name
    ]


def _targets(path: Path, name: str, modules: Mapping[str, Path]) -> Iterator[str]:
    package = name.split(".") if path.name == "__init__.py" else name.split(".")[:-1]
    for node in ast.walk(ast.parse(path.read_text("utf-8"))):
        if isinstance(node, ast.Import):
            for alias in node.names:
                yield _known(alias.name, modules)
        elif isinstance(node, ast.ImportFrom):
            near = package[: len(package) - node.level + 1] if node.level else []
            module = ".".join([*near, *([node.module] if node.module else [])])
            for alias in node.names:
                inner = f"{module}.{alias.name}"
                yield inner if inner in modules else _known(module, modules)
        elif isinstance(node, ast.Call):
            yield from (_known(said, modules) for said in _named_in_call(node))
        elif isinstance(node, ast.Constant) and isinstance(node.value, str) and "." in node.value:
            yield from {node.value} & modules.keys()


def _known(name: str, modules: Mapping[str, Path]) -> str:
    """A module's own name where it is one of ours, or would be; else its library's."""
    ours = name in modules or (name.partition(".")[0] in ROOMS and "." in name)
    return name if ours else name.partition(".")[0]


def _named_in_call(call: ast.Call) -> Iterator[str]:
    """The module that a call names in a string; of an f-string its beginning, a package."""
    function = call.func.attr if isinstance(call.func, ast.Attribute) else getattr(call.func, "id", "")
    if function not in CALLS_THAT_NAME_MODULES or not call.args:
        return
    first = call.args[0].values[0] if isinstance(call.args[0], ast.JoinedStr) else call.args[0]
    if isinstance(first, ast.Constant) and isinstance(first.value, str):
        yield first.value.rstrip(".")


def circles(found: list[Arrow]) -> list[list[str]]:
    """Groups of files that import one another, directly or by way of others (Tarjan's algorithm, 1972)."""
    graph: dict[str, list[str]] = {}
    for arrow in found:
        graph.setdefault(arrow.source, []).append(arrow.target)
    index: dict[str, int] = {}
    low: dict[str, int] = {}
    stack: list[str] = []
    out: list[list[str]] = []

    def visit(name: str) -> None:
        index[name] = low[name] = len(index)
        stack.append(name)
        for target in graph.get(name, ()):
            if target not in index:
                visit(target)
                low[name] = min(low[name], low[target])
            elif target in stack:
                low[name] = min(low[name], index[target])
        if low[name] == index[name]:
            place = stack.index(name)
            if len(stack) - place > 1:
                out.append(sorted(stack[place:]))
            del stack[place:]

    for name in list(graph):
        if name not in index:
            visit(name)
    return out


def within(name: str, rooms: Collection[str]) -> bool:
    """Whether a module is one of these rooms or lies in one."""
    return any(name == room or name.startswith(f"{room}.") for room in rooms)


def floor_of(module: str) -> int | None:
    """How high within its room a module lies; None where no floor is said for it."""
    room, _, inner = module.partition(".")
    floors = [(name, level) for level, names in enumerate(FLOORS.get(room, ())) for name in names.split()]
    fitting = [(len(name), level) for name, level in floors if within(inner, (name,))]
    rest = [(0, level) for name, level in floors if name == "*" and inner]
    return max(fitting or rest)[1] if fitting or rest else None


def broken_rules(found: list[Arrow]) -> list[str]:
    """A line for each arrow that goes where it may not."""
    out = []
    for arrow in found:
        if (arrow.source, arrow.target) in EXCEPTIONS:
            continue
        source, target = arrow.source.partition(".")[0], arrow.target.partition(".")[0]
        said = f"{arrow.source} imports {arrow.target}"
        if target in MAY_IMPORT and target not in MAY_IMPORT.get(source, ()):
            out.append(f"{said}: {source} does not know {target}")
        elif source == target:
            below, above = floor_of(arrow.source), floor_of(arrow.target)
            if below is not None and above is not None and above > below:
                out.append(f"{said}: it lies below")
        if target in LIBRARIES and not within(arrow.source, LIBRARIES[target]):
            out.append(f"{said}: only {', '.join(LIBRARIES[target])} may need it")
        if target == "tests":
            out.append(f"{said}: nothing outside tests/ knows them")
    return out


def wrongly_packed(carried: Collection[str], modules: Mapping[str, Path]) -> list[str]:
    """A line for each module that a pack carries against the rule, or lacks."""
    wanted = {name for name in modules if within(name, PACKED) and not within(name, STAYS)}
    return [
        *(f"{name} is carried and should stay" for name in sorted(set(carried) - wanted)),
        *(f"{name} is not carried" for name in sorted(wanted - set(carried))),
    ]


if __name__ == "__main__":
    everything = arrows(sources(Path(__file__).resolve().parent.parent))
    for circle in circles(everything):
        print("circle:", ", ".join(circle))
    for line in broken_rules(everything):
        print(line)
