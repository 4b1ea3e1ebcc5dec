# ---
# jupyter:
#   jupytext:
#     text_representation:
#       format_name: percent
# ---

# %% [markdown]
# # Honest people and learners
#
# The same ten homes, told to bid honestly or to learn what to ask for: does learning pay, and who pays for it? The same
# seeds are used for both, so that differences are taken within a seed (common random numbers).

# %%
import tempfile
from pathlib import Path

import cosim

sweep = cosim.sweep(
    "smoke-v1",
    vary={"people.strategy": ["truthful", "roth_erev"]},
    seeds="1..3",
    days=1,
    out=Path(tempfile.mkdtemp()) / "bidding",
    workers=1,
)
print(
    sweep.cases[["case", "seed", "traded_kwh", "price_mean_eur_per_kwh", "prosumer_cost_eur"]]
    .round(3)
    .to_string(index=False)
)

# %% [markdown]
# What changes when everybody goes from honest to learning, with 95 % intervals from the differences within each seed:

# %%
change = sweep.paired(
    {"people.strategy": "truthful"},
    {"people.strategy": "roth_erev"},
    figures=["traded_kwh", "prosumer_cost_eur"],
)
print(change.round(3).to_string(index=False))

# %% [markdown]
# How well, how evenly and how locally one of these markets worked:

# %%
run = sweep.run(sweep.cases["case"].iloc[0])
emergence = run.emergence()
print(sorted(emergence))

# %% [markdown]
# Three seeds and one day show how the question is asked, not what the answer is: [sweeps](../sweeps.md) and the study
# `mechanisms` go on from here.
