"""What Python and notebooks see of runs: opening folders, SQL, a page of HTML in a notebook."""

import subprocess
import sys

import pandas as pd
import pytest

import cosim
from cosim.models.errors import BadInputError, StorageError


@pytest.fixture(scope="module")
def run(tmp_path_factory):
    """Ten prosumers for a day."""
    folder = tmp_path_factory.mktemp("load") / "a-run"
    return cosim.run("smoke-v1", days=1, out=folder, overrides={"people.strategy": "truthful"})


def test_load_opens_what_is_there(run, tmp_path):
    """A run's folder opens as the run; a folder without one is refused in a sentence."""
    assert cosim.load(run.folder).summary == run.summary
    with pytest.raises(StorageError, match="holds no run"):
        cosim.load(tmp_path)


def test_gallery_names_and_titles():
    """Every bundled scenario has a title."""
    known = cosim.gallery()
    assert "village-v1" in known
    assert all(known.values())


def test_sql_says_what_the_tables_say(run):
    """Sums by SQL are those of the DataFrame; names stand beside row numbers; whoever paid is named."""
    by_sql = run.sql("SELECT id, sum(money) AS money FROM prosumers GROUP BY id ORDER BY id")
    by_frame = run.table("prosumers").groupby("id")["money"].sum()
    pd.testing.assert_series_equal(by_sql.set_index("id")["money"].astype("int64"), by_frame, check_names=False)
    payees = set(run.sql("SELECT DISTINCT payee_id FROM ledger")["payee_id"])
    assert {"supplier", "operator"} <= payees


@pytest.mark.parametrize(
    "query",
    [
        "SELECT * FROM read_csv('/etc/passwd')",
        "DROP VIEW prosumers",
        "SELECT 1; SELECT 2",
        "ATTACH 'other.db'",
        "SELECT * FROM nothing",
        "COPY prosumers TO 'out.csv'",
    ],
)
def test_sql_reaches_nothing_else(run, query):
    """One SELECT over the run's own tables; everything else is refused in a sentence."""
    with pytest.raises(BadInputError, match="query: SQL"):
        run.sql(query)


def test_a_notebook_shows_the_verdict(run):
    """The HTML begins with the scenario and its verdict and has the figures in a table."""
    html = run._repr_html_()
    assert "smoke-v1" in html
    assert "96 intervals" in html
    assert html.count("<tr>") > 10


def test_python_words_are_checked(tmp_path):
    """A switch that is no truth value is refused; strategies may be given by prosumer, a plug-in as one name."""
    with pytest.raises(BadInputError, match="allowed is True or False"):
        cosim.run("smoke-v1", market="no", out=tmp_path / "a")
    with pytest.raises(BadInputError, match="my_missing_agents"):
        cosim.run("smoke-v1", plugins="my_missing_agents", out=tmp_path / "b")
    with pytest.raises(BadInputError, match=r"people\.strategies\.home-13 is 'truthfull'"):
        cosim.run("smoke-v1", strategy={"home-13": "truthfull"}, out=tmp_path / "c")


def test_a_run_says_what_it_is(run):
    """On a terminal a run shows its folder and whether it is finished."""
    assert repr(run) == f"Run({str(run.folder)!r}, finished)"


def test_importing_cosim_is_light():
    """`import cosim` and its directory of names load no heavy library."""
    heavy = ("numpy", "pandas", "pandapower", "duckdb", "plotly", "mesa", "cvxpy")
    code = f"import sys, cosim; dir(cosim); print([name for name in {heavy!r} if name in sys.modules])"
    assert subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True).stdout == "[]\n"
