"""One tiny real rendering of the demo campus, where mitsuba is installed."""

from __future__ import annotations

import sys
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from core.errors import MissingDependency
from train.demo.layout import demo_world
from train.demo.render import render_shots, renderers
from train.demo.sessions import plan_shots


def test_a_missing_renderer_is_named(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(sys.modules, "mitsuba", None)
    with pytest.raises(MissingDependency, match=r"requirements-train\.txt"), renderers(workers=1):
        pass


@pytest.mark.slow
def test_renders_a_photo_and_leaves_finished_ones_alone(tmp_path: Path) -> None:
    pytest.importorskip("mitsuba", reason="mitsuba is not installed (requirements-train.txt)")
    world = demo_world()
    shots = plan_shots(world, 1)[:2]
    done = tmp_path / shots[1].session / shots[1].name
    done.parent.mkdir(parents=True)
    done.write_bytes(b"finished before")
    with renderers(workers=1) as pool:
        paths = render_shots(shots, world, tmp_path, pool, width=48, height=36, spp=1, progress=False)
    assert paths == [tmp_path / s.session / s.name for s in shots]
    assert done.read_bytes() == b"finished before"
    pixels = np.asarray(Image.open(paths[0]))
    assert pixels.shape == (36, 48, 3)
    assert 15 < pixels.mean() < 240
    assert pixels.std() > 10
    assert sorted(p.name for p in done.parent.iterdir()) == sorted(s.name for s in shots)
