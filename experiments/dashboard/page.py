"""The page: a frame that is the same for every run, and what is filled in again and again."""

import shlex
import threading
from importlib.resources import files
from pathlib import Path
from typing import Any, Final

from dash import Dash, Input, Output, State, dcc, html, no_update

from cosim.experiments.dashboard import panels
from cosim.experiments.dashboard.watch import MAX_EVENTS, View, Watch
from cosim.experiments.key_figures import number
from cosim.experiments.pictures import Picture
from cosim.experiments.untrusted import untrusted
from cosim.models.errors import StorageError

REFRESH_MS: Final = 2000
_MAX_DETAIL: Final = 300
_MAX_CAUSES: Final = 12
# All that is served lies on this machine, nothing is loaded that is not named here.
_SETTINGS: Final[dict[str, Any]] = {
    "title": "cosim dashboard",
    "update_title": None,
    "serve_locally": True,
    "include_assets_files": False,
    "add_log_handler": False,
    "enable_mcp": False,
    "meta_tags": [{"name": "viewport", "content": "width=device-width, initial-scale=1"}],
}
_OPTIONS: Final[Any] = {"displayModeBar": False, "responsive": True, "showSendToCloud": False, "plotlyServerURL": ""}
# Ink and paper are the page's, in the light and in the dark; what a reader has zoomed into stays.
_LOOK: Final = {
    "template": {
        "layout": {
            "font": {"family": "system-ui, sans-serif", "size": 12},
            "xaxis": {"title": {"font": {"size": 11}}, "nticks": 5, "tickangle": 0},
            "yaxis": {"title": {"font": {"size": 11}}},
            "yaxis2": {"title": {"font": {"size": 11}}},
        }
    },
    "paper_bgcolor": "rgba(0,0,0,0)",
    "plot_bgcolor": "rgba(0,0,0,0)",
    "uirevision": "kept",
    "autosize": True,
}
_GONE: Final = {"display": "none"}


def page(folder: Path, server: Any) -> Dash:
    """Return the app that shows a run directory by a Flask `server`; all it serves is its own."""
    app = Dash(__name__, server=server, index_string=_template(), **_SETTINGS)
    app.layout = _frame()
    board = Board(Watch(folder))

    @app.callback(
        output={
            "seen": Output("seen", "data"),
            "trouble": Output("trouble", "children"),
            "head": Output("head", "children"),
            "headlines": Output("headlines", "children"),
            "events": Output("events", "children"),
            "pictures": {name: _outputs(name) for name in panels.TITLES},
        },
        inputs={"_ticks": Input("clock", "n_intervals"), "seen": State("seen", "data")},
    )
    def fill(_ticks: int, seen: int | None) -> dict[str, Any]:
        return board.filled(seen)

    return app


class Board:
    """What the page is filled with; drawn once for all who look at it."""

    def __init__(self, watch: Watch) -> None:
        self._watch = watch
        self._lock = threading.Lock()
        self._drawn: tuple[int, dict[str, Picture]] = (0, {})

    def filled(self, seen: int | None) -> dict[str, Any]:
        """Return every part of the page for a reader who has `seen` so many intervals.

        Parts that need not change are left alone; what cannot be read is a sentence and leaves all others as they were.
        """
        try:
            with untrusted(self._watch.folder):
                view = self._watch.look()
                return self._parts(view, seen)
        except StorageError as error:
            kept = {name: _same() for name in panels.TITLES}
            same = dict.fromkeys(("seen", "head", "headlines", "events"), no_update)
            return {**same, "trouble": str(error), "pictures": kept}

    def _parts(self, view: View, seen: int | None) -> dict[str, Any]:
        if view.settled and seen == view.settled:
            same = dict.fromkeys(("seen", "headlines", "events"), no_update)
            pictures = {name: _same() for name in panels.TITLES}
            return {**same, "trouble": "", "head": _head(view, self._watch.folder), "pictures": pictures}
        drawn = self._pictures(view)
        return {
            "seen": view.settled,
            "trouble": "",
            "head": _head(view, self._watch.folder),
            "headlines": [_headline(*row) for row in panels.headlines(view)] if view.settled else [],
            "events": _events(view),
            "pictures": {name: _shown(drawn.get(name)) for name in panels.TITLES},
        }

    def _pictures(self, view: View) -> dict[str, Picture]:
        with self._lock:
            if self._drawn[0] != view.settled:
                self._drawn = view.settled, panels.pictures(view)
            return self._drawn[1]


def _template() -> str:
    """Return the page around the app, in the report's style."""
    templates = files("cosim.experiments") / "templates"
    style = (templates / "style.html").read_text("utf-8")
    return (templates / "dashboard.html").read_text("utf-8").replace("{%style%}", style)


def _frame() -> html.Main:
    sections = [
        html.Section(
            [
                html.H2(title),
                html.P(id=f"says-{name}", className="says"),
                dcc.Graph(id=f"picture-{name}", figure={}, config=_OPTIONS),
                html.P(id=f"note-{name}", className="note"),
            ],
            id=f"section-{name}",
            hidden=True,
        )
        for name, title in panels.TITLES.items()
    ]
    return html.Main(
        [
            html.Header(id="head"),
            html.P(id="trouble", role="alert"),
            html.Dl(id="headlines", className="headlines"),
            html.Div([*sections, html.Section(id="events")], className="pictures"),
            dcc.Interval(id="clock", interval=REFRESH_MS),
            dcc.Store(id="seen"),
        ]
    )


def _outputs(name: str) -> dict[str, Output]:
    return {
        "figure": Output(f"picture-{name}", "figure"),
        "style": Output(f"picture-{name}", "style"),
        "says": Output(f"says-{name}", "children"),
        "note": Output(f"note-{name}", "children"),
        "hidden": Output(f"section-{name}", "hidden"),
    }


def _same() -> dict[str, Any]:
    return dict.fromkeys(("figure", "style", "says", "note", "hidden"), no_update)


def _shown(picture: Picture | None) -> dict[str, Any]:
    if picture is None:
        return {"figure": {}, "style": _GONE, "says": "", "note": "", "hidden": True}
    words = {"says": picture.says, "note": picture.note, "hidden": False}
    if picture.figure is None:
        return {"figure": {}, "style": _GONE, **words}
    layout = {**picture.figure["layout"], **_LOOK}
    if layout["xaxis"].get("type") == "date":
        layout["xaxis"] = {**layout["xaxis"], "tickformat": "%H:%M<br>%d %b"}
    return {"figure": {**picture.figure, "layout": layout}, "style": {"height": f"{layout['height']}px"}, **words}


def _head(view: View, folder: Path) -> list[Any]:
    scenario = view.scenario
    grade = "broken" if panels.violations(view) else "sound"
    return [
        html.H1(scenario["title"] or scenario["name"]),
        html.P(
            f"Scenario {scenario['name']}, seed {scenario['seed']}, network {scenario['grid']['network']},"
            f" {len(view.manifest['ids']):,} prosumers, {len(view.manifest['bus_ids']):,} buses.",
            className="note",
        ),
        html.P([panels.progress(view), *_way_on(view, folder)], id="status", className=f"verdict {grade}"),
        html.Progress(value=str(min(view.settled, view.total)), max=str(view.total)),
    ]


def _way_on(view: View, folder: Path) -> list[Any]:
    """Name the command that comes next, if there is one."""
    command = panels.way_on(view)
    if command is None:
        return []
    does = {"report": " writes a page about all of it.", "resume": " goes on with a run that was stopped."}
    return [" ", html.Code(f"cosim {command} {shlex.quote(str(folder))}"), does[command]]


def _headline(name: str, value: str, more: str) -> html.Div:
    return html.Div([html.Dt(name), html.Dd(value), html.Dd(more)])


def _events(view: View) -> list[Any]:
    if not view.counts:
        return [html.H2("Events"), html.P("None so far.")]
    counted = sorted(view.counts.items(), key=lambda item: (-item[1], item[0]))
    words = ", ".join(f"{cause[:_MAX_DETAIL]}: {number(count, 0)}" for cause, count in counted[:_MAX_CAUSES])
    head = html.Thead(html.Tr([html.Th(word, scope="col") for word in ("delivery", "who", "cause", "what happened")]))
    body = [
        html.Tr(
            [
                html.Td(f"{view.moment_of(event.about):%Y-%m-%d %H:%M}"),
                *(html.Td(text[:_MAX_DETAIL]) for text in (event.agent, event.cause)),
                html.Td(event.detail[:_MAX_DETAIL], className="words"),
            ]
        )
        for event in view.events
    ]
    last = html.P(f"The last {len(body)}, the latest first.", className="note")
    return [
        html.H2("Events"),
        html.P(words),
        html.Div(html.Table([head, html.Tbody(body)]), className="wide", tabIndex="0"),
        *([last] if len(body) == MAX_EVENTS else []),
    ]
