# ---
# jupyter:
#   jupytext:
#     text_representation:
#       format_name: percent
# ---

# %% [markdown]
# # A street and its grid
#
# Thirty-one prosumers on the CIGRE low-voltage network, a clear April day. What does the operator do for the grid, and
# what does it cost the prosumers?

# %%
import tempfile
from pathlib import Path

import cosim

runs = Path(tempfile.mkdtemp())
handed_out = cosim.run("lv-v1", days=1, out=runs / "fair")
unprotected = cosim.run("lv-v1", days=1, out=runs / "free", envelopes=False)

# %% [markdown]
# A run is its folder. In a notebook the last line of a cell shows the verdict and the figures.

# %%
handed_out  # noqa: B018, the last line of a cell is shown

# %% [markdown]
# Without envelopes nobody stops the export at noon.

# %%
for name, run in {"fair envelopes": handed_out, "no envelopes": unprotected}.items():
    summary = run.summary
    print(f"{name}: {summary['violation_bus_intervals']} bus-intervals beyond limits, {summary['vm_max_pu']:.3f} pu;")
    print(f"  {summary['curtailed_kwh']:.1f} kWh curtailed, prosumers pay {summary['prosumer_cost_eur']:.2f} EUR")

# %% [markdown]
# Who is held back? SQL runs over the tables as they are.

# %%
held_back = handed_out.sql(
    """
    SELECT id, sum(curtailed_kw) / 4 AS curtailed_kwh, avg(upper_kw) AS upper_kw
    FROM prosumers GROUP BY id ORDER BY curtailed_kwh DESC LIMIT 5
    """
)
print(held_back.round(1).to_string(index=False))

# %% [markdown]
# Every picture of the report is a figure here.

# %%
print(handed_out.figures)
figure = handed_out.figure(handed_out.figures[0])
print(type(figure).__name__, "with", len(figure.data), "traces")
