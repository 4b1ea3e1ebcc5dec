"""How every kernel of the grid is compiled: cached on disk, without the interpreter lock, IEEE arithmetic.

Divisions by zero give infinities, as in numpy, so that loops stay vectorised. Nothing is reordered or fused
(no fastmath): a row gives the same bits in any lane, of any width, in any thread.
"""

from collections.abc import Callable
from typing import TypeVar, cast

from numba import njit

Kernel = TypeVar("Kernel", bound=Callable[..., object])


def compiled(function: Kernel) -> Kernel:
    """Compile a function over numbers and numpy arrays at its first call, or take it from the cache."""
    return cast("Kernel", njit(cache=True, nogil=True, error_model="numpy")(function))
