"""How the case is negotiated, in the size of its prices and powers: the ten prosumers' own figures by default."""

from typing import Any

from cosim.experiments.studies.ndoe33 import Case, negotiate
from cosim.models.optimisation.consensus import Tolerance
from cosim.negotiation import Terms

RETAIL_EUR_PER_KWH = 0.2
"""Penalty times connection rating: with ratings of 2 MW it is 100 EUR/MW2h, near price over typical flow."""

WORST_SHARE = 5e-4
"""Largest gap at which both sides agree, as a share of the connection rating: 1 kW of 2 MW."""


def case_terms(case: Case, *, strictness: float = 1.0, **changed: Any) -> Terms:
    """Return the terms of a negotiation of the case.

    Args:
        case: which case.
        strictness: the smaller, the nearer to each other both sides must come; 0 never ends before the rounds do,
            but leaves a rule that weighs residuals nothing to weigh them by.
        changed: fields of `Terms` to change.
    """
    rating_kw = float(case.problem.connection_kw.mean())
    worst_kw = strictness * WORST_SHARE * rating_kw
    given: dict[str, Any] = {
        "penalty_eur_per_kw2h": RETAIL_EUR_PER_KWH / rating_kw,
        "kappa_eur_per_kw2h": case.data.kappa_eur_per_kw2h,
        "tolerance": Tolerance(0.1 * worst_kw, strictness * 1e-4, worst_kw),
        "rounds": 200,
        "pool": True,
    }
    return Terms(**(given | changed))


def warm_up(case: Case) -> None:
    """Negotiate one round for nothing: what is compiled or loaded once belongs into nobody's seconds."""
    negotiate(case, case_terms(case, rounds=1))
