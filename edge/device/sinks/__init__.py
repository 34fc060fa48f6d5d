"""Where `run` puts fixes. Each kind of sink is one file, found by its name: `--to mqtt:…` is `mqtt.py`.

Such a file has `ADDRESSES`, the forms of its addresses for people, and `open_sink(rest, options)`: what follows the
first colon -> a Sink, or None where it is no such address; raises EngineError and MissingDependency.
`docs/templates/sink.py` is one to begin with.
"""

from __future__ import annotations

from core.errors import EngineError
from core.program import choices, chosen
from edge.device.sink import Sink, SinkOptions


def addresses() -> str:
    """The addresses of every sink, as people type them."""
    return ", ".join(chosen(__name__, kind).ADDRESSES for kind in choices(__name__))


def on_standard_output(address: str) -> bool:
    """Whether a sink writes to standard output: one whose address is its kind alone."""
    return ":" not in address


def open_sink(address: str, options: SinkOptions | None = None) -> Sink:
    """An address as `addresses` lists them -> a Sink.

    A port is opened on this machine alone unless a HOST such as 0.0.0.0 is given. Raises EngineError.
    """
    kind, colon, rest = address.partition(":")
    file = chosen(__name__, kind)
    sink: Sink | None = None
    if file is not None and bool(rest) == bool(colon):
        sink = file.open_sink(rest, options or SinkOptions())
    if sink is None:
        raise EngineError(f"not one of {addresses()}", path=f"--to {address}")
    return sink
