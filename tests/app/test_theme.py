"""Colours of page and map: contrast as WCAG 2.2 asks for, and options that Streamlit knows."""

from __future__ import annotations

import re
from collections.abc import Iterator
from typing import Any

import pytest
import tomllib
from streamlit import config

from app.map.shapes import DARK, LIGHT
from core.campus import basemap
from tests import REPOSITORY


def _luminance(colour: str) -> float:
    channels = [int(colour[at : at + 2], 16) / 255 for at in (1, 3, 5)]
    linear = [c / 12.92 if c <= 0.04045 else ((c + 0.055) / 1.055) ** 2.4 for c in channels]
    return 0.2126 * linear[0] + 0.7152 * linear[1] + 0.0722 * linear[2]


def contrast(one: str, other: str) -> float:
    """The contrast ratio of WCAG 2.2 between two colours, 1 to 21."""
    light, dim = sorted((_luminance(one), _luminance(other)), reverse=True)
    return (light + 0.05) / (dim + 0.05)


def test_contrast_formula() -> None:
    assert contrast("#000000", "#ffffff") == pytest.approx(21)
    assert contrast("#777777", "#ffffff") == pytest.approx(4.48, abs=0.01)


def test_streamlit_knows_every_option_that_is_set() -> None:
    def options(table: dict[str, Any], under: str = "") -> Iterator[str]:
        for name, value in table.items():
            yield from options(value, f"{under}{name}.") if isinstance(value, dict) else [under + name]

    chosen = list(options(tomllib.loads((REPOSITORY / ".streamlit" / "config.toml").read_text())))
    assert "runner.postScriptGC" in chosen
    for option in chosen:  # one that an update dropped would be passed over with no more than a warning
        config.get_option(option)


@pytest.mark.parametrize("look", ["light", "dark"])
def test_texts_have_aa_contrast(look: str) -> None:
    theme = tomllib.loads((REPOSITORY / ".streamlit" / "config.toml").read_text())["theme"]
    colours = {**{key: value for key, value in theme.items() if isinstance(value, str)}, **theme[look]}
    css = (REPOSITORY / "app" / "frontend" / "page.css").read_text()
    blocks = re.findall(r":root \{([^}]*)\}", css)
    own = dict(re.findall(r"--campus-(\w+): (#[0-9a-f]{6})", blocks[0 if look == "light" else 1]))
    assert {"card", "soft", "bar"} <= own.keys()
    grounds = [colours["backgroundColor"], colours["secondaryBackgroundColor"], own["card"], own["bar"]]
    for ground in grounds:
        for text in (colours["textColor"], colours["primaryColor"], own["soft"]):
            assert contrast(text, ground) >= 4.5, (text, ground)
    assert contrast("#ffffff", "#0b57d0") >= 4.5  # the big button
    assert contrast(colours["borderColor"], colours["backgroundColor"]) >= 3.0  # what shows a control's edge


def test_signs_on_the_map_stand_out_from_its_ground() -> None:
    for theme, ground in ((LIGHT, basemap.LIGHT["ground"]), (DARK, basemap.DARK["ground"])):
        for colour in (theme.fix, theme.truth, theme.zone, theme.candidate, theme.text):
            assert contrast("#{:02x}{:02x}{:02x}".format(*colour), ground) >= 4.5
