"""A self-contained page: one HTML file from a template, with plotly inside and nothing fetched from anywhere.

plotly and Jinja2 are imported when a page is written, never by the command line.
"""

import base64
import hashlib
import os
from collections.abc import Callable
from importlib.resources import files
from pathlib import Path
from typing import Any


def write_page(path: Path, template: str, content: dict[str, Any], **filters: Callable[..., Any]) -> Path:
    """Fill a template of this package with content, write it in one piece and return the path.

    `filters` are what the template calls by name beside `figure` and `sha256`.
    """
    beside = path.with_name(f"{path.name}.tmp")
    beside.write_text(_rendered(template, content, filters), encoding="utf-8", newline="\n")
    os.replace(beside, path)  # noqa: PTH105, the atomic rename is the point
    return path


def _rendered(template: str, content: dict[str, Any], filters: dict[str, Callable[..., Any]]) -> str:
    from jinja2 import Environment, StrictUndefined
    from markupsafe import Markup
    from plotly.offline import get_plotlyjs

    from cosim.experiments.text_table import figure

    environment = Environment(autoescape=True, undefined=StrictUndefined, trim_blocks=True, lstrip_blocks=True)
    environment.policies["json.dumps_kwargs"] = {"separators": (",", ":"), "allow_nan": False}
    environment.filters.update(figure=figure, sha256=_sha256, **filters)
    text = (files("cosim.experiments") / "templates" / template).read_text("utf-8")
    # As browsers read it, or its digest would differ; and nothing in it may end the script element.
    plotly = get_plotlyjs().replace("\r\n", "\n").replace("</script", "<\\/script")
    return environment.from_string(text).render(content, plotly=Markup(plotly))  # noqa: S704, the library's own code


def _sha256(text: str) -> str:
    """Return the digest by which the page's security policy knows its own scripts."""
    return base64.b64encode(hashlib.sha256(text.encode()).digest()).decode()
