"""One case of a sweep: an ordinary run, begun, gone on with, or found finished."""

import json
import shutil
import traceback
from dataclasses import dataclass, field
from pathlib import Path
from time import perf_counter
from typing import Any, Final

from cosim.experiments.build import Build, Switches
from cosim.experiments.restore import Insistence
from cosim.experiments.run import Request, continue_run, execute
from cosim.experiments.scenario import Scenario
from cosim.guard import said
from cosim.journal import read_manifest
from cosim.models.errors import CosimError, StorageError
from cosim.registry import allow_plugins

FAILED: Final = 3


@dataclass(frozen=True)
class Case:
    """A run of a sweep as plain data: `settings` are its values of the varied keys, `scenario` all of it, resolved."""

    name: str
    seed: int
    settings: dict[str, Any]
    out: Path
    asked_for: str
    folder: Path
    scenario: dict[str, Any]
    switches: Switches
    plugins: tuple[str, ...]
    plugin_folder: Path

    @property
    def finished(self) -> bool:
        """Whether its run has ended: the manifest has the result's hash, and the summary is there."""
        if not (self.out / "summary.json").is_file() or not (self.out / "manifest.json").is_file():
            return False
        return "result_sha256" in self._manifest()

    def _manifest(self) -> dict[str, Any]:
        """Return the manifest of the run that stands there; StorageError where it is another one."""
        kept = read_manifest(self.out)
        switches = vars(self.switches)
        if (kept["scenario"], kept["switches"], tuple(kept["plugins"])) != (self.scenario, switches, self.plugins):
            raise StorageError(f"{self.out} holds another run than this case; move it away")
        return kept

    def carry_on(self) -> bool:
        """Run the case, or go on with it; False when a signal stopped it."""
        if self.finished:
            return True
        if (self.out / "manifest.json").is_file():
            self._manifest()
            allowed = Insistence(plugins=self.plugins, plugin_folder=self.plugin_folder)
            return continue_run(self.out, insistence=allowed)
        # Killed before it had begun: nothing in it counts.
        if self.out.is_dir():
            shutil.rmtree(self.out)
        return execute(
            CaseRequest(self.asked_for, self.out, plugins=self.plugins, plugin_folder=self.plugin_folder, case=self)
        )


@dataclass(frozen=True)
class CaseRequest(Request):
    """The request of a case, whose scenario has been read already: a file edited meanwhile changes nothing."""

    case: Case = field(kw_only=True)

    def build(self) -> Build:
        case = self.case
        scenario = Scenario.checked(case.scenario, f"{case.scenario['name']}.toml")
        allowed = allow_plugins(case.plugins, case.plugin_folder, load=not scenario.plugins.isolate)
        return Build(scenario, case.folder, case.switches, allowed)


@dataclass(frozen=True)
class Outcome:
    """How a case ended: `reason` is empty where it finished, `code` is the exit code that its failure stands for."""

    name: str
    seconds: float
    result_sha256: str = ""
    reason: str = ""
    code: int = 0

    @property
    def finished(self) -> bool:
        """Whether there is a result."""
        return bool(self.result_sha256)


def play(case: Case) -> Outcome:
    """Run a case wherever this is called, in a worker as a rule; a failure is an outcome, too."""
    began = perf_counter()
    note = case.out.parent.parent / "failures" / f"{case.name}.txt"
    try:
        done = case.carry_on()
    except CosimError as error:
        return _failed(case, note, perf_counter() - began, said(error), error.exit_code)
    except Exception as error:  # noqa: BLE001, one case's failure, whatever it is, must not end the others
        return _failed(case, note, perf_counter() - began, f"{type(error).__name__}: {said(error)}", FAILED)
    if not done:
        return Outcome(case.name, perf_counter() - began, reason="stopped by a signal", code=130)
    note.unlink(missing_ok=True)
    kept = json.loads((case.out / "manifest.json").read_text())
    return Outcome(case.name, perf_counter() - began, kept["result_sha256"])


def _failed(case: Case, note: Path, seconds: float, reason: str, code: int) -> Outcome:
    note.parent.mkdir(exist_ok=True)
    note.write_text(traceback.format_exc(), encoding="utf-8")
    return Outcome(case.name, seconds, reason=reason, code=code)
