"""An HTML page of results, with `page.html` as its head and style; it asks the network for nothing."""

from __future__ import annotations

import base64
from pathlib import Path
from typing import Any

from jinja2 import Environment, FileSystemLoader, StrictUndefined


def render_page(template: Path, **values: Any) -> str:
    """The HTML of a template that extends `page.html`; every text in it is escaped by the template engine."""
    folders = [template.parent, Path(__file__).parent]
    environment = Environment(loader=FileSystemLoader(folders), autoescape=True, undefined=StrictUndefined)
    return environment.get_template(template.name).render(**values)


def data_url(data: bytes, kind: str) -> str:
    """A picture as a URL that holds it; `kind` is png or jpeg."""
    return f"data:image/{kind};base64,{base64.b64encode(data).decode()}"
