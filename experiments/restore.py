"""A run that was stopped, as a world again: what must be as it was, and what a person may insist on."""

from dataclasses import dataclass, field
from pathlib import Path

from cosim.experiments.build import Build, Switches
from cosim.experiments.manifest import changes
from cosim.experiments.network import keep_network
from cosim.experiments.scenario import Scenario
from cosim.experiments.untrusted import untrusted
from cosim.journal import Journal, write_json
from cosim.models.errors import BadInputError, StorageError
from cosim.registry import allow_plugins
from cosim.world import World


@dataclass(frozen=True)
class Insistence:
    """What a person takes upon themselves when going on with a run.

    `versions` and `inputs` go on although other versions are installed or input files have changed, which the manifest
    and the summary then say; `previous` goes on from the state before the last; `wait` lets another writer end first.
    `plugins` are the modules that may be loaded, installed or from `plugin_folder`: that a manifest names them is not
    enough, since it may come from anybody.
    """

    versions: bool = False
    inputs: bool = False
    previous: bool = False
    wait: bool = False
    plugins: tuple[str, ...] = ()
    plugin_folder: Path = field(default_factory=Path.cwd)


AS_IT_WAS = Insistence()


def restored(journal: Journal, insistence: Insistence) -> World:
    """Return the world of a run as its journal left it, once all that it stands on has been checked."""
    latest = journal.latest(previous=insistence.previous)
    kept = journal.manifest()
    scenario, plugins = Scenario.checked(kept["scenario"], "manifest.json"), _allowed(kept["plugins"], insistence)
    found = allow_plugins(plugins, insistence.plugin_folder, load=False)
    build = Build(scenario, Path(kept["folder"]), Switches(**kept["switches"]), found)
    _note_changes(journal, build, insistence, 0 if latest is None else latest[0])
    # Only now: code that is not what the run was begun with is not even imported.
    allow_plugins(plugins, insistence.plugin_folder, load=not scenario.plugins.isolate)
    world = build.world()
    keep_network(scenario.grid.network, build.folder, journal.folder)
    if latest is not None:
        with untrusted(journal.folder):
            world.restore(latest[1])
    return world


def _allowed(wanted: list[str], insistence: Insistence) -> tuple[str, ...]:
    """Return the plug-ins of a run; BadInputError for those that have not been allowed again."""
    missing = [name for name in wanted if name not in insistence.plugins]
    if missing:
        again = "the run was begun with code of its own; if you trust it, go on with "
        again += " ".join(f"--allow-plugin {name}" for name in wanted)
        raise BadInputError.one("manifest.json", "plugins", ", ".join(map(repr, missing)), again)
    return tuple(wanted)


def _note_changes(journal: Journal, build: Build, insistence: Insistence, tick: int) -> None:
    """Write down in the manifest what has changed since and was insisted on; StorageError for what was not."""
    kept, folder = journal.manifest(), journal.folder
    others, files = changes(kept, build)
    if others and not insistence.versions:
        sentence = f"{folder} was begun with other versions, so its result could differ: {', '.join(others)}"
        raise StorageError(f"{sentence}; --accept-versions goes on all the same")
    if files and not insistence.inputs:
        sentence = f"input files are not those that {folder} was begun with: {', '.join(files)}"
        raise StorageError(f"{sentence}; --accept-inputs goes on all the same")
    if others or files:
        kept["changes"] = [*kept.get("changes", []), *(f"from tick {tick} on: {text}" for text in [*others, *files])]
        write_json(folder / "manifest.json", kept)
