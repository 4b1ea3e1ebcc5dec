"""Compile every numba kernel into the cache on disk, so that no run has to wait: ``python -m cosim.models.warm``.

A kernel is a module named ``kernel_*`` anywhere under this package. One that offers a function ``warm()``
has it called here; it is to run each of its compiled functions once, on the smallest input there is.
"""

import importlib
import pkgutil
from collections.abc import Iterator

import cosim.models


def kernel_names() -> Iterator[str]:
    """Yield the full names of all kernel modules, in alphabetical order of their packages."""
    for found in pkgutil.walk_packages(cosim.models.__path__, "cosim.models."):
        if found.name.rpartition(".")[2].startswith("kernel_"):
            yield found.name


def warm() -> list[str]:
    """Compile the kernels and return the names of the modules that had any."""
    warmed = []
    for name in kernel_names():
        kernel = getattr(importlib.import_module(name), "warm", None)
        if kernel is not None:
            kernel()
            warmed.append(name)
    return warmed


if __name__ == "__main__":
    warm()
