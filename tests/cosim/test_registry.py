"""Plug-ins by name: built in, installed, or a file that the user has allowed."""

import sys
from importlib.metadata import EntryPoint, EntryPoints

import pytest

import cosim.registry
from cosim.models.errors import BadInputError
from cosim.registry import Registry, allow_plugins

KNOWN = {"fair": "cosim.agents.dso.envelopes.fair:FairEnvelopes", "static": "nowhere:Static"}


@pytest.fixture
def registry(monkeypatch):
    """Return a registry of two built-in names and one that an installed package offers."""
    points = EntryPoints([EntryPoint("theirs", "cosim.models.envelope:Envelope", "cosim.envelopes")])
    monkeypatch.setattr(cosim.registry, "entry_points", points.select)
    return Registry("envelopes", KNOWN, "cosim.envelopes")


@pytest.fixture
def plugin_name():
    """Return a module name that no test leaves behind."""
    yield "my_plugin_of_this_test"
    sys.modules.pop("my_plugin_of_this_test", None)


def sentence(error) -> str:
    """Return the single fault of an error."""
    (fault,) = error.value.faults
    return str(fault)


def test_names_lists_built_in_and_installed(registry):
    """What can be named without a path, sorted."""
    assert registry.names() == ["fair", "static", "theirs"]


def test_built_in_and_installed_plugins_load(registry):
    """Both kinds of name lead to the class."""
    assert registry.load("fair").__name__ == "FairEnvelopes"
    assert registry.load("theirs").__name__ == "Envelope"


def test_an_unknown_name_gets_the_nearest_one(registry):
    """A slip of the pen is answered with what was probably meant, and where it stands."""
    with pytest.raises(BadInputError) as error:
        registry.load("fare", file="a.toml", key="operator.envelopes")
    known = "did you mean 'fair'? known: fair, static, theirs"
    assert sentence(error) == f"a.toml: operator.envelopes is 'fare'; {known}"


def test_a_dotted_path_needs_permission(registry):
    """A scenario alone cannot name code: the user must allow its module."""
    with pytest.raises(BadInputError) as error:
        registry.load("os:system")
    assert "needs --allow-plugin os" in sentence(error)


def test_allowed_file_is_loaded_and_nothing_else(tmp_path, plugin_name):
    """Exactly ./NAME.py is loaded; sys.path stays as it was and files beside it stay out of reach."""
    (tmp_path / f"{plugin_name}.py").write_text("class Mine:\n    pass\n")
    (tmp_path / "neighbour_of_the_plugin.py").write_text("raise SystemExit\n")
    before = list(sys.path)
    allowed = allow_plugins([plugin_name], tmp_path)
    assert allowed == {plugin_name: tmp_path / f"{plugin_name}.py"}
    assert sys.path == before
    with pytest.raises(ModuleNotFoundError):
        __import__("neighbour_of_the_plugin")
    registry = Registry("strategy", {}, "cosim.strategy", allowed)
    assert registry.load(f"{plugin_name}:Mine").__name__ == "Mine"
    with pytest.raises(BadInputError) as error:
        registry.load(f"{plugin_name}:Mime")
    assert "did you mean 'Mine'?" in sentence(error)


def test_a_package_is_loaded_from_its_folder(tmp_path, plugin_name):
    """NAME/ with an __init__.py is taken too, and its own submodules are importable."""
    folder = tmp_path / plugin_name
    folder.mkdir()
    (folder / "__init__.py").write_text(f"from {plugin_name}.inner import Mine\n")
    (folder / "inner.py").write_text("class Mine:\n    pass\n")
    assert allow_plugins([plugin_name], tmp_path) == {plugin_name: folder / "__init__.py"}
    sys.modules.pop(f"{plugin_name}.inner")


def test_another_folder_means_another_file(tmp_path, plugin_name):
    """Two runs in one process that name the same module in two folders each get their own."""
    for number in (1, 2):
        folder = tmp_path / str(number)
        folder.mkdir()
        (folder / f"{plugin_name}.py").write_text(f"NUMBER = {number}\n")
        allow_plugins([plugin_name], folder)
        assert number == sys.modules[plugin_name].NUMBER


def test_installed_goes_before_the_folder(tmp_path):
    """A file in the folder cannot stand in for an installed module."""
    (tmp_path / "numpy.py").write_text("raise SystemExit\n")
    assert allow_plugins(["numpy"], tmp_path)["numpy"].name == "__init__.py"


@pytest.mark.parametrize("name", ["../evil", "a.b", "", "a/b", "x.py", "-"])
def test_only_names_of_modules_can_be_allowed(name, tmp_path):
    """No paths: a name of a module or nothing."""
    with pytest.raises(BadInputError, match="allowed is the name of a module"):
        allow_plugins([name], tmp_path)


def test_a_missing_module_says_where_it_was_looked_for(tmp_path):
    """The fault names both places."""
    with pytest.raises(BadInputError, match="neither installed nor found as"):
        allow_plugins(["no_such_plugin_anywhere"], tmp_path)


def test_a_file_that_fails_to_import_is_the_users_fault(tmp_path, plugin_name):
    """The sentence carries the file and the error, and nothing half-loaded stays behind."""
    (tmp_path / f"{plugin_name}.py").write_text("1 / 0\n")
    with pytest.raises(BadInputError, match="importing it failed: ZeroDivisionError"):
        allow_plugins([plugin_name], tmp_path)
    assert plugin_name not in sys.modules


def test_every_plugin_named_in_the_package_exists():
    """Each built-in name of each kind leads to a class that calls itself so, or to its one-prosumer twin."""
    from cosim.experiments.plugins import registries

    for registry in registries().values():
        for name in registry.built_in:
            assert getattr(registry.load(name), "name", name) == name
