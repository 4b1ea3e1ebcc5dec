"""Examples for the help pages: what a person would type first."""

from typing import Final

EXAMPLES: Final[dict[str, tuple[str, ...]]] = {
    "run": (
        "cosim run village-v1 --days 2",
        "cosim run village-v1 --no-envelopes --out without",
        "cosim run smoke-v1 --set operator.envelopes=negotiated --set people.pv_scale=4",
        "cosim run smoke-v1 --strategy home-13=my_agents:Cautious --allow-plugin my_agents",
    ),
    "resume": ("cosim resume runs/village-v1-1",),
    "report": ("cosim report runs/village-v1-1",),
    "dashboard": ("cosim dashboard runs/village-v1-1", "cosim dashboard runs/village-v1-1 --port 8050 --no-browser"),
    "sweep": (
        "cosim sweep smoke-v1 --vary people.pv_scale=2,4 --seeds 1..5 --out my-sweep",
        "cosim sweep smoke-v1 --vary switches.market=true,false --seeds 1..20 --engine dask -j 8",
    ),
    "compare": ("cosim compare runs/village-v1-1 runs/village-v1-2", "cosim compare my-sweep"),
    "query": (
        'cosim query runs/village-v1-1 "SELECT id, sum(money) / 1e5 AS eur FROM prosumers GROUP BY id ORDER BY eur"',
        'cosim query my-sweep "SELECT pv_scale, avg(traded_kwh) FROM cases GROUP BY 1"',
    ),
    "study": ("cosim study", "cosim study negotiated-envelopes --quick"),
    "gallery": ("cosim gallery",),
    "new": ("cosim new my-village",),
    "describe": ("cosim describe village-v1", "cosim describe my-village/my-village.toml --json"),
    "envelopes": ("cosim envelopes village-v1 --at 2016-06-21T12:00+01:00 --policy static",),
    "clear": ("cosim clear book.csv --mechanism pay_as_bid --json",),
    "powerflow": ("cosim powerflow ieee69", "cosim powerflow pandapower:mv_oberrhein --load-scale 1.2 --json"),
    "reconfigure": ("cosim reconfigure ieee33_bw --certify",),
    "convert": ("cosim convert case33bw.m --out case33.json", "cosim convert master.dss --out feeder.json"),
    "check": ("cosim check my_agents:Cautious", "cosim check uniform_price"),
    "strategies": ("cosim strategies", "cosim strategies mechanism"),
}


def epilog(command: str) -> str | None:
    """Return the examples of a command as its help page shows them, a line each."""
    lines = EXAMPLES.get(command, ())
    return "\n".join(("\b", "Examples:", *(f"  {line}" for line in lines))) if lines else None
