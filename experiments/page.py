"""A self-contained page: one HTML file from a template, with plotly inside and nothing fetched from anywhere.

plotly travels packed, in two fifths of its size, and is unpacked by the browser. plotly and Jinja2 are imported when a
page is written, never by the command line.
"""

import base64
import gzip
import hashlib
import os
from collections.abc import Callable
from dataclasses import dataclass
from functools import cache
from importlib.resources import files
from pathlib import Path
from typing import Any


@dataclass(frozen=True, slots=True)
class Shown:
    """A picture on a page: its title, what there is to see in one sentence, how to read it, and the plotly figure."""

    title: str
    says: str
    note: str
    figure: dict[str, Any] | None


def write_page(path: Path, template: str, content: dict[str, Any], **filters: Callable[..., Any]) -> Path:
    """Fill a template of this package with content, write it in one piece and return the path.

    `filters` are what the template calls by name beside `figure` and `sha256`.
    """
    beside = path.with_name(f"{path.name}.tmp")
    beside.write_text(_rendered(template, content, filters), encoding="utf-8", newline="\n")
    os.replace(beside, path)  # noqa: PTH105, the atomic rename is the point
    return path


def _rendered(template: str, content: dict[str, Any], filters: dict[str, Callable[..., Any]]) -> str:
    from jinja2 import Environment, FunctionLoader, StrictUndefined

    from cosim.experiments.text_table import figure

    environment = Environment(
        loader=FunctionLoader(_template),
        autoescape=True,
        undefined=StrictUndefined,
        trim_blocks=True,
        lstrip_blocks=True,
    )
    environment.policies["json.dumps_kwargs"] = {"separators": (",", ":"), "allow_nan": False}
    environment.filters.update(figure=figure, sha256=_sha256, **filters)
    packed, digest = _plotly()
    return environment.get_template(template).render(content, plotly=packed, plotly_sha256=digest)


def _template(name: str) -> str:
    return (files("cosim.experiments") / "templates" / name).read_text("utf-8")


@cache
def _plotly() -> tuple[str, str]:
    """Return the library, packed for a page, and the digest of what the browser makes of it."""
    from plotly.offline import get_plotlyjs

    library = get_plotlyjs()
    packed = gzip.compress(library.encode(), compresslevel=9, mtime=0)
    return base64.b64encode(packed).decode(), _sha256(library)


def _sha256(text: str) -> str:
    """Return the digest by which the page's security policy knows its own scripts."""
    return base64.b64encode(hashlib.sha256(text.encode()).digest()).decode()
