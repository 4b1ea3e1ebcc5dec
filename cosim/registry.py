"""A plug-in by name: built in, an installed entry point, or a dotted path that the user has allowed."""

import importlib
import importlib.util
import sys
from collections.abc import Callable, Iterable
from dataclasses import dataclass, field
from importlib.metadata import entry_points
from pathlib import Path
from typing import Any

from cosim.models.errors import BadInputError, did_you_mean

# Marks modules that were loaded from a folder: another run in the same process may mean another folder.
_OURS = "__cosim_plugin__"


@dataclass(frozen=True)
class Registry:
    """The plug-ins of one kind: names onto `module:attribute`, loaded only when asked for.

    With `isolate` what is not built in is left to that function, which gets the registry and the name.
    """

    kind: str
    built_in: dict[str, str]
    entry_point_group: str
    allowed: dict[str, Path | None] = field(default_factory=dict)
    isolate: Callable[["Registry", str], Any] | None = None

    def names(self) -> list[str]:
        """List what can be named without a dotted path."""
        return sorted({*self.built_in, *(point.name for point in entry_points(group=self.entry_point_group))})

    def load(self, name: str, *, file: str = "command line", key: str = "") -> Any:
        """Return the plug-in of a name; BadInputError says what is known, or how to allow a dotted path."""
        if name in self.built_in:
            module, _, attribute = self.built_in[name].partition(":")
            return _attribute(module, attribute, file, key or self.kind)
        for point in entry_points(group=self.entry_point_group, name=name):
            return self.isolate(self, name) if self.isolate else point.load()
        module, _, attribute = name.partition(":")
        if not attribute:
            raise BadInputError.one(file, key or self.kind, repr(name), did_you_mean(name, self.names()))
        if module not in self.allowed:
            allowed = f"code of your own needs --allow-plugin {module}"
            raise BadInputError.one(file, key or self.kind, repr(name), allowed)
        if self.isolate:
            return self.isolate(self, name)
        return _attribute(module, attribute, file, key or self.kind)


def _attribute(module: str, attribute: str, file: str, key: str) -> Any:
    loaded = importlib.import_module(module)
    if not hasattr(loaded, attribute):
        public = [name for name in vars(loaded) if not name.startswith("_")]
        raise BadInputError.one(file, key, f"{module}:{attribute}", did_you_mean(attribute, public))
    return getattr(loaded, attribute)


def allow_plugins(names: Iterable[str], folder: Path, *, load: bool = True) -> dict[str, Path | None]:
    """Load the named modules and return the file of each: installed first, then NAME.py or NAME/ in `folder`.

    Nothing is added to sys.path: exactly the named file is loaded, nothing beside it becomes importable. Unless they
    are to `load`, they are found and nothing more.
    """
    return {name: _allow(name, folder, load=load) for name in names}


def _allow(name: str, folder: Path, *, load: bool) -> Path | None:
    if not name.isidentifier():
        raise BadInputError.one("command line", "--allow-plugin", repr(name), "allowed is the name of a module")
    if _is_installed(name):
        file = getattr(importlib.import_module(name), "__file__", None) if load else _origin(name)
        return Path(file) if file else None
    path = _beside(name, folder)
    if load:
        _load_file(name, path)
    return path


def _is_installed(name: str) -> bool:
    """Say whether an installed distribution provides a module; the working directory does not count."""
    loaded = sys.modules.get(name)
    if loaded is not None and loaded.__spec__ is None:
        return True
    origin = _origin(name)
    if origin is None or getattr(loaded, _OURS, False):
        return False
    here = {Path.cwd().resolve(), Path(sys.path[0] or ".").resolve()}
    file = Path(origin).resolve()
    return file.parent not in here and file.parent.parent not in here


def _origin(name: str) -> str | None:
    """Return the file of a module that can be imported."""
    loaded = sys.modules.get(name)
    if loaded is not None and loaded.__spec__ is None:
        return loaded.__file__
    found = importlib.util.find_spec(name)
    return found.origin if found else None


def _beside(name: str, folder: Path) -> Path:
    """Return the file of a module in a folder."""
    candidates = (folder / f"{name}.py", folder / name / "__init__.py")
    for path in candidates:
        if path.is_file():
            return path
    looked = " or ".join(str(path) for path in candidates)
    raise BadInputError.one("command line", "--allow-plugin", name, f"neither installed nor found as {looked}")


def _load_file(name: str, path: Path) -> None:
    search = [str(path.parent)] if path.name == "__init__.py" else None
    spec = importlib.util.spec_from_file_location(name, path, submodule_search_locations=search)
    if spec is None or spec.loader is None:
        raise BadInputError.one("command line", "--allow-plugin", str(path), "not a Python file")
    module = importlib.util.module_from_spec(spec)
    setattr(module, _OURS, True)
    sys.modules[name] = module
    try:
        spec.loader.exec_module(module)
    except Exception as error:
        del sys.modules[name]
        sentence = f"importing it failed: {type(error).__name__}: {error}"
        raise BadInputError.one("command line", "--allow-plugin", str(path), sentence) from error
