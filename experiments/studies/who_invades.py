"""Which bidding strategies spread where prosumers imitate the better-off, and which can invade which.

One file answers one question; `invasion_runs` says which strategies are played, and why these.
"""

from cosim.experiments.studies import evolution, invasion_matrix
from cosim.experiments.studies.study import PartOfRuns, Study

STUDY = Study(
    "Who invades?",
    (
        PartOfRuns("evolution", "Which strategies are there after two months of imitation?", evolution.answer),
        PartOfRuns("invasion", "Which strategy invades which, a tenth among the others?", invasion_matrix.answer),
    ),
)
