"""Pictures of a run as files of their own, for papers and pages: `python -m cosim.experiments.stills RUN NAME FILE`.

plotly draws in a browser, so a Chromium or Chrome on the path does it here, without a window and without a network.
"""

import base64
import json
import os
import re
import shutil
import subprocess
import sys
import tempfile
from pathlib import Path
from typing import Final

from cosim.experiments.plots import Figure
from cosim.models.errors import BadInputError, CosimError, StorageError

BROWSERS: Final = ("chromium", "chromium-browser", "google-chrome", "chrome")
FORMATS: Final = (".svg", ".png")
WIDTH: Final = 900
_WAIT_S: Final = 60
_PAGE: Final = """<!DOCTYPE html><meta charset="utf-8"><div id="place"></div><pre id="still"></pre>
<script>{library}</script><script>
const figure = {figure};
Plotly.newPlot("place", figure.data, {{...figure.layout, width: {width}}}).then((drawn) =>
  Plotly.toImage(drawn, {{format: "{format}", width: {width}, height: figure.layout.height}})).then((url) => {{
    const [head, body] = [url.slice(0, url.indexOf(",")), url.slice(url.indexOf(",") + 1)];
    const bytes = head.endsWith("base64") ? body
      : btoa(String.fromCharCode(...new TextEncoder().encode(decodeURIComponent(body))));
    document.getElementById("still").textContent = bytes;
  }});
</script>"""


def write_still(figure: Figure, path: Path, width: int = WIDTH) -> Path:
    """Draw a figure as an SVG or PNG file of a width in pixels, by the file's ending, and return its path.

    BadInputError for another ending, StorageError where there is no browser or it draws nothing.
    """
    if path.suffix not in FORMATS:
        raise BadInputError.one("command line", "FILE", str(path), f"it may end in {' or '.join(FORMATS)}")
    path.write_bytes(base64.b64decode(_drawn(_page(figure, path.suffix[1:], width))))
    return path


def _page(figure: Figure, kind: str, width: int) -> str:
    from plotly.offline import get_plotlyjs

    told = json.dumps(figure, allow_nan=False).replace("<", "\\u003c")
    library = get_plotlyjs().replace("</script", "<\\/script")
    return _PAGE.format(library=library, figure=told, width=width, format=kind)


def _drawn(page: str) -> str:
    """Return what a browser makes of a page that leaves its picture behind in base64."""
    with tempfile.TemporaryDirectory() as folder:
        file = Path(folder) / "still.html"
        file.write_text(page, encoding="utf-8")
        told = dumped(file)
    found = re.search(r'<pre id="still">([A-Za-z0-9+/=]+)</pre>', told)
    if found is None:
        raise StorageError("the browser drew nothing")
    return found[1]


def dumped(page: Path) -> str:
    """Return what a browser has made of a page once its scripts have run; StorageError where there is no browser."""
    browser = next(filter(None, map(shutil.which, BROWSERS)), None)
    if browser is None:
        raise StorageError(f"no browser draws the picture: none of {', '.join(BROWSERS)} is on the path")
    words = [
        browser,
        "--headless",
        "--disable-gpu",
        "--virtual-time-budget=20000",
        "--dump-dom",
        page.resolve().as_uri(),
    ]
    # Chromium refuses to run as root with its sandbox; what it opens are pages of our own.
    words[1:1] = ["--no-sandbox"] if os.geteuid() == 0 else []
    return subprocess.run(words, capture_output=True, text=True, timeout=_WAIT_S, check=False).stdout  # noqa: S603, above


def main(words: list[str]) -> str:
    """Draw one picture of a run by name into a file; return what to print."""
    from cosim.experiments.pictures import drawn
    from cosim.experiments.report_data import RunData
    from cosim.experiments.run import Run

    if len(words) != 3:
        return "usage: python -m cosim.experiments.stills RUN NAME FILE"
    folder, name, file = words
    with RunData(Run(folder)) as data:
        return str(write_still(drawn(data, name), Path(file)))


if __name__ == "__main__":
    try:
        sys.stdout.write(main(sys.argv[1:]) + "\n")
    except CosimError as error:
        sys.exit(str(error))
