"""The command line in process: exit codes, sentences instead of tracebacks, help that loads nothing heavy."""

import json
import shlex
import subprocess
import sys

import pytest
import typer
from typer.testing import CliRunner

from cosim.experiments.build import Build
from cosim.experiments.cli import app
from cosim.experiments.commands.examples import EXAMPLES
from cosim.experiments.new import PLUGINS
from cosim.experiments.plugins import registries
from cosim.experiments.scenario import Scenario
from cosim.models.prosumer_table import MEANINGS, NEEDED, NUMBERS, OPTIONAL, PROFILES

COMMANDS = sorted((command.name or command.callback.__name__.replace("_", "-")) for command in app.registered_commands)


@pytest.fixture
def cosim(tmp_path, monkeypatch):
    """Call the command line in an empty folder."""
    monkeypatch.chdir(tmp_path)

    def call(*words):
        result = CliRunner().invoke(app, words)
        assert result.exception is None or isinstance(result.exception, SystemExit), result.exception
        assert "Traceback" not in result.output
        return result

    return call


@pytest.mark.parametrize("command", COMMANDS)
def test_every_command_has_a_help_page(cosim, command):
    """`cosim COMMAND --help` exits with 0 and explains itself."""
    result = cosim(command, "--help")
    assert result.exit_code == 0
    assert "Usage:" in result.output


@pytest.mark.parametrize("command", COMMANDS)
def test_every_help_page_has_examples_that_are_understood(cosim, command):
    """Each command shows what a person would type first, and its own parser takes it."""
    parser = typer.main.get_command(app).commands[command]
    assert EXAMPLES[command]
    for line in EXAMPLES[command]:
        name, called, *words = shlex.split(line)
        assert (name, called) == ("cosim", command)
        parser.make_context(called, words)
        assert line in cosim(command, "--help").output


@pytest.mark.parametrize(
    ("words", "said"),
    [
        (["rum"], "Did you mean 'run'"),
        (["run", "smoke-v1", "--sede", "3"], "--seed"),
        (["strategies", "mechanisms"], "did you mean 'mechanism'?"),
    ],
)
def test_slips_of_the_keyboard_are_answered_with_the_nearest_word(cosim, words, said):
    """A command, an option, a kind of part: exit 2 and a suggestion."""
    result = cosim(*words)
    assert result.exit_code == 2
    assert said in result.output


def test_the_version_is_said(cosim):
    """`cosim --version` names the package and its version."""
    assert cosim("--version").output.split()[0] == "cosim"


def test_two_words_on_one_meter_at_one_time_are_refused(cosim):
    """Which factor should hold? A sentence instead of a guess."""
    meters = 'faults.wrong_meters=[{who="home-33",factor=0.5,begin=0,end=9},{who="home-33",factor=0.8,begin=5,end=9}]'
    result = cosim("run", "smoke-v1", "--set", meters)
    assert result.exit_code == 2
    assert "overlaps with another entry of home-33, from 0 to 9" in result.output


def test_every_kind_of_part_is_listed(cosim):
    """`cosim strategies all --json` has every name that a scenario may use, with a sentence about it."""
    listed = json.loads(cosim("strategies", "all", "--json").output)
    assert {kind: list(names) for kind, names in listed.items()} == {k: r.names() for k, r in registries().items()}
    assert all(sentence for names in listed.values() for sentence in names.values())


def test_help_imports_neither_numpy_nor_pandas():
    """The help page, `cosim new` aside, costs no heavy library."""
    code = (
        "import sys\n"
        "from typer.testing import CliRunner\n"
        "from cosim.experiments.cli import app\n"
        "assert CliRunner().invoke(app, ['--help']).exit_code == 0\n"
        "print(sorted({'numpy', 'pandas', 'scipy', 'pandapower', 'duckdb', 'plotly'} & set(sys.modules)))"
    )
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert done.stdout.strip() == "[]"


@pytest.mark.parametrize(
    ("words", "said"),
    [
        (["run", "vilage-v1"], "did you mean 'village-v1'?"),
        (["run", "nowhere.toml"], "SCENARIO is 'nowhere.toml'; no such file"),
        (["run", "smoke-v1", "--set", "people.pv_scale"], "--set is 'people.pv_scale'; allowed is KEY=VALUE"),
        (["run", "smoke-v1", "--set", "people.pv_scale=-1"], "people.pv_scale is -1"),
        (["run", "smoke-v1", "--set", "people.pv_scal=1"], "people.pv_scal; unknown key; did you mean 'pv_scale'?"),
        (["run", "smoke-v1", "--set", "name.x=1"], "name is not a table"),
        (["run", "smoke-v1", "--set", "grid=" + "[" * 5000], "grid"),
        (["run", "smoke-v1", "--days", "0"], "time.days is 0"),
        (["run", "smoke-v1", "--seed", "-1"], "seed is -1"),
        (["run", "smoke-v1", "--strategy", "truthfull"], "did you mean 'truthful'?"),
        (["run", "smoke-v1", "--strategy", "nobody=truthful"], "people.strategies.nobody; known:"),
        (["run", "smoke-v1", "--strategy", "mine:Own"], "code of your own needs --allow-plugin mine"),
        (["run", "smoke-v1", "--allow-plugin", "not_there"], "neither installed nor found"),
        (["run", "smoke-v1", "--allow-plugin", "../x"], "allowed is the name of a module"),
        (["describe", "smoke-v2"], "did you mean 'smoke-v1'?"),
        (["describe", "smoke-v1", "--set", "grid.network=ieee34"], "did you mean 'ieee69'?"),
        (["powerflow", "nothing"], "known: dist118_zh"),
        (["powerflow", "ieee69", "--slack", "nan"], "--slack is nan; allowed is 0.5 to 1.5 pu"),
        (["powerflow", "ieee69", "--load-scale", "inf"], "--load-scale is inf"),
        (["powerflow", "simbench:1-LV-rural1--0-sw"], "simbench"),
        (["check", "trutful"], "did you mean 'truthful'?"),
        (["new", "../evil"], "NAME is '../evil'; allowed are letters, digits"),
        (["new", ""], "NAME is ''"),
    ],
)
def test_what_a_person_gets_wrong_is_said_with_exit_code_2(cosim, words, said, monkeypatch):
    """Exit code 2, one line a fault, nothing on standard output, nothing run, nothing written."""
    monkeypatch.setitem(sys.modules, "simbench", None)
    result = cosim(*words)
    assert result.exit_code == 2
    assert said in result.stderr
    assert result.stdout == ""
    assert not list(__import__("pathlib").Path().iterdir())


def test_control_characters_of_an_input_do_not_reach_the_terminal(cosim, tmp_path):
    """An escape sequence in a file is shown, not obeyed."""
    (tmp_path / "x.toml").write_bytes(b'name = "x"\n"\\u001b[2J" = 1\n')
    result = cosim("describe", "x.toml")
    assert result.exit_code == 2
    assert "\x1b" not in result.output
    assert "\\x1b[2J; unknown key" in result.output


def test_new_writes_a_scenario_that_loads_as_it_stands(cosim, tmp_path):
    """Folder, scenario and table are written; the world builds; a second time the name is taken."""
    result = cosim("new", "hill")
    assert result.exit_code == 0
    assert result.stdout.split() == ["hill/hill.toml", "hill/prosumers.csv"]
    scenario, folder = Scenario.load("hill/hill.toml")
    world = Build(scenario, folder).world()
    assert len(world.setting.ids) == 5
    assert cosim("new", "hill").exit_code == 2


def test_the_new_scenario_explains_every_field(cosim, tmp_path):
    """Every field of every section stands in the file, with its description above it, and its defaults unchanged."""
    cosim("new", "hill")
    text = (tmp_path / "hill" / "hill.toml").read_text()
    words = " ".join(text.replace("\n#", " ").split())
    for section in (Scenario, *(info.annotation for info in Scenario.model_fields.values())):
        for field, info in getattr(section, "model_fields", {}).items():
            assert info.description is None or " ".join(info.description.split()) in words.replace("# ", ""), field
            assert field in text
    own, _ = Scenario.load("hill/hill.toml")
    for name in ("market", "operator", "forecast", "profiles"):
        assert getattr(own, name) == Scenario.model_fields[name].default
    assert max(len(line) for line in text.splitlines()) <= 120


def test_the_new_scenario_names_what_can_be_named(cosim, tmp_path):
    """Every plug-in of the package stands at its field, and every column of a table of customers is explained."""
    cosim("new", "hill")
    text = " ".join((tmp_path / "hill" / "hill.toml").read_text().replace("\n#", " ").split())
    known = registries()
    assert set(PLUGINS.values()) == set(known)
    for kind in known:
        for name in known[kind].names():
            assert f'"{name}"' in text, name
    assert MEANINGS.keys() == {*NUMBERS, *PROFILES, *NEEDED, *OPTIONAL}
    for column in MEANINGS:
        assert f" {column}: " in text


def test_what_is_commented_out_in_the_new_scenario_loads_too(cosim, tmp_path):
    """The examples of own series and of single strategies work once their files are there."""
    cosim("new", "hill")
    path = tmp_path / "hill" / "hill.toml"
    text = path.read_text().replace("# strategies = {", "strategies = {").replace("# slack_vm_pu", "slack_vm_pu")
    path.write_text(text)
    scenario, _ = Scenario.load(str(path))
    assert scenario.people.strategies == {"home-13": "passive"}
    assert scenario.grid.slack_vm_pu == 1.01


def test_describe_says_who_what_where(cosim):
    """Totals of the scaled ratings, buses and limits, as text and as JSON."""
    result = cosim("describe", "smoke-v1", "--json")
    assert result.exit_code == 0
    chapters = json.loads(result.stdout)
    assert chapters["who"]["prosumers"] == 10
    assert chapters["where"]["buses"] == 33
    assert chapters["limits"] == {"vm_min_pu": 0.95, "vm_max_pu": 1.05, "loading_percent": 100.0}
    doubled = json.loads(cosim("describe", "smoke-v1", "--json", "--set", "people.pv_scale=7.0").stdout)
    assert doubled["what"]["pv_kwp"] == pytest.approx(2 * chapters["what"]["pv_kwp"])
    text = cosim("describe", "smoke-v1")
    assert text.exit_code == 0
    assert "demand_peak_kw" in text.stdout


def test_describe_counts_the_strategies_of_the_run(cosim):
    """Those drawn by share, too."""
    words = ("--set", "people.shares={truthful=0.5}", "--set", "people.strategies={home-13='passive'}", "--json")
    counted = json.loads(cosim("describe", "smoke-v1", *words).stdout)["who"]["strategies"]
    assert counted.keys() == {"passive", "predictive", "truthful"}
    assert counted["passive"] == 1
    assert sum(counted.values()) == 10


def test_gallery_and_strategies_list_what_there_is(cosim):
    """A line for each, and exit code 0."""
    assert "village-v1" in cosim("gallery").stdout
    assert "truthful" in cosim("strategies").stdout


def test_powerflow_prints_numbers(cosim):
    """The published loss of the 33-bus feeder, 202.68 kW, as JSON."""
    result = cosim("powerflow", "ieee33_bw", "--json")
    assert result.exit_code == 0
    assert json.loads(result.stdout)["loss_kw"] == pytest.approx(202.68, abs=0.01)


def test_powerflow_that_diverges_ends_with_exit_code_3(cosim):
    """A sentence on standard error and no figures; with --json what is known, and that it did not converge."""
    words = ("powerflow", "ieee69", "--load-scale", "100")
    result = cosim(*words)
    assert result.exit_code == 3
    assert result.stdout == ""
    assert result.stderr.count("\n") == 1
    assert "ieee69: no voltages carry these injections" in result.stderr
    told = cosim(*words, "--json")
    assert told.exit_code == 3
    figures = json.loads(told.stdout)
    assert figures["converged"] is False
    assert figures["loss_kw"] is None
    assert told.stderr == result.stderr


def test_a_figure_that_there_is_not_is_a_dash(cosim):
    """A network without ratings has no highest loading: `None` is for programs."""
    result = cosim("powerflow", "ieee69")
    assert result.exit_code == 0
    assert "loading_max_percent  -" in result.stdout
    assert json.loads(cosim("powerflow", "ieee69", "--json").stdout)["loading_max_percent"] is None


def test_resume_and_report_of_no_run_end_with_exit_code_4(cosim):
    """A folder that holds no run is said to be none."""
    assert cosim("resume", "nowhere").exit_code == 4
    assert cosim("report", "nowhere").exit_code == 4
