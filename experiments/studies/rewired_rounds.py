"""How market and network come to terms: the merit by round, and what anybody could still gain alone."""

import numpy as np

from cosim.coordination import TwoTiers
from cosim.experiments.studies.pictures import lines
from cosim.experiments.studies.rewired_case import NETWORKS, DayCase, Played
from cosim.experiments.studies.study import Found, Picture, Row


def answer(quick: bool) -> Found:
    """Coordinate every network's day, with switches and without."""
    rows: list[Row] = []
    pictures: list[Picture] = []
    for network in NETWORKS:
        case = DayCase.of(network, kicks=2 if quick else 20)
        for rewires in (False, True):
            played = case.play(TwoTiers(rewires=rewires))
            rows.append({"network": network, "switches": "in turn" if rewires else "as filed", **figures(played)})
            if rewires:
                pictures.append(_history(network, played))
    return Found(
        rows,
        pictures,
        [
            "rises: by how much the merit rose at worst from one step to the next; 0 is what is promised.",
            "largest_gain: what a prosumer would gain at most by a plan of its own at the final prices, of its cost.",
            "pool_rounds: bids and offers in all rounds together; letters: everything that went through the post.",
        ],
    )


def figures(played: Played) -> Row:
    """Return what a coordination came to."""
    merits, case = played.merits_eur, played.case
    return {
        "rounds": played.rounds,
        "merit_first_eur": float(merits[0]),
        "merit_last_eur": float(merits[-1]),
        "rises_eur": float(np.maximum(np.diff(merits), 0.0).max(initial=0.0)),
        "rewirings": played.operator.rewirings,
        "operations": case.grid.operations(played.operator.closed),
        "largest_gain_percent": 100.0 * played.largest_gain,
        "pool_gap_kw": float(played.pool.sharing.residual_kw.max()),
        "pool_rounds": played.pool.rounds,
        "letters": sum(played.post.counts.values()),
    }


def _history(network: str, played: Played) -> Picture:
    """Draw how far the merit is from its end, by step."""
    above = played.merits_eur - played.merits_eur[-1]
    rows = [{"step": step, "above_eur": float(eur)} for step, eur in enumerate(above)]
    return lines(rows, "step", {"above_eur": network}, "merit above its end, EUR", logarithmic=True)
