"""Every example in a docstring runs; modules are walked by the names they insist on."""

import doctest
import importlib
import pkgutil

import pytest

import cosim


def modules() -> list[str]:
    """List all modules of the package but the command line's entry."""
    found = pkgutil.walk_packages(cosim.__path__, "cosim.")
    rooms = ("cosim.agents", "cosim.experiments", "cosim.models")
    names = [module.name for module in found if module.name.count(".") == 1 or module.name.startswith(rooms)]
    strangers = ("cosim.cosim", "cosim.tests", "cosim.benchmarks", "cosim.typings", "cosim.docs")
    return sorted(name for name in names if not name.startswith(strangers) and not name.endswith("__main__"))


@pytest.mark.parametrize("name", modules())
def test_examples(name: str) -> None:
    """The examples of a module print what they say."""
    assert doctest.testmod(importlib.import_module(name)).failed == 0
