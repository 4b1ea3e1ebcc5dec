"""What a notebook shows of a run: the verdict, and the figures beside those of the baseline."""

from html import escape
from typing import TYPE_CHECKING

from cosim.experiments.key_figures import key_figures
from cosim.experiments.verdict import verdict

if TYPE_CHECKING:
    from cosim.experiments.run import Run


def as_html(run: "Run") -> str:
    """Return a paragraph and a table; of a run that has not ended, where it stands."""
    if "result_sha256" not in run.manifest:
        return f"<p>{escape(str(run.folder))} has not been run to its end</p>"
    summary = run.summary
    heads = ("", "this run", "baseline", "difference", "unit")
    rows = "".join(
        f"<tr><td>{escape(row.figure.label)}</td><td>{row.value}</td><td>{row.baseline}</td>"
        f"<td>{row.change}</td><td>{escape(row.figure.unit)}</td></tr>"
        for row in key_figures(summary)
    )
    head = "".join(f"<th>{name}</th>" for name in heads)
    said = f"<p><b>{escape(str(summary['scenario']))}</b>: {escape(verdict(summary))}</p>"
    return f"{said}<table><tr>{head}</tr>{rows}</table>"
