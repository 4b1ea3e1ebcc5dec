"""What a person asks a sweep for: read right, or refused with every fault at once, before anything is run."""

import json
from contextlib import suppress

import pytest
from hypothesis import given
from hypothesis import strategies as st
from typer.testing import CliRunner

from cosim.experiments.cli import app
from cosim.experiments.sweeps.leaves import leaves, with_settings
from cosim.experiments.sweeps.page import seeds_text
from cosim.experiments.sweeps.specification import case_names, covering
from cosim.experiments.sweeps.wish import Wish
from cosim.experiments.sweeps.words import seeds_of, split, variation
from cosim.models.errors import BadInputError


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


@pytest.mark.parametrize(
    ("words", "said"),
    [
        (["--vary", "people.pv_scale"], "--vary is 'people.pv_scale'; allowed is KEY=VALUE,VALUE"),
        (["--vary", "=1,2"], "--vary is '=1,2'; allowed is KEY=VALUE,VALUE"),
        (["--vary", "people.pv_scale="], "--vary people.pv_scale is ''; a value is empty"),
        (["--vary", "people.pv_scale=1,,2"], "--vary people.pv_scale is '1,,2'; a value is empty"),
        (["--vary", "people.pv_scale=1,2,1.0"], "--vary people.pv_scale is 1.0; the value stands there twice"),
        (["--vary", "people.pv_scal=1,2"], "people.pv_scal; unknown key; did you mean 'pv_scale'?"),
        (["--vary", "people.pv_scale=1,-2"], "people.pv_scale is -2; Input should be greater than or equal to 0"),
        (["--vary", "people.pv_scale=1,nan"], "people.pv_scale is nan"),
        (["--vary", "name.x=1"], "--vary name.x; name is not a table"),
        (["--vary", "name=a,b"], "--vary name; a sweep keeps the name of its scenario"),
        (["--vary", "seed=1,2"], "--vary seed; seeds have an option of their own: --seeds 1..20"),
        (["--set", "seed=2"], "--set seed; seeds have an option of their own"),
        (["--vary", "operator.envelopes=fair,far"], "operator.envelopes is 'far'; did you mean 'fair'?"),
        (["--vary", "switches.market=1"], "--vary switches.market is [1]; allowed are true and false"),
        (["--vary", "switches.markt=true"], "--vary switches.markt; did you mean 'switches.market'?"),
        (["--vary", "people.pv_scale=1", "--set", "people.pv_scale=2"], "it clashes with --set people.pv_scale"),
        (["--vary", "people.pv_scale=1", "--vary", "people.pv_scale=2"], "it is varied twice"),
        (["--vary", "time.days=1,2", "--days", "1"], "--vary time.days; it clashes with --days: say one of them"),
        (["--set", "time.days=1", "--days", "1"], "--days; it clashes with --set time.days"),
        (["--vary", "people.strategy=passive", "--strategy", "truthful"], "it clashes with --strategy truthful"),
        (["--vary", "people.strategies={}", "--strategy", "home-13=truthful"], "it clashes with --strategy home-13"),
        (["--set", "people.pv_scale"], "--set is 'people.pv_scale'; allowed is KEY=VALUE"),
        (["--seeds", ""], "--seeds is ''; allowed are seeds and ranges of seeds, such as 1..20"),
        (["--seeds", "1-3"], "--seeds is '1-3'; allowed are seeds and ranges"),
        (["--seeds", "3..1"], "the range 3..1 ends before it begins; allowed is 1..3"),
        (["--seeds", "1,2,1"], "--seeds is 1; the seed stands there twice"),
        (["--seeds", "1..999999999"], "allowed are at most 10,000 seeds"),
        (["--seeds", "9223372036854775808"], "--seeds is 9223372036854775808; allowed are whole numbers from 0"),
        (["--seeds", "1..9999", "--vary", "people.pv_scale=1,2,3"], "29,997 cases; allowed are at most 20,000"),
        (["--engine", "dusk"], "--engine is 'dusk'; did you mean 'dask'?"),
        (["-j", "0"], "-j is 0; allowed is 1 or more"),
        (["--strategy", "truthfull"], "did you mean 'truthful'?"),
        (["--strategy", "mine:Own"], "code of your own needs --allow-plugin mine"),
        (["--allow-plugin", "not_there"], "neither installed nor found"),
        (["--days", "0"], "time.days is 0"),
    ],
)
def test_what_a_person_gets_wrong_is_said_with_exit_code_2(cosim, tmp_path, words, said):
    """Exit code 2, a line for the fault, nothing on standard output, nothing written."""
    result = cosim("sweep", "smoke-v1", *words)
    assert result.exit_code == 2
    assert said in result.stderr
    assert result.stdout == ""
    assert list(tmp_path.iterdir()) == []


def test_all_faults_are_told_at_once(cosim, tmp_path):
    """Words, seeds, engine, folder and scenario: a fault of each in one answer."""
    (tmp_path / "full").mkdir()
    (tmp_path / "full" / "kept.txt").touch()
    words = ["--vary", "a", "--vary", "people.pv_scal=1", "--vary", "people.load_scale=-1", "--set", "grid.vm_min=1"]
    result = cosim("sweep", "smoke-v1", *words, "--seeds", "1-2", "--engine", "dusk", "-j", "0", "--out", "full")
    assert result.exit_code == 2
    assert result.stderr.startswith("8 faults in the input:")
    for said in ("--vary is 'a'", "pv_scal;", "load_scale", "vm_min;", "--seeds", "--engine", "-j", "--out is full"):
        assert said in result.stderr
    assert [path.name for path in (tmp_path / "full").iterdir()] == ["kept.txt"]


@pytest.mark.parametrize("engine", ["dask", "ray"])
def test_an_engine_that_is_not_installed_says_how_to_get_it(cosim, monkeypatch, engine):
    """Named with the extra that brings it."""
    monkeypatch.setattr("cosim.experiments.sweeps.engines.find_spec", lambda _name: None)
    result = cosim("sweep", "smoke-v1", "--engine", engine)
    assert result.exit_code == 2
    assert f"--engine is '{engine}'; it is not installed; `pip install 'cosim[{engine}]'` does" in result.stderr


@pytest.mark.parametrize(
    ("words", "said"),
    [
        (["compare", "there"], "allowed are two runs or more, or one sweep"),
        (["compare", "there", "nor-there"], "RUN is 'nor-there'; nor-there holds no run: manifest.json is missing"),
    ],
)
def test_folders_that_hold_nothing_are_said_to(cosim, tmp_path, words, said):
    """Exit code 2 for `compare` of folders without runs or sweeps."""
    (tmp_path / "there").mkdir()
    result = cosim(*words)
    assert result.exit_code == 2
    assert said in result.stderr


@pytest.mark.parametrize("kept", ["", "[]", "{}", '{"format": 9}', '{"format": 1}', '{"format": 1, "vary_order": 3}'])
def test_a_damaged_sweep_is_said_to_be(cosim, tmp_path, kept):
    """Exit code 4 and a sentence."""
    (tmp_path / "there").mkdir()
    (tmp_path / "there" / "sweep.json").write_text(kept)
    result = cosim("compare", "there")
    assert result.exit_code == 4
    assert "sweep.json" in result.stderr


def test_values_are_toml_where_they_can_be_and_text_elsewhere():
    """Numbers, truth, lists, quoted text with commas, plain text, moments as text."""
    assert variation("a.b=1, 2.5,true,fair") == ("a.b", (1, 2.5, True, "fair"))
    assert variation('a=[1,2],"x,y"') == ("a", ([1, 2], "x,y"))
    assert variation("time.start=2016-06-20T00:00:00+01:00") == ("time.start", ("2016-06-20T00:00:00+01:00",))


@given(st.text(max_size=40))
def test_splitting_loses_nothing(text):
    """Joined again with commas the parts are the text."""
    assert ",".join(split(text)) == text


@given(st.text(max_size=30))
def test_any_text_is_seeds_or_bad_input(text):
    """Nothing else is raised, and what is read has no seed below zero."""
    with suppress(BadInputError):
        assert min(seeds_of(text)) >= 0


@given(st.lists(st.integers(0, 10**6), min_size=1, max_size=20, unique=True))
def test_seeds_are_written_as_they_are_read(seeds):
    """Ranges where there are any; reading them gives the same seeds in the same order."""
    assert seeds_of(seeds_text(tuple(seeds))) == tuple(seeds)


def test_no_two_cases_have_one_name():
    """Also where values differ in nothing that a folder's name can show, or a file system does not tell apart."""
    combinations = [{"a.x": value, "b.x": 1} for value in ("fair", "Fair", "a/b", "a:b", "../..", [1, 2], "y" * 90)]
    names = case_names(combinations)
    assert len({name.casefold() for name in names}) == len(names)
    assert all(set(name) <= set("abcdefghijklmnopqrstuvwxyzF0123456789._+-") and len(name) < 120 for name in names)
    assert not any(name.startswith(".") or "/" in name for name in names)


def test_few_combinations_show_every_value():
    """As many worlds are built beforehand as the longest list has values."""
    vary = {"a": (1, 2, 3), "b": ("x", "y")}
    shown = covering(vary)
    assert len(shown) == 3
    assert {key: {each[key] for each in shown} for key in vary} == {"a": {1, 2, 3}, "b": {"x", "y"}}


def test_settings_go_into_tables_and_come_out_again():
    """What is set is found under its key, everything else is untouched, the original too."""
    nested = {"a": {"b": 1, "c": {"d": [1]}}, "e": {}}
    changed = with_settings(nested, {"a.c.d": [2], "e.f": "x"})
    assert dict(leaves(changed)) == {"a.b": 1, "a.c.d": [2], "e.f": "x"}
    assert nested == {"a": {"b": 1, "c": {"d": [1]}}, "e": {}}


def test_seeds_that_are_no_numbers_are_refused():
    """From Python, where no text is parsed."""
    said = "\n".join(map(str, Wish("smoke-v1", seeds=(1, "2", 3.0, True)).faults()))
    assert "--seeds is '2'; allowed are whole numbers" in said


def test_json_of_a_refused_sweep_is_no_json(cosim):
    """With --json, too, faults go to standard error."""
    result = cosim("sweep", "smoke-v1", "--vary", "x=1", "--json")
    assert result.exit_code == 2
    with pytest.raises(json.JSONDecodeError):
        json.loads(result.stdout)
