"""Margins that keep linear limits in spite of errors nobody has a say in, such as those of a load forecast.

Errors come from f sources. `effects` (m, f) says what one unit of each source makes of each of m rows, and `size`
(..., f) how many units it may be: sources of independent buses are unit injections, one source that moves all buses
together is a column of their loads, and any covariance L L' is sources with the columns of L as effects and size 1.
"""

import numpy as np


def box_margin(effects: np.ndarray, size: np.ndarray) -> np.ndarray:
    """Return the margin of each row (..., m) that no error within +-size of every source uses up: ``sum |a_k| size_k``.

    >>> box_margin(np.array([[1.0, -2.0]]), np.array([3.0, 0.5]))
    array([4.])
    """
    margin: np.ndarray = size @ np.abs(effects).T
    return margin


def moment_margin(effects: np.ndarray, size: np.ndarray, risk: float) -> np.ndarray:
    """Return the margin of each row (..., m) that is used up with no more than some probability.

    Sources are uncorrelated, of mean zero and standard deviation `size`, and of any distribution whatever: the
    one-sided inequality of Cantelli, ``sqrt((1 - risk) / risk) * standard deviation of the row``
    (Calafiore, El Ghaoui 2006, J. Optim. Theory Appl. 130:1, theorem 3.1). Each row is kept by itself.

    >>> moment_margin(np.array([[3.0, 4.0]]), np.array([1.0, 1.0]), risk=0.5)
    array([5.])
    """
    return factor(risk) * np.sqrt(size**2 @ (effects**2).T)


def factor(risk: float) -> float:
    """Return how many standard deviations a margin is: 4.36 for a risk of 0.05, where a Gaussian needs 1.64.

    Raises:
        ValueError: a risk that is not above 0 and below 1.
    """
    if not 0.0 < risk < 1.0:
        raise ValueError(f"risk must be above 0 and below 1: {risk}")
    return float(np.sqrt((1.0 - risk) / risk))
