"""`cosim clear`: one book from a file, every mechanism, and what a person gets wrong in it, all at once."""

import json

import pytest
from typer.testing import CliRunner

from cosim.experiments.cli import app
from cosim.experiments.plugins import registries

NAMES = sorted(registries()["mechanism"].built_in)
HEAD = "trader,side,energy_kwh,limit_eur_per_kwh\n"
# Hochschule Mittweida, Blockchain Academy, "Double Auction", in tenths of a cent.
BOOK = "".join(
    f"{side}{row},{side},1.5,{limit / 100}\n"
    for side, limits in (("sell", (80, 85, 95, 100, 110)), ("buy", (100, 90, 80, 70, 60)))
    for row, limit in enumerate(limits, start=1)
)


@pytest.fixture
def cosim(tmp_path, monkeypatch):
    """Write a book and call the command line beside it."""
    monkeypatch.chdir(tmp_path)

    def call(text, *words):
        (tmp_path / "book.csv").write_text(text)
        result = CliRunner().invoke(app, ["clear", "book.csv", *words])
        assert result.exception is None or isinstance(result.exception, SystemExit), result.exception
        return result

    return call


@pytest.mark.parametrize(
    ("name", "price", "traded", "welfare", "budget"),
    [
        ("uniform_price", 0.875, 3.0, 0.375, 0.0),
        ("mcafee", 0.875, 3.0, 0.375, 0.0),
        ("vcg", 0.875, 3.0, 0.375, -0.15),
        ("huang", 0.875, 1.5, 0.30, 0.075),
        ("pay_as_bid", 0.95, 3.0, 0.375, 0.0),
    ],
)
def test_a_published_book_is_cleared(cosim, name, price, traded, welfare, budget):
    """Price, volume, welfare and the marketplace's balance of orders of 1.5 kWh each, read from the JSON."""
    found = json.loads(cosim(HEAD + BOOK, "--mechanism", name, "--json").stdout)
    told = [found[key] for key in ("price_eur_per_kwh", "traded_kwh", "welfare_eur", "budget_eur")]
    assert told == pytest.approx([price, traded, welfare, budget], abs=1e-9)
    assert sum(trade["energy_kwh"] for trade in found["trades"]) == pytest.approx(traded)
    assert {trade["seller"] for trade in found["trades"]} <= {"sell1", "sell2"}


@pytest.mark.parametrize("name", NAMES)
def test_the_order_of_lines_does_not_matter(cosim, name):
    """A book from last to first gives the same words, with every mechanism, within a given band."""
    lines = BOOK.splitlines(keepends=True)
    band = ("--mechanism", name, "--floor", "0.6", "--ceiling", "1.1")
    one, other = (cosim(HEAD + "".join(order), *band, "--json") for order in (lines, lines[::-1]))
    assert one.exit_code == 0
    assert one.stdout == other.stdout
    assert json.loads(one.stdout)["mechanism"] == name


def test_people_get_a_table(cosim):
    """Without --json: figures, then a line for each trade."""
    said = cosim(HEAD + BOOK).stdout
    assert "welfare_eur        0.375" in said
    assert "sell1   buy1" in said


def test_nothing_to_trade_is_an_answer(cosim):
    """One side alone, or orders below a Wh: no price, no trades, exit code 0."""
    for rows in ("a,sell,1,0.1\n", "a,sell,0.0001,0.1\nb,buy,1,0.2\n", "a,buy,0,0.1\n"):
        for name in NAMES:
            result = cosim(HEAD + rows, "--mechanism", name, "--json")
            assert result.exit_code == 0
            found = json.loads(result.stdout)
            assert (found["price_eur_per_kwh"], found["trades"], found["welfare_eur"]) == (None, [], 0.0)


def test_all_faults_come_at_once(cosim):
    """Mechanism, band, and every cell of a bad row are named together; exit code 2 and nothing on standard output."""
    words = ("--mechanism", "vgc", "--floor", "0.3", "--ceiling", "0.1")
    result = cosim(HEAD + "a,sell,1,0.1\n,give,x,inf\nb,buy,2000000,nan\n", *words)
    assert result.exit_code == 2
    assert result.stdout == ""
    for said in (
        "8 faults in the input",
        "--mechanism is 'vgc'; did you mean 'vcg'?",
        "--floor is 0.3; allowed is at most the ceiling, 0.1",
        "book.csv: line 3, trader; a name is needed",
        "line 3, side is 'give'; allowed are sell and buy",
        "line 3, energy_kwh is 'x'; allowed is a number from 0 to 1000000",
        "line 3, limit_eur_per_kwh is 'inf'; allowed is a finite price",
        "line 4, energy_kwh is '2000000'",
        "line 4, limit_eur_per_kwh is 'nan'",
    ):
        assert said in result.stderr, said


@pytest.mark.parametrize(
    ("text", "words", "said"),
    [
        ("", (), "a header and at least one row are needed"),
        (HEAD, (), "at least one row below the header is needed"),
        ("trader;side;energy_kwh;limit_eur_per_kwh\na;sell;1;1\n", (), "the comma between columns"),
        ("trader,side,energy_kwh,limit\na,sell,1,1\n", (), "column 'limit_eur_per_kwh'; it is missing"),
        ("trader,side,energy_kwh,limit_eur_kwh\na,sell,1,1\n", (), "unknown column; did you mean 'limit_eur_per_kwh'?"),
        (HEAD + "a,sell,1\n", (), "3 cells wide"),
        (HEAD + "a,sell,600000,1\na,sell,600000,1\n", (), "orders more than 1000000000 Wh in all"),
        (HEAD + "a,sell,1,1\n", ("--floor", "nan"), "--floor is nan; allowed is a finite price"),
        (HEAD + "a,sell,1,1\n", ("--mechanism", "mine:Own"), "needs --allow-plugin mine"),
        (HEAD + "a,sell,1,1\n", ("--mechanism", "bad:Raises", "--allow-plugin", "bad"), "failed with KeyError"),
        (
            HEAD + "a,sell,1,1\n",
            ("--mechanism", "bad:Odd", "--allow-plugin", "bad"),
            "allowed is a subclass of Mechanism",
        ),
    ],
)
def test_what_a_person_gets_wrong_is_said(cosim, tmp_path, text, words, said):
    """Files without form, owners of too much, bands that are no numbers, and plug-ins that are none or that raise."""
    (tmp_path / "bad.py").write_text(
        "from cosim.models.market.mechanism import Mechanism\n"
        "class Raises(Mechanism):\n    def clear(self, orders, context):\n        return {}['gone']\n"
        "class Odd:\n    pass\n"
    )
    result = cosim(text, *words)
    assert result.exit_code == 2
    assert said in result.stderr


def test_a_book_that_is_not_there(cosim):
    """A path that leads nowhere is a fault, no traceback."""
    cosim(HEAD)
    result = CliRunner().invoke(app, ["clear", "nowhere.csv"])
    assert result.exit_code == 2
    assert "nowhere.csv" in result.stderr
