"""docs/mechanisms.md: one line for each mechanism, the table of claims as the code has it, and a class that works."""

import re
import textwrap
from pathlib import Path

from cosim.experiments.checking import check_plugin
from cosim.experiments.plugins import registries
from cosim.models.market.mechanism import CLAIMS

ROOT = Path(__file__).parents[3]
TEXT = (ROOT / "docs" / "mechanisms.md").read_text()
REGISTRY = registries()["mechanism"]


def claims_table() -> str:
    """Return the table of claims as it should stand in the text."""
    head = ["| mechanism |", *(f" `{claim}` |" for claim in CLAIMS)]
    rows = ["".join(head), "|---|" + ":-:|" * len(CLAIMS)]
    for name in sorted(REGISTRY.built_in):
        claims = REGISTRY.load(name).claims
        rows.append(f"| `{name}` |" + "".join(" yes |" if claim in claims else "  |" for claim in CLAIMS))
    return "\n".join(rows)


def test_the_table_of_claims_is_that_of_the_code():
    """What stands between the two marks is what the classes claim; on failure, put the expected text there."""
    found = TEXT.split("<!-- claims -->\n")[1].split("\n<!-- /claims -->")[0]
    assert found == claims_table()


def test_every_mechanism_has_a_line():
    """Each built-in name begins one line of the list, and no other name does."""
    assert sorted(re.findall(r"^\* `(\w+)`: ", TEXT, re.MULTILINE)) == sorted(REGISTRY.built_in)


def test_the_class_shown_keeps_its_contract(tmp_path, monkeypatch):
    """The block stands alone, and `cosim check` finds nothing."""
    (block,) = re.findall(r"```python\n(.*?)```", TEXT, re.DOTALL)
    (tmp_path / "street_of_the_docs.py").write_text(textwrap.dedent(block))
    monkeypatch.chdir(tmp_path)
    assert check_plugin("street_of_the_docs:Street", tmp_path) == []


def test_names_in_the_text_exist():
    """Files and benchmarks that the text mentions are there."""
    for path in re.findall(r"`((?:agents|models)/[\w/]+\.py)`", TEXT):
        assert (ROOT / path).is_file(), path
    for name in re.findall(r"python -m benchmarks (\w+)", TEXT):
        assert (ROOT / "benchmarks" / f"{name}.py").is_file(), name
