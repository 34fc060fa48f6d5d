"""The import arrows between files, read from their syntax: `python -m tests.arrows` prints circles and broken rules.

Imports within functions count, since they load the same files. So do those for type checkers: a reader follows them.
"""

from __future__ import annotations

import ast
from collections.abc import Collection, Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path

ROOMS = ("core", "train", "edge", "app", "benchmarks")
DOORS = ("predict.py", "streamlit_app.py")
# What each may import of the project; a room within core knows only those named before it.
MAY_IMPORT = {
    "core": ("core",),
    "train": ("core", "train"),
    "edge": ("core", "edge"),
    "app": ("core", "app"),
    "predict": ("core",),
    "streamlit_app": ("core", "app"),
    "benchmarks": ("core", "train", "edge", "app", "predict", "benchmarks"),
}
FLOORS = {
    "core": ("program", "errors", "cli", "io", "photo", "campus", "engines", "network", "locate"),
    "train": ("dataset", "osm", "fit", "evaluate", "bundle", "grow", "compare", "protocol", "demo"),
}
NEEDS_TORCH = ("core.network", "train", "edge.export", "benchmarks")
TORCH = ("torch", "torchvision", "timm", "accelerate", "onnxscript")


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
        for target in sorted(set(_targets(ast.parse(path.read_text("utf-8")), modules)))
        if target != name
    ]


def _targets(tree: ast.Module, modules: Mapping[str, Path]) -> Iterator[str]:
    for node in ast.walk(tree):
        if isinstance(node, ast.Import):
            for alias in node.names:
                yield alias.name if alias.name in modules else alias.name.partition(".")[0]
        elif isinstance(node, ast.ImportFrom) and node.module:
            for alias in node.names:
                inner = f"{node.module}.{alias.name}"
                known = inner if inner in modules else node.module
                ours = known in modules or node.module.partition(".")[0] in ROOMS
                yield known if ours else node.module.partition(".")[0]


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


def broken_rules(found: list[Arrow]) -> list[str]:
    """A line for each arrow that goes where it may not."""
    out = []
    for arrow in found:
        source, target = arrow.source.split("."), arrow.target.split(".")
        said = f"{arrow.source} imports {arrow.target}"
        if target[0] in MAY_IMPORT and target[0] not in MAY_IMPORT.get(source[0], ()):
            out.append(f"{said}: {source[0]} does not know {target[0]}")
        elif source[0] == target[0] and source[0] in FLOORS and len(source) > 1 and len(target) > 1:
            floors = FLOORS[source[0]]
            if source[1] in floors and target[1] in floors and floors.index(target[1]) > floors.index(source[1]):
                out.append(f"{said}: {source[1]} lies below {target[1]}")
        if target[0] in TORCH and not arrow.source.startswith(NEEDS_TORCH):
            out.append(f"{said}: only {', '.join(NEEDS_TORCH)} may need it")
        if target[0] == "tests":
            out.append(f"{said}: nothing outside tests/ knows them")
    return out


def wrongly_packed(carried: Collection[str], modules: Mapping[str, Path]) -> list[str]:
    """A line for each module that a pack carries against the rule, or lacks."""
    wanted = {name for name in modules if name.startswith(PACKED) and not name.startswith(STAYS)}
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
